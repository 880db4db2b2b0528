/* What each member should own and hold: shares by weight, in whole numbers. */
#ifndef RINGKV_TOOLS_PLAN_SHARE_H
#define RINGKV_TOOLS_PLAN_SHARE_H

#include "shared/ring.h"

/* Shares of replicas are counted in 2^-32: no product of what a ring can hold overflows. */
enum { PLAN_SHARE_BITS = 32 };

struct plan_range {
    uint32_t low, high;
};

struct plan_shares {
    uint32_t member_count;
    uint16_t zone_count;
    uint8_t replicas; /* that a partition will have: at most the members */
    uint16_t zones[MEMBERS_MAX];
    struct plan_range primaries[MEMBERS_MAX]; /* the exact share, rounded down and up */
    uint64_t remainder[MEMBERS_MAX];          /* what rounding down cuts off; only for comparing */
    uint32_t owned_milli[MEMBERS_MAX];        /* the exact share in 1/1000; only for telling */
    uint64_t held[MEMBERS_MAX];               /* exact share of replicas, in 2^-PLAN_SHARE_BITS */
    struct plan_range replica_range[MEMBERS_MAX];
};

/* Computes them for a ring that passed ring_check. */
void plan_shares(const struct ring *r, struct plan_shares *s);

/* Chooses for each member one of primaries.low and .high so that they add up to the partitions,
 * keeping members that own `owned` or more than .high at that. */
void plan_targets(const struct plan_shares *s, uint32_t partitions, const uint32_t *owned,
                  uint32_t *targets);

#endif
