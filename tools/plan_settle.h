/* Who gives which partitions to whom. */
#ifndef RINGKV_TOOLS_PLAN_SETTLE_H
#define RINGKV_TOOLS_PLAN_SETTLE_H

#include "tools/plan_state.h"

/* Moves partitions until everybody owns what it should, each to where it costs least. 0 or
 * RK_NOMEM. */
int plan_settle(struct plan_state *s);

#endif
