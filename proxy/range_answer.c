#include "proxy/range_answer.h"
#include "shared/operation.h"
#include "shared/wire.h"

/* What was told of a range so far. */
struct reading {
    struct bytes at; /* where the call began, then the newest key */
    bool behind;     /* what comes next lies behind `at`; else it may be there */
};

static bool is_store_key(struct bytes key)
{
    return key.size > POSITION_SIZE && key.size <= STORE_KEY_SIZE_MAX;
}

/* A store key, or where one could be. */
static bool is_place(struct bytes place)
{
    return place.size >= POSITION_SIZE && place.size <= STORE_KEY_SIZE_MAX + 1;
}

static bool take_key(struct reading *r, struct bytes key)
{
    if (!is_store_key(key) || bytes_compare(r->at, key) >= !r->behind)
        return false;
    *r = (struct reading){key, true};
    return true;
}

/* The place to go on at. A node has looked at one record at least, so it lies behind where the call
 * began, even if that record was no key. */
static bool take_place(struct reading *r, struct bytes place)
{
    if (!is_place(place) || bytes_compare(r->at, place) >= 0)
        return false;
    r->at = place;
    return true;
}

/* What was told lies in the partition, as it does where all of it ascends and its end does. */
static bool ends_there(const struct ring *ring, const struct call *c, const struct reading *r)
{
    return ring_partition(ring, wire_get_position(r->at.data)) == c->partition;
}

/* Keys or a number, then the place to go on at or nil. */
static bool take_array(struct reading *r, const struct call *c, const struct reply *reply)
{
    struct bytes rest = reply->data, value;
    bool nil = false;

    if (reply->count == 0 || (c->op != OP_SCAN && reply->count != 2))
        return false;
    for (uint32_t i = 0; i + 1 < reply->count; i++) {
        value = message_next_arg(&rest, NULL);
        if (c->op == OP_SCAN ? !take_key(r, value) : value.size != sizeof(int64_t))
            return false;
    }
    value = message_next_arg(&rest, &nil);
    return nil || take_place(r, value);
}

bool range_answer_fits(const struct ring *ring, const struct call *c, const struct reply *reply)
{
    struct bytes args = bytes_of(c->args, c->args_size);
    struct reading r = {.at = message_next_arg(&args, NULL)};

    if (reply->kind == REPLY_NIL)
        return true;
    return (reply->kind == REPLY_BULK ? take_place(&r, reply->data) : take_array(&r, c, reply)) &&
           ends_there(ring, c, &r);
}
