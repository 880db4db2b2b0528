/* Where in a placement under work something could be better: that is where exchanges are tried. */
#ifndef RINGKV_TOOLS_PLAN_PLACES_H
#define RINGKV_TOOLS_PLAN_PLACES_H

#include "tools/plan_state.h"

struct plan_places {
    uint32_t *partitions;
    uint32_t count;
};

/* Room for as many as the state has partitions. 0 or RK_NOMEM. */
int plan_places_init(struct plan_places *places, const struct plan_state *s);
void plan_places_free(struct plan_places *places);

/* Makes the list anew: partitions with a replica of a member that has too many or too few, and with
 * `moves` those with a replica that moves. Costs an eighth of the partitions in work. */
void plan_places_list(struct plan_places *places, struct plan_state *s, bool moves);

/* A partition whose owner may be one of a place's replicas. The list must not be empty. */
uint32_t plan_places_near(const struct plan_places *places, const struct plan_state *s,
                          uint64_t random);

/* Every member is within both of its ranges. */
bool plan_all_fit(const struct plan_state *s);

#endif
