#include "tools/plan_least.h"

/* What all members of a zone hold together, now and in any ring within the bounds. */
struct zone_sum {
    int64_t low, high; /* what the zone may hold in the next ring */
    int64_t gains;     /* what members gain that hold less than their range wants */
    int64_t lacking;   /* partitions that must have a replica here, and have none */
    int64_t held;      /* with that, and without what members hold beyond their range */
};

struct tally {
    const struct plan_shares *shares;
    uint32_t held[MEMBERS_MAX];
    struct zone_sum zones[MEMBERS_MAX]; /* under the zone's number */
    int64_t alone;                      /* what partitions lack, each seen by itself */
};

static int64_t limited(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Every partition will have a replica in each zone. */
static bool every_zone_has_all(const struct plan_shares *shares)
{
    return shares->zone_count <= shares->replicas;
}

/* The distinct zones among those that hold a partition now. */
static uint32_t zones_of(const struct plan_shares *shares, const struct ring_replicas *set)
{
    uint32_t count = 0;

    for (uint16_t i = 0; i < set->count; i++) {
        bool seen = false;

        for (uint16_t j = 0; j < i; j++)
            seen |= shares->zones[set->member[i]] == shares->zones[set->member[j]];
        count += !seen;
    }
    return count;
}

/* What one partition must get whatever else happens: the replicas that are missing, and one for
 * each zone that should have one and has none. */
static uint32_t least_of(const struct plan_shares *shares, const struct ring_replicas *held)
{
    uint32_t zones = every_zone_has_all(shares) ? shares->zone_count : shares->replicas;
    uint32_t missing = shares->replicas > held->count ? shares->replicas - held->count : 0;
    uint32_t covered = zones_of(shares, held);
    uint32_t lacking = zones > covered ? zones - covered : 0;

    return missing > lacking ? missing : lacking;
}

static void count_partition(struct tally *t, const struct ring_replicas *set)
{
    t->alone += least_of(t->shares, set);
    for (uint16_t i = 0; i < set->count; i++) {
        uint16_t zone = t->shares->zones[set->member[i]];
        bool seen = false;

        for (uint16_t j = 0; j < i; j++)
            seen |= t->shares->zones[set->member[j]] == zone;
        t->held[set->member[i]]++;
        t->zones[zone].lacking -= !seen;
    }
}

/* A zone's members together, and what the walk allows a zone: where zones are no more than
 * replicas, each has one replica of every partition, and at most what that leaves of them; where
 * they are more, each has one at most. */
static void sum_zones(struct tally *t, int64_t partitions)
{
    const struct plan_shares *s = t->shares;
    int64_t most = every_zone_has_all(s) ? s->replicas - s->zone_count + 1 : 1;
    int64_t least = every_zone_has_all(s) ? 1 : 0;

    for (uint32_t i = 0; i < s->member_count; i++) {
        const struct plan_range *range = &s->replica_range[i];
        struct zone_sum *zone = &t->zones[s->zones[i]];
        int64_t fit = limited(t->held[i], range->low, range->high);

        zone->low += range->low;
        zone->high += range->high;
        zone->held += fit;
        zone->gains += fit > t->held[i] ? fit - t->held[i] : 0;
    }
    for (uint32_t i = 0; i < s->member_count; i++) {
        struct zone_sum *zone = &t->zones[i];

        if (s->zones[i] != i)
            continue;
        zone->low = zone->low > least * partitions ? zone->low : least * partitions;
        zone->high = zone->high < most * partitions ? zone->high : most * partitions;
        zone->lacking += least * partitions;
        if (zone->lacking > zone->gains) {
            zone->held += zone->lacking - zone->gains;
            zone->gains = zone->lacking;
        }
    }
}

/* A zone's members cannot gain less than they and its partitions lack; up to zone->held that is
 * enough, and each replica beyond is gained by somebody. It is beyond where the zone must hold
 * more, and where all zones together must. */
static int64_t gains_of_zones(const struct tally *t, int64_t wanted)
{
    int64_t gains = 0;

    for (uint32_t i = 0; i < t->shares->member_count; i++) {
        const struct zone_sum *zone = &t->zones[i];
        int64_t held = limited(zone->held, zone->low, zone->high);

        if (t->shares->zones[i] != i)
            continue;
        gains += zone->gains + (held > zone->held ? held - zone->held : 0);
        wanted -= held;
    }
    return wanted > 0 ? gains + wanted : gains;
}

uint64_t plan_least(const struct plan_shares *shares, const struct plan_origin *origin,
                    uint32_t partitions)
{
    struct tally t = {.shares = shares};
    int64_t gains;

    for (uint32_t p = 0; p < partitions; p++)
        count_partition(&t, &origin->sets[p]);
    sum_zones(&t, partitions);
    gains = gains_of_zones(&t, (int64_t)partitions * shares->replicas);
    return (uint64_t)(t.alone > gains ? t.alone : gains);
}
