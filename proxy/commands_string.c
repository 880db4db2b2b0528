/* Commands on strings: checked here, done by the nodes. */
#include "proxy/answer.h"
#include "proxy/execution.h"
#include "shared/operation.h"
#include "shared/wire.h"

static bool key_valid(struct execution *x, struct bytes key)
{
    if (key.size > KEY_SIZE_MAX)
        reply_errorf(x, "ERR key is too long: %zu bytes; a key has 1 to %d", key.size,
                     KEY_SIZE_MAX);
    else if (key.size == 0)
        reply_errorf(x, "ERR key is empty; a key has 1 to %d bytes", KEY_SIZE_MAX);
    else
        return true;
    return false;
}

static bool value_valid(struct execution *x, struct bytes value)
{
    if (value.size <= VALUE_SIZE_MAX)
        return true;
    reply_errorf(x, "ERR value is too large: %zu bytes; a value has at most %d", value.size,
                 VALUE_SIZE_MAX);
    return false;
}

/* What a read asks for, unless the command says so itself. */
static uint8_t read_level(const struct execution *x)
{
    bool writes = x->command->flags & COMMAND_WRITE;

    return !writes && x->session->any_replica ? LEVEL_ANY : LEVEL_LINEAR;
}

/* A command on one key, with a value unless it is NULL. */
static void run_one(struct execution *x, uint8_t level, const struct bytes *value)
{
    struct router *r = x->router;
    struct bytes key = x->args[1];
    struct slot *slot;

    if (!key_valid(x, key) || (value && !value_valid(x, *value)))
        return;
    slot = router_begin(r, x->session, x->command->flags & COMMAND_WRITE, GATHER_ONE);
    if (!slot)
        return;

    uint64_t position = position_of(r->positioner, key);
    struct call *c =
        slot_add_call(&r->requests, slot, x->command->op, ring_partition(r->ring, position));

    if (!c || call_add_key(&r->requests, c, position, key) != 0 ||
        (value && call_add_value(&r->requests, c, *value) != 0)) {
        router_abandon(r, slot, FAILURE_NO_MEMORY);
        return;
    }
    c->level = level;
    router_send(r, slot);
}

void run_key(struct execution *x)
{
    run_one(x, read_level(x), NULL);
}

void run_key_value(struct execution *x)
{
    run_one(x, LEVEL_LINEAR, &x->args[2]);
}

void run_set(struct execution *x)
{
    if (x->count > 3)
        reply_error(x, "ERR syntax error");
    else
        run_key_value(x);
}

void run_levelget(struct execution *x)
{
    static const uint8_t levels[] = {LEVEL_PRIMARY, LEVEL_ANY, LEVEL_LINEAR};
    int64_t level;

    if (!execution_integer(x, 2, &level))
        return;
    if (level < 0 || level > 2)
        reply_error(x,
                    "ERR level is out of range: 0 asks the primary, 1 any replica, 2 a majority");
    else
        run_one(x, levels[level], NULL);
}

static void add(struct execution *x, int64_t increment)
{
    uint8_t number[8];
    struct bytes value = {number, sizeof(number)};

    wire_put_i64(number, increment);
    run_one(x, LEVEL_LINEAR, &value);
}

void run_incr(struct execution *x)
{
    add(x, 1);
}

void run_decr(struct execution *x)
{
    add(x, -1);
}

void run_incrby(struct execution *x)
{
    int64_t increment;

    if (execution_integer(x, 2, &increment))
        add(x, increment);
}

void run_decrby(struct execution *x)
{
    int64_t decrement;

    if (!execution_integer(x, 2, &decrement))
        return;
    if (decrement == INT64_MIN)
        reply_error(x, "ERR decrement would overflow");
    else
        add(x, -decrement);
}

/* Adds the key at args[at], and the value behind it when there is one, to the call for its
 * partition. */
static struct call *split_key(struct execution *x, struct slot *slot, uint32_t at, bool with_value)
{
    struct router *r = x->router;
    struct bytes key = x->args[at];
    struct bytes value = with_value ? x->args[at + 1] : (struct bytes){0};
    uint64_t position = position_of(r->positioner, key);
    struct call *c = router_call_for(r, slot, x->command->op, position,
                                     8 + POSITION_SIZE + key.size + value.size);

    if (!c || call_add_key(&r->requests, c, position, key) != 0 ||
        (with_value && call_add_value(&r->requests, c, value) != 0))
        return NULL;
    c->level = read_level(x);
    return c;
}

/* A command on many keys becomes a call for each partition that they lie in. */
static void run_many(struct execution *x, enum gather gather, bool with_values)
{
    struct router *r = x->router;
    uint32_t step = with_values ? 2 : 1;
    struct slot *slot;

    for (uint32_t i = 1; i < x->count; i += step)
        if (!key_valid(x, x->args[i]) || (with_values && !value_valid(x, x->args[i + 1])))
            return;
    slot = router_begin(r, x->session, x->command->flags & COMMAND_WRITE, gather);
    if (!slot)
        return;
    slot->key_count = (x->count - 1) / step;
    if (gather == GATHER_ARRAY && slot_want_order(slot) != 0) {
        router_abandon(r, slot, FAILURE_NO_MEMORY);
        return;
    }
    for (uint32_t i = 1; i < x->count; i += step) {
        struct call *c = split_key(x, slot, i, with_values);

        if (!c) {
            router_abandon(r, slot, FAILURE_NO_MEMORY);
            return;
        }
        if (slot->order)
            slot->order[(i - 1) / step] = c->item.index;
    }
    router_send(r, slot);
}

void run_keys(struct execution *x)
{
    run_many(x, x->command->op == OP_MGET ? GATHER_ARRAY : GATHER_SUM, false);
}

void run_mset(struct execution *x)
{
    if (x->count % 2 == 0)
        reply_wrong_arity(x);
    else
        run_many(x, GATHER_OK, true);
}
