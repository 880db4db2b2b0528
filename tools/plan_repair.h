/* The local search: exchanges owners while that makes a placement better. */
#ifndef RINGKV_TOOLS_PLAN_REPAIR_H
#define RINGKV_TOOLS_PLAN_REPAIR_H

#include "tools/plan_state.h"

/* Stops where no exchange that it knows helps, or after looking at `work` partitions. */
void plan_repair(struct plan_state *s, uint64_t work);

#endif
