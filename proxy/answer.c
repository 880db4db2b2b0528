#include "proxy/answer.h"
#include "proxy/collect.h"
#include "proxy/command_stats.h"
#include "proxy/range_answer.h"
#include "proxy/records.h"
#include "proxy/walk.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/resp.h"

/* Shown of an error that a node answered with. */
enum { ERROR_TEXT_MAX = 256 };

static const char *const failures[] = {[FAILURE_NONE] = "ERR no error",
#define X(name, text) [FAILURE_##name] = text,
                                       FAILURES(X)
#undef X
};

const char *failure_text(enum failure why)
{
    return failures[why];
}

static int put_error(struct router *r, struct buf *out, const char *text)
{
    error_count(r->counters, bytes_from(text));
    return resp_put_error(out, text);
}

static int put_node_error(struct router *r, struct buf *out, struct bytes text)
{
    int size = (int)(text.size < ERROR_TEXT_MAX ? text.size : ERROR_TEXT_MAX);

    error_count(r->counters, text);
    return resp_put_errorf(out, "%.*s", size, (const char *)text.data);
}

/* Whether a node's answer is one that the operation can give. */
static bool answer_fits(const struct router *r, const struct call *c, const struct reply *reply)
{
    static const char letters[] = {[REPLY_OK] = 'o',   [REPLY_NIL] = 'n',   [REPLY_INTEGER] = 'i',
                                   [REPLY_BULK] = 'b', [REPLY_ARRAY] = 'a', [REPLY_RESULTS] = 'r'};

    if (reply->kind == REPLY_ERROR)
        return reply->data.size > 0;
    if (reply->kind == 0 || reply->kind >= sizeof(letters) || !letters[reply->kind] ||
        !strchr(operation_info(c->op)->replies, letters[reply->kind]))
        return false;
    if (reply->kind == REPLY_RESULTS)
        return reply->count == c->slot->parts->results;
    if (operation_is_range(c->op))
        return range_answer_fits(r->ring, c, reply);
    return reply->kind != REPLY_ARRAY || reply->count == c->arg_count;
}

static int put_value(struct router *r, struct buf *out, struct bytes *rest, int resp)
{
    bool nil;
    struct bytes value = message_next_arg(rest, &nil);

    counter_add(nil ? &r->counters->misses : &r->counters->hits, 1);
    return nil ? resp_put_null(out, resp) : resp_put_bulk(out, value);
}

static int put_array(struct router *r, struct buf *out, const struct reply *reply, int resp)
{
    struct bytes rest = reply->data;
    int error = resp_put_array(out, reply->count);

    for (uint32_t i = 0; i < reply->count && !error; i++)
        error = put_value(r, out, &rest, resp);
    return error;
}

/* The keys that were asked about are watched from now on. */
static int put_watched(struct router *r, struct buf *out, const struct reply *reply,
                       const struct call *c)
{
    int error = watch_add(&c->slot->session->watch, c->partition, c->arg_count,
                          bytes_of(c->args, c->args_size), reply->data);

    if (error == RK_CORRUPT)
        return put_error(r, out, failure_text(FAILURE_MISFIT));
    return error ? error : buf_append(out, "+OK\r\n", 5);
}

static int put_nil(struct router *r, struct buf *out, const struct call *c)
{
    if (c->op == OP_GET)
        counter_add(&r->counters->misses, 1);
    if (c->op != OP_EXEC)
        return resp_put_null(out, c->slot->resp);
    counter_add(&r->counters->transactions_unequal, 1);
    return resp_put_null_array(out, c->slot->resp);
}

static int put_shaped(struct router *r, struct buf *out, const struct reply *reply,
                      const struct slot *slot)
{
    int error = answer_shape_put(out, &slot->shape, reply, slot->resp);

    if (slot->shape.kind == SHAPE_COMPLAINT && reply->integer)
        error_count(r->counters, bytes_from(slot->shape.complaint));
    return error == RK_INVALID ? put_error(r, out, failure_text(FAILURE_MISFIT)) : error;
}

/* The answer of a slot's only call, straight from the node's frame. */
static int put_reply(struct router *r, struct buf *out, const struct reply *reply,
                     const struct call *c)
{
    int resp = c->slot->resp;

    if (c->slot->shape.kind && reply->kind != REPLY_ERROR)
        return put_shaped(r, out, reply, c->slot);
    switch ((enum reply_kind)reply->kind) {
    case REPLY_OK:
        return buf_append(out, "+OK\r\n", 5);
    case REPLY_NIL:
        return put_nil(r, out, c);
    case REPLY_INTEGER:
        return resp_put_integer(out, reply->integer);
    case REPLY_BULK:
        if (c->op == OP_GET)
            counter_add(&r->counters->hits, 1);
        return resp_put_bulk(out, reply->data);
    case REPLY_ARRAY:
        return c->op == OP_WATCH ? put_watched(r, out, reply, c) : put_array(r, out, reply, resp);
    case REPLY_RESULTS:
        return parts_put_reply(r, c->slot->session, out, c->slot->parts, reply);
    case REPLY_ERROR:
        return put_node_error(r, out, reply->data);
    case REPLY_REFUSED:
    case REPLY_VERSION:
        break;
    }
    return put_error(r, out, failure_text(FAILURE_MISFIT));
}

static int put_gathered_array(struct router *r, struct buf *out, struct slot *slot)
{
    int error = resp_put_array(out, slot->key_count);

    for (uint32_t i = 0; i < slot->key_count && !error; i++) {
        struct call *c = pool_at(&r->requests.calls, slot->order[i]);
        struct bytes rest = bytes_of(c->args + c->cursor, c->args_size - c->cursor);

        error = put_value(r, out, &rest, slot->resp);
        c->cursor = c->args_size - (uint32_t)rest.size;
    }
    return error;
}

/* Some keys were written: that nothing was done, as `why` may say, is true of the others only. */
static int put_partly_done(struct router *r, struct buf *out, struct bytes why)
{
    error_count(r->counters, bytes_from("UNCERTAIN"));
    return resp_put_errorf(out, "UNCERTAIN it was done for some of the keys; for others: %.*s",
                           (int)why.size, (const char *)why.data);
}

static int put_failure(struct router *r, struct buf *out, struct slot *slot, struct bytes node_text)
{
    struct bytes why = slot->failure == FAILURE_NODE_ERROR
                           ? node_text
                           : bytes_from(failure_text((enum failure)slot->failure));

    return slot->writes && slot->succeeded ? put_partly_done(r, out, why)
                                           : put_node_error(r, out, why);
}

static int put_walked(struct router *r, struct buf *out, const struct slot *slot)
{
    const struct walk *w = slot->walk;

    if (!w->error)
        return w->kind->put_reply(w, out, slot->resp);
    return put_error(r, out, w->error);
}

static int put_outcome(struct router *r, struct buf *out, struct slot *slot, struct bytes node_text)
{
    if (slot->failure)
        return put_failure(r, out, slot, node_text);
    if (slot->walk)
        return put_walked(r, out, slot);
    switch ((enum gather)slot->gather) {
    case GATHER_SUM:
        return resp_put_integer(out, slot->sum);
    case GATHER_ARRAY:
        return put_gathered_array(r, out, slot);
    case GATHER_ONE:
    case GATHER_OK:
        break;
    }
    return resp_put_simple(out, "OK");
}

/* Gives out what is in turn now that the session's first slot is done. */
static void session_advance(struct router *r, struct session *s)
{
    while (s->first && s->first->done) {
        struct slot *slot = s->first;
        struct bytes kept = buf_bytes(&slot->kept);

        if (kept.size) {
            s->kept -= kept.size;
            counter_add(&r->counters->bytes_out, kept.size);
            if (buf_append(s->out, kept.data, kept.size) != 0)
                s->broken = true;
        }
        s->first = slot->next;
        if (!s->first)
            s->last = NULL;
        s->pending--;
        slot_free(&r->requests, slot);
    }
}

static void count_end(struct router *r, const struct slot *slot, bool failed)
{
    struct command_stat *row;

    if (!r->stats || !slot->command)
        return;
    row = command_stats_row(r->stats, slot->command);
    command_stats_answered(row, r->now_us - slot->begun_us);
    counter_add(&row->failed, failed);
}

/* Ends a slot: its reply is `reply` for its only call, or what its calls came to when NULL. */
static void slot_end(struct router *r, struct slot *slot, const struct reply *reply)
{
    struct session *s = slot->session;
    uint8_t text[ERROR_TEXT_MAX];
    struct bytes node_text = {text, buf_len(&slot->kept)};
    uint64_t errors;

    router_stop_time(r, slot);
    counter_add(&r->counters->pending, (uint64_t)-1);
    slot->done = true;
    if (!s) {
        slot_free(&r->requests, slot);
        return;
    }
    if (r->tunables)
        records_note_slot(r, slot);
    errors = counter_read(&r->counters->error_replies);
    if (node_text.size)
        memcpy(text, buf_head(&slot->kept), node_text.size);
    buf_truncate(&slot->kept, 0);
    s->sent_bytes -= slot->sent_bytes;
    s->kept -= slot->value_bytes;
    s->holding -= slot->holds;

    bool first = s->first == slot;
    struct buf *out = first ? s->out : &slot->kept;
    size_t before = buf_len(out);

    if ((reply ? put_reply(r, out, reply, slot->first) : put_outcome(r, out, slot, node_text)) != 0)
        s->broken = true;
    count_end(r, slot, counter_read(&r->counters->error_replies) != errors);
    if (slot->silent)
        buf_truncate(out, before);
    router_mark_ready(r, s);
    if (first) {
        counter_add(&r->counters->bytes_out, buf_len(out) - before);
        session_advance(r, s);
    } else {
        counter_add(&r->counters->kept_replies, 1);
        s->kept += buf_len(out);
    }
}

static void slot_fail(struct slot *slot, enum failure why)
{
    if (why > slot->failure)
        slot->failure = (uint8_t)why;
}

static void keep_error(struct slot *slot, struct bytes text)
{
    size_t size = text.size < ERROR_TEXT_MAX ? text.size : ERROR_TEXT_MAX;

    slot_fail(slot, FAILURE_NODE_ERROR);
    if (buf_len(&slot->kept) == 0 && buf_append(&slot->kept, text.data, size) != 0)
        slot_fail(slot, FAILURE_NO_MEMORY);
}

/* Adds one call's answer to those of its slot's other calls. */
static void gather_reply(struct router *r, struct call *c, const struct reply *reply)
{
    struct slot *slot = c->slot;

    if (reply->kind == REPLY_ERROR) {
        keep_error(slot, reply->data);
        return;
    }
    slot->succeeded++;
    if (slot->gather == GATHER_SUM) {
        slot->sum += reply->integer;
    } else if (slot->gather == GATHER_ARRAY && !slot->failure) {
        /* The client would be closed for it, but only when all of it is there. */
        if ((slot->value_bytes + reply->data.size) / 2 > r->reply_max) {
            slot_fail(slot, FAILURE_REPLY_TOO_LARGE);
            return;
        }
        if (call_keep_values(&r->requests, c, reply->data) != 0) {
            slot_fail(slot, FAILURE_NO_MEMORY);
            return;
        }
        slot->value_bytes += reply->data.size;
        if (slot->session)
            slot->session->kept += reply->data.size;
    }
}

int answer_put_part(struct router *r, struct buf *out, struct slot *slot, struct bytes *results)
{
    uint8_t text[ERROR_TEXT_MAX];
    struct bytes node_text = {text, 0};

    for (struct call *c = slot->first; c; c = c->sibling) {
        struct reply reply = transaction_next_result(results);

        if (!answer_fits(r, c, &reply))
            slot_fail(slot, FAILURE_MISFIT);
        else if (slot->call_count == 1)
            return put_reply(r, out, &reply, c);
        else
            gather_reply(r, c, &reply);
    }
    node_text.size = buf_len(&slot->kept);
    if (node_text.size)
        memcpy(text, buf_head(&slot->kept), node_text.size);
    return put_outcome(r, out, slot, node_text);
}

static void guess_reply_size(struct session *s, size_t size)
{
    size_t decayed = s->reply_guess - s->reply_guess / 8;

    s->reply_guess = size > decayed ? size : decayed;
}

void answer_reply(struct router *r, struct call *c, const struct reply *reply)
{
    struct slot *slot = c->slot;

    if (!answer_fits(r, c, reply)) {
        answer_failure(r, c, slot->writes ? FAILURE_DOUBT_ANSWER : FAILURE_MISFIT);
        return;
    }
    c->state = CALL_ANSWERED;
    slot->open--;
    if (slot->session)
        guess_reply_size(slot->session, reply->data.size);
    if (slot->walk) {
        walk_answered(r, c, reply);
        return;
    }
    if (slot->call_count == 1) {
        slot_end(r, slot, reply);
        return;
    }
    gather_reply(r, c, reply);
    if (slot->open == 0)
        slot_end(r, slot, NULL);
}

void answer_failure(struct router *r, struct call *c, enum failure why)
{
    struct slot *slot = c->slot;

    c->state = CALL_ANSWERED;
    slot_fail(slot, why);
    if (--slot->open == 0)
        slot_end(r, slot, NULL);
}

void answer_fail(struct slot *slot, enum failure why)
{
    slot_fail(slot, why);
}

void answer_finish(struct router *r, struct slot *slot)
{
    slot_end(r, slot, NULL);
}

void answer_abandon(struct router *r, struct slot *slot, enum failure why)
{
    slot->open = 0;
    slot_fail(slot, why);
    slot_end(r, slot, NULL);
}
