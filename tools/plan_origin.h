/* The ring as it is, in the eyes of the next: by heirs. */
#ifndef RINGKV_TOOLS_PLAN_ORIGIN_H
#define RINGKV_TOOLS_PLAN_ORIGIN_H

#include "shared/ring.h"

/* Per partition of the next ring, in its member indexes. */
struct plan_origin {
    uint16_t *owners;           /* PLAN_NOBODY where the owner leaves */
    struct ring_replicas *sets; /* who holds it now; fewer than wanted where members leave */
};

/* Every member of `now` its own heir in `next`, by number; PLAN_NOBODY for those not in it. */
void plan_heirs(const struct ring *now, const struct ring *next, uint16_t heirs[MEMBERS_MAX]);

/* `now` may be NULL: nobody owns or holds anything. `heirs` has an entry for each member of it;
 * NULL: by number. 0 or RK_NOMEM. */
int plan_origin_init(struct plan_origin *o, const struct ring *now, const uint16_t *heirs,
                     const struct ring *next);
void plan_origin_free(struct plan_origin *o);

/* The owners as they would be without any plan: a partition whose owner leaves falls to the owner
 * that the walk meets next, so that no replica moves that need not. False when nobody inherits
 * anything. */
bool plan_inherit(const struct plan_origin *o, struct ring *next);

#endif
