#include "proxy/walk.h"
#include "proxy/answer.h"
#include "proxy/calls.h"
#include "proxy/glob.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdlib.h>

struct walk *walk_new(const struct walk_kind *kind, const struct bytes *pattern)
{
    size_t size = pattern ? pattern->size : 0;
    struct walk *w = calloc(1, sizeof(*w) + size);

    if (!w)
        return NULL;
    w->kind = kind;
    w->round = 1;
    w->keys_max = SIZE_MAX;
    if (pattern) {
        w->pattern = bytes_of(w->copy, size);
        memcpy(w->copy, pattern->data, size);
    }
    return w;
}

void walk_free(struct walk *w)
{
    if (!w)
        return;
    buf_free(&w->resume);
    buf_free(&w->found.keys);
    free(w);
}

int walk_add_key(struct walk *w, struct bytes store_key)
{
    struct bytes key = {store_key.data + POSITION_SIZE, store_key.size - POSITION_SIZE};
    int error;

    if (w->none || (w->pattern.data && !glob_match(w->pattern, key, false)))
        return 0;
    if (buf_len(&w->found.keys) > w->keys_max) {
        w->error = "ERR too many keys match for one reply: SCAN gives them in pieces";
        return 0;
    }
    error = resp_put_bulk(&w->found.keys, key);
    w->found.count += !error;
    return error;
}

/* --- calls ---------------------------------------------------------------------------------- */

static int add_number(struct requests *q, struct call *c, int64_t n)
{
    uint8_t number[8];

    wire_put_i64(number, n);
    return call_add_value(q, c, bytes_of(number, sizeof(number)));
}

/* The arguments of a call that begins at a place, or, when that is empty, where its partition does.
 */
static int fill_call(struct router *r, const struct walk *w, struct call *c, struct bytes from)
{
    uint8_t first[POSITION_SIZE];
    int error;

    wire_put_position(first, ring_first_position(r->ring, c->partition));
    error = call_add_value(&r->requests, c, from.size ? from : bytes_of(first, sizeof(first)));
    if (!error)
        error = add_number(&r->requests, c, w->kind->records(w));
    if (!error && w->kind->op == OP_SCAN)
        error = add_number(&r->requests, c, w->scan.bucket);
    c->level = LEVEL_LINEAR;
    return error;
}

/* Whether a partition may still be begun; which, in *partition. */
static bool next_partition(const struct router *r, struct walk *w, uint32_t *partition)
{
    if (w->left == 0)
        return false;
    *partition = w->partition;
    w->partition = (w->partition + 1) % ring_partitions(r->ring);
    w->left--;
    return true;
}

/* --- one after the other: a round of calls -------------------------------------------------- */

static uint32_t calls_of_round(const struct walk *w)
{
    return w->round < w->left ? w->round : w->left;
}

/* The call of a round, a new one or one that was answered. */
static struct call *round_call(struct router *r, struct slot *slot, struct call *used, uint32_t i)
{
    struct walk *w = slot->walk;
    uint32_t partition = (w->partition + i) % ring_partitions(r->ring);

    if (!used)
        return slot_add_call(&r->requests, slot, w->kind->op, partition);
    call_renew(&r->requests, used, partition);
    return used;
}

static int make_round(struct router *r, struct slot *slot)
{
    struct walk *w = slot->walk;
    struct call *used = slot->first;

    for (uint32_t i = 0; i < calls_of_round(w); i++) {
        struct call *c = round_call(r, slot, used, i);

        if (!c || fill_call(r, w, c, i == 0 ? buf_bytes(&w->resume) : (struct bytes){0}) != 0)
            return RK_NOMEM;
        used = used ? used->sibling : NULL;
    }
    return 0;
}

/* The slot may be gone afterwards. */
static void send_round(struct router *r, struct slot *slot)
{
    uint32_t count = calls_of_round(slot->walk);
    struct call *c = slot->first;

    while (count--) {
        struct call *next = c->sibling;

        c->number = ++r->last_number;
        call_begin(r, c);
        c = next;
    }
}

static int resume_at(struct walk *w, struct bytes place)
{
    buf_truncate(&w->resume, 0);
    return buf_append(&w->resume, place.data, place.size);
}

static int resume_at_position(struct walk *w, uint64_t position)
{
    uint8_t place[POSITION_SIZE];

    wire_put_position(place, position);
    return resume_at(w, bytes_of(place, sizeof(place)));
}

/* The last value of an array is the place to go on at. */
static struct walk_piece piece_of(const struct router *r, uint32_t partition, uint32_t count,
                                  struct bytes values)
{
    struct bytes rest = values;
    struct walk_piece piece = {.values = values, .count = count ? count - 1 : 0};

    if (count == 0)
        piece.next = values;
    for (uint32_t i = 0; i < count; i++)
        piece.next = message_next_arg(&rest, NULL);
    if (partition + 1 < ring_partitions(r->ring))
        piece.behind = ring_first_position(r->ring, partition + 1);
    return piece;
}

/* A piece in the order of a round. False: those behind it are of no use. */
static bool take_in_order(struct router *r, struct slot *slot, const struct call *c)
{
    struct walk *w = slot->walk;
    struct walk_piece piece = piece_of(r, c->partition, c->cursor, bytes_of(c->args, c->args_size));
    enum walk_step step = w->kind->take(w, &piece);
    int error = 0;

    w->done = step == WALK_DONE || w->error;
    if (step == WALK_AGAIN)
        error = resume_at_position(w, w->again);
    else if (step == WALK_ON && piece.next.size)
        error = resume_at(w, piece.next);
    if (error || step == WALK_NO_MEMORY)
        answer_fail(slot, FAILURE_NO_MEMORY);
    if (step == WALK_ON && !piece.next.size) {
        uint32_t ignored;

        buf_truncate(&w->resume, 0);
        next_partition(r, w, &ignored);
        w->done = w->left == 0;
        return !w->done;
    }
    w->round = 0;
    return false;
}

static void take_round(struct router *r, struct slot *slot)
{
    struct walk *w = slot->walk;
    uint32_t count = calls_of_round(w);
    struct call *c = slot->first;

    while (count-- && take_in_order(r, slot, c))
        c = c->sibling;
    w->round = w->round == 0 ? 1 : w->round * 2;
    if (w->round > WALK_CALLS_MAX)
        w->round = WALK_CALLS_MAX;
    if (!w->done && !slot->failure && make_round(r, slot) == 0) {
        send_round(r, slot);
        return;
    }
    if (!w->done)
        answer_fail(slot, FAILURE_NO_MEMORY);
    slot->open = 0;
    answer_finish(r, slot);
}

static void answered_in_order(struct router *r, struct call *c, const struct reply *reply)
{
    struct slot *slot = c->slot;

    if (call_keep_values(&r->requests, c, reply->data) != 0)
        answer_fail(slot, FAILURE_NO_MEMORY);
    c->cursor = reply->count;
    if (slot->open)
        return;
    if (slot->failure || !slot->session)
        answer_finish(r, slot);
    else
        take_round(r, slot);
}

/* --- in any order --------------------------------------------------------------------------- */

/* Sends the call once more, for what comes next. False: nothing does. */
static bool go_on(struct router *r, struct call *c, struct bytes next)
{
    struct walk *w = c->slot->walk;
    uint32_t partition = c->partition;

    if (w->done || w->error || c->slot->failure || !c->slot->session)
        return false;
    if (!next.size && !next_partition(r, w, &partition))
        return false;
    call_renew(&r->requests, c, partition);
    if (fill_call(r, w, c, next) != 0) {
        c->state = CALL_ANSWERED;
        c->slot->open--;
        answer_fail(c->slot, FAILURE_NO_MEMORY);
        return false;
    }
    c->number = ++r->last_number;
    call_begin(r, c);
    return true;
}

static void answered_in_any_order(struct router *r, struct call *c, const struct reply *reply)
{
    struct slot *slot = c->slot;
    struct walk *w = slot->walk;
    struct walk_piece piece = piece_of(r, c->partition, reply->count, reply->data);
    enum walk_step step = w->kind->take(w, &piece);

    if (step == WALK_NO_MEMORY)
        answer_fail(slot, FAILURE_NO_MEMORY);
    w->done = w->done || step == WALK_DONE;
    if (!go_on(r, c, piece.next) && slot->open == 0)
        answer_finish(r, slot);
}

/* --- both ----------------------------------------------------------------------------------- */

void walk_begin(struct execution *x, struct walk *w, uint64_t position, uint32_t partitions)
{
    struct router *r = x->router;
    struct slot *slot = router_begin(r, x->session, w->kind->writes, GATHER_ONE);
    int error;

    if (!slot) {
        walk_free(w);
        return;
    }
    slot->walk = w;
    router_hold(slot);
    w->partition = ring_partition(r->ring, position);
    w->left = partitions;
    w->round = w->kind->ordered ? 1 : WALK_CALLS_MAX;
    error = resume_at_position(w, position);
    if (!error)
        error = make_round(r, slot);
    if (error) {
        router_abandon(r, slot, FAILURE_NO_MEMORY);
        return;
    }
    if (!w->kind->ordered)
        for (uint32_t i = 0, ignored; i < slot->call_count; i++)
            next_partition(r, w, &ignored);
    router_send(r, slot);
}

void walk_answered(struct router *r, struct call *c, const struct reply *reply)
{
    c->slot->succeeded++;
    router_restart_time(r, c->slot);
    if (reply->kind == REPLY_ERROR)
        answer_fail(c->slot, FAILURE_MISFIT);
    if (c->slot->walk->kind->ordered)
        answered_in_order(r, c, reply);
    else
        answered_in_any_order(r, c, reply);
}
