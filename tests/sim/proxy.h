/* What stands between clients and nodes: exchangeable. */
#ifndef RINGKV_TESTS_SIM_PROXY_H
#define RINGKV_TESTS_SIM_PROXY_H

#include "shared/bytes.h"
#include "tests/sim/net.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

struct proxy_kind {
    void *(*create)(struct world *w, uint32_t index);
    void (*destroy)(void *proxy);
    /* Carries out w->ops[op] for a client, one at a time for each. It ends with workload_done. */
    void (*start)(void *proxy, uint32_t client, size_t op);
    /* A connection of this proxy's (the pipe's opening side) has come up or gone down. */
    void (*lane)(void *proxy, struct pipe *pipe, bool up);
    void (*frames)(void *proxy, struct pipe *pipe, struct bytes frames);
    /* EVENT_PROXY with its client and number. */
    void (*timer)(void *proxy, uint32_t client, uint64_t number);
};

/* The simulator's own: addresses the view it knows, else the first replica. */
extern const struct proxy_kind proxy_simple;

#endif
