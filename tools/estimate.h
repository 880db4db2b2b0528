/* What a change of the ring takes, before it is made: what moves, how much, how long, how full the
 * disks get. Pure: what the nodes tell of themselves comes in.
 *
 * Nodes count keys and bytes for themselves, not for each partition, so a partition is taken to be
 * as large as the average of those that its holders have. What is estimated is close when keys are
 * many and alike, and no closer than that.
 */
#ifndef RINGKV_TOOLS_ESTIMATE_H
#define RINGKV_TOOLS_ESTIMATE_H

#include "shared/ring.h"
#include <stdbool.h>
#include <stdint.h>

/* What a node tells; all zero when it does not answer. */
struct node_facts {
    bool up;
    uint64_t keys, live_bytes;
    uint64_t disk_used;             /* tree and log, allocated */
    uint64_t disk_free, disk_total; /* of its file system; total 0: not known */
};

enum {
    /* Bytes per second that a node is taken to send or receive when no rate is asked for: a tenth
     * of a good network. Without clients it does more, beside them COPY_CHANGE_MAX for each shard.
     */
    ESTIMATE_RATE = 30000000,
    /* Sorted inserts leave tree pages partly empty; a fresh copy takes this many percent of the
     * bytes of its records on disk. */
    ESTIMATE_FILL_PERCENT = 150,
    ESTIMATE_WARNINGS_MAX = 16,
    ESTIMATE_WARNING_SIZE = 256,
};

/* One node of either ring. Before: in the ring as it is; after: in the next. */
struct estimate_node {
    const struct ring_member *member; /* of the ring it is in, the next if in both */
    bool before, after, up;
    uint32_t owned_before, owned_after; /* partitions */
    uint32_t held_before, held_after;   /* replicas */
    uint32_t gained;                    /* replicas that it is to get */
    uint64_t bytes_before, bytes_after; /* keys and values */
    uint64_t bytes_in, bytes_out;       /* copied to it; copied from it */
    uint64_t disk_peak;                 /* while the change runs */
    uint64_t disk_free, disk_total;     /* now; total 0: not known */
};

struct estimate {
    uint32_t partitions;         /* in the ring */
    uint32_t partitions_changed; /* whose replicas change, or their order: what progress counts */
    uint32_t partitions_moved;   /* whose replicas change */
    uint32_t owners_moved;       /* whose preferred primary changes */
    uint32_t replicas_copied, replicas_dropped;
    uint64_t keys, bytes; /* copied */
    uint64_t seconds;     /* roughly */
    uint32_t node_count;
    struct estimate_node *nodes; /* in ascending number */
    uint32_t warning_count;      /* at most ESTIMATE_WARNINGS_MAX are kept */
    char warnings[ESTIMATE_WARNINGS_MAX][ESTIMATE_WARNING_SIZE];
};

/* Both rings finished and stable; facts[i] is of now->members[i], joining[i] of next->members[i]
 * (only read for those that are not in `now`). rate: bytes per second and node, 0: ESTIMATE_RATE.
 * 0 or RK_NOMEM; to be freed. It points into both rings. */
int estimate_change(const struct ring *now, const struct node_facts *facts, const struct ring *next,
                    const struct node_facts *joining, uint64_t rate, struct estimate *e);
void estimate_free(struct estimate *e);

/* Partitions of which a majority of the replicas is down: nothing can be done with them. */
uint32_t ring_without_majority(const struct ring *ring, const struct node_facts *facts);

#endif
