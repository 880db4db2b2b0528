/* Edge: what the threads of one ringproxy share. */
#ifndef RINGKV_PROXY_PROXY_H
#define RINGKV_PROXY_PROXY_H

#include "proxy/command_stats.h"
#include "proxy/facts.h"
#include "proxy/options.h"
#include "proxy/records.h"
#include "proxy/tunables.h"
#include "shared/loop.h"
#include "shared/secret.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct errands;
struct link_report;
struct worker;
struct ring_watch;

struct proxy {
    const struct proxy_options *options;
    const char *config_path;
    struct loop *loop; /* the main thread's */
    struct ring_watch *watch;
    struct errands *errands;
    struct link_report *links;
    struct secret secret; /* of the cluster */
    struct tunables tunables;
    pthread_mutex_t records_lock;
    struct records records;
    pthread_mutex_t base_lock;
    struct facts base;                /* the counters when they began anew, */
    struct command_stats *stats_base; /* and these */
    struct worker **workers;
    uint32_t worker_count;
    uint32_t workers_running;
    uint16_t port; /* really listened on */
    uint64_t started_ms;
    char run_id[RUN_ID_SIZE + 1];
    char system[sizeof((struct facts){0}.system)];
    struct rates *rates;
    _Atomic uint64_t keys, expiring; /* struct keyspace, as the ring watch heard of it */
    _Atomic uint64_t clients;        /* connected, in all threads */
    _Atomic uint64_t last_client_id; /* given out */
};

#endif
