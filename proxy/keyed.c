#include "proxy/keyed.h"
#include "shared/wire.h"
#include <assert.h>

bool keyed_key_valid(struct execution *x, struct bytes key)
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

bool keyed_value_valid(struct execution *x, struct bytes value)
{
    if (value.size <= VALUE_SIZE_MAX)
        return true;
    reply_errorf(x, "ERR value is too large: %zu bytes; a value has at most %d", value.size,
                 VALUE_SIZE_MAX);
    return false;
}

uint8_t keyed_level(const struct execution *x, enum operation op)
{
    return !operation_info(op)->writes && x->session->any_replica ? LEVEL_ANY : LEVEL_LINEAR;
}

static bool all_valid(struct execution *x, const struct keyed *k)
{
    for (uint32_t i = 0; i < k->key_count; i++)
        if (!keyed_key_valid(x, x->args[k->key_at + i]))
            return false;
    for (uint32_t i = 0; i < k->arg_count; i++)
        if (!k->args[i].is_integer && !keyed_value_valid(x, k->args[i].value))
            return false;
    return true;
}

/* Computes the keys' positions. Their partition, or -1 when they lie in several. */
static int64_t place_keys(const struct execution *x, const struct keyed *k,
                          uint64_t positions[KEYED_KEYS_MAX])
{
    const struct router *r = x->router;
    int64_t common = 0;

    assert(k->key_count <= KEYED_KEYS_MAX);
    for (uint32_t i = 0; i < k->key_count; i++) {
        uint32_t partition;

        positions[i] = position_of(r->positioner, x->args[k->key_at + i]);
        partition = ring_partition(r->ring, positions[i]);
        if (i && partition != common)
            return -1;
        common = partition;
    }
    return common;
}

static int add_arg(struct requests *q, struct call *c, const struct keyed_arg *arg)
{
    uint8_t number[8];

    if (!arg->is_integer)
        return call_add_value(q, c, arg->value);
    wire_put_i64(number, arg->integer);
    return call_add_value(q, c, bytes_of(number, sizeof(number)));
}

static int fill(struct execution *x, const struct keyed *k, const uint64_t *positions,
                struct call *c)
{
    struct requests *q = &x->router->requests;
    int error = 0;

    for (uint32_t i = 0; i < k->key_count && !error; i++)
        error = call_add_key(q, c, positions[i], x->args[k->key_at + i]);
    for (uint32_t i = 0; i < k->arg_count && !error; i++)
        error = add_arg(q, c, &k->args[i]);
    c->level = k->level;
    return error;
}

void keyed_send(struct execution *x, const struct keyed *k)
{
    struct router *r = x->router;
    uint64_t positions[KEYED_KEYS_MAX];
    int64_t partition;
    struct slot *slot;
    struct call *c;

    if (!all_valid(x, k))
        return;
    partition = r->ring ? place_keys(x, k, positions) : 0;
    if (partition < 0) {
        reply_error(x, EXECUTION_CROSSSLOT);
        return;
    }
    slot = router_begin(r, x->session, operation_info(k->op)->writes, GATHER_ONE);
    if (!slot)
        return;
    slot->shape = k->shape;
    c = slot_add_call(&r->requests, slot, k->op, (uint32_t)partition);
    if (!c || fill(x, k, positions, c) != 0)
        router_abandon(r, slot, FAILURE_NO_MEMORY);
    else
        router_send(r, slot);
}

void keyed_one(struct execution *x, enum operation op, const struct keyed_arg *args,
               uint32_t arg_count)
{
    keyed_send(x, &(struct keyed){.op = op,
                                  .level = keyed_level(x, op),
                                  .key_at = 1,
                                  .key_count = 1,
                                  .args = args,
                                  .arg_count = arg_count});
}

void keyed_complain(struct execution *x, const char *complaint, int64_t absent)
{
    keyed_send(x,
               &(struct keyed){
                   .op = OP_EXISTS,
                   .level = keyed_level(x, OP_EXISTS),
                   .key_at = 1,
                   .key_count = 1,
                   .shape = {.kind = SHAPE_COMPLAINT, .absent = absent, .complaint = complaint}});
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
    c->level = keyed_level(x, x->command->op);
    return c;
}

void keyed_many(struct execution *x, enum gather gather, bool with_values)
{
    struct router *r = x->router;
    uint32_t step = with_values ? 2 : 1;
    struct slot *slot;

    for (uint32_t i = 1; i < x->count; i += step)
        if (!keyed_key_valid(x, x->args[i]) ||
            (with_values && !keyed_value_valid(x, x->args[i + 1])))
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
