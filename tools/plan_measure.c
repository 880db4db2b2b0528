#include "shared/error.h"
#include "tools/plan.h"
#include "tools/plan_least.h"
#include <stdlib.h>

struct count {
    const struct plan_shares *shares;
    uint32_t owned[MEMBERS_MAX], held[MEMBERS_MAX];
};

static uint64_t milli(uint64_t share)
{
    return (share >> 16) * 1000 >> (PLAN_SHARE_BITS - 16);
}

static uint32_t distance(uint64_t a, uint64_t b)
{
    return (uint32_t)(a > b ? a - b : b - a);
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

static uint32_t count_owners_moved(const struct plan_origin *origin, const struct ring *next)
{
    uint32_t moved = 0;

    for (uint32_t p = 0; p < ring_partitions(next); p++)
        moved += origin->owners[p] != next->owners[p];
    return moved;
}

/* Who takes another's place has none of its data. */
static void holders(const struct ring *now, const uint16_t *heirs, const struct ring *next,
                    uint16_t same[MEMBERS_MAX])
{
    if (heirs)
        memcpy(same, heirs, now->member_count * sizeof(*same));
    else
        plan_heirs(now, next, same);
    for (uint32_t i = 0; i < now->member_count; i++)
        if (same[i] != PLAN_NOBODY &&
            memcmp(now->members[i].identity, next->members[same[i]].identity, IDENTITY_SIZE) != 0)
            same[i] = PLAN_NOBODY;
}

int plan_measure(const struct ring *now, const uint16_t *heirs, const struct ring *next,
                 struct plan_figures *figures)
{
    struct plan_shares *shares = malloc(sizeof(*shares));
    struct count *c = calloc(1, sizeof(*c));
    struct plan_origin origin = {0};
    uint16_t same[MEMBERS_MAX];
    int error = RK_NOMEM;

    *figures = (struct plan_figures){0};
    if (!shares || !c)
        goto out;
    if (now)
        holders(now, heirs, next, same);
    error = plan_origin_init(&origin, now, now ? same : NULL, next);
    if (error)
        goto out;
    plan_shares(next, shares);
    c->shares = shares;
    figures->moved = count_moves(c, next, origin.sets);
    figures->moved_least = plan_least(shares, &origin, ring_partitions(next));
    figures->owners_moved = count_owners_moved(&origin, next);
    figures->broken_windows = count_broken(next);
    measure_balance(c, figures);
out:
    plan_origin_free(&origin);
    free(c);
    free(shares);
    return error;
}
