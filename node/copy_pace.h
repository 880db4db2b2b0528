/* How fast a shard sends copies of partitions: as fast as it can while nobody asks for anything;
 * else so that requests do not notice, found by trying: a little more as long as the loop's ticks
 * come in time, half of it when one is late. Only what is sent is a trial: a rate that was not made
 * use of does not grow, and after a tick without a copy it is the first one again.
 *
 * A tick tells of the processor only. What a copy takes of the disk, and of the machine that it is
 * sent to, clients notice sooner. So a change of the ring, for which nobody waits, has a ceiling
 * under load, and a repair, without which data has a copy less, has none. Bounds that an operator
 * has set stand above all that, and take that ceiling's place. */
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
    COPY_CALM_MS = 200,   /* without a request: clients that ask in turns have not gone */
    COPY_GENTLE_PART = 8, /* a chunk is that part of the usual, so that no request waits for long */
};

struct copy_pace {
    uint64_t gentle[COPY_KINDS]; /* bytes a second while there are requests; 0: there are none */
    uint64_t bound[COPY_KINDS];  /* bytes a second; 0: none. Set by the shard */
    int64_t left[COPY_KINDS];    /* that may be sent now; below 0: sent ahead of time */
    bool sent[COPY_KINDS];       /* since the last tick */
    uint64_t busy_ms;            /* so long there are requests, if no more come */
};

/* Time has passed. `asked`: requests came; `late`: this tick came late. */
void copy_pace_tick(struct copy_pace *p, uint64_t passed_ms, bool asked, bool late);

static inline bool copy_pace_may_send(const struct copy_pace *p, enum copy_kind kind)
{
    return (!p->busy_ms && !p->bound[kind]) || p->left[kind] > 0;
}

/* What may be done in one go now, of `most` in the usual. */
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
