/* The settings that CONFIG SET can change while the proxy runs: all its threads read them, any may
 * write them. They begin as in the configuration file, and end with the process. */
#ifndef RINGKV_PROXY_TUNABLES_H
#define RINGKV_PROXY_TUNABLES_H

#include <stdatomic.h>
#include <stdint.h>

/* name, what it is */
#define TUNABLES(X)                                                                   \
    X(max_clients, "clients at a time")                                               \
    X(idle_timeout_ms, "a client that sends nothing for so long is closed; 0: never") \
    X(query_size, "bytes of the largest command")                                     \
    X(slow_us, "a command that takes so long goes into the slow log; -1: none does")  \
    X(slow_entries, "the slow log holds so many")                                     \
    X(latency_ms, "a command that takes so long is a latency event; 0: none is")

struct tunables {
#define X(name, what) _Atomic int64_t name;
    TUNABLES(X)
#undef X
};

/* Each setting stands for itself, so no order between them matters. */
static inline int64_t tunable_read(const _Atomic int64_t *tunable)
{
    return atomic_load_explicit(tunable, memory_order_relaxed);
}

static inline void tunable_write(_Atomic int64_t *tunable, int64_t value)
{
    atomic_store_explicit(tunable, value, memory_order_relaxed);
}

#endif
