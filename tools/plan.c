#include "tools/plan.h"
#include "shared/error.h"
#include "shared/ring_check.h"
#include "tools/plan_first.h"
#include "tools/plan_repair.h"
#include <stdio.h>
#include <stdlib.h>

/* In partitions looked at: some seconds at the most. */
enum { REPAIR_WORK = 20 << 20 };

static int plan_from_nothing(struct ring *next, const struct plan_shares *shares)
{
    uint32_t owned[MEMBERS_MAX] = {0}, targets[MEMBERS_MAX];
    struct plan_state s;
    int error;

    plan_targets(shares, ring_partitions(next), owned, targets);
    plan_first(shares, ring_partitions(next), targets, next->owners);
    error = plan_state_init(&s, next, shares, NULL);
    if (error)
        return error;
    plan_repair(&s, REPAIR_WORK);
    memcpy(next->owners, s.owners, s.partitions * sizeof(*s.owners));
    plan_state_free(&s);
    return 0;
}

int plan_owners(const struct ring *now, const uint16_t *heirs, struct ring *next, char *why,
                size_t why_size)
{
    struct plan_shares *shares;
    int error = ring_check(next, why, why_size);
    (void)now;(void)heirs;

    if (error)
        return error;
    shares = malloc(sizeof(*shares));
    if (!shares)
        return RK_NOMEM;
    plan_shares(next, shares);
    error = plan_from_nothing(next, shares);
    free(shares);
    return error;
}
