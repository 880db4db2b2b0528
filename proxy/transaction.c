#include "proxy/transaction.h"
#include "proxy/answer.h"
#include "shared/error.h"
#include <stdlib.h>

int transaction_begin(struct session *s)
{
    s->transaction = calloc(1, sizeof(*s->transaction));
    return s->transaction ? 0 : RK_NOMEM;
}

/* --- queueing ------------------------------------------------------------------------------- */

static size_t head_size(const struct execution *x)
{
    return sizeof(struct queued) + x->count * sizeof(struct bytes);
}

/* `bytes`: what it takes, with its head. */
static struct queued *queued_copy(const struct execution *x, size_t bytes)
{
    struct queued *q = malloc(bytes);
    uint8_t *at;

    if (!q)
        return NULL;
    at = (uint8_t *)q + head_size(x);
    *q = (struct queued){.command = x->command, .count = x->count};
    for (uint32_t i = 0; i < x->count; i++) {
        q->args[i] = bytes_of(at, x->args[i].size);
        if (x->args[i].size)
            memcpy(at, x->args[i].data, x->args[i].size);
        at += x->args[i].size;
    }
    return q;
}

void queued_free(struct queued *first)
{
    while (first) {
        struct queued *next = first->next;

        free(first);
        first = next;
    }
}

/* What a command takes while it is queued. */
static size_t queued_size(const struct execution *x)
{
    size_t bytes = head_size(x);

    for (uint32_t i = 0; i < x->count; i++)
        bytes += x->args[i].size;
    return bytes;
}

/* Whether all keys of the command lie in one partition, that of the transaction. */
static bool lies_there(struct transaction *t, const struct execution *x)
{
    const struct command *c = x->command;
    struct router *r = x->router;
    int64_t last = c->last_key >= 0 ? c->last_key : (int64_t)x->count + c->last_key;

    if (!r->ring || !c->first_key)
        return true;
    for (int64_t i = c->first_key; i <= last && i < x->count; i += c->key_step) {
        uint32_t partition = ring_partition(r->ring, position_of(r->positioner, x->args[i]));

        if (t->placed && partition != t->partition)
            return false;
        t->placed = true;
        t->partition = partition;
    }
    return true;
}

static void refuse(struct execution *x, const char *why)
{
    x->session->transaction->failed = true;
    counter_add(&x->router->counters->transactions_refused, 1);
    reply_error(x, why);
}

void transaction_queue(struct execution *x)
{
    struct transaction *t = x->session->transaction;
    size_t bytes = queued_size(x);
    struct queued *q;

    if (x->command->in_multi == COMMAND_OUTSIDE || x->command->flags & COMMAND_NO_MULTI) {
        refuse(x, "ERR Command not allowed inside a transaction");
        return;
    }
    if (t->count == MULTI_COMMANDS_MAX || t->bytes + bytes > MULTI_BYTES_MAX) {
        t->failed = true;
        counter_add(&x->router->counters->transactions_refused, 1);
        reply_errorf(x, "ERR transaction is too large: it can have %d commands with %d bytes",
                     MULTI_COMMANDS_MAX, MULTI_BYTES_MAX);
        return;
    }
    if (!lies_there(t, x)) {
        refuse(x, EXECUTION_CROSSSLOT);
        return;
    }
    q = x->router->queued_bytes + bytes > ROUTER_BYTES_MAX ? NULL : queued_copy(x, bytes);
    if (!q) {
        refuse(x, failure_text(FAILURE_PROXY_BUSY));
        return;
    }
    if (t->last)
        t->last->next = q;
    else
        t->first = q;
    t->last = q;
    t->count++;
    t->bytes += bytes;
    x->router->queued_bytes += bytes;
    reply_simple(x, "QUEUED");
}

struct queued *transaction_take(struct transaction *t)
{
    struct queued *first = t->first;

    t->first = t->last = NULL;
    return first;
}

void transaction_discard(struct router *r, struct session *s)
{
    watch_clear(&s->watch);
    if (!s->transaction)
        return;
    r->queued_bytes -= s->transaction->bytes;
    queued_free(s->transaction->first);
    free(s->transaction);
    s->transaction = NULL;
}
