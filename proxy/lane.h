/* A way to one shard of one member, as the routing sees it; a link (proxy/link.h) drives it. */
#ifndef RINGKV_PROXY_LANE_H
#define RINGKV_PROXY_LANE_H

#include "proxy/request.h"
#include "shared/buf.h"
#include <stdbool.h>
#include <stdint.h>

/* Requests in flight on one lane. Further ones wait, and end with -BUSY when that takes too long.
 */
enum { LANE_CALLS_MAX = 1 << 16 };

enum lane_state {
    LANE_OPENING, /* not known yet whether it can be reached: requests wait */
    LANE_UP,
    LANE_DOWN, /* the last attempt failed: requests are answered with -NOQUORUM */
};

struct lane {
    enum lane_state state;
    struct buf *out;         /* while up: where requests are appended */
    struct leg_list legs;    /* in flight, in the order of their since_ms */
    uint32_t in_flight;      /* with: */
    struct leg_list sharing; /* those that have no request of their own, but wait for the answer to
                                a question for all of them (proxy/majority.c), in its order */
    uint64_t asked, told;    /* such questions, and answers */
    uint64_t touches;        /* of the node's shard, as it told last; 0: not yet */
    uint32_t era;            /* what was known of its replicas in an earlier one counts no more */
    bool asks;               /* the next question goes with this turn */
    uint64_t heard_ms;       /* when the node last sent something */
    uint64_t pinged_ms;      /* when it was last asked for a sign of life */
    uint64_t owed_ms;        /* when a read was last moved away from it, to be asked of others */
    uint32_t
        unanswered; /* requests that timed out since the last reply: others are asked instead */
    bool in_ring;   /* it leads to a member of the ring */
    bool dirty;     /* `out` has grown since the edge last looked */
    struct lane *next_dirty;
};

/* Whether nothing was heard since a read was moved away. */
static inline bool lane_owes(const struct lane *lane)
{
    return lane->owed_ms > lane->heard_ms;
}

/* Whether reads go around it as long as others answer. */
static inline bool lane_is_silent(const struct lane *lane)
{
    return lane->unanswered || lane_owes(lane);
}

/* What has waited for longest; NULL: nothing waits. */
static inline struct leg *lane_oldest(const struct lane *lane)
{
    struct leg *own = lane->legs.first, *shares = lane->sharing.first;

    return !own || (shares && shares->since_ms < own->since_ms) ? shares : own;
}

#endif
