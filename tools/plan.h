/* The placement planner: which member owns which partition of the next ring.
 *
 * A pure function: the same rings give the same owners, on any machine. What it keeps to, in order:
 *   1. every member owns a partition, as long as there are enough, so that every partition has all
 *      its replicas and its zones;
 *   2. the partitions owned are a member's exact share by weight, rounded down or up;
 *   3. the partitions held (as one of the replicas) are within 2, or 2 %, of the share by weight;
 *      where a member cannot hold its share, because it would be more than one replica of each
 *      partition, or its zone more than one, it holds them all and the others share what is left;
 *   4. no more replicas are moved than that takes;
 *   5. consecutive owners are distinct, and in distinct zones, so that walks are short.
 * doc/plan.md tells how.
 */
#ifndef RINGKV_TOOLS_PLAN_H
#define RINGKV_TOOLS_PLAN_H

#include "shared/ring.h"

enum { PLAN_NOBODY = UINT16_MAX };

/* Fills in next->owners. Everything else of `next` is what the ring shall be (members, weights,
 * zones, replicas, bits) and has to pass ring_check; ring_finish is left to the caller.
 *
 * `now` is the ring to change, finished; NULL makes a first placement. `heirs` tells for each
 * member index of `now` which index of `next` takes over its partitions, PLAN_NOBODY for a member
 * that leaves; no index twice. NULL: every member is its own heir, by number. To replace a node by
 * another, make the one the heir of the other.
 *
 * next->bits may be more than now->bits: each partition is then split in equal parts where it lies.
 * 0; RK_NOMEM; RK_INVALID, with the reason in `why` (may be NULL). */
int plan_owners(const struct ring *now, const uint16_t *heirs, struct ring *next, char *why,
                size_t why_size);

/* How a planned ring looks, and what it takes to get there. Replicas are counted as pairs of a
 * partition and a member that holds it. */
struct plan_figures {
    uint64_t moved;             /* replicas that a member has to fetch, an heir all of its own */
    uint64_t moved_least;       /* no ring within the bounds 1 to 3 can be had for less */
    uint32_t owners_moved;      /* partitions whose owner changes */
    uint32_t primary_off_milli; /* the largest distance from an exact share, in 1/1000 partitions */
    uint32_t replica_off_milli; /* likewise, in replicas */
    uint32_t replica_out;       /* members beyond the bound of 3 */
    uint32_t broken_windows;    /* runs of `replicas` owners with one of them twice */
};

/* Both rings finished; `now` and `heirs` as above. 0 or RK_NOMEM. */
int plan_measure(const struct ring *now, const uint16_t *heirs, const struct ring *next,
                 struct plan_figures *figures);

#endif
