#include "tools/plan_least.h"

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
    uint32_t zones = shares->zone_count < shares->replicas ? shares->zone_count : shares->replicas;
    uint32_t missing = shares->replicas > held->count ? shares->replicas - held->count : 0;
    uint32_t covered = zones_of(shares, held);
    uint32_t lacking = zones > covered ? zones - covered : 0;

    return missing > lacking ? missing : lacking;
}

uint64_t plan_least(const struct plan_shares *shares, const struct plan_origin *origin,
                    uint32_t partitions)
{
    uint32_t held[MEMBERS_MAX] = {0};
    int64_t alone = 0, gains = 0, losses = 0;
    int64_t growth = (int64_t)partitions * shares->replicas;

    for (uint32_t p = 0; p < partitions; p++) {
        const struct ring_replicas *set = &origin->sets[p];

        alone += least_of(shares, set);
        growth -= set->count;
        for (uint16_t i = 0; i < set->count; i++)
            held[set->member[i]]++;
    }
    for (uint32_t i = 0; i < shares->member_count; i++) {
        const struct plan_range *range = &shares->replica_range[i];

        if (held[i] < range->low)
            gains += range->low - held[i];
        if (held[i] > range->high)
            losses += held[i] - range->high;
    }
    /* Gains are losses and growth together. */
    if (losses + growth > gains)
        gains = losses + growth;
    return (uint64_t)(alone > gains ? alone : gains);
}
