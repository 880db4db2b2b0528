/* The two steps that the searches are made of: each is taken, looked at, and taken back unless it
 * is accepted. */
#ifndef RINGKV_TOOLS_PLAN_EXCHANGE_H
#define RINGKV_TOOLS_PLAN_EXCHANGE_H

#include "tools/plan_state.h"

/* Whether to stay where a step has led to, from a state that cost so much. */
typedef bool plan_accepts(void *search, int64_t cost_before);

/* Two partitions exchange their owners. */
void plan_try_swap(struct plan_state *s, uint32_t a, uint32_t b, plan_accepts *accepts,
                   void *search);

/* A partition goes to another member, if its owner does not own too few then. */
void plan_try_give(struct plan_state *s, uint32_t partition, uint16_t taker, plan_accepts *accepts,
                   void *search);

#endif
