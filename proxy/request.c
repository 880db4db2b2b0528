#include "proxy/request.h"
#include "proxy/collect.h"
#include "proxy/walk.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <assert.h>
#include <stdlib.h>

/* A slot keeps a small buffer for the next command's reply: replies that come before their turn are
 * common, and small. */
enum { KEPT_REUSE_MAX = 512 };

void requests_init(struct requests *q)
{
    *q = (struct requests){0};
    pool_init(&q->slots, sizeof(struct slot), 2 * SLOTS_MAX);
    pool_init(&q->calls, sizeof(struct call), CALLS_MAX);
}

void requests_destroy(struct requests *q)
{
    assert(q->slots.used == 0 && q->calls.used == 0 && q->bytes == 0);
    for (uint32_t i = 0; i < q->slots.count; i++)
        buf_free(&((struct slot *)pool_at(&q->slots, i))->kept);
    for (uint32_t i = 0; i < q->calls.count; i++) {
        struct call *c = pool_at(&q->calls, i);

        buf_free(&c->proofs);
        buf_free(&c->value);
    }
    pool_destroy(&q->slots);
    pool_destroy(&q->calls);
}

struct slot *slot_new(struct requests *q)
{
    return q->slots.used < q->slots.max / 2 ? slot_new_between(q) : NULL;
}

struct slot *slot_new_between(struct requests *q)
{
    struct slot *slot = pool_take(&q->slots);

    if (!slot)
        return NULL;
    *slot = (struct slot){.item = slot->item, .kept = slot->kept};
    return slot;
}

static void args_free(struct requests *q, struct call *c)
{
    if (c->args != c->inline_args) {
        q->bytes -= c->args_room;
        free(c->args);
    }
    c->args = c->inline_args;
    c->args_size = 0;
    c->args_room = CALL_INLINE_SIZE;
}

/* The buffers stay with the call for the next one, unless they are large. */
void call_forget_proof(struct call *c)
{
    buf_truncate(&c->proofs, 0);
    buf_truncate(&c->value, 0);
    buf_trim(&c->proofs, KEPT_REUSE_MAX);
    buf_trim(&c->value, KEPT_REUSE_MAX);
}

void slot_free(struct requests *q, struct slot *slot)
{
    struct call *c = slot->first;

    while (c) {
        struct call *sibling = c->sibling;

        args_free(q, c);
        call_forget_proof(c);
        pool_put(&q->calls, c);
        c = sibling;
    }
    parts_free(q, slot->parts);
    walk_free(slot->walk);
    free(slot->order);
    if (slot->kept.size > KEPT_REUSE_MAX)
        buf_free(&slot->kept);
    else
        buf_truncate(&slot->kept, 0);
    pool_put(&q->slots, slot);
}

/* As it is before it is sent, without arguments. */
static void make_new(struct call *c, uint32_t partition)
{
    c->number = 0;
    c->sent_view = c->base_view = c->base_op = 0;
    c->partition = partition;
    c->arg_count = 0;
    c->level = 0;
    c->state = CALL_NEW;
    c->way = c->attempts = c->legs_open = 0;
    c->held = c->led = c->detour = c->doubt = c->refused = false;
    c->reason = 0;
    c->cursor = 0;
}

void call_renew(struct requests *q, struct call *c, uint32_t partition)
{
    args_free(q, c);
    call_forget_proof(c);
    make_new(c, partition);
    c->slot->open++;
}

struct call *slot_add_call(struct requests *q, struct slot *slot, uint8_t op, uint32_t partition)
{
    struct call *c = pool_take(&q->calls);

    if (!c)
        return NULL;
    c->previous = c->next = c->sibling = NULL;
    c->slot = slot;
    for (uint32_t i = 0; i < CALL_LEGS_MAX; i++)
        c->legs[i] = (struct leg){.call = c};
    c->op = op;
    c->args = c->inline_args;
    c->args_size = 0;
    c->args_room = CALL_INLINE_SIZE;
    make_new(c, partition);
    if (slot->last)
        slot->last->sibling = c;
    else
        slot->first = c;
    slot->last = c;
    slot->call_count++;
    slot->open++;
    return c;
}

int slot_want_order(struct slot *slot)
{
    slot->order = calloc(slot->key_count, sizeof(*slot->order));
    return slot->order ? 0 : RK_NOMEM;
}

/* The first argument that does not fit inside gets exactly the room it needs, further ones double
 * it. */
uint8_t *call_add_room(struct requests *q, struct call *c, size_t size)
{
    size_t needed = c->args_size + 4 + size;

    if (needed > UINT32_MAX)
        return NULL;
    if (needed > c->args_room) {
        bool inside = c->args == c->inline_args;
        size_t room =
            !inside && needed < (size_t)c->args_room * 2 ? (size_t)c->args_room * 2 : needed;
        uint8_t *args;

        if (room > UINT32_MAX)
            room = UINT32_MAX;
        args = realloc(inside ? NULL : c->args, room);
        if (!args)
            return NULL;
        if (inside)
            memcpy(args, c->inline_args, c->args_size);
        q->bytes += room - (inside ? 0 : c->args_room);
        c->args = args;
        c->args_room = (uint32_t)room;
    }

    uint8_t *at = c->args + c->args_size;

    wire_put_u32(at, (uint32_t)size);
    c->args_size = (uint32_t)needed;
    c->arg_count++;
    return at + 4;
}

int call_add_key(struct requests *q, struct call *c, uint64_t position, struct bytes key)
{
    uint8_t *at = call_add_room(q, c, POSITION_SIZE + key.size);

    if (!at)
        return RK_NOMEM;
    wire_put_position(at, position);
    memcpy(at + POSITION_SIZE, key.data, key.size);
    return 0;
}

int call_add_value(struct requests *q, struct call *c, struct bytes value)
{
    uint8_t *at = call_add_room(q, c, value.size);

    if (!at)
        return RK_NOMEM;
    if (value.size)
        memcpy(at, value.data, value.size);
    return 0;
}

int call_keep_values(struct requests *q, struct call *c, struct bytes values)
{
    args_free(q, c);
    if (values.size > CALL_INLINE_SIZE) {
        uint8_t *copy = values.size > UINT32_MAX ? NULL : malloc(values.size);

        if (!copy)
            return RK_NOMEM;
        c->args = copy;
        c->args_room = (uint32_t)values.size;
        q->bytes += values.size;
    }
    if (values.size)
        memcpy(c->args, values.data, values.size);
    c->args_size = (uint32_t)values.size;
    return 0;
}

void call_new_attempt(struct call *c)
{
    c->item.generation++;
}

enum { LEG_SHIFT = 24 };
_Static_assert(CALLS_MAX <= 1 << LEG_SHIFT, "index and leg have room in one number");

uint64_t leg_id(const struct call *c, const struct leg *leg)
{
    return (uint64_t)c->item.generation << 32 | (uint64_t)(leg - c->legs) << LEG_SHIFT |
           c->item.index;
}

struct leg *leg_by_id(const struct requests *q, uint64_t id)
{
    struct call *c = pool_at(&q->calls, (uint32_t)id & ((1u << LEG_SHIFT) - 1));
    uint32_t leg = (uint32_t)id >> LEG_SHIFT;

    if (!c || c->item.generation != id >> 32 || c->state != CALL_SENT || leg >= CALL_LEGS_MAX ||
        !c->legs[leg].lane)
        return NULL;
    return &c->legs[leg];
}

void leg_list_append(struct leg_list *list, struct leg *leg)
{
    leg->next = NULL;
    leg->previous = list->last;
    if (list->last)
        list->last->next = leg;
    else
        list->first = leg;
    list->last = leg;
}

void leg_list_remove(struct leg_list *list, struct leg *leg)
{
    if (leg->previous)
        leg->previous->next = leg->next;
    else
        list->first = leg->next;
    if (leg->next)
        leg->next->previous = leg->previous;
    else
        list->last = leg->previous;
    leg->previous = leg->next = NULL;
}

void call_list_insert(struct call_list *list, struct call *c)
{
    struct call *before = list->last;

    /* Nearly always it belongs at the end. */
    while (before && before->number > c->number)
        before = before->previous;
    c->previous = before;
    c->next = before ? before->next : list->first;
    if (c->next)
        c->next->previous = c;
    else
        list->last = c;
    if (before)
        before->next = c;
    else
        list->first = c;
}

void call_list_remove(struct call_list *list, struct call *c)
{
    if (c->previous)
        c->previous->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->previous = c->previous;
    else
        list->last = c->previous;
    c->previous = c->next = NULL;
}
