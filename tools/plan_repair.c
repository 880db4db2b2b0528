#include "tools/plan_repair.h"
#include "tools/plan_first.h"

enum { SAMPLES = 24 };

static bool in_range(const struct plan_range *range, uint32_t count)
{
    return count >= range->low && count <= range->high;
}

static bool member_fits(const struct plan_state *s, uint16_t member)
{
    return in_range(&s->shares->primaries[member], s->owned[member]) &&
           in_range(&s->shares->replica_range[member], s->held[member]);
}

/* Exchanges two owners if that costs less. */
static bool try_swap(struct plan_state *s, uint32_t a, uint32_t b)
{
    int64_t cost = s->cost;

    if (s->owners[a] == s->owners[b])
        return false;
    plan_state_swap(s, a, b);
    if (s->cost < cost)
        return true;
    plan_state_swap(s, a, b);
    return false;
}

static bool try_near(struct plan_state *s, uint32_t partition)
{
    uint32_t mask = s->partitions - 1;
    int reach = s->replicas;
    bool better = false;

    for (int i = -reach; i <= reach; i++)
        for (int j = i + 1; j <= reach; j++)
            better |= try_swap(s, (partition + (uint32_t)i) & mask, (partition + (uint32_t)j) & mask);
    return better;
}

static bool try_far(struct plan_state *s, uint32_t partition, uint64_t round)
{
    uint32_t mask = s->partitions - 1;
    int reach = s->replicas;
    bool better = false;

    for (int i = -reach; i <= reach; i++)
        for (uint32_t n = 0; n < SAMPLES; n++) {
            uint32_t far = (uint32_t)plan_mix(partition * 64 + (uint32_t)(i + 32), round * SAMPLES + n) & mask;

            better |= try_swap(s, (partition + (uint32_t)i) & mask, far);
        }
    return better;
}

void plan_repair(struct plan_state *s, uint64_t work)
{
    uint64_t end = s->work + work;
    bool better = true;

    for (uint64_t round = 0; better && s->work < end; round++) {
        better = false;
        for (uint32_t p = 0; p < s->partitions && s->work < end; p++)
            if (!member_fits(s, s->owners[p]))
                better |= try_near(s, p) || try_far(s, p, round);
    }
}
