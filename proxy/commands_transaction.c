/* MULTI and what belongs to it. */
#include "proxy/answer.h"
#include "proxy/collect.h"
#include "proxy/commands.h"
#include "proxy/keyed.h"
#include "shared/operation.h"

void run_multi(struct execution *x)
{
    if (x->session->transaction)
        reply_error(x, "ERR MULTI calls can not be nested");
    else if (transaction_begin(x->session) != 0)
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    else
        reply_simple(x, "OK");
}

void run_exec(struct execution *x)
{
    const struct transaction *t = x->session->transaction;

    if (!t) {
        reply_error(x, "ERR EXEC without MULTI");
    } else if (t->failed) {
        reply_error(x, "EXECABORT Transaction discarded because of previous errors.");
        transaction_discard(x->router, x->session);
    } else {
        collect_and_send(x);
    }
}

void run_discard(struct execution *x)
{
    if (!x->session->transaction) {
        reply_error(x, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(x->router, x->session);
    reply_simple(x, "OK");
}

void run_unwatch(struct execution *x)
{
    watch_clear(&x->session->watch);
    reply_simple(x, "OK");
}

/* Adds the keys that are not watched yet to the slot's only call, which is made for the first. 0,
 * or what the command fails for. */
static enum failure add_keys(struct execution *x, struct slot *slot)
{
    struct router *r = x->router;

    for (uint32_t i = 1; i < x->count; i++) {
        uint64_t position = position_of(r->positioner, x->args[i]);

        if (watch_has(&x->session->watch, position, x->args[i]))
            continue;
        if (!slot->first &&
            !slot_add_call(&r->requests, slot, OP_WATCH, ring_partition(r->ring, position)))
            return FAILURE_NO_MEMORY;
        if (call_add_key(&r->requests, slot->first, position, x->args[i]) != 0)
            return FAILURE_NO_MEMORY;
    }
    return FAILURE_NONE;
}

static bool all_watched(const struct execution *x)
{
    const struct router *r = x->router;

    if (!r->ring)
        return false;
    for (uint32_t i = 1; i < x->count; i++)
        if (!watch_has(&x->session->watch, position_of(r->positioner, x->args[i]), x->args[i]))
            return false;
    return true;
}

/* Whether they lie in one partition, with those that are watched already. */
static bool share_partition(const struct execution *x)
{
    const struct router *r = x->router;
    const struct watch *w = &x->session->watch;
    uint32_t first = w->partition;

    for (uint32_t i = 1; i < x->count; i++) {
        uint32_t partition = ring_partition(r->ring, position_of(r->positioner, x->args[i]));

        if (i == 1 && w->count == 0)
            first = partition;
        if (partition != first)
            return false;
    }
    return true;
}

static bool may_watch(struct execution *x)
{
    for (uint32_t i = 1; i < x->count; i++)
        if (!keyed_key_valid(x, x->args[i]))
            return false;
    if (x->session->watch.count + (x->count - 1) > WATCH_KEYS_MAX) {
        counter_add(&x->router->counters->transactions_refused, 1);
        reply_errorf(x, "ERR too many keys to watch: a client can watch %d", WATCH_KEYS_MAX);
        return false;
    }
    if (!x->router->ring || share_partition(x))
        return true;
    reply_error(x, EXECUTION_CROSSSLOT);
    return false;
}

/* The commands behind it wait: EXEC must know what was seen. */
void run_watch(struct execution *x)
{
    enum failure why;
    struct slot *slot;

    if (x->session->transaction) {
        reply_error(x, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (!may_watch(x))
        return;
    if (all_watched(x)) {
        reply_simple(x, "OK");
        return;
    }
    slot = router_begin(x->router, x->session, false, GATHER_ONE);
    if (!slot)
        return;
    router_hold(slot);
    why = add_keys(x, slot);
    if (why)
        router_abandon(x->router, slot, why);
    else
        router_send(x->router, slot);
}
