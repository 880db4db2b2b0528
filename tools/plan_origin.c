#include "tools/plan_origin.h"
#include "shared/error.h"
#include "tools/plan.h"
#include <stdlib.h>

void plan_heirs(const struct ring *now, const struct ring *next, uint16_t heirs[MEMBERS_MAX])
{
    for (uint32_t i = 0; i < now->member_count; i++) {
        int index = ring_member_by_number(next, now->members[i].number);

        heirs[i] = index < 0 ? (uint16_t)PLAN_NOBODY : (uint16_t)index;
    }
}

static void take_over(struct plan_origin *o, uint32_t p, const struct ring *now, uint32_t old,
                      const uint16_t *heirs)
{
    const struct ring_replicas *set = ring_replicas(now, old);

    o->owners[p] = heirs[now->owners[old]];
    for (uint16_t i = 0; i < set->count; i++)
        if (heirs[set->member[i]] != PLAN_NOBODY)
            o->sets[p].member[o->sets[p].count++] = heirs[set->member[i]];
}

int plan_origin_init(struct plan_origin *o, const struct ring *now, const uint16_t *heirs,
                     const struct ring *next)
{
    uint16_t by_number[MEMBERS_MAX];
    uint32_t count = ring_partitions(next);

    o->owners = malloc(count * sizeof(*o->owners));
    o->sets = calloc(count, sizeof(*o->sets));
    if (!o->owners || !o->sets) {
        plan_origin_free(o);
        return RK_NOMEM;
    }
    if (now && !heirs) {
        plan_heirs(now, next, by_number);
        heirs = by_number;
    }
    for (uint32_t p = 0; p < count; p++) {
        o->owners[p] = PLAN_NOBODY;
        if (now)
            take_over(o, p, now, p >> (next->bits - now->bits), heirs);
    }
    return 0;
}

void plan_origin_free(struct plan_origin *o)
{
    free(o->owners);
    free(o->sets);
    *o = (struct plan_origin){0};
}

bool plan_inherit(const struct plan_origin *o, struct ring *next)
{
    uint32_t count = ring_partitions(next);
    uint16_t met = PLAN_NOBODY;

    for (uint32_t p = 2 * count; p-- > 0;) {
        uint16_t heir = o->owners[p & (count - 1)];

        if (heir != PLAN_NOBODY)
            met = heir;
        next->owners[p & (count - 1)] = met;
    }
    return met != PLAN_NOBODY;
}
