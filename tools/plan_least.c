#include "tools/plan_least.h"

/* What all members of a zone hold together, now and in any ring within the bounds. */
struct zone_sum {
    int64_t low, high; /* what the zone may hold in the next ring */
    int64_t gains;     /* what members gain that hold less than their range wants */
    int64_t lacking;   /* partitions that must have a replica here and have none, or another one */
    int64_t held;      /* with that, and without what members hold beyond their range */
    int64_t cuts;      /* partitions of which no holder here holds the next one too */
    int64_t owned_low, owned_high;
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

/* None of the members of a zone that hold one partition holds the other; false if there are none.
 */
static bool is_cut(const struct plan_shares *shares, uint16_t zone, const struct ring_replicas *a,
                   const struct ring_replicas *b)
{
    bool in_a = false, in_b = false;

    for (uint16_t i = 0; i < a->count; i++) {
        if (shares->zones[a->member[i]] != zone)
            continue;
        if (ring_replicas_has(b, a->member[i]))
            return false;
        in_a = true;
    }
    for (uint16_t i = 0; i < b->count; i++)
        in_b |= shares->zones[b->member[i]] == zone;
    return in_a && in_b;
}

static void count_partition(struct tally *t, const struct ring_replicas *set,
                            const struct ring_replicas *next)
{
    t->alone += least_of(t->shares, set);
    for (uint16_t i = 0; i < set->count; i++) {
        uint16_t zone = t->shares->zones[set->member[i]];
        bool seen = false;

        for (uint16_t j = 0; j < i; j++)
            seen |= t->shares->zones[set->member[j]] == zone;
        t->held[set->member[i]]++;
        t->zones[zone].lacking -= !seen;
        t->zones[zone].cuts += !seen && is_cut(t->shares, zone, set, next);
    }
}

static void sum_members(struct tally *t)
{
    const struct plan_shares *s = t->shares;

    for (uint32_t i = 0; i < s->member_count; i++) {
        const struct plan_range *range = &s->replica_range[i];
        struct zone_sum *zone = &t->zones[s->zones[i]];
        int64_t fit = limited(t->held[i], range->low, range->high);

        zone->low += range->low;
        zone->high += range->high;
        zone->held += fit;
        zone->gains += fit > t->held[i] ? fit - t->held[i] : 0;
        zone->owned_low += s->primaries[i].low;
        zone->owned_high += s->primaries[i].high;
    }
}

/* Where zones are as many as replicas, a partition's one holder in a zone is the first of its
 * owners that the walk meets. So two neighbours have different holders there only if the zone owns
 * the first of the two: it cannot have more cuts than it owns partitions. Of two neighbours that
 * are cut now and will not be, one has another holder, and a partition is the neighbour of two. */
static int64_t mended_cuts(const struct zone_sum *zone, int64_t partitions, int64_t low_of_all)
{
    int64_t others = low_of_all - zone->owned_low;
    int64_t owned = limited(zone->owned_high, 0, partitions - others);

    return zone->cuts > owned ? (zone->cuts - owned + 1) / 2 : 0;
}

/* What the walk allows a zone: where zones are no more than replicas, each has one replica of every
 * partition, and at most what that leaves of them; where they are more, each has one at most. */
static void bound_zone(const struct plan_shares *s, struct zone_sum *zone, int64_t partitions,
                       int64_t low_of_all)
{
    int64_t most = every_zone_has_all(s) ? s->replicas - s->zone_count + 1 : 1;
    int64_t least = every_zone_has_all(s) ? 1 : 0;

    zone->low = zone->low > least * partitions ? zone->low : least * partitions;
    zone->high = zone->high < most * partitions ? zone->high : most * partitions;
    zone->lacking += least * partitions;
    if (s->zone_count == s->replicas)
        zone->lacking += mended_cuts(zone, partitions, low_of_all);
    if (zone->lacking > zone->gains) {
        zone->held += zone->lacking - zone->gains;
        zone->gains = zone->lacking;
    }
}

static void sum_zones(struct tally *t, int64_t partitions)
{
    const struct plan_shares *s = t->shares;
    int64_t owned_low = 0;

    sum_members(t);
    for (uint32_t i = 0; i < s->member_count; i++)
        owned_low += s->primaries[i].low;
    for (uint32_t i = 0; i < s->member_count; i++)
        if (s->zones[i] == i)
            bound_zone(s, &t->zones[i], partitions, owned_low);
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
        count_partition(&t, &origin->sets[p], &origin->sets[(p + 1) % partitions]);
    sum_zones(&t, partitions);
    gains = gains_of_zones(&t, (int64_t)partitions * shares->replicas);
    return (uint64_t)(t.alone > gains ? t.alone : gains);
}
