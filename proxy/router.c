#include "proxy/router.h"
#include "proxy/answer.h"
#include "proxy/attempt.h"
#include "proxy/calls.h"
#include "proxy/mutant.h"
#include "proxy/transaction.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/resp.h"
#include <stdlib.h>
#include <string.h>

void router_init(struct router *r, const struct router_ports *ports, struct counters *counters)
{
    *r = (struct router){.ports = *ports, .counters = counters, .reply_max = SIZE_MAX};
    requests_init(&r->requests);
    command_index_init(&r->commands);
}

void router_destroy(struct router *r)
{
    while (r->oldest) {
        struct slot *slot = r->oldest;

        r->oldest = slot->newer;
        slot_free(&r->requests, slot);
    }
    requests_destroy(&r->requests);
    positioner_free(r->positioner);
    free(r->lanes);
    free(r->lane_first);
    free(r->open_calls);
    free(r->routes);
    stands_free(&r->stands);
}

/* --- slots ---------------------------------------------------------------------------------- */

/* A slot outside of the session's order, for a part of a transaction. */
static struct slot *begin_part(struct router *r, const struct session *s, bool writes,
                               enum gather gather)
{
    struct slot *slot = slot_new(&r->requests);

    if (!slot)
        return NULL;
    slot->writes = writes;
    slot->gather = (uint8_t)gather;
    slot->resp = s->resp;
    counter_add(writes ? &r->counters->writes : &r->counters->reads, 1);
    return slot;
}

void router_hold(struct slot *slot)
{
    slot->holds = true;
    slot->session->holding++;
}

struct slot *router_begin(struct router *r, struct session *s, bool writes, enum gather gather)
{
    if (r->collecting)
        return begin_part(r, s, writes, gather);

    enum failure why = !r->ring                               ? FAILURE_NO_RING
                       : r->requests.bytes > ROUTER_BYTES_MAX ? FAILURE_PROXY_BUSY
                                                              : FAILURE_NONE;
    struct slot *slot = slot_new(&r->requests);

    if (!slot) {
        router_complain(r, s, failure_text(FAILURE_PROXY_BUSY));
        return NULL;
    }
    slot->session = s;
    slot->writes = writes;
    slot->gather = (uint8_t)gather;
    slot->resp = s->resp;
    slot->silent = s->silent;
    slot->command = s->command;
    slot->start_ms = r->now_ms;
    slot->begun_us = r->now_us;
    if (s->last)
        s->last->next = slot;
    else
        s->first = slot;
    s->last = slot;
    s->pending++;
    counter_add(writes ? &r->counters->writes : &r->counters->reads, 1);
    counter_add(&r->counters->pending, 1);
    if (why) {
        answer_abandon(r, slot, why);
        return NULL;
    }
    return slot;
}

static bool call_has_room(const struct call *c, size_t size)
{
    uint32_t letters = c->op == OP_MSET ? 2 : 1;
    uint32_t most = c->op == OP_MGET ? CALL_VALUES_MAX : MESSAGE_ARGS_MAX;

    return c->arg_count + letters <= most && c->args_size + size <= CALL_SPLIT_SIZE;
}

struct call *router_call_for(struct router *r, struct slot *slot, uint8_t op, uint64_t position,
                             size_t size)
{
    uint32_t partition = ring_partition(r->ring, position);
    struct call *c = r->open_calls[partition];

    if (!c || !call_has_room(c, size)) {
        c = slot_add_call(&r->requests, slot, op, partition);
        r->open_calls[partition] = c;
    }
    return c;
}

static void forget_open_calls(struct router *r, const struct slot *slot)
{
    for (const struct call *c = slot->first; c; c = c->sibling)
        r->open_calls[c->partition] = NULL;
}

void router_abandon(struct router *r, struct slot *slot, enum failure why)
{
    forget_open_calls(r, slot);
    if (r->collecting)
        slot_free(&r->requests, slot);
    else
        answer_abandon(r, slot, why);
}

void router_stop_time(struct router *r, struct slot *slot)
{
    if (!slot->started)
        return;
    if (slot->older)
        slot->older->newer = slot->newer;
    else
        r->oldest = slot->newer;
    if (slot->newer)
        slot->newer->older = slot->older;
    else
        r->newest = slot->older;
    slot->started = false;
}

/* Slots are in the order of their start. */
static void start_time(struct router *r, struct slot *slot)
{
    slot->started = true;
    slot->older = r->newest;
    slot->newer = NULL;
    if (r->newest)
        r->newest->newer = slot;
    else
        r->oldest = slot;
    r->newest = slot;
}

void router_restart_time(struct router *r, struct slot *slot)
{
    router_stop_time(r, slot);
    slot->start_ms = r->now_ms;
    start_time(r, slot);
}

void router_send(struct router *r, struct slot *slot)
{
    struct call *next;

    if (slot->call_count > 1 || slot->gather != GATHER_ONE)
        forget_open_calls(r, slot);
    if (r->collecting) {
        r->collected = slot;
        return;
    }
    start_time(r, slot);
    for (struct call *c = slot->first; c; c = c->sibling) {
        slot->sent_bytes += c->args_size;
        c->number = ++r->last_number;
    }
    slot->session->sent_bytes += slot->sent_bytes;
    for (struct call *c = slot->first; c; c = next) {
        bool last = !c->sibling;

        /* The slot may be gone after its last call's failure. */
        next = c->sibling;
        call_begin(r, c);
        if (last)
            break;
    }
}

static uint64_t until(uint64_t due_ms, uint64_t now_ms)
{
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

uint64_t router_next_ms(const struct router *r)
{
    uint64_t wait_ms = UINT64_MAX;

    if (r->oldest)
        wait_ms = until(r->oldest->start_ms + r->request_timeout_ms, r->now_ms);
    for (uint32_t i = 0; r->oldest && i < r->lane_count; i++) {
        const struct leg *leg = lane_oldest(r->lanes[i]);
        uint64_t late_ms = attempt_late_ms(r);
        uint64_t look = leg ? until(leg->since_ms + late_ms, r->now_ms) : UINT64_MAX;

        /* One that is waited for already is looked at from time to time. */
        look = look ? look : late_ms;
        wait_ms = look < wait_ms ? look : wait_ms;
    }
    if (r->waiting.first) {
        uint64_t retry = r->hurry ? 0 : until(r->retry_ms, r->now_ms);

        wait_ms = retry < wait_ms ? retry : wait_ms;
    }
    return wait_ms;
}

uint64_t router_tick(struct router *r, uint64_t now_ms)
{
    r->now_ms = now_ms;
    while (r->oldest && r->oldest->start_ms + r->request_timeout_ms <= now_ms)
        calls_time_out(r, r->oldest);
    attempt_late(r);
    if (r->waiting.first && r->retry_ms <= now_ms)
        calls_retry(r);
    else if (r->waiting.first && r->hurry)
        calls_retry_in_hurry(r);
    return router_next_ms(r);
}

/* --- what nodes say ------------------------------------------------------------------------- */

/* The leg that a reply answers, or NULL: nobody waits for it any more. */
static struct leg *leg_answered(const struct router *r, const struct lane *lane, uint64_t id)
{
    struct leg *leg = leg_by_id(&r->requests, id);

    if (!leg && PROXY_MUTANT(r, OLD_ATTEMPT))
        return leg_by_id(&r->requests, id + (UINT64_C(1) << 32));
    return leg && leg->lane == lane && !leg->question ? leg : NULL;
}

int router_reply(struct router *r, struct lane *lane, struct bytes body)
{
    struct reply reply;
    struct leg *leg;

    if (message_get_reply(body, &reply) != 0)
        return RK_CORRUPT;
    lane->unanswered = 0;
    leg = leg_answered(r, lane, reply.id);
    if (!leg)
        counter_add(&r->counters->late_replies, 1);
    else
        attempt_reply(r, leg, &reply, body);
    return 0;
}

int router_waits(struct router *r, struct lane *lane, struct bytes body)
{
    struct leg *leg;
    uint64_t id;

    if (message_get_tag(body, &id) != 0)
        return RK_CORRUPT;
    lane->unanswered = 0;
    leg = leg_answered(r, lane, id);
    if (leg)
        attempt_waits(r, leg);
    return 0;
}

void router_lane_up(struct router *r, struct lane *lane, struct buf *out)
{
    lane->state = LANE_UP;
    lane->out = out;
    lane->unanswered = 0;
    lane->owed_ms = 0;
    counter_add(&r->counters->links_opened, 1);
    counter_add(&r->counters->links, 1);
    calls_retry(r);
}

static void forget_dirty(struct router *r, struct lane *lane)
{
    struct lane **at = &r->dirty;

    if (!lane->dirty)
        return;
    while (*at != lane)
        at = &(*at)->next_dirty;
    *at = lane->next_dirty;
    lane->dirty = false;
}

void router_lane_lost(struct router *r, struct lane *lane)
{
    if (lane->state == LANE_UP) {
        counter_add(&r->counters->links_lost, 1);
        counter_add(&r->counters->links, (uint64_t)-1);
    }
    lane->state = LANE_OPENING;
    lane->out = NULL;
    forget_dirty(r, lane);
    lane->era++;
    lane->asks = false;
    lane->asked = lane->told = lane->touches = 0;
    attempt_lane_lost(r, lane);
}

void router_lane_failed(struct router *r, struct lane *lane)
{
    (void)r;
    lane->state = LANE_DOWN;
}

static void mark_lanes(struct lane **lanes, uint32_t count, bool in_ring)
{
    for (uint32_t i = 0; i < count; i++)
        lanes[i]->in_ring = in_ring;
}

/* The lanes of members that the ring does not have any more: nobody looks whether they answer. */
static void leave_lanes(struct router *r, struct lane **lanes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!lanes[i]->in_ring)
            attempt_lane_lost(r, lanes[i]);
}

int router_set_ring(struct router *r, const struct ring *ring, struct lane **lanes,
                    uint32_t *lane_first, uint64_t now_ms)
{
    struct call **open_calls = calloc(ring_partitions(ring), sizeof(struct call *));
    struct route *routes = calloc(ring_partitions(ring), sizeof(struct route));
    struct positioner *positioner = positioner_new(ring->hash);
    struct stands stands;
    struct lane **old_lanes = r->lanes;
    uint32_t old_lane_count = r->lane_count;

    if (stands_init(&stands, ring) != 0 || !open_calls || !positioner || !routes) {
        stands_free(&stands);
        free(open_calls);
        free(routes);
        positioner_free(positioner);
        free(lanes);
        free(lane_first);
        return RK_NOMEM;
    }
    /* What is known of the partitions' views stays true, whoever their replicas are now. */
    if (r->routes && ring_partitions(r->ring) == ring_partitions(ring))
        memcpy(routes, r->routes, ring_partitions(ring) * sizeof(*routes));
    free(r->open_calls);
    free(r->routes);
    free(r->lane_first);
    positioner_free(r->positioner);
    r->routes = routes;
    stands_free(&r->stands);
    r->stands = stands;
    r->rings++;
    r->views_learned++;
    r->lane_count = 0;
    for (uint32_t i = 0; i < ring->member_count; i++)
        r->lane_count += ring->members[i].shards;
    r->open_calls = open_calls;
    r->positioner = positioner;
    r->lanes = lanes;
    r->lane_first = lane_first;
    r->ring = ring;
    r->now_ms = now_ms;
    mark_lanes(old_lanes, old_lane_count, false);
    mark_lanes(r->lanes, r->lane_count, true);
    leave_lanes(r, old_lanes, old_lane_count);
    free(old_lanes);
    calls_retry(r);
    return 0;
}

/* --- sessions ------------------------------------------------------------------------------- */

void router_mark_ready(struct router *r, struct session *s)
{
    if (s->ready_at)
        return;
    s->next_ready = r->ready;
    s->ready_at = &r->ready;
    if (r->ready)
        r->ready->ready_at = &s->next_ready;
    r->ready = s;
}

static void unmark_ready(struct session *s)
{
    if (!s->ready_at)
        return;
    *s->ready_at = s->next_ready;
    if (s->next_ready)
        s->next_ready->ready_at = s->ready_at;
    s->next_ready = NULL;
    s->ready_at = NULL;
}

struct session *router_next_ready(struct router *r)
{
    struct session *s = r->ready;

    if (s)
        unmark_ready(s);
    return s;
}

void router_leave(struct router *r, struct session *s)
{
    unmark_ready(s);
    while (s->first) {
        struct slot *slot = s->first;

        s->first = slot->next;
        slot->session = NULL;
        if (slot->done)
            slot_free(&r->requests, slot);
    }
    s->last = NULL;
    s->pending = s->sent = s->waiting = s->holding = 0;
    s->kept = 0;
    transaction_discard(r, s);
}

struct buf *router_reply_begin(struct router *r, struct session *s, size_t *before)
{
    struct buf *out = s->out;

    if (s->last && s->last->done) {
        /* Replies that wait for the same earlier one share its slot. */
        out = &s->last->kept;
    } else if (s->last) {
        struct slot *slot = slot_new_between(&r->requests);

        if (!slot) {
            s->broken = true;
            router_mark_ready(r, s);
            return NULL;
        }
        slot->session = s;
        slot->done = true;
        s->last->next = slot;
        s->last = slot;
        s->pending++;
        out = &slot->kept;
    }
    *before = buf_len(out);
    return out;
}

void router_reply_end(struct router *r, struct session *s, struct buf *out, size_t before)
{
    if (s->silent)
        buf_truncate(out, before);
    if (out == s->out)
        counter_add(&r->counters->bytes_out, buf_len(out) - before);
    else
        s->kept += buf_len(out) - before;
    router_mark_ready(r, s);
}

void router_complain(struct router *r, struct session *s, const char *error)
{
    size_t before;
    struct buf *out = router_reply_begin(r, s, &before);

    if (!out)
        return;
    error_count(r->counters, bytes_from(error));
    if (resp_put_error(out, error) != 0)
        s->broken = true;
    router_reply_end(r, s, out, before);
}
