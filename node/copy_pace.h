/* How fast a shard sends copies of partitions: as fast as it can while there are no requests;
 * otherwise slowly enough that requests do not notice. That rate is found by trying: it grows a
 * little while the loop's ticks come in time, and is halved when one is late. It grows only while
 * it is used, and begins again at its first value after a tick without a copy.
 *
 * A late tick shows only that the processor is busy. What a copy costs the disk, and the machine
 * that it is sent to, clients notice sooner. So a change of the ring, for which nobody waits, has a
 * ceiling under load. A repair has none: until it is done, the data have one copy less. Bounds that
 * an operator has set go before all that, and replace that ceiling. */
#ifndef RINGKV_NODE_COPY_PACE_H
#define RINGKV_NODE_COPY_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum copy_kind {
    COPY_REPAIR, /* to a replica that was away */
    COPY_CHANGE, /* to one that learns */
    COPY_KINDS,
};

/* Bytes a second, while there are requests. */
enum {
    COPY_REPAIR_MIN = 2 << 20, /* when requests suffer: it has to end some day */
    COPY_REPAIR_FIRST = 4 << 20,
    COPY_CHANGE_MIN = 1 << 20,
    COPY_CHANGE_FIRST = 2 << 20,
    COPY_CHANGE_MAX = 3 << 20,
    COPY_RATE_MAX = 1 << 30,
};

enum {
    COPY_BURST_MS = 100,  /* what was not sent is made up for, but no more than that */
    COPY_CALM_MS = 200,   /* without a request, before there are none: clients may take turns */
    COPY_GENTLE_PART = 8, /* chunks are so many times smaller, so that no request waits for long */
};

struct copy_pace {
    uint64_t gentle[COPY_KINDS]; /* bytes a second while there are requests; 0: there are none */
    uint64_t bound[COPY_KINDS];  /* bytes a second; 0: none. Set by the shard */
    int64_t left[COPY_KINDS];    /* that may be sent now; below 0: sent ahead of time */
    bool sent[COPY_KINDS];       /* since the last tick */
    uint64_t busy_ms;            /* for how long requests count as there, if no more come */
};

/* Time has passed. `asked`: requests came; `late`: this tick came late. */
void copy_pace_tick(struct copy_pace *p, uint64_t passed_ms, bool asked, bool late);

static inline bool copy_pace_may_send(const struct copy_pace *p, enum copy_kind kind)
{
    return (!p->busy_ms && !p->bound[kind]) || p->left[kind] > 0;
}

/* How much may be done in one go now, where it is usually `most`. */
static inline uint32_t copy_pace_part(const struct copy_pace *p, uint32_t most)
{
    return p->busy_ms ? most / COPY_GENTLE_PART : most;
}

static inline void copy_pace_sent(struct copy_pace *p, enum copy_kind kind, uint64_t bytes)
{
    p->left[kind] -= (int64_t)bytes;
    p->sent[kind] = true;
}

#endif
