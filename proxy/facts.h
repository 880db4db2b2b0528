/* What the proxy can tell about itself beyond one thread: INFO, HELLO and CONFIG GET read it. */
#ifndef RINGKV_PROXY_FACTS_H
#define RINGKV_PROXY_FACTS_H

#include "proxy/counters.h"
#include "proxy/keyspace.h"
#include <stdint.h>

/* The Redis version whose replies ringkv gives; clients choose their commands by it. */
#define FACTS_REDIS_VERSION "7.0.15"

enum { RUN_ID_SIZE = 40 };

struct facts {
    const char *version;
    const char *config_path;
    char system[200];             /* name, release, machine */
    char run_id[RUN_ID_SIZE + 1]; /* of this process; hexadecimal */
    char executable[256];
    char bind[260];         /* the host of [proxy] listen */
    char output_limits[80]; /* as Redis writes them */
    char protected_mode[4]; /* yes or no */
    uint64_t process_id, tcp_port, backlog, threads, max_clients;
    uint64_t uptime_s, unix_us;
    uint64_t memory_used, memory_heap, memory_rss, memory_peak, memory_system;
    uint64_t cpu_user_us, cpu_system_us;
    uint64_t commands_per_s, in_bytes_per_s, out_bytes_per_s;
    /* The sums over all threads. */
#define X(name, text) uint64_t name;
    PROXY_COUNTERS(X)
#undef X
    uint64_t errors[ERROR_CODE_COUNT];
    uint64_t clients, pending, links, log_lines_lost;
    struct keyspace keyspace;
};

#endif
