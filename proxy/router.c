#include "proxy/router.h"
#include "proxy/answer.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/resp.h"
#include <stdlib.h>

int router_init(struct router *r, const struct router_ports *ports, struct counters *counters)
{
    *r = (struct router){.ports = *ports, .counters = counters};
    requests_init(&r->requests);
    command_index_init(&r->commands);
    return 0;
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
}

/* --- calls ---------------------------------------------------------------------------------- */

static void call_wait(struct router *r, struct call *c)
{
    c->state = CALL_WAITING;
    c->lane = NULL;
    c->retry_ms = r->now_ms + ROUTER_RETRY_MS;
    call_list_append(&r->waiting, c);
}

/* Where a call goes now. The partition's first replica leads it; once views can change, this is
 * where the view that is known of the partition, and a later attempt, lead elsewhere. */
static struct lane *choose_lane(struct router *r, const struct call *c)
{
    const struct ring_replicas *replicas = ring_replicas(r->ring, c->partition);
    struct lane *first = NULL;
    uint32_t from = c->level == LEVEL_ANY ? r->spin++ : 0;
    uint32_t choices = c->level == LEVEL_ANY ? replicas->count : 1;

    for (uint32_t i = 0; i < choices; i++) {
        uint16_t member = replicas->member[(from + i) % replicas->count];
        uint32_t shard = c->partition % r->ring->members[member].shards;
        struct lane *lane = r->lanes[r->lane_first[member] + shard];

        if (lane->state == LANE_UP)
            return lane;
        if (!first || lane->state == LANE_OPENING)
            first = lane;
    }
    return first;
}

/* Appends the request to the lane's output. 0, RK_NOMEM or RK_TOOBIG. */
static int call_put(struct router *r, struct call *c, struct lane *lane)
{
    struct request m = {
        .id = call_new_id(c),
        .epoch = r->ring->epoch,
        .session = c->number ? r->session : 0,
        .number = c->number,
        .partition = c->partition,
        .op = c->op,
        .level = c->level,
    };
    struct bytes rest = {c->args, c->args_size};
    size_t begun = message_begin_request(lane->out, &m);

    if (begun == SIZE_MAX)
        return RK_NOMEM;
    for (uint16_t i = 0; i < c->arg_count; i++) {
        int error = message_add_arg(lane->out, begun, message_next_arg(&rest, NULL));

        if (error)
            return error;
    }
    return message_end_request(lane->out, begun);
}

static void call_attempt(struct router *r, struct call *c)
{
    struct lane *lane = choose_lane(r, c);

    if (lane->state == LANE_OPENING) {
        call_wait(r, c);
        return;
    }
    if (lane->state == LANE_DOWN) {
        answer_failure(r, c, FAILURE_NO_LINK);
        return;
    }
    if (lane->in_flight >= LANE_CALLS_MAX || buf_len(lane->out) > r->lane_output_max) {
        answer_failure(r, c, FAILURE_PROXY_BUSY);
        return;
    }

    int error = call_put(r, c, lane);

    if (error) {
        answer_failure(r, c, error == RK_NOMEM ? FAILURE_NO_MEMORY : FAILURE_TOO_LARGE);
        return;
    }
    c->state = CALL_SENT;
    c->lane = lane;
    call_list_append(&lane->calls, c);
    lane->in_flight++;
    counter_add(&r->counters->requests, 1);
    if (c->again)
        counter_add(&r->counters->retries, 1);
    c->again = true;
    if (!lane->dirty) {
        lane->dirty = true;
        lane->next_dirty = r->dirty;
        r->dirty = lane;
    }
}

static void call_off_lane(struct call *c)
{
    call_list_remove(&c->lane->calls, c);
    c->lane->in_flight--;
    c->lane = NULL;
}

/* Attempts every call that waits, in the order in which they began to. */
static void retry_due(struct router *r, bool all)
{
    struct call *last = r->waiting.last;
    struct call *c;

    /* A call may come back to the end of the list; only what was there is tried. */
    while ((c = r->waiting.first) != NULL && (all || c->retry_ms <= r->now_ms)) {
        bool end = c == last;

        call_list_remove(&r->waiting, c);
        call_attempt(r, c);
        if (end)
            break;
    }
}

/* --- slots ---------------------------------------------------------------------------------- */

struct slot *router_begin(struct router *r, struct session *s, bool writes, enum gather gather)
{
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
    slot->start_ms = r->now_ms;
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
    answer_abandon(r, slot, why);
}

void router_send(struct router *r, struct slot *slot)
{
    struct call *next;

    if (slot->call_count > 1 || slot->gather != GATHER_ONE)
        forget_open_calls(r, slot);
    slot->started = true;
    slot->older = r->newest;
    if (r->newest)
        r->newest->newer = slot;
    else
        r->oldest = slot;
    r->newest = slot;
    for (struct call *c = slot->first; c; c = c->sibling) {
        slot->sent_bytes += c->args_size;
        if (slot->writes)
            c->number = ++r->last_number;
    }
    slot->session->sent_bytes += slot->sent_bytes;
    for (struct call *c = slot->first; c; c = next) {
        bool last = !c->sibling;

        /* The slot may be gone after its last call's failure. */
        next = c->sibling;
        call_attempt(r, c);
        if (last)
            break;
    }
}

static void slot_time_out(struct router *r, struct slot *slot)
{
    struct call *next;

    counter_add(&r->counters->timeouts, 1);
    for (struct call *c = slot->first; c; c = next) {
        bool last = slot->open == 1;
        enum failure why = FAILURE_NOT_TAKEN;

        next = c->sibling;
        if (c->state == CALL_ANSWERED)
            continue;
        if (c->state == CALL_SENT) {
            why = slot->writes ? FAILURE_DOUBT_TIMEOUT : FAILURE_UNANSWERED;
            c->lane->unanswered++;
            call_off_lane(c);
        } else {
            call_list_remove(&r->waiting, c);
        }
        answer_failure(r, c, why);
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
    if (r->waiting.first && until(r->waiting.first->retry_ms, r->now_ms) < wait_ms)
        wait_ms = until(r->waiting.first->retry_ms, r->now_ms);
    return wait_ms;
}

uint64_t router_tick(struct router *r, uint64_t now_ms)
{
    r->now_ms = now_ms;
    while (r->oldest && r->oldest->start_ms + r->request_timeout_ms <= now_ms)
        slot_time_out(r, r->oldest);
    retry_due(r, false);
    return router_next_ms(r);
}

/* --- what nodes say ------------------------------------------------------------------------- */

static void take_refusal(struct router *r, struct call *c, const struct reply *reply)
{
    static const enum failure failures[] = {
        [REFUSAL_NOQUORUM] = FAILURE_NO_MAJORITY, [REFUSAL_NOSPACE] = FAILURE_NO_SPACE,
        [REFUSAL_BUSY] = FAILURE_NODE_BUSY,       [REFUSAL_MALFORMED] = FAILURE_MALFORMED,
        [REFUSAL_DAMAGED] = FAILURE_DAMAGED,      [REFUSAL_UNCERTAIN] = FAILURE_DOUBT_NODE,
    };

    if (reply->refusal == REFUSAL_EPOCH || reply->refusal == REFUSAL_ELSEWHERE) {
        r->ring_wanted = true;
        call_wait(r, c);
    } else {
        answer_failure(r, c, failures[reply->refusal]);
    }
}

int router_reply(struct router *r, struct lane *lane, struct bytes body)
{
    struct reply reply;
    struct call *c;

    if (message_get_reply(body, &reply) != 0)
        return RK_CORRUPT;
    lane->unanswered = 0;
    c = call_by_id(&r->requests, reply.id);
    if (!c || c->lane != lane) {
        counter_add(&r->counters->late_replies, 1);
        return 0;
    }
    call_off_lane(c);
    if (reply.kind == REPLY_REFUSED)
        take_refusal(r, c, &reply);
    else
        answer_reply(r, c, &reply);
    return 0;
}

void router_lane_up(struct router *r, struct lane *lane, struct buf *out)
{
    lane->state = LANE_UP;
    lane->out = out;
    lane->unanswered = 0;
    counter_add(&r->counters->links_opened, 1);
    counter_add(&r->counters->links, 1);
    retry_due(r, true);
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
    struct call *c;

    if (lane->state == LANE_UP) {
        counter_add(&r->counters->links_lost, 1);
        counter_add(&r->counters->links, (uint64_t)-1);
    }
    lane->state = LANE_OPENING;
    lane->out = NULL;
    forget_dirty(r, lane);
    while ((c = lane->calls.first) != NULL) {
        call_off_lane(c);
        if (c->slot->writes)
            answer_failure(r, c, FAILURE_DOUBT_LOST);
        else
            call_wait(r, c);
    }
}

void router_lane_failed(struct router *r, struct lane *lane)
{
    (void)r;
    lane->state = LANE_DOWN;
}

int router_set_ring(struct router *r, const struct ring *ring, struct lane **lanes,
                    uint32_t *lane_first, uint64_t now_ms)
{
    struct call **open_calls = calloc(ring_partitions(ring), sizeof(struct call *));
    struct positioner *positioner = positioner_new(ring->hash);

    if (!open_calls || !positioner) {
        free(open_calls);
        positioner_free(positioner);
        free(lanes);
        free(lane_first);
        return RK_NOMEM;
    }
    free(r->open_calls);
    free(r->lanes);
    free(r->lane_first);
    positioner_free(r->positioner);
    r->open_calls = open_calls;
    r->positioner = positioner;
    r->lanes = lanes;
    r->lane_first = lane_first;
    r->ring = ring;
    r->now_ms = now_ms;
    retry_due(r, true);
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
    s->pending = 0;
    s->kept = 0;
}

struct buf *router_reply_begin(struct router *r, struct session *s, size_t *before)
{
    struct buf *out = s->out;

    if (s->last && s->last->done) {
        /* Replies that wait for the same earlier one share its slot. */
        out = &s->last->kept;
    } else if (s->last) {
        struct slot *slot = slot_new(&r->requests);

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
    counter_add(&r->counters->error_replies, 1);
    if (resp_put_error(out, error) != 0)
        s->broken = true;
    router_reply_end(r, s, out, before);
}
