#include "proxy/answer.h"
#include "proxy/attempt_parts.h"
#include "proxy/calls.h"
#include "proxy/mutant.h"
#include "shared/error.h"
#include "shared/message_touched.h"
#include "shared/operation.h"
#include "shared/wire.h"

/* Attempts that may follow each other without a pause: enough to learn of a view, few enough that
 * nodes that send each other's clients around are not asked in a tight circle. */
enum { ATTEMPTS_AT_ONCE = 4, ATTEMPTS_PER_CANDIDATE = 32 };

/* --- legs ----------------------------------------------------------------------------------- */

static struct leg_list *list_of(struct leg *leg)
{
    return leg->question ? &leg->lane->sharing : &leg->lane->legs;
}

void attempt_end_leg(struct router *r, struct leg *leg)
{
    leg_list_remove(list_of(leg), leg);
    leg->lane->in_flight--;
    leg->lane = NULL;
    if (--leg->call->legs_open == 0)
        call_came_back(r, leg->call);
}

void attempt_end_legs(struct router *r, struct call *c)
{
    for (uint32_t i = 0; i < CALL_LEGS_MAX; i++)
        if (c->legs[i].lane)
            attempt_end_leg(r, &c->legs[i]);
}

void attempt_fail(struct router *r, struct call *c, enum failure why)
{
    answer_failure(r, c, c->doubt && why < FAILURE_DOUBT_ANSWER ? FAILURE_DOUBT_AGAIN : why);
}

struct lane *attempt_lane_of(const struct router *r, uint16_t member, uint32_t partition)
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

void attempt_mark_dirty(struct router *r, struct lane *lane)
{
    if (lane->dirty)
        return;
    lane->dirty = true;
    lane->next_dirty = r->dirty;
    r->dirty = lane;
}

static bool has_room(struct router *r, struct call *c, const struct lane *lane)
{
    if (lane->in_flight < LANE_CALLS_MAX && buf_len(lane->out) <= r->lane_output_max)
        return true;
    attempt_end_legs(r, c);
    call_wait(r, c, FAILURE_PROXY_BUSY);
    return false;
}

static void under_way(struct router *r, struct leg *leg)
{
    struct call *c = leg->call;

    c->state = CALL_SENT;
    if (c->legs_open++ == 0)
        call_under_way(r, c);
    leg->since_ms = r->now_ms;
    leg_list_append(list_of(leg), leg);
    leg->lane->in_flight++;
    attempt_mark_dirty(r, leg->lane);
}

bool attempt_send(struct router *r, struct call *c, struct leg *leg, struct lane *lane,
                  struct request *m)
{
    int error = 0;

    if (!has_room(r, c, lane))
        return false;
    leg->lane = lane;
    leg->question = 0;
    error = put_request(r, c, leg, m);
    if (error) {
        leg->lane = NULL;
        attempt_end_legs(r, c);
        attempt_fail(r, c, error == RK_NOMEM ? FAILURE_NO_MEMORY : FAILURE_TOO_LARGE);
        return false;
    }
    counter_add(&r->counters->requests, 1);
    under_way(r, leg);
    return true;
}

bool attempt_share(struct router *r, struct call *c, struct leg *leg, struct lane *lane)
{
    if (!has_room(r, c, lane))
        return false;
    leg->lane = lane;
    leg->question = lane->asked + 1;
    if (PROXY_MUTANT(r, TOLD_BEFORE) && lane->told < lane->asked)
        leg->question = lane->asked;
    lane->asks = true;
    under_way(r, leg);
    return true;
}

/* The lane's question goes last, so that it is younger than all reads that share it. */
static void ask(struct lane *lane)
{
    struct touched_get m = {.tag = lane->asked + 1, .since = lane->touches};

    /* Without memory it goes with another turn, or the reads are given up in time. */
    if (lane->asks && message_put_touched_get(lane->out, &m) == 0) {
        lane->asked++;
        lane->asks = false;
    }
}

struct lane *router_next_dirty(struct router *r)
{
    struct lane *lane = r->dirty;

    if (!lane)
        return NULL;
    r->dirty = lane->next_dirty;
    lane->dirty = false;
    ask(lane);
    return lane;
}

/* --- replicas ------------------------------------------------------------------------------- */

uint32_t attempt_choose(struct router *r, const struct call *c, uint8_t *chosen, uint32_t wanted)
{
    const struct ring_replicas *set = ring_replicas(r->ring, c->partition);
    uint32_t from = r->spin++, count = 0;

    /* Silent ones only when there is nobody else. */
    for (int silent = 0; silent <= 1 && count < wanted; silent++)
        for (uint32_t i = 0; i < set->count && count < wanted; i++) {
            uint32_t replica = (from + i) % set->count;
            struct lane *lane = attempt_lane_of(r, set->member[replica], c->partition);

            if (lane->state == LANE_UP && lane_is_silent(lane) == silent)
                chosen[count++] = (uint8_t)replica;
        }
    return count;
}

bool attempt_may_still_open(const struct router *r, const struct call *c)
{
    const struct ring_replicas *set = ring_replicas(r->ring, c->partition);

    for (uint32_t i = 0; i < set->count; i++)
        if (attempt_lane_of(r, set->member[i], c->partition)->state == LANE_OPENING)
            return true;
    return false;
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
    lane = attempt_lane_of(r, likely_primary(r, c->partition, &all), c->partition);
    m->view = r->routes[c->partition].view;
    if (lane->state == LANE_UP && !lane->unanswered && !c->detour)
        return lane;
    m->flags |= REQUEST_LEAD;
    for (uint32_t i = 0; i < all.count; i++) {
        /* All proxies ask the same one, and another one only when that does not help. */
        uint32_t turn = (i + c->attempts / ATTEMPTS_PER_CANDIDATE) % all.count;
        struct lane *other = attempt_lane_of(r, all.member[turn], c->partition);

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
    uint8_t any;

    if (c->way == CALL_TO_ANY) {
        if (attempt_choose(r, c, &any, 1))
            lane =
                attempt_lane_of(r, ring_replicas(r->ring, c->partition)->member[any], c->partition);
    } else {
        lane = choose_primary(r, c, &m);
    }
    c->led = m.flags & REQUEST_LEAD;
    if (!lane) {
        call_wait(r, c, attempt_may_still_open(r, c) ? FAILURE_NOT_TAKEN : FAILURE_NO_LINK);
        return;
    }
    if (c->way == CALL_TO_PRIMARY && call_must_not_part(r, c, lane)) {
        call_hold(r, c, c->reason ? (enum failure)c->reason : FAILURE_NOT_TAKEN);
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
    attempt_send(r, c, &c->legs[0], lane, &m);
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
        majority_read(r, c);
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
void attempt_again(struct router *r, struct call *c, enum failure reason)
{
    if (c->attempts >= ATTEMPTS_AT_ONCE) {
        call_wait(r, c, reason);
    } else if (would_overtake(r, c)) {
        call_hold(r, c, reason);
        r->hurry = true;
    } else {
        c->reason = (uint8_t)reason;
        attempt_next(r, c);
    }
}

void attempt_lose_leg(struct router *r, struct leg *leg, enum failure doubt)
{
    struct call *c = leg->call;
    bool writes = c->slot->writes;

    attempt_end_legs(r, c);
    c->doubt = c->doubt || writes;
    c->refused = false;
    if (writes)
        call_in_doubt(r, c);
    attempt_again(r, c, writes ? doubt : FAILURE_UNANSWERED);
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

    c->refused = reply->refusal != REFUSAL_UNCERTAIN;
    switch ((enum refusal)reply->refusal) {
    case REFUSAL_EPOCH:
        r->ring_wanted = true;
        call_wait(r, c, why);
        break;
    case REFUSAL_UNCERTAIN:
        c->doubt = true;
        learn_view(r, c, reply);
        call_in_doubt(r, c);
        attempt_again(r, c, why);
        break;
    case REFUSAL_ELSEWHERE:
        learn_view(r, c, reply);
        if (reply->view && reply->view == c->sent_view && !c->doubt) {
            /* The primary cannot tell any more that it was not done before: its history begins
             * behind the base. */
            attempt_again(r, c, why);
        } else if (r->routes[c->partition].view == c->sent_view) {
            /* It leads no more, and knows of nobody: another one is asked to. */
            c->detour = !c->detour;
            call_wait(r, c, why);
        } else {
            /* The detour was around the primary of the view before. */
            c->detour = false;
            attempt_again(r, c, why);
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
        majority_take(r, leg, reply, body);
        return;
    }
    attempt_end_leg(r, leg);
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
        attempt_end_legs(r, c);
        c->doubt = c->doubt || c->slot->writes;
        why = c->slot->writes ? FAILURE_DOUBT_TIMEOUT : FAILURE_UNANSWERED;
    }
    attempt_fail(r, c, why);
}

void attempt_lane_lost(struct router *r, struct lane *lane)
{
    struct leg *leg;

    while ((leg = lane_oldest(lane)) != NULL)
        attempt_lose_leg(r, leg, FAILURE_DOUBT_LOST);
}
