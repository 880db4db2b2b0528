#include "tools/plan_search.h"
#include "shared/error.h"
#include "tools/plan_exchange.h"
#include "tools/plan_first.h"
#include "tools/plan_places.h"
#include <stdlib.h>

/* In partitions looked at, of which a few tens of millions make a second. */
enum {
    WORK_MAX = 16 << 20,
    IDLE_LEAST = 1 << 17, /* work without any success */
    IDLE_MOST = 3 << 20,
    IDLE_EACH = 1 << 9, /* within these, for each partition there is */
    TRIES_A_LIST = 2048,
};

/* Where a member is left that holds too many or too few: so often it is tried anew, near such
 * members alone, each time with a fault of theirs worth so many times more moves. */
enum { MENDS_MAX = 3, MEND_COST_TIMES = 4 };

/* How far above the least cost seen an exchange may take it at first; less and less the longer
 * nothing is gained (record-to-record travel; Dueck 1993). More would only let it stray. */
enum { SLACK_MAX = PLAN_COST_MOVE };

struct search {
    struct plan_state *state;
    struct plan_places places;
    uint64_t tries;
    int64_t record, slack; /* the least cost seen, and what may be above it */
    uint16_t *best;        /* the best owners of those that were kept, */
    int64_t best_cost;     /* their cost, */
    uint64_t best_work;    /* and when they were found */
    bool mends;            /* only members out of range count */
};

/* Whether to stay where an exchange has led to. */
static bool accepted(void *search, int64_t cost_before)
{
    struct search *w = search;
    int64_t cost = w->state->cost;

    if (cost < w->record)
        w->record = cost;
    return cost <= cost_before || cost <= w->record + w->slack;
}

static void try_one(struct search *w)
{
    struct plan_state *s = w->state;
    uint64_t random = plan_mix(w->tries, 1), other = plan_mix(w->tries, 2);
    uint32_t a = plan_places_near(&w->places, s, random), mask = s->partitions - 1;

    w->tries++;
    s->work++;
    switch (random >> 61) {
    case 0:
    case 1:
    case 2:
        plan_try_swap(s, a, (a + 1 + (uint32_t)(other % (2u * s->replicas))) & mask, accepted, w);
        break;
    case 3:
    case 4:
    case 5:
        plan_try_swap(s, a, plan_places_near(&w->places, s, other), accepted, w);
        break;
    case 6:
        plan_try_swap(s, a, (uint32_t)other & mask, accepted, w);
        break;
    default:
        plan_try_give(s, a, s->owners[plan_places_near(&w->places, s, other)], accepted, w);
    }
}

static void keep(struct search *w)
{
    const struct plan_state *s = w->state;

    w->best_cost = s->cost;
    w->best_work = s->work;
    memcpy(w->best, s->owners, s->partitions * sizeof(*w->best));
}

static uint64_t idle_limit(uint32_t partitions)
{
    uint64_t work = (uint64_t)partitions * IDLE_EACH;

    return work < IDLE_LEAST ? IDLE_LEAST : work > IDLE_MOST ? IDLE_MOST : work;
}

static void run(struct search *w, uint64_t enough)
{
    struct plan_state *s = w->state;
    uint64_t limit = idle_limit(s->partitions), end = s->work + WORK_MAX;

    for (;;) {
        bool done = (w->mends || s->moved <= enough) && plan_all_fit(s);
        uint64_t idle;

        if (done || s->cost < w->best_cost)
            keep(w);
        idle = s->work - w->best_work;
        if (done || idle >= limit || s->work >= end)
            return;
        plan_places_list(&w->places, s, s->origin && !w->mends);
        if (w->places.count == 0)
            return;
        w->slack = SLACK_MAX - (int64_t)(SLACK_MAX * idle / limit);
        for (uint32_t i = 0; i < TRIES_A_LIST; i++)
            try_one(w);
    }
}

/* Goes on until all members are within bounds; false: it does not come to that. */
static bool mend(struct search *w)
{
    struct plan_state *s = w->state;

    w->mends = true;
    for (int i = 0; i < MENDS_MAX; i++) {
        plan_state_set_replica_cost(s, s->replica_cost * MEND_COST_TIMES);
        w->best_cost = w->record = s->cost;
        w->best_work = s->work;
        run(w, 0);
        plan_state_set(s, w->best);
        if (plan_all_fit(s))
            return true;
    }
    return false;
}

/* Within the bounds comes before moving little. But where they cannot be had, nothing is moved for
 * being nearer to them. */
static int mend_if_needed(struct search *w)
{
    size_t size = w->state->partitions * sizeof(*w->best);
    uint16_t *before;

    plan_state_set(w->state, w->best);
    if (plan_all_fit(w->state))
        return 0;
    before = malloc(size);
    if (!before)
        return RK_NOMEM;
    memcpy(before, w->best, size);
    if (!mend(w))
        memcpy(w->best, before, size);
    free(before);
    return 0;
}

int plan_search(struct plan_state *s, uint64_t enough, uint16_t *owners)
{
    struct search w = {.state = s, .best = owners, .best_cost = INT64_MAX, .record = s->cost};
    int error;

    if (plan_places_init(&w.places, s) != 0)
        return RK_NOMEM;
    run(&w, enough);
    error = mend_if_needed(&w);
    plan_places_free(&w.places);
    return error;
}
