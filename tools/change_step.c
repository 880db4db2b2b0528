#include "tools/change_step.h"
#include "shared/ring_change.h"
#include <string.h>

struct tally {
    uint32_t open;  /* partitions that have not arrived */
    uint32_t joint; /* of them, those that are joint and stay so */
    uint32_t steps; /* partitions that go on in the next epoch */
    bool learns;    /* one of them begins to learn: that waits for no batch */
};

/* Where a partition can go from here, as far as it is known. Whether there is room among the joint
 * ones is seen to by the caller. */
static uint8_t next_phase(const struct ring *r, uint32_t p, uint8_t known)
{
    switch (ring_phase(r, p)) {
    case RING_SETTLED:
        return ring_replicas_same(&r->sets[p], &r->change->sets[p]) ? RING_MOVED : RING_LEARNING;
    case RING_LEARNING:
        return known & STEP_LEARNED ? RING_JOINT : RING_LEARNING;
    case RING_JOINT:
        return known & STEP_READY ? RING_MOVED : RING_JOINT;
    default:
        return RING_MOVED;
    }
}

/* A settled partition whose sets are equal, in order too, has nowhere to go. */
static bool has_arrived(const struct ring *r, uint32_t p)
{
    const struct ring_replicas *from = &r->sets[p], *to = &r->change->sets[p];

    if (ring_phase(r, p) == RING_MOVED)
        return true;
    return ring_phase(r, p) == RING_SETTLED && from->count == to->count &&
           memcmp(from->member, to->member, from->count * sizeof(from->member[0])) == 0;
}

/* Those that stop being joint first, so that others may become so. */
static void plan_epoch(const struct ring *r, const uint8_t *known, uint8_t *phases, struct tally *t)
{
    uint32_t most = ring_partitions(r) / STEP_JOINT_PART;

    most = most ? most : 1;
    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        phases[p] = (uint8_t)ring_phase(r, p);
        if (has_arrived(r, p))
            continue;
        t->open++;
        t->joint += phases[p] == RING_JOINT && next_phase(r, p, known[p]) == RING_JOINT;
    }
    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        uint8_t next = next_phase(r, p, known[p]);

        if (next == phases[p] || has_arrived(r, p))
            continue;
        if (next == RING_JOINT && t->joint == most)
            continue;
        t->joint += next == RING_JOINT;
        t->learns |= next == RING_LEARNING;
        phases[p] = next;
        t->steps++;
    }
}

enum change_step change_step(const struct ring *now, const uint8_t *known, int64_t since_ms,
                             int64_t running_ms, uint8_t *phases)
{
    struct tally t = {0};
    int64_t patience_ms = running_ms / STEP_WAIT_PART;

    if (!now->change)
        return STEP_DONE;
    if (ring_may_finish(now))
        return STEP_FINISH;
    if (now->change->paused)
        return STEP_PAUSED;
    plan_epoch(now, known, phases, &t);
    if (t.steps == 0)
        return STEP_WAIT;
    if (patience_ms < STEP_WAIT_MS)
        patience_ms = STEP_WAIT_MS;
    if (t.learns || t.steps == t.open || since_ms >= patience_ms ||
        t.steps >= ring_partitions(now) / STEP_BATCH_PART)
        return STEP_ADVANCE;
    return STEP_WAIT;
}
