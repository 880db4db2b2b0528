#include "tools/plan_share.h"
#include "shared/ring_check.h"
#include <stdlib.h>

enum {
    TOLERANCE = 2,         /* replicas, or */
    TOLERANCE_PERCENT = 2, /* of the share, whichever is more */
};

/* A share by weight of the whole ring is at most 2^16 partitions of 2^32 units; times a weight it
 * must still fit. */
_Static_assert(PARTITION_BITS_MAX + PLAN_SHARE_BITS <= 48 && WEIGHT_MAX < 1 << 14,
               "shares times weights fit in 64 bits");

static uint64_t whole(uint32_t partitions)
{
    return (uint64_t)partitions << PLAN_SHARE_BITS;
}

/* The index of the heaviest member of each zone, under the zone's own number (that of its first).
 */
static uint16_t heaviest_of_zones(const struct ring *r, const struct plan_shares *s,
                                  uint16_t heaviest[MEMBERS_MAX])
{
    uint16_t count = 0;

    for (uint32_t i = 0; i < r->member_count; i++) {
        uint16_t zone = s->zones[i];

        if (zone == i)
            count++;
        if (zone == i || r->members[i].weight > r->members[heaviest[zone]].weight)
            heaviest[zone] = (uint16_t)i;
    }
    return count;
}

/* Members whose share is less than one partition, and who need one all the same: a member that owns
 * none is met on no walk, and so holds nothing; a zone must have at least one that does. Taking
 * them out makes the others' shares smaller, so others may follow. */
static void pin_small(const struct ring *r, const struct plan_shares *s,
                      const uint16_t heaviest[MEMBERS_MAX], bool pinned[MEMBERS_MAX],
                      uint64_t *partitions, uint64_t *weight)
{
    bool all = r->member_count <= ring_partitions(r);
    bool more = all || s->zone_count <= ring_partitions(r);

    while (more) {
        uint64_t left = *partitions, sum = *weight;

        more = false;
        for (uint32_t i = 0; i < r->member_count; i++) {
            if (pinned[i] || r->members[i].weight * left >= sum)
                continue;
            if (!all && heaviest[s->zones[i]] != i)
                continue;
            pinned[i] = more = true;
            *partitions -= 1;
            *weight -= r->members[i].weight;
        }
    }
}

static void share_primaries(const struct ring *r, struct plan_shares *s,
                            const uint16_t heaviest[MEMBERS_MAX])
{
    bool pinned[MEMBERS_MAX] = {false};
    uint64_t partitions = ring_partitions(r), weight = 0;

    for (uint32_t i = 0; i < r->member_count; i++)
        weight += r->members[i].weight;
    pin_small(r, s, heaviest, pinned, &partitions, &weight);
    for (uint32_t i = 0; i < r->member_count; i++) {
        uint64_t part = r->members[i].weight * partitions;
        uint32_t low = pinned[i] ? 1 : (uint32_t)(part / weight);

        s->remainder[i] = pinned[i] ? 0 : part % weight;
        s->owned_milli[i] = pinned[i] ? 1000 : (uint32_t)(part * 1000 / weight);
        s->primaries[i] = (struct plan_range){low, low + (s->remainder[i] > 0)};
    }
}

struct zone_sums {
    uint64_t held[MEMBERS_MAX], weight[MEMBERS_MAX]; /* under the zone's number */
};

/* Shares for `level` units a weight, no member more than all partitions. */
static void fill_to(const struct ring *r, struct plan_shares *s, uint64_t level,
                    struct zone_sums *zones)
{
    uint64_t most = whole(ring_partitions(r));

    memset(zones, 0, sizeof(*zones));
    for (uint32_t i = 0; i < r->member_count; i++) {
        uint64_t part = level * r->members[i].weight;

        s->held[i] = part < most ? part : most;
        zones->held[s->zones[i]] += s->held[i];
        zones->weight[s->zones[i]] += r->members[i].weight;
    }
}

/* Holds each zone to what the walk gives it whatever its weight: exactly one replica of each
 * partition at most when there are as many zones as replicas, and at least one when there are
 * fewer. Returns the sum. */
static uint64_t bound_zones(const struct ring *r, struct plan_shares *s, struct zone_sums *zones)
{
    uint64_t one = whole(ring_partitions(r)), sum = 0;
    bool capped = s->zone_count >= r->replicas;

    for (uint32_t i = 0; i < r->member_count; i++) {
        uint16_t zone = s->zones[i];

        if (capped ? zones->held[zone] > one : zones->held[zone] < one)
            s->held[i] = one * r->members[i].weight / zones->weight[zone];
        sum += s->held[i];
    }
    return sum;
}

static void share_replicas(const struct ring *r, struct plan_shares *s)
{
    uint64_t low = 0, high = whole(ring_partitions(r));
    uint64_t wanted = high * s->replicas;
    struct zone_sums zones;

    /* The highest level at which no more is given than there is; low is always possible. */
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;

        fill_to(r, s, middle, &zones);
        if (bound_zones(r, s, &zones) <= wanted)
            low = middle;
        else
            high = middle - 1;
    }
    fill_to(r, s, low, &zones);
    bound_zones(r, s, &zones);
}

static void bound_replicas(const struct ring *r, struct plan_shares *s)
{
    uint64_t most = whole(ring_partitions(r)), unit = whole(1);

    for (uint32_t i = 0; i < r->member_count; i++) {
        uint64_t part = s->held[i] / 100 * TOLERANCE_PERCENT;
        uint64_t off = part > TOLERANCE * unit ? part : TOLERANCE * unit;
        uint64_t high = s->held[i] + off < most ? s->held[i] + off : most;
        uint64_t low = s->held[i] > off ? s->held[i] - off : 0;

        s->replica_range[i].low = (uint32_t)((low + unit - 1) >> PLAN_SHARE_BITS);
        s->replica_range[i].high = (uint32_t)(high >> PLAN_SHARE_BITS);
        if (s->replicas == 1)
            s->replica_range[i] = s->primaries[i];
        /* Who owns a partition is met on the walks from it and the ones before it. */
        if (s->primaries[i].high > 0 && s->replica_range[i].high < s->replicas)
            s->replica_range[i].high = s->replicas;
    }
}

void plan_shares(const struct ring *r, struct plan_shares *s)
{
    uint16_t heaviest[MEMBERS_MAX];

    s->member_count = r->member_count;
    s->replicas = r->replicas < r->member_count ? r->replicas : (uint8_t)r->member_count;
    ring_zones(r, false, s->zones);
    s->zone_count = heaviest_of_zones(r, s, heaviest);
    share_primaries(r, s, heaviest);
    share_replicas(r, s);
    bound_replicas(r, s);
}

struct candidate {
    uint64_t remainder;
    uint16_t member;
    bool owns; /* as much as the higher of the two already */
};

static int candidate_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->owns != y->owns)
        return x->owns ? -1 : 1;
    if (x->remainder != y->remainder)
        return x->remainder > y->remainder ? -1 : 1;
    return (int)x->member - (int)y->member;
}

void plan_targets(const struct plan_shares *s, uint32_t partitions, const uint32_t *owned,
                  uint32_t *targets)
{
    struct candidate candidates[MEMBERS_MAX];
    uint32_t count = 0, left = partitions;

    for (uint32_t i = 0; i < s->member_count; i++) {
        const struct plan_range *range = &s->primaries[i];

        targets[i] = range->low;
        left -= range->low;
        if (range->high > range->low)
            candidates[count++] =
                (struct candidate){s->remainder[i], (uint16_t)i, owned[i] >= range->high};
    }
    qsort(candidates, count, sizeof(candidates[0]), candidate_order);
    for (uint32_t i = 0; i < left; i++)
        targets[candidates[i].member]++;
}
