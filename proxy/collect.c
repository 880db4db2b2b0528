#include "proxy/collect.h"
#include "proxy/answer.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdlib.h>

static bool is_local(const struct command *c)
{
    return c->op == 0 && c->first_key == 0;
}

void parts_free(struct requests *q, struct parts *parts)
{
    if (!parts)
        return;
    for (uint32_t i = 0; i < parts->count; i++) {
        if (parts->parts[i].slot)
            slot_free(q, parts->parts[i].slot);
        buf_free(&parts->parts[i].reply);
    }
    queued_free(parts->commands);
    free(parts);
}

/* --- collecting ----------------------------------------------------------------------------- */

/* Runs one command's function for what it wants of nodes, or replies at once. 0 or RK_NOMEM. */
static int collect(struct execution *x, struct parts *parts, struct part *part,
                   const struct queued *q)
{
    struct router *r = x->router;
    struct execution inner = {r, x->session, q->command, q->args, q->count, &part->reply, 0, 0};

    if (is_local(q->command)) {
        parts->local = true;
        return 0;
    }
    r->collecting = true;
    r->collected = NULL;
    q->command->run(&inner);
    r->collecting = false;
    part->slot = r->collected;
    if (part->slot)
        parts->results += part->slot->call_count;
    return part->slot || buf_len(&part->reply) ? 0 : RK_NOMEM;
}

static struct parts *collect_all(struct execution *x)
{
    struct transaction *t = x->session->transaction;
    struct parts *parts = calloc(1, sizeof(*parts) + t->count * sizeof(struct part));
    uint32_t i = 0;

    if (!parts)
        return NULL;
    parts->count = t->count;
    parts->commands = transaction_take(t);
    for (const struct queued *q = parts->commands; q; q = q->next)
        if (collect(x, parts, &parts->parts[i++], q) != 0) {
            parts_free(&x->router->requests, parts);
            return NULL;
        }
    return parts;
}

/* Where all calls and watched keys lie; false: in more than one partition. */
static bool find_partition(const struct parts *parts, const struct watch *w, uint32_t *partition)
{
    bool placed = w->count > 0;

    *partition = w->partition;
    for (uint32_t i = 0; i < parts->count; i++)
        for (const struct call *c = parts->parts[i].slot ? parts->parts[i].slot->first : NULL; c;
             c = c->sibling) {
            if (placed && c->partition != *partition)
                return false;
            placed = true;
            *partition = c->partition;
        }
    return true;
}

/* --- one call ------------------------------------------------------------------------------- */

static int add_watched(struct requests *q, struct call *c, const struct watched *w)
{
    uint8_t *at = call_add_room(q, c, 1 + sizeof(w->token) + w->size);

    if (!at)
        return RK_NOMEM;
    at[0] = 0;
    memcpy(at + 1, w->token, sizeof(w->token));
    memcpy(at + 1 + sizeof(w->token), w->key, w->size);
    return 0;
}

/* The part's call is not sent; its arguments pass on to the EXEC. */
static int add_call(struct requests *q, struct call *c, struct call *from)
{
    uint8_t *at = call_add_room(q, c, TRANSACTION_ITEM_HEAD + from->args_size);

    if (!at)
        return RK_NOMEM;
    at[0] = from->op;
    wire_put_u16(at + 1, from->arg_count);
    memcpy(at + TRANSACTION_ITEM_HEAD, from->args, from->args_size);
    return call_keep_values(q, from, (struct bytes){0});
}

static int fill_call(struct requests *q, struct call *c, const struct parts *parts,
                     const struct watch *watch)
{
    int error = 0;

    for (const struct watched *w = watch->first; w && !error; w = w->next)
        error = add_watched(q, c, w);
    for (uint32_t i = 0; i < parts->count && !error; i++)
        for (struct call *from = parts->parts[i].slot ? parts->parts[i].slot->first : NULL;
             from && !error; from = from->sibling)
            error = add_call(q, c, from);
    return error;
}

static void send_parts(struct execution *x, struct parts *parts, uint32_t partition)
{
    struct router *r = x->router;
    struct slot *slot = router_begin(r, x->session, true, GATHER_ONE);
    struct call *c;

    if (!slot) {
        parts_free(&r->requests, parts);
        return;
    }
    slot->parts = parts;
    c = slot_add_call(&r->requests, slot, OP_EXEC, partition);
    if (!c || fill_call(&r->requests, c, parts, &x->session->watch) != 0) {
        router_abandon(r, slot, FAILURE_NO_MEMORY);
        return;
    }
    c->level = LEVEL_LINEAR;
    if (parts->local)
        router_hold(slot);
    router_send(r, slot);
}

static void reply_at_once(struct execution *x, struct parts *parts)
{
    const struct reply none = {.kind = REPLY_RESULTS};
    struct buf *out = execution_out(x);

    if (out && parts_put_reply(x->router, x->session, out, parts, &none) != 0)
        x->session->broken = true;
    parts_free(&x->router->requests, parts);
}

static void send_or_reply(struct execution *x, struct parts *parts)
{
    const struct watch *w = &x->session->watch;
    uint32_t partition;

    if (!find_partition(parts, w, &partition)) {
        reply_error(x, EXECUTION_CROSSSLOT);
    } else if (parts->results + w->count > MESSAGE_ARGS_MAX) {
        counter_add(&x->router->counters->transactions_refused, 1);
        reply_errorf(x,
                     "EXECABORT Transaction discarded because it is too large: its commands are "
                     "%u operations on a node, which takes %d",
                     parts->results + w->count, MESSAGE_ARGS_MAX);
    } else if (parts->results + w->count) {
        send_parts(x, parts, partition);
        return;
    } else {
        reply_at_once(x, parts);
        return;
    }
    parts_free(&x->router->requests, parts);
}

void collect_and_send(struct execution *x)
{
    struct router *r = x->router;
    struct parts *parts = NULL;

    counter_add(&r->counters->transactions, 1);
    if (!r->ring)
        reply_error(x, failure_text(FAILURE_NO_RING));
    else if (!(parts = collect_all(x)))
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    else
        send_or_reply(x, parts);
    transaction_discard(r, x->session);
}

/* --- the reply ------------------------------------------------------------------------------ */

/* `start` is where the reply of EXEC begins. */
static void run_local(struct router *r, struct session *s, struct buf *out, size_t start,
                      const struct queued *q)
{
    struct execution x = {r, s, q->command, q->args, q->count, out, buf_len(out), start};

    q->command->run(&x);
}

int parts_put_reply(struct router *r, struct session *s, struct buf *out, struct parts *parts,
                    const struct reply *reply)
{
    struct bytes results = reply->data;
    const struct queued *q = parts->commands;
    size_t start = buf_len(out);
    int error = resp_put_array(out, parts->count);

    for (uint32_t i = 0; i < parts->count && !error; i++, q = q->next) {
        struct part *part = &parts->parts[i];
        struct bytes own = buf_bytes(&part->reply);

        if (part->slot)
            error = answer_put_part(r, out, part->slot, &results);
        else if (own.size)
            error = buf_append(out, own.data, own.size);
        else
            run_local(r, s, out, start, q);
    }
    return error;
}
