/* What nodes owe for too long.
 *
 * A read costs little, so it does not wait for a node that has gone silent: others are asked well
 * before the node counts as lost, and reads go around it until something is heard. A node that is
 * only slow goes on sending answers, and so is not asked twice for everything just when it has too
 * much to do. Writes do wait: another primary may be needed to take them.
 */
#include "proxy/attempt_parts.h"
#include "shared/message.h"

enum {
    PATIENCE = 3, /* node_timeouts that a node which gives signs of life may take for a request */
    READ_PATIENCE_PARTS = 10, /* of a node_timeout: a read waits one of them for a silent node */
};

uint64_t attempt_late_ms(const struct router *r)
{
    return r->node_timeout_ms / READ_PATIENCE_PARTS + 1;
}

/* Whether the oldest request on a lane has waited for too long. */
static bool is_late(const struct router *r, const struct lane *lane, const struct leg *leg)
{
    uint64_t waited = r->now_ms - leg->since_ms;
    bool silent = lane->heard_ms + r->node_timeout_ms <= r->now_ms;

    return waited >= r->node_timeout_ms * (silent ? 1 : PATIENCE);
}

static void give_up(struct router *r, struct lane *lane)
{
    struct leg *leg;

    while ((leg = lane_oldest(lane)) != NULL && is_late(r, lane, leg)) {
        if (lane->heard_ms + r->node_timeout_ms <= r->now_ms)
            lane->unanswered++;
        else
            leg->call->detour = true;
        counter_add(&r->counters->node_timeouts, 1);
        attempt_lose_leg(r, leg, FAILURE_DOUBT_TIMEOUT);
    }
}

/* --- reads ---------------------------------------------------------------------------------- */

/* Whether a read can do without the lane. */
static bool others_answer(const struct router *r, const struct call *c, const struct lane *lane)
{
    const struct ring_replicas *set = ring_replicas(r->ring, c->partition);
    uint32_t wanted = c->way == CALL_TO_MAJORITY ? c->majority : 1, count = 0;

    for (uint16_t i = 0; i < set->count; i++) {
        const struct lane *other = attempt_lane_of(r, set->member[i], c->partition);

        count += other != lane && other->state == LANE_UP && !lane_is_silent(other);
    }
    return count >= wanted;
}

static void move_reads(struct router *r, struct lane *lane, const struct leg_list *list)
{
    struct leg *next;

    for (struct leg *leg = list->first; leg; leg = next) {
        struct call *c = leg->call;

        next = leg->next;
        if (r->now_ms - leg->since_ms < attempt_late_ms(r))
            break;
        if (c->way == CALL_TO_PRIMARY || !others_answer(r, c, lane))
            continue;
        lane->owed_ms = r->now_ms;
        counter_add(&r->counters->reads_moved, 1);
        /* Of its legs none is left on this lane, and the new ones go to others. */
        attempt_lose_leg(r, leg, FAILURE_UNANSWERED);
    }
}

static void move_all_reads(struct router *r, struct lane *lane)
{
    if (lane->state != LANE_UP || lane->heard_ms + attempt_late_ms(r) > r->now_ms)
        return;
    move_reads(r, lane, &lane->legs);
    move_reads(r, lane, &lane->sharing);
}

/* --- the node ------------------------------------------------------------------------------- */

/* Asks a node that owes answers for a sign of life, so that slow is told from dead. */
static void ask_for_life(struct router *r, struct lane *lane, uint64_t since_ms)
{
    uint64_t third = r->node_timeout_ms / 3;

    if (lane->state != LANE_UP || r->now_ms - since_ms < third ||
        r->now_ms - lane->heard_ms < third || r->now_ms - lane->pinged_ms < third)
        return;
    lane->pinged_ms = r->now_ms;
    if (message_put_ping(lane->out, r->now_ms) == 0)
        attempt_mark_dirty(r, lane);
}

/* What was moved away leaves nothing on the lane that would be late. */
static void look_after_owed(struct router *r, struct lane *lane)
{
    if (!lane_owes(lane))
        return;
    ask_for_life(r, lane, lane->owed_ms);
    if (!lane->unanswered && lane->owed_ms + r->node_timeout_ms <= r->now_ms)
        lane->unanswered++;
}

void attempt_late(struct router *r)
{
    for (uint32_t i = 0; i < r->lane_count; i++) {
        struct lane *lane = r->lanes[i];
        const struct leg *leg;

        give_up(r, lane);
        move_all_reads(r, lane);
        leg = lane_oldest(lane);
        if (leg)
            ask_for_life(r, lane, leg->since_ms);
        look_after_owed(r, lane);
    }
}
