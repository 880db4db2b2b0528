/* The walk that finds a partition's replicas, made for all partitions in one pass.
 *
 * Walking forward from each partition would take as many steps as the longest walk, and a ring with
 * one small zone has long walks. Passing over the owners backwards instead, and keeping who would
 * be met first from here, takes a few steps a partition whatever the ring looks like.
 */
#ifndef RINGKV_SHARED_RING_WALK_H
#define RINGKV_SHARED_RING_WALK_H

#include "shared/ring.h"

/* Who a walk that begins here meets: the first `replicas` distinct members, and the first member of
 * each of the first `replicas` distinct zones, both in the order in which they are met. */
struct ring_walk {
    uint8_t member_count, zone_count;
    uint16_t member[REPLICAS_MAX];
    uint16_t zone[REPLICAS_MAX];
    uint16_t zone_member[REPLICAS_MAX];
};

/* Moves the beginning of the walk back by one partition, which `member` of `zone` owns. */
void ring_walk_back(struct ring_walk *walk, uint16_t member, uint16_t zone, uint8_t replicas);

/* The replicas of the partition at which the walk begins. */
void ring_walk_replicas(const struct ring_walk *walk, uint8_t replicas, struct ring_replicas *set);

static inline bool ring_walk_equal(const struct ring_walk *a, const struct ring_walk *b)
{
    return a->member_count == b->member_count && a->zone_count == b->zone_count &&
           memcmp(a->member, b->member, a->member_count * sizeof(a->member[0])) == 0 &&
           memcmp(a->zone_member, b->zone_member, a->zone_count * sizeof(a->zone_member[0])) == 0;
}

#endif
