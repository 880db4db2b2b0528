#include "tools/plan.h"
#include "shared/error.h"
#include "shared/ring_check.h"
#include "tools/plan_change.h"
#include "tools/plan_first.h"
#include "tools/plan_repair.h"
#include <stdio.h>
#include <stdlib.h>

/* In partitions looked at: some seconds at the most. */
enum { REPAIR_WORK = 20 << 20 };

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
    for (uint32_t i = 0; i < now->member_count; i++) {
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
                   struct ring_replicas *before)
{
    struct plan_state s;
    int error = plan_state_init(&s, next, shares, before);

    if (error)
        return error;
    plan_settle(&s);
    plan_repair(&s, REPAIR_WORK);
    memcpy(next->owners, s.owners, s.partitions * sizeof(*s.owners));
    plan_state_free(&s);
    return 0;
}

static int plan(const struct ring *now, const uint16_t *heirs, struct ring *next,
                const struct plan_shares *shares)
{
    struct ring_replicas *before;

    if (!now || !plan_inherit(now, heirs, next)) {
        first_owners(next, shares);
        return improve(next, shares, NULL);
    }
    before = plan_before(now, heirs, next);
    return before ? improve(next, shares, before) : RK_NOMEM;
}

int plan_owners(const struct ring *now, const uint16_t *heirs, struct ring *next, char *why,
                size_t why_size)
{
    uint16_t by_number[MEMBERS_MAX];
    struct plan_shares *shares;
    int error = ring_check(next, why, why_size);

    if (now && !heirs) {
        plan_heirs(now, next, by_number);
        heirs = by_number;
    }
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
