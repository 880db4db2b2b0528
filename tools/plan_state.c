#include "tools/plan_state.h"
#include "shared/error.h"
#include "tools/plan.h"
#include <stdlib.h>

static uint32_t next_of(const struct plan_state *s, uint32_t partition)
{
    return (partition + 1) & (s->partitions - 1);
}

static uint32_t back_of(const struct plan_state *s, uint32_t partition)
{
    return (partition - 1) & (s->partitions - 1);
}

static int64_t outside(const struct plan_range *range, uint32_t count)
{
    return count < range->low    ? (int64_t)range->low - count
           : count > range->high ? (int64_t)count - range->high
                                 : 0;
}

static int64_t owned_cost(const struct plan_state *s, uint16_t member)
{
    return PLAN_COST_PRIMARY * outside(&s->shares->primaries[member], s->owned[member]);
}

static int64_t held_cost(const struct plan_state *s, uint16_t member)
{
    int64_t share = (int64_t)(s->shares->held[member] >> PLAN_SHARE_BITS);
    int64_t off = s->held[member] > share ? s->held[member] - share : share - s->held[member];

    return s->replica_cost * outside(&s->shares->replica_range[member], s->held[member]) +
           PLAN_COST_UNEVEN * off;
}

void plan_state_set_replica_cost(struct plan_state *s, int64_t cost)
{
    for (uint32_t i = 0; i < s->shares->member_count; i++)
        s->cost += (cost - s->replica_cost) * outside(&s->shares->replica_range[i], s->held[i]);
    s->replica_cost = cost;
}

static void count_owned(struct plan_state *s, uint16_t member, int change)
{
    s->cost -= owned_cost(s, member);
    s->owned[member] += (uint32_t)change;
    s->cost += owned_cost(s, member);
}

static void count_held(struct plan_state *s, uint32_t partition, uint16_t member, int change)
{
    s->cost -= held_cost(s, member);
    s->held[member] += (uint32_t)change;
    s->cost += held_cost(s, member);
    if (s->origin && !ring_replicas_has(&s->origin->sets[partition], member)) {
        s->cost += PLAN_COST_MOVE * change;
        s->moved += (uint64_t)(int64_t)change;
    }
}

/* How often the owner of a partition, or its zone, comes again within a window on either side. */
static int64_t close_cost(const struct plan_state *s, uint32_t partition)
{
    const uint16_t *zones = s->shares->zones;
    uint16_t owner = s->owners[partition];
    uint32_t mask = s->partitions - 1;
    int64_t count = 0;

    for (uint32_t d = 1; d < s->member_window; d++) {
        count += s->owners[(partition + d) & mask] == owner;
        count += s->owners[(partition - d) & mask] == owner;
    }
    for (uint32_t d = 1; d < s->zone_window; d++) {
        count += zones[s->owners[(partition + d) & mask]] == zones[owner];
        count += zones[s->owners[(partition - d) & mask]] == zones[owner];
    }
    return PLAN_COST_CLOSE * count;
}

/* An owner that leaves is replaced by any for the same price: nothing. */
static int64_t owner_cost(const struct plan_state *s, uint32_t partition)
{
    uint16_t before = s->origin ? s->origin->owners[partition] : PLAN_NOBODY;

    return before != PLAN_NOBODY && before != s->owners[partition] ? PLAN_COST_OWNER : 0;
}

static void replace_set(struct plan_state *s, uint32_t partition, const struct ring_replicas *set)
{
    struct ring_replicas old = s->sets[partition];

    s->sets[partition] = *set;
    for (uint16_t i = 0; i < old.count; i++)
        if (!ring_replicas_has(set, old.member[i]))
            count_held(s, partition, old.member[i], -1);
    for (uint16_t i = 0; i < set->count; i++)
        if (!ring_replicas_has(&old, set->member[i]))
            count_held(s, partition, set->member[i], 1);
}

static void step_back(struct plan_state *s, struct ring_walk *walk, uint32_t partition)
{
    uint16_t owner = s->owners[partition];

    ring_walk_back(walk, owner, s->shares->zones[owner], s->replicas);
}

/* Everything anew, two rounds as in ring_finish. */
static void rebuild(struct plan_state *s)
{
    struct ring_walk walk = {0};
    struct ring_replicas set;

    for (uint32_t p = s->partitions; p-- > 0;)
        step_back(s, &walk, p);
    for (uint32_t p = s->partitions; p-- > 0;) {
        step_back(s, &walk, p);
        ring_walk_replicas(&walk, s->replicas, &set);
        s->walks[p] = walk;
        replace_set(s, p, &set);
    }
    s->work += 2 * (uint64_t)s->partitions;
}

/* From a changed owner back to where nothing changes any more. */
static void update(struct plan_state *s, uint32_t partition)
{
    struct ring_walk walk = s->walks[next_of(s, partition)];
    struct ring_replicas set;

    for (uint32_t p = partition;; p = back_of(s, p)) {
        s->work++;
        step_back(s, &walk, p);
        if (ring_walk_equal(&walk, &s->walks[p]))
            return;
        s->walks[p] = walk;
        ring_walk_replicas(&walk, s->replicas, &set);
        replace_set(s, p, &set);
    }
}

/* The walk from the next partition, once around, ends at the one that changes. Its owner is only
 * met there if it owns nothing else. */
static bool met_around(const struct plan_state *s, uint32_t partition)
{
    const struct ring_walk *walk = &s->walks[next_of(s, partition)];
    uint16_t owner = s->owners[partition];

    if (s->owned[owner] > 1)
        return false;
    for (uint8_t i = 0; i < walk->member_count; i++)
        if (walk->member[i] == owner)
            return true;
    for (uint8_t i = 0; i < walk->zone_count; i++)
        if (walk->zone_member[i] == owner)
            return true;
    return false;
}

void plan_state_assign(struct plan_state *s, uint32_t partition, uint16_t member)
{
    bool anew = met_around(s, partition);

    if (s->owners[partition] == member)
        return;
    count_owned(s, s->owners[partition], -1);
    count_owned(s, member, 1);
    s->cost -= close_cost(s, partition) + owner_cost(s, partition);
    s->owners[partition] = member;
    s->cost += close_cost(s, partition) + owner_cost(s, partition);
    if (anew)
        rebuild(s);
    else
        update(s, partition);
}

static void start_counting(struct plan_state *s)
{
    for (uint32_t i = 0; i < s->shares->member_count; i++)
        s->cost += owned_cost(s, (uint16_t)i) + held_cost(s, (uint16_t)i);
    for (uint32_t p = 0; p < s->partitions; p++)
        count_owned(s, s->owners[p], 1);
    /* Each pair is seen from both of its ends. */
    for (uint32_t p = 0; p < s->partitions; p++)
        s->cost += close_cost(s, p) / 2;
    for (uint32_t p = 0; p < s->partitions; p++)
        s->cost += owner_cost(s, p);
    rebuild(s);
}

int plan_state_init(struct plan_state *s, const struct ring *r, const struct plan_shares *shares,
                    const struct plan_origin *origin)
{
    uint8_t zones =
        shares->zone_count < shares->replicas ? (uint8_t)shares->zone_count : shares->replicas;

    *s = (struct plan_state){.shares = shares, .origin = origin, .replica_cost = PLAN_COST_REPLICA};
    s->partitions = ring_partitions(r);
    s->replicas = r->replicas;
    /* Where all members hold everything there is nothing to keep apart, and owners that follow each
     * other in changing order share the work of one that fails. */
    s->member_window = shares->member_count > shares->replicas ? shares->replicas : 1;
    s->zone_window = shares->member_count > shares->replicas ? zones : 1;
    s->owners = malloc(s->partitions * sizeof(*s->owners));
    s->walks = calloc(s->partitions, sizeof(*s->walks));
    s->sets = calloc(s->partitions, sizeof(*s->sets));
    if (!s->owners || !s->walks || !s->sets) {
        plan_state_free(s);
        return RK_NOMEM;
    }
    memcpy(s->owners, r->owners, s->partitions * sizeof(*s->owners));
    start_counting(s);
    return 0;
}

void plan_state_free(struct plan_state *s)
{
    free(s->owners);
    free(s->walks);
    free(s->sets);
    *s = (struct plan_state){0};
}
