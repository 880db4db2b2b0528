#include "proxy/keyed.h"

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

uint8_t keyed_read_level(const struct execution *x)
{
    bool writes = x->command->flags & COMMAND_WRITE;

    return !writes && x->session->any_replica ? LEVEL_ANY : LEVEL_LINEAR;
}

void keyed_one(struct execution *x, uint8_t level, const struct bytes *value)
{
    struct router *r = x->router;
    struct bytes key = x->args[1];
    struct slot *slot;

    if (!keyed_key_valid(x, key) || (value && !keyed_value_valid(x, *value)))
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
    c->level = keyed_read_level(x);
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
