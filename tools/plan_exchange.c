#include "tools/plan_exchange.h"

void plan_try_swap(struct plan_state *s, uint32_t a, uint32_t b, plan_accepts *accepts,
                   void *search)
{
    int64_t cost = s->cost;

    if (s->owners[a] == s->owners[b])
        return;
    plan_state_swap(s, a, b);
    if (!accepts(search, cost))
        plan_state_swap(s, a, b);
}

void plan_try_give(struct plan_state *s, uint32_t partition, uint16_t taker, plan_accepts *accepts,
                   void *search)
{
    uint16_t owner = s->owners[partition];
    int64_t cost = s->cost;

    if (owner == taker || s->owned[owner] <= s->shares->primaries[owner].low)
        return;
    plan_state_assign(s, partition, taker);
    if (!accepts(search, cost))
        plan_state_assign(s, partition, owner);
}
