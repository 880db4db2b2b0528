/* The last search: fewer moves, in a placement that is within bounds. */
#ifndef RINGKV_TOOLS_PLAN_SQUEEZE_H
#define RINGKV_TOOLS_PLAN_SQUEEZE_H

#include "tools/plan_state.h"

/* Where more than `enough` replicas move from `owners`, on which the state need not stand, and
 * everything is within bounds, puts owners there that move fewer, if any are found. 0 or RK_NOMEM.
 */
int plan_squeeze(struct plan_state *s, uint64_t enough, uint16_t *owners);

#endif
