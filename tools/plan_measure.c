#include "shared/error.h"
#include "tools/plan.h"
#include "tools/plan_change.h"
#include "tools/plan_share.h"
#include <stdlib.h>

struct count {
    const struct plan_shares *shares;
    uint32_t owned[MEMBERS_MAX], held[MEMBERS_MAX], held_before[MEMBERS_MAX];
    int64_t growth; /* replicas wanted beyond those that the heirs hold */
};

static uint64_t milli(uint64_t share)
{
    return (share >> 16) * 1000 >> (PLAN_SHARE_BITS - 16);
}

static uint32_t distance(uint64_t a, uint64_t b)
{
    return (uint32_t)(a > b ? a - b : b - a);
}

/* The distinct zones among the heirs of a partition's replicas. */
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

/* The replicas that a partition must get anew whatever else happens: those that are missing, and
 * those that stand in a zone twice while another zone has none. */
static uint32_t least_here(const struct plan_shares *shares, const struct ring_replicas *before)
{
    uint32_t zones = shares->zone_count < shares->replicas ? shares->zone_count : shares->replicas;
    uint32_t missing = shares->replicas > before->count ? shares->replicas - before->count : 0;
    uint32_t covered = zones_of(shares, before);
    uint32_t lacking = zones > covered ? zones - covered : 0;

    return missing > lacking ? missing : lacking;
}

/* Two bounds: what partitions lack one by one, and what members lack or have too much. Every
 * replica that one loses another gains, so the gains are at least as many as either. */
static uint64_t least_moves(const struct count *c, const struct ring_replicas *before,
                            uint32_t partitions)
{
    uint64_t here = 0;
    int64_t lacking = 0, spare = c->growth;

    for (uint32_t p = 0; p < partitions; p++)
        here += least_here(c->shares, &before[p]);
    for (uint32_t i = 0; i < c->shares->member_count; i++) {
        const struct plan_range *range = &c->shares->replica_range[i];

        if (c->held_before[i] < range->low)
            lacking += range->low - c->held_before[i];
        if (c->held_before[i] > range->high)
            spare += c->held_before[i] - range->high;
    }
    if (spare > lacking)
        lacking = spare;
    return (int64_t)here > lacking ? here : (uint64_t)lacking;
}

static void count_now(struct count *c, const struct ring *next, const struct ring_replicas *before)
{
    c->growth = (int64_t)ring_partitions(next) * c->shares->replicas;

    for (uint32_t p = 0; p < ring_partitions(next); p++)
        for (uint16_t i = 0; i < before[p].count; i++) {
            c->held_before[before[p].member[i]]++;
            c->growth--;
        }
}

static uint64_t count_moves(struct count *c, const struct ring *next,
                            const struct ring_replicas *before)
{
    uint64_t moved = 0;

    for (uint32_t p = 0; p < ring_partitions(next); p++) {
        const struct ring_replicas *set = ring_replicas(next, p);

        c->owned[next->owners[p]]++;
        for (uint16_t i = 0; i < set->count; i++) {
            c->held[set->member[i]]++;
            moved += !ring_replicas_has(&before[p], set->member[i]);
        }
    }
    return moved;
}

static void measure_balance(const struct count *c, struct plan_figures *f)
{
    for (uint32_t i = 0; i < c->shares->member_count; i++) {
        const struct plan_range *range = &c->shares->replica_range[i];
        uint32_t owned = distance(c->owned[i] * 1000ull, c->shares->owned_milli[i]);
        uint32_t held = distance(c->held[i] * 1000ull, milli(c->shares->held[i]));

        if (owned > f->primary_off_milli)
            f->primary_off_milli = owned;
        if (held > f->replica_off_milli)
            f->replica_off_milli = held;
        f->replica_out += c->held[i] < range->low || c->held[i] > range->high;
    }
}

static uint32_t count_broken(const struct ring *r)
{
    uint32_t mask = ring_partitions(r) - 1, broken = 0;

    for (uint32_t p = 0; p <= mask; p++) {
        bool twice = false;

        for (uint32_t i = 0; i < r->replicas; i++)
            for (uint32_t j = 0; j < i; j++)
                twice |= r->owners[(p + i) & mask] == r->owners[(p + j) & mask];
        broken += twice;
    }
    return broken;
}

static uint32_t count_owners_moved(const struct ring *now, const uint16_t *heirs,
                                   const struct ring *next)
{
    uint32_t moved = 0;

    for (uint32_t p = 0; p < ring_partitions(next); p++)
        moved += !now || heirs[now->owners[p >> (next->bits - now->bits)]] != next->owners[p];
    return moved;
}

int plan_measure(const struct ring *now, const uint16_t *heirs, const struct ring *next,
                 struct plan_figures *figures)
{
    struct plan_shares *shares = malloc(sizeof(*shares));
    struct count *c = calloc(1, sizeof(*c));
    struct ring_replicas *before = NULL;
    uint16_t by_number[MEMBERS_MAX];
    int error = RK_NOMEM;

    *figures = (struct plan_figures){0};
    if (now && !heirs) {
        plan_heirs(now, next, by_number);
        heirs = by_number;
    }
    if (shares && c)
        before =
            now ? plan_before(now, heirs, next) : calloc(ring_partitions(next), sizeof(*before));
    if (!before)
        goto out;
    plan_shares(next, shares);
    c->shares = shares;
    count_now(c, next, before);
    figures->moved = count_moves(c, next, before);
    figures->moved_least = least_moves(c, before, ring_partitions(next));
    figures->owners_moved = count_owners_moved(now, heirs, next);
    figures->broken_windows = count_broken(next);
    measure_balance(c, figures);
    error = 0;
out:
    free(before);
    free(c);
    free(shares);
    return error;
}
