/* Edge: reading the log at start-up.
 *
 * The end of the log is where its last segment holds no further record. What a power cut tore there
 * was never acknowledged and is left out; anything else that is wrong is damage, and refused.
 */
#ifndef RINGKV_NODE_LOG_REPLAY_H
#define RINGKV_NODE_LOG_REPLAY_H

#include "node/log_segment.h"

/* A segment that is there. */
struct log_range {
    uint64_t number;
    uint64_t first_position;
    uint64_t size;
};

struct log_ranges {
    struct log_range *items; /* in order; malloced */
    size_t count, size;
};

struct log_replay {
    const struct log_folder *folder;
    uint64_t written_down; /* the tree holds everything up to this position */
    /* Every batch that is there, in order, those that the tree holds included. An error ends the
     * replay. */
    int (*each)(void *arg, uint64_t position, const struct store_batch *batch);
    void *arg;
    /* Results. */
    struct log_ranges ranges; /* the caller frees the items, on failure as well */
    uint64_t last_position;   /* 0: nothing was ever written */
    char *why;                /* gets what is wrong */
    size_t why_size;
};

/* Adds to the end. 0 or RK_NOMEM. */
int log_ranges_add(struct log_ranges *r, struct log_range range);

/* 0, RK_CORRUPT, RK_VERSION, RK_IO, RK_NOMEM, or what `each` returned. What was read is on stable
 * storage. Spares that a former run left are removed. */
int log_replay(struct log_replay *r);

#endif
