#include "tools/plan_settle.h"
#include "shared/error.h"
#include "tools/plan.h"
#include "tools/plan_first.h"
#include <stdlib.h>

enum { SAMPLES = 24 };

/* How much a member owns beyond (or, negative, short of) what it should; members within their range
 * give or take one only when nobody is outside. */
static int64_t surplus(const struct plan_state *s, uint16_t member, bool within)
{
    const struct plan_range *range = &s->shares->primaries[member];

    return (int64_t)s->owned[member] - (within ? range->low : range->high);
}

static int64_t shortage(const struct plan_state *s, uint16_t member, bool within)
{
    const struct plan_range *range = &s->shares->primaries[member];

    return (int64_t)(within ? range->high : range->low) - s->owned[member];
}

/* The member that is short of most, in parts of its share; PLAN_NOBODY: nobody is short. */
static uint16_t neediest(const struct plan_state *s, bool within)
{
    uint16_t best = PLAN_NOBODY;
    int64_t best_short = 0, best_share = 1;

    for (uint32_t i = 0; i < s->shares->member_count; i++) {
        int64_t lacks = shortage(s, (uint16_t)i, within);
        int64_t share = s->shares->primaries[i].high;

        if (lacks > 0 && lacks * best_share > best_short * share) {
            best = (uint16_t)i;
            best_short = lacks;
            best_share = share;
        }
    }
    return best;
}

/* Partitions that may be given away. */
struct offers {
    uint32_t *partitions;
    uint32_t count;
};

struct trial {
    uint32_t best;
    int64_t best_cost;
    uint32_t tried;
};

static bool can_give(const struct plan_state *s, uint32_t partition, bool within)
{
    return surplus(s, s->owners[partition], within) > 0;
}

static void try_offer(struct plan_state *s, struct trial *t, uint32_t partition, uint16_t taker)
{
    uint16_t owner = s->owners[partition];

    t->tried++;
    plan_state_assign(s, partition, taker);
    if (s->cost < t->best_cost) {
        t->best_cost = s->cost;
        t->best = partition;
    }
    plan_state_assign(s, partition, owner);
}

/* Tries some of the offers; who has nothing to give any more is struck off. */
static void try_offers(struct plan_state *s, struct offers *offers, struct trial *t, uint16_t taker,
                       uint64_t seed, bool within)
{
    for (uint32_t n = 0; n < SAMPLES && offers->count > 0;) {
        uint32_t *at = &offers->partitions[plan_mix(seed, n) % offers->count];

        if (can_give(s, *at, within)) {
            try_offer(s, t, *at, taker);
            n++;
        } else {
            *at = offers->partitions[--offers->count];
        }
    }
}

/* Gives `taker` the best of some offers. */
static bool give_best(struct plan_state *s, struct offers offers[2], uint16_t taker, uint64_t turn,
                      bool within)
{
    struct trial t = {0, INT64_MAX, 0};

    try_offers(s, &offers[0], &t, taker, 2 * turn, within);
    try_offers(s, &offers[1], &t, taker, 2 * turn + 1, within);
    if (t.tried == 0)
        return false;
    plan_state_assign(s, t.best, taker);
    return true;
}

static void collect(const struct plan_state *s, struct offers offers[2], bool within)
{
    offers[0].count = offers[1].count = 0;
    for (uint32_t p = 0; p < s->partitions; p++)
        if (can_give(s, p, within)) {
            struct offers *to = &offers[!s->origin || s->origin->owners[p] != PLAN_NOBODY];

            to->partitions[to->count++] = p;
        }
}

/* One round: everybody short takes, the neediest first, from those that have too much. */
static void settle(struct plan_state *s, struct offers offers[2], bool short_within,
                   bool give_within, uint64_t *turn)
{
    uint16_t taker;

    collect(s, offers, give_within);
    while ((taker = neediest(s, short_within)) != PLAN_NOBODY)
        if (!give_best(s, offers, taker, (*turn)++, give_within))
            return;
}

int plan_settle(struct plan_state *s)
{
    uint32_t *partitions = malloc(2 * s->partitions * sizeof(*partitions));
    struct offers offers[2] = {{partitions, 0}, {partitions + s->partitions, 0}};
    uint64_t turn = 0;

    if (!partitions)
        return RK_NOMEM;
    settle(s, offers, false, false, &turn);
    settle(s, offers, false, true, &turn);
    settle(s, offers, true, false, &turn);
    free(partitions);
    return 0;
}
