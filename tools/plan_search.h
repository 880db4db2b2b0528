/* The local search: exchanges owners as long as that does not make a placement worse. */
#ifndef RINGKV_TOOLS_PLAN_SEARCH_H
#define RINGKV_TOOLS_PLAN_SEARCH_H

#include "tools/plan_state.h"

/* Puts the best owners found into `owners`, one a partition. Ends when everything is within bounds
 * and no more than `enough` replicas move, or when it has got no further for long. Exchanges that
 * change nothing for the better, or make it a little worse, are made too: that is how it leaves
 * places where no single exchange helps. 0 or RK_NOMEM. */
int plan_search(struct plan_state *s, uint64_t enough, uint16_t *owners);

#endif
