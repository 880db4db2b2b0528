/* A way to one shard of one member, as the routing sees it; a link (proxy/link.h) drives it. */
#ifndef RINGKV_PROXY_LANE_H
#define RINGKV_PROXY_LANE_H

#include "proxy/request.h"
#include "shared/buf.h"
#include <stdbool.h>
#include <stdint.h>

/* More requests in flight than this on one lane are refused with -BUSY. */
enum { LANE_CALLS_MAX = 1 << 16 };

enum lane_state {
    LANE_OPENING, /* not known yet whether it can be reached: requests wait */
    LANE_UP,
    LANE_DOWN, /* the last attempt failed: requests are answered with -NOQUORUM */
};

struct lane {
    enum lane_state state;
    struct buf *out;        /* while up: where requests are appended */
    struct call_list calls; /* in flight, in the order in which they were sent */
    uint32_t in_flight;
    uint32_t unanswered; /* requests that timed out since the last reply */
    bool dirty;          /* `out` has grown since the edge last looked */
    struct lane *next_dirty;
};

#endif
