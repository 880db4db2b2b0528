#include "proxy/attempt.h"
#include "proxy/answer.h"
#include "proxy/calls.h"
#include "proxy/mutant.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/proof.h"
#include "shared/wire.h"

/* Attempts that may follow each other without a pause: enough to learn of a view, few enough that
 * nodes that send each other's clients around are not asked in a tight circle. */
enum { ATTEMPTS_AT_ONCE = 4, ATTEMPTS_PER_CANDIDATE = 32 };

/* A node that gives signs of life may take so many node_timeouts for a request before another one
 * is asked. */
enum { PATIENCE = 3 };

static void try_again(struct router *r, struct call *c, enum failure reason);

/* --- legs ----------------------------------------------------------------------------------- */

static void leg_end(struct router *r, struct leg *leg)
{
    leg_list_remove(&leg->lane->legs, leg);
    leg->lane->in_flight--;
    leg->lane = NULL;
    if (--leg->call->legs_open == 0)
        call_came_back(r, leg->call);
}

/* Takes all legs of a call off their lanes; answers that still come are late. */
static void end_legs(struct router *r, struct call *c)
{
    for (uint32_t i = 0; i < CALL_LEGS_MAX; i++)
        if (c->legs[i].lane)
            leg_end(r, &c->legs[i]);
}

void attempt_fail(struct router *r, struct call *c, enum failure why)
{
    answer_failure(r, c, c->doubt && why < FAILURE_DOUBT_ANSWER ? FAILURE_DOUBT_AGAIN : why);
}

static struct lane *lane_of(const struct router *r, uint16_t member, uint32_t partition)
{
    return r->lanes[r->lane_first[member] + partition % r->ring->members[member].shards];
}

/* For how long a request may wait in line at a node: so that the answer, whichever, comes in time.
 */
static uint16_t line_ms(const struct router *r, const struct call *c)
{
    uint64_t end = c->slot->start_ms + r->request_timeout_ms - r->request_timeout_ms / 10;

    return end > r->now_ms ? (uint16_t)(end - r->now_ms) : 0;
}

static int put_request(struct router *r, struct call *c, struct leg *leg, struct request *m)
{
    m->id = leg_id(c, leg);
    m->epoch = ring_changed(r->ring, c->partition);
    m->session = c->slot->writes ? r->session : 0;
    m->number = c->slot->writes ? c->number : 0;
    m->wait_ms = line_ms(r, c);
    m->partition = c->partition;
    m->op = c->op;
    m->arg_count = c->arg_count;
    m->args = bytes_of(c->args, c->args_size);
    return message_put_request(leg->lane->out, m);
}

static void mark_dirty(struct router *r, struct lane *lane)
{
    if (lane->dirty)
        return;
    lane->dirty = true;
    lane->next_dirty = r->dirty;
    r->dirty = lane;
}

/* Sends one leg. False when it could not be sent; the call is then answered. */
static bool send_leg(struct router *r, struct call *c, struct leg *leg, struct lane *lane,
                     struct request *m)
{
    int error = 0;

    if (lane->in_flight >= LANE_CALLS_MAX || buf_len(lane->out) > r->lane_output_max) {
        end_legs(r, c);
        call_wait(r, c, FAILURE_PROXY_BUSY);
        return false;
    }
    leg->lane = lane;
    error = put_request(r, c, leg, m);
    if (error) {
        leg->lane = NULL;
        end_legs(r, c);
        attempt_fail(r, c, error == RK_NOMEM ? FAILURE_NO_MEMORY : FAILURE_TOO_LARGE);
        return false;
    }
    c->state = CALL_SENT;
    if (c->legs_open++ == 0)
        call_under_way(r, c);
    leg->since_ms = r->now_ms;
    leg_list_append(&lane->legs, leg);
    lane->in_flight++;
    counter_add(&r->counters->requests, 1);
    mark_dirty(r, lane);
    return true;
}

/* --- to a majority -------------------------------------------------------------------------- */

/* Chooses so many replicas that can be asked, beginning at another one each time. Returns how many
 * there are. */
static uint32_t choose_replicas(struct router *r, const struct call *c, struct lane **chosen,
                                uint32_t wanted)
{
    const struct ring_replicas *set = ring_replicas(r->ring, c->partition);
    uint32_t from = r->spin++, count = 0;

    /* Silent ones only when there is nobody else. */
    for (int silent = 0; silent <= 1 && count < wanted; silent++)
        for (uint32_t i = 0; i < set->count && count < wanted; i++) {
            struct lane *lane = lane_of(r, set->member[(from + i) % set->count], c->partition);

            if (lane->state == LANE_UP && (lane->unanswered > 0) == silent)
                chosen[count++] = lane;
        }
    return count;
}

static bool may_still_open(const struct router *r, const struct call *c)
{
    const struct ring_replicas *set = ring_replicas(r->ring, c->partition);

    for (uint32_t i = 0; i < set->count; i++)
        if (lane_of(r, set->member[i], c->partition)->state == LANE_OPENING)
            return true;
    return false;
}

static void read_majority(struct router *r, struct call *c)
{
    uint16_t count = ring_replicas(r->ring, c->partition)->count;
    uint32_t wanted = PROXY_MUTANT(r, READ_ALONE) ? 1 : count / 2 + 1;
    struct lane *chosen[CALL_LEGS_MAX];

    call_forget_proof(c);
    c->led = false;
    if (choose_replicas(r, c, chosen, wanted) < wanted) {
        call_wait(r, c, may_still_open(r, c) ? FAILURE_NOT_TAKEN : FAILURE_NO_MAJORITY);
        return;
    }
    for (uint32_t i = 0; i < wanted; i++) {
        struct request m = {.level = i == 0 ? LEVEL_VALUE : LEVEL_VERSION};

        if (!send_leg(r, c, &c->legs[i], chosen[i], &m))
            return;
    }
}

/* The replicas do not show the same: the primary decides. */
static void ask_primary(struct router *r, struct call *c)
{
    end_legs(r, c);
    call_forget_proof(c);
    c->way = CALL_TO_PRIMARY;
    try_again(r, c, FAILURE_NO_MAJORITY);
}

/* Whether the replica that gave `proof` has what the value is told from. */
static bool agrees(const struct router *r, struct bytes of_value, struct bytes proof)
{
    (void)r;
    if (PROXY_MUTANT(r, ANY_UNCHANGED) && proof.size > PROOF_HEAD_SIZE &&
        wire_get_u64(proof.data + PROOF_HEAD_SIZE) == PROOF_UNCHANGED)
        return true;
    return (proof_same_state(of_value, proof) || PROXY_MUTANT(r, NO_VIEW_IN_READ)) &&
           proof_same_records(of_value, proof);
}

/* Whether all replicas whose versions came before the last answer have it. */
static bool all_agree(const struct router *r, const struct call *c, struct bytes of_value)
{
    struct bytes rest = buf_bytes(&c->proofs);
    size_t size = of_value.size;

    for (; rest.size; rest = bytes_of(rest.data + size, rest.size - size))
        if (size == 0 || rest.size < size || !agrees(r, of_value, bytes_of(rest.data, size)))
            return false;
    return true;
}

/* The last of the replicas has answered: with the value, or with versions. */
static void conclude(struct router *r, struct call *c, bool is_value, const struct reply *reply)
{
    struct reply value = *reply;

    if (!is_value && message_get_reply(buf_bytes(&c->value), &value) != 0)
        attempt_fail(r, c, FAILURE_MISFIT);
    else if (!all_agree(r, c, value.proof) || (!is_value && !agrees(r, value.proof, reply->proof)))
        ask_primary(r, c);
    else {
        counter_add(&r->counters->majority_reads, 1);
        answer_reply(r, c, &value);
    }
}

static void take_proof(struct router *r, struct leg *leg, const struct reply *reply,
                       struct bytes body)
{
    struct call *c = leg->call;
    bool is_value = leg == &c->legs[0];
    int error;

    leg_end(r, leg);
    if (reply->kind == REPLY_REFUSED || (reply->kind == REPLY_VERSION) == is_value) {
        ask_primary(r, c);
    } else if (c->legs_open == 0) {
        conclude(r, c, is_value, reply);
    } else {
        error = is_value ? buf_append(&c->value, body.data, body.size)
                         : buf_append(&c->proofs, reply->proof.data, reply->proof.size);
        if (error) {
            end_legs(r, c);
            attempt_fail(r, c, FAILURE_NO_MEMORY);
        }
    }
}

/* --- to one node ---------------------------------------------------------------------------- */

/* Who may lead a partition, in the order in which they are asked to. */
struct candidates {
    uint32_t count;
    uint16_t member[2 * REPLICAS_MAX];
};

static void add_candidates(struct candidates *all, const struct ring_replicas *set)
{
    for (uint16_t i = 0; set && i < set->count; i++) {
        bool there = false;

        for (uint32_t k = 0; k < all->count; k++)
            there = there || all->member[k] == set->member[i];
        if (!there)
            all->member[all->count++] = set->member[i];
    }
}

/* All voters. While their set is changed, first those who stay, since one of them has to lead. */
static void find_candidates(const struct router *r, uint32_t partition, struct candidates *all)
{
    all->count = 0;
    add_candidates(all, ring_joint(r->ring, partition));
    add_candidates(all, ring_replicas(r->ring, partition));
}

/* The primary of the newest view known, unless it votes no more; else who should lead. */
static uint16_t likely_primary(const struct router *r, uint32_t partition,
                               const struct candidates *all)
{
    uint64_t view = r->routes[partition].view;
    int known = view ? ring_member_by_number(r->ring, view_member(view)) : -1;

    for (uint32_t i = 0; known >= 0 && i < all->count; i++)
        if (all->member[i] == known)
            return (uint16_t)known;
    return ring_preferred(r->ring, partition);
}

/* Where to: the view's primary, or, when it does not answer or none is known, a replica that relays
 * or leads. */
static struct lane *choose_primary(struct router *r, const struct call *c, struct request *m)
{
    struct candidates all;
    struct lane *lane;

    find_candidates(r, c->partition, &all);
    lane = lane_of(r, likely_primary(r, c->partition, &all), c->partition);
    m->view = r->routes[c->partition].view;
    if (lane->state == LANE_UP && !lane->unanswered && !c->detour)
        return lane;
    m->flags |= REQUEST_LEAD;
    for (uint32_t i = 0; i < all.count; i++) {
        /* All proxies ask the same one, and another one only when that does not help. */
        uint32_t turn = (i + c->attempts / ATTEMPTS_PER_CANDIDATE) % all.count;
        struct lane *other = lane_of(r, all.member[turn], c->partition);

        if (other != lane && other->state == LANE_UP && !other->unanswered)
            return other;
    }
    /* Nobody else: the silent one itself, if it can be reached at all. */
    m->flags &= (uint8_t)~REQUEST_LEAD;
    return lane->state == LANE_UP ? lane : NULL;
}

static void ask_one(struct router *r, struct call *c)
{
    struct request m = {.level = c->level, .flags = c->doubt ? REQUEST_RETRY : 0};
    struct route *route = &r->routes[c->partition];
    struct lane *lane = NULL;

    if (c->way == CALL_TO_ANY) {
        if (choose_replicas(r, c, &lane, 1) == 0)
            lane = NULL;
    } else {
        lane = choose_primary(r, c, &m);
    }
    c->led = m.flags & REQUEST_LEAD;
    if (!lane) {
        call_wait(r, c, may_still_open(r, c) ? FAILURE_NOT_TAKEN : FAILURE_NO_LINK);
        return;
    }
    if (c->way == CALL_TO_PRIMARY && call_must_not_part(r, c, lane)) {
        call_wait(r, c, c->reason ? (enum failure)c->reason : FAILURE_NOT_TAKEN);
        return;
    }
    /* What was refused was not carried out: as long as that is so of all attempts, they can be
     * counted from the newest operation known. */
    if (!c->doubt) {
        c->base_view = route->base_view;
        c->base_op = route->base_op;
    }
    if (c->led)
        counter_add(&r->counters->leads, 1);
    c->sent_view = m.view;
    m.base_view = c->base_view;
    m.base_op = c->base_op;
    send_leg(r, c, &c->legs[0], lane, &m);
}

/* --- attempts ------------------------------------------------------------------------------- */

static enum call_way way_of(const struct router *r, const struct call *c)
{
    const struct session *s = c->slot->session;

    if (operation_info(c->op)->writes || operation_is_range(c->op) || c->level == LEVEL_PRIMARY)
        return CALL_TO_PRIMARY;
    if (c->level == LEVEL_ANY)
        return CALL_TO_ANY;
    /* Behind a write of the same client a read goes where that goes, so that it sees it. While the
     * replicas change it would take two majorities, and the primary knows both. */
    return (s && s->writes_sent) ||
                   (ring_joint(r->ring, c->partition) && !PROXY_MUTANT(r, READ_IN_JOINT))
               ? CALL_TO_PRIMARY
               : CALL_TO_MAJORITY;
}

/* The way is chosen anew with each attempt: the ring may have changed since the last one. */
void attempt_next(struct router *r, struct call *c)
{
    if (c->way != CALL_TO_PRIMARY)
        c->way = (uint8_t)way_of(r, c);
    call_new_attempt(c);
    if (c->attempts)
        counter_add(&r->counters->retries, 1);
    if (c->way == CALL_TO_MAJORITY)
        read_majority(r, c);
    else
        ask_one(r, c);
    if (c->attempts < UINT8_MAX)
        c->attempts++;
}

/* Whether, sent again now, it would change places with a later call of the same client. Reads may
 * among themselves. */
static bool would_overtake(const struct router *r, const struct call *c)
{
    const struct session *s = c->slot->session;

    return s && (s->waiting || ((s->writes_sent || c->slot->writes) && call_must_hold(r, c)));
}

/* At once while that may help, later when it went around in a circle. */
static void try_again(struct router *r, struct call *c, enum failure reason)
{
    if (c->attempts >= ATTEMPTS_AT_ONCE) {
        call_wait(r, c, reason);
    } else if (would_overtake(r, c)) {
        call_wait(r, c, reason);
        r->retry_ms = r->now_ms;
    } else {
        c->reason = (uint8_t)reason;
        attempt_next(r, c);
    }
}

/* The leg's request will get no answer: its node is silent, or gone. */
static void lose_leg(struct router *r, struct leg *leg, enum failure doubt)
{
    struct call *c = leg->call;
    bool writes = c->slot->writes;

    end_legs(r, c);
    c->doubt = c->doubt || writes;
    if (writes)
        call_in_doubt(r, c);
    try_again(r, c, writes ? doubt : FAILURE_UNANSWERED);
}

/* What is known of a partition's view, from a refusal that names one. */
static void learn_view(struct router *r, const struct call *c, const struct reply *reply)
{
    struct route *route = &r->routes[c->partition];

    if (reply->view > route->view) {
        route->view = reply->view;
        r->views_learned++;
    }
    if (reply->view > route->base_view ||
        (reply->view == route->base_view && reply->op > route->base_op)) {
        route->base_view = reply->view;
        route->base_op = reply->op;
    }
}

static void take_refusal(struct router *r, struct call *c, const struct reply *reply)
{
    static const enum failure failures[] = {
        [REFUSAL_EPOCH] = FAILURE_NOT_TAKEN,      [REFUSAL_ELSEWHERE] = FAILURE_NO_MAJORITY,
        [REFUSAL_NOQUORUM] = FAILURE_NO_MAJORITY, [REFUSAL_NOSPACE] = FAILURE_NO_SPACE,
        [REFUSAL_BUSY] = FAILURE_NODE_BUSY,       [REFUSAL_MALFORMED] = FAILURE_MALFORMED,
        [REFUSAL_DAMAGED] = FAILURE_DAMAGED,      [REFUSAL_UNCERTAIN] = FAILURE_DOUBT_NODE,
        [REFUSAL_FORGOTTEN] = FAILURE_DOUBT_NODE,
    };

    enum failure why = failures[reply->refusal];

    switch ((enum refusal)reply->refusal) {
    case REFUSAL_EPOCH:
        r->ring_wanted = true;
        call_wait(r, c, why);
        break;
    case REFUSAL_UNCERTAIN:
        c->doubt = true;
        learn_view(r, c, reply);
        call_in_doubt(r, c);
        try_again(r, c, why);
        break;
    case REFUSAL_ELSEWHERE:
        learn_view(r, c, reply);
        if (reply->view && reply->view == c->sent_view && !c->doubt) {
            /* The primary cannot tell any more that it was not done before: its history begins
             * behind the base. */
            try_again(r, c, why);
        } else if (r->routes[c->partition].view == c->sent_view) {
            /* It leads no more, and knows of nobody: another one is asked to. */
            c->detour = !c->detour;
            call_wait(r, c, why);
        } else {
            /* The detour was around the primary of the view before. */
            c->detour = false;
            try_again(r, c, why);
        }
        break;
    case REFUSAL_NOQUORUM:
        /* Another replica may reach a majority where this primary does not. */
        c->detour = !c->detour;
        call_wait(r, c, why);
        break;
    case REFUSAL_BUSY:
        call_wait(r, c, why);
        break;
    default:
        attempt_fail(r, c, why);
    }
}

/* A write's answer tells which operation it became. */
static void learn_operation(struct router *r, const struct call *c, const struct reply *reply)
{
    struct route *route = &r->routes[c->partition];
    struct bytes proof = reply->proof;
    uint64_t view, op;

    if (!c->slot->writes || proof.size != PROOF_VERSION_SIZE)
        return;
    view = wire_get_u64(proof.data);
    op = wire_get_u64(proof.data + 8);
    if (view > route->base_view || (view == route->base_view && op > route->base_op)) {
        route->base_view = view;
        route->base_op = op;
    }
}

void attempt_reply(struct router *r, struct leg *leg, const struct reply *reply, struct bytes body)
{
    struct call *c = leg->call;

    if (c->way == CALL_TO_MAJORITY) {
        take_proof(r, leg, reply, body);
        return;
    }
    leg_end(r, leg);
    if (reply->kind == REPLY_REFUSED) {
        take_refusal(r, c, reply);
        return;
    }
    learn_operation(r, c, reply);
    call_passed(r, c);
    if (c->way == CALL_TO_PRIMARY && !c->slot->writes)
        counter_add(&r->counters->primary_reads, 1);
    answer_reply(r, c, reply);
}

void attempt_waits(struct router *r, struct leg *leg)
{
    leg_list_remove(&leg->lane->legs, leg);
    leg->since_ms = r->now_ms;
    leg_list_append(&leg->lane->legs, leg);
    counter_add(&r->counters->waits, 1);
}

void attempt_time_out(struct router *r, struct call *c)
{
    enum failure why = c->reason ? (enum failure)c->reason : FAILURE_NOT_TAKEN;

    if (c->state == CALL_SENT) {
        for (uint32_t i = 0; i < CALL_LEGS_MAX; i++)
            if (c->legs[i].lane)
                c->legs[i].lane->unanswered++;
        end_legs(r, c);
        c->doubt = c->doubt || c->slot->writes;
        why = c->slot->writes ? FAILURE_DOUBT_TIMEOUT : FAILURE_UNANSWERED;
    }
    attempt_fail(r, c, why);
}

/* Whether the oldest request on a lane has waited for too long. */
static bool is_late(const struct router *r, const struct lane *lane, const struct leg *leg)
{
    uint64_t waited = r->now_ms - leg->since_ms;
    bool silent = lane->heard_ms + r->node_timeout_ms <= r->now_ms;

    return waited >= r->node_timeout_ms * (silent ? 1 : PATIENCE);
}

/* Asks a node that owes answers for a sign of life, so that slow is told from dead. */
static void ask_for_life(struct router *r, struct lane *lane)
{
    uint64_t third = r->node_timeout_ms / 3;

    if (lane->state != LANE_UP || r->now_ms - lane->legs.first->since_ms < third ||
        r->now_ms - lane->heard_ms < third || r->now_ms - lane->pinged_ms < third)
        return;
    lane->pinged_ms = r->now_ms;
    if (message_put_ping(lane->out, r->now_ms) == 0)
        mark_dirty(r, lane);
}

void attempt_late(struct router *r)
{
    for (uint32_t i = 0; i < r->lane_count; i++) {
        struct lane *lane = r->lanes[i];
        struct leg *leg;

        while ((leg = lane->legs.first) != NULL && is_late(r, lane, leg)) {
            if (lane->heard_ms + r->node_timeout_ms <= r->now_ms)
                lane->unanswered++;
            else
                leg->call->detour = true;
            counter_add(&r->counters->node_timeouts, 1);
            lose_leg(r, leg, FAILURE_DOUBT_TIMEOUT);
        }
        if (leg)
            ask_for_life(r, lane);
    }
}

void attempt_lane_lost(struct router *r, struct lane *lane)
{
    struct leg *leg;

    while ((leg = lane->legs.first) != NULL)
        lose_leg(r, leg, FAILURE_DOUBT_LOST);
}
