/* From the ring as it is to the next: what stays where it is, and who gives what to whom. */
#ifndef RINGKV_TOOLS_PLAN_CHANGE_H
#define RINGKV_TOOLS_PLAN_CHANGE_H

#include "tools/plan_state.h"

/* Every member of `now` its own heir in `next`, by number; PLAN_NOBODY for those not in it. */
void plan_heirs(const struct ring *now, const struct ring *next, uint16_t heirs[MEMBERS_MAX]);

/* The owners of `now`, by their heirs, as owners of `next`. A partition whose owner leaves falls to
 * the owner that the walk meets next, so that no replica moves that need not. False when nobody
 * inherits anything. `heirs` has an entry for each member of `now`. */
bool plan_inherit(const struct ring *now, const uint16_t *heirs, struct ring *next);

/* What each partition's heirs hold now, for plan_state. NULL: out of memory. */
struct ring_replicas *plan_before(const struct ring *now, const uint16_t *heirs,
                                  const struct ring *next);

/* Moves partitions until everybody owns what it should, each to where it costs least. 0 or RK_NOMEM. */
int plan_settle(struct plan_state *s);

#endif
