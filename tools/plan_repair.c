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

/* The best exchange found so far. */
struct choice {
    uint32_t a, b;
    int64_t cost;
};

static void consider_swap(struct plan_state *s, struct choice *best, uint32_t a, uint32_t b)
{
    a &= s->partitions - 1;
    b &= s->partitions - 1;
    if (s->owners[a] == s->owners[b])
        return;
    plan_state_swap(s, a, b);
    if (s->cost < best->cost)
        *best = (struct choice){a, b, s->cost};
    plan_state_swap(s, a, b);
}

static void consider_near(struct plan_state *s, struct choice *best, uint32_t partition)
{
    uint32_t reach = s->replicas;

    for (uint32_t i = 0; i < 2 * reach; i++)
        for (uint32_t j = i + 1; j <= 2 * reach; j++)
            consider_swap(s, best, partition + i - reach, partition + j - reach);
}

static void consider_far(struct plan_state *s, struct choice *best, uint32_t partition,
                         uint64_t round)
{
    uint32_t reach = s->replicas;

    for (uint32_t i = 0; i <= 2 * reach; i++)
        for (uint32_t n = 0; n < SAMPLES; n++)
            consider_swap(s, best, partition + i - reach,
                          (uint32_t)plan_mix(partition + i, round * SAMPLES + n));
}

static bool improve(struct plan_state *s, uint32_t partition, uint64_t round)
{
    struct choice best = {0, 0, s->cost};

    consider_near(s, &best, partition);
    consider_far(s, &best, partition, round);
    if (best.a == best.b)
        return false;
    plan_state_swap(s, best.a, best.b);
    return true;
}

void plan_repair(struct plan_state *s, uint64_t work)
{
    uint64_t end = s->work + work;
    bool better = true;

    for (uint64_t round = 0; better && s->work < end; round++) {
        better = false;
        for (uint32_t p = 0; p < s->partitions && s->work < end; p++)
            if (!member_fits(s, s->owners[p]))
                better |= improve(s, p, round);
    }
}
