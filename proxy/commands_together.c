/* Commands whose keys must share a partition, and CAS. */
#include "proxy/commands.h"
#include "proxy/keyed.h"

void run_cas(struct execution *x)
{
    keyed_one(x, OP_CAS, (struct keyed_arg[]){keyed_value(x->args[2]), keyed_value(x->args[3])}, 2);
}

/* --- MSETNX --------------------------------------------------------------------------------- */

/* Whether keys and values are valid, and all keys lie in one partition: that of the first. */
static bool may_set(struct execution *x)
{
    const struct router *r = x->router;

    for (uint32_t i = 1; i < x->count; i += 2)
        if (!keyed_key_valid(x, x->args[i]) || !keyed_value_valid(x, x->args[i + 1]))
            return false;
    for (uint32_t i = 3; r->ring && i < x->count; i += 2)
        if (ring_partition(r->ring, position_of(r->positioner, x->args[i])) !=
            ring_partition(r->ring, position_of(r->positioner, x->args[1]))) {
            reply_error(x, EXECUTION_CROSSSLOT);
            return false;
        }
    if (x->count - 1 <= MESSAGE_ARGS_MAX)
        return true;
    reply_errorf(x, "ERR too many keys for one operation: MSETNX takes %d", MESSAGE_ARGS_MAX / 2);
    return false;
}

static int add_pairs(struct execution *x, struct call *c)
{
    struct router *r = x->router;
    int error = 0;

    for (uint32_t i = 1; i < x->count && !error; i += 2) {
        error = call_add_key(&r->requests, c, position_of(r->positioner, x->args[i]), x->args[i]);
        if (!error)
            error = call_add_value(&r->requests, c, x->args[i + 1]);
    }
    return error;
}

void run_msetnx(struct execution *x)
{
    struct router *r = x->router;
    struct slot *slot;
    struct call *c;

    if (x->count % 2 == 0) {
        reply_wrong_arity(x);
        return;
    }
    if (!may_set(x))
        return;
    slot = router_begin(r, x->session, true, GATHER_ONE);
    if (!slot)
        return;
    c = slot_add_call(&r->requests, slot, OP_MSETNX,
                      ring_partition(r->ring, position_of(r->positioner, x->args[1])));
    if (c && add_pairs(x, c) == 0)
        router_send(r, slot);
    else
        router_abandon(r, slot, FAILURE_NO_MEMORY);
}

/* --- two keys ------------------------------------------------------------------------------- */

static void send_pair(struct execution *x, enum operation op, int64_t flag)
{
    struct keyed_arg arg = keyed_integer(flag);

    keyed_send(x, &(struct keyed){.op = op,
                                  .level = LEVEL_LINEAR,
                                  .key_at = 1,
                                  .key_count = 2,
                                  .args = &arg,
                                  .arg_count = 1});
}

void run_rename(struct execution *x)
{
    send_pair(x, OP_RENAME, 0);
}

void run_renamenx(struct execution *x)
{
    send_pair(x, OP_RENAME, KEY_UNLESS_THERE);
}

void run_copy(struct execution *x)
{
    int64_t flag = KEY_UNLESS_THERE;

    for (uint32_t i = 3; i < x->count; i++) {
        if (resp_word_is(x->args[i], "replace")) {
            flag = 0;
        } else if (resp_word_is(x->args[i], "db") && i + 1 < x->count) {
            if (!execution_database(x, ++i))
                return;
        } else {
            reply_error(x, KEYED_SYNTAX_ERROR);
            return;
        }
    }
    if (bytes_equal(x->args[1], x->args[2]))
        reply_error(x, "ERR source and destination objects are the same");
    else
        send_pair(x, OP_COPY, flag);
}
