#include "tools/plan_squeeze.h"
#include "shared/error.h"
#include "tools/plan_exchange.h"
#include "tools/plan_first.h"
#include "tools/plan_places.h"

/* Simulated annealing (Kirkpatrick, Gelatt, Vecchi 1983): an exchange that costs d more is accepted
 * with a probability of exp(-d / heat), and the heat falls from HEAT to nothing in the course of a
 * run. Other than plan_search, whose slack is above the least cost ever seen, it can go up many
 * small steps one after another, to where a whole run of owners can be given back. */
enum {
    HEAT = PLAN_COST_MOVE / 2,
    RUNS = 4,
    RUN_WORK = 1 << 20, /* of the first run, in partitions looked at; each is twice as long as the
                           one before, and begins from the best that was seen */
    TRIES_A_HEAT = 256,
    UNIT_BITS = 10, /* heat is counted in 2^-10 of cost, and so are the logarithms */
};

/* -ln of the middle of each 64th between 0 and 1: what floating point would give, which must not be
 * used as its last digit differs between machines. */
enum { CHANCE_BITS = 6 };
static const uint16_t minus_ln[1 << CHANCE_BITS] = {
    4968, 3844, 3320, 2976, 2719, 2513, 2342, 2195, 2067, 1953, 1851, 1758, 1672, 1594, 1520, 1452,
    1388, 1328, 1271, 1217, 1166, 1117, 1070, 1026, 983,  942,  903,  865,  828,  793,  759,  726,
    694,  663,  633,  603,  575,  547,  520,  494,  469,  444,  419,  395,  372,  349,  327,  305,
    284,  263,  243,  223,  203,  184,  165,  146,  128,  110,  92,   75,   58,   41,   24,   8,
};

struct squeeze {
    struct plan_state *state;
    struct plan_places places;
    uint64_t tries;
    int64_t heat;
    uint64_t chance; /* the present step's, in 2^-CHANCE_BITS */
    uint16_t *best;  /* the owners with the fewest moves, and of those with the least cost */
    uint64_t best_moved;
    int64_t best_cost;
};

static bool heat_accepts(void *search, int64_t cost_before)
{
    const struct squeeze *w = search;
    int64_t more = w->state->cost - cost_before;

    return more <= 0 || (more << 2 * UNIT_BITS) <= w->heat * minus_ln[w->chance];
}

/* Anywhere too: where nothing moves yet, one move may make one unnecessary that leads elsewhere. */
static void squeeze_once(struct squeeze *w)
{
    struct plan_state *s = w->state;
    uint64_t random = plan_mix(w->tries, 1), other = plan_mix(w->tries, 2);
    uint32_t mask = s->partitions - 1, a = plan_places_near(&w->places, s, random);
    uint32_t step = 1 + (uint32_t)(other % (2u * s->replicas));

    w->chance = plan_mix(w->tries, 3) >> (64 - CHANCE_BITS);
    w->tries++;
    s->work++;
    switch (other >> 61) {
    case 0:
    case 1:
        plan_try_swap(s, a, (a + step) & mask, heat_accepts, w);
        break;
    case 2:
    case 3:
    case 4:
        plan_try_swap(s, a, plan_places_near(&w->places, s, other), heat_accepts, w);
        break;
    case 5:
        plan_try_swap(s, (uint32_t)random & mask, ((uint32_t)random + step) & mask, heat_accepts,
                      w);
        break;
    case 6:
        plan_try_swap(s, a, (uint32_t)other & mask, heat_accepts, w);
        break;
    default:
        plan_try_give(s, a, s->owners[plan_places_near(&w->places, s, other)], heat_accepts, w);
    }
}

static void keep_if_better(struct squeeze *w)
{
    const struct plan_state *s = w->state;

    if (s->moved > w->best_moved || (s->moved == w->best_moved && s->cost >= w->best_cost))
        return;
    if (!plan_all_fit(s))
        return;
    w->best_moved = s->moved;
    w->best_cost = s->cost;
    memcpy(w->best, s->owners, s->partitions * sizeof(*w->best));
}

static void squeeze_run(struct squeeze *w, uint64_t length, uint64_t enough)
{
    struct plan_state *s = w->state;
    uint64_t begin = s->work;

    while (s->work - begin < length) {
        uint64_t left = length - (s->work - begin);

        w->heat = (int64_t)(((uint64_t)HEAT << UNIT_BITS) * left / length);
        plan_places_list(&w->places, s, true);
        if (w->places.count == 0)
            return;
        for (int i = 0; i < TRIES_A_HEAT && w->best_moved > enough; i++) {
            squeeze_once(w);
            keep_if_better(w);
        }
        if (w->best_moved <= enough)
            return;
    }
}

int plan_squeeze(struct plan_state *s, uint64_t enough, uint16_t *owners)
{
    struct squeeze w = {.state = s, .best = owners};

    plan_state_set(s, owners);
    w.best_moved = s->moved;
    w.best_cost = s->cost;
    if (w.best_moved <= enough || !plan_all_fit(s))
        return 0;
    if (plan_places_init(&w.places, s) != 0)
        return RK_NOMEM;
    for (int i = 0; i < RUNS && w.best_moved > enough; i++) {
        plan_state_set(s, owners);
        squeeze_run(&w, (uint64_t)RUN_WORK << i, enough);
    }
    plan_places_free(&w.places);
    return 0;
}
