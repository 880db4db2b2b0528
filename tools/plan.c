#include "tools/plan.h"
#include "shared/error.h"
#include "shared/ring_check.h"
#include "tools/plan_first.h"
#include "tools/plan_least.h"
#include "tools/plan_search.h"
#include "tools/plan_settle.h"
#include "tools/plan_squeeze.h"
#include <stdio.h>
#include <stdlib.h>

/* Moves beyond the least for which the search goes on, and beyond which there is another that takes
 * longer: one in so many. */
enum { ENOUGH_PART = 100, SQUEEZE_PART = 10 };

static int refuse(const char *text, char *why, size_t why_size)
{
    if (why && why_size)
        snprintf(why, why_size, "%s", text);
    return RK_INVALID;
}

static int check_change(const struct ring *now, const uint16_t *heirs, const struct ring *next,
                        char *why, size_t why_size)
{
    bool taken[MEMBERS_MAX] = {false};

    if (next->bits < now->bits)
        return refuse("partitions can be split, not joined", why, why_size);
    for (uint32_t i = 0; heirs && i < now->member_count; i++) {
        if (heirs[i] == PLAN_NOBODY)
            continue;
        if (heirs[i] >= next->member_count || taken[heirs[i]])
            return refuse("an heir is no member, or heir of two", why, why_size);
        taken[heirs[i]] = true;
    }
    return 0;
}

static void first_owners(struct ring *next, const struct plan_shares *shares)
{
    uint32_t owned[MEMBERS_MAX] = {0}, targets[MEMBERS_MAX];

    plan_targets(shares, ring_partitions(next), owned, targets);
    plan_first(shares, ring_partitions(next), targets, next->owners);
}

static int improve(struct ring *next, const struct plan_shares *shares,
                   const struct plan_origin *origin)
{
    struct plan_state s;
    uint64_t least = 0;
    int error = plan_state_init(&s, next, shares, origin);

    if (error)
        return error;
    if (origin)
        least = plan_least(shares, origin, ring_partitions(next));
    error = plan_settle(&s);
    if (!error)
        error = plan_search(&s, least + least / ENOUGH_PART, next->owners);
    if (!error)
        error = plan_squeeze(&s, least + least / SQUEEZE_PART, next->owners);
    plan_state_free(&s);
    return error;
}

static int plan(const struct ring *now, const uint16_t *heirs, struct ring *next,
                const struct plan_shares *shares)
{
    struct plan_origin origin;
    int error = plan_origin_init(&origin, now, heirs, next);

    if (error)
        return error;
    if (plan_inherit(&origin, next)) {
        error = improve(next, shares, &origin);
    } else {
        first_owners(next, shares);
        error = improve(next, shares, NULL);
    }
    plan_origin_free(&origin);
    return error;
}

int plan_owners(const struct ring *now, const uint16_t *heirs, struct ring *next, char *why,
                size_t why_size)
{
    struct plan_shares *shares;
    int error;

    ring_fill_in(next);
    error = ring_check(next, why, why_size);
    if (!error && now)
        error = check_change(now, heirs, next, why, why_size);
    if (error)
        return error;
    shares = malloc(sizeof(*shares));
    if (!shares)
        return RK_NOMEM;
    plan_shares(next, shares);
    error = plan(now, heirs, next, shares);
    free(shares);
    return error;
}
