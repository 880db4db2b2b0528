/* Operations on a range of a partition, a bounded piece of it at a time. */
#include "node/execute_parts.h"
#include "node/key_range.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/wire.h"

enum {
    SCAN_RECORDS_MAX = MESSAGE_ARGS_MAX - 1, /* with the place to go on at, an array */
    COUNT_RECORDS_MAX = 16384,
    FLUSH_RECORDS_MAX = 2048, /* so that a step stays as small as a transfer's chunk */
};
_Static_assert((int)FLUSH_RECORDS_MAX <= (int)STORE_CHANGES_MAX, "they are one step");

enum { STOPPED = 1 };

struct walk {
    struct execute *x;
    int (*each)(struct walk *w, struct bytes key, const struct store_record *record);
    int64_t left;   /* records to look at */
    int64_t bucket; /* of SCAN; -1: all */
    size_t begun;   /* a read's reply */
    int64_t count;  /* live ones */
    uint8_t next[STORE_KEY_SIZE_MAX];
    size_t next_size; /* 0: the partition's end was reached */
};

static bool is_live(const struct execute *x, const struct store_record *record)
{
    return !record->deleted && (!record->expire_ms || record->expire_ms > x->view->now_ms);
}

static int visit(void *arg, struct bytes key, const struct store_record *record)
{
    struct walk *w = arg;

    if (!record)
        return RK_CORRUPT;
    if (w->left-- == 0) {
        memcpy(w->next, key.data, key.size);
        w->next_size = key.size;
        return STOPPED;
    }
    return w->each(w, key, record);
}

/* Takes the place where to begin and how many records to look at, and looks at them. */
static int walk(struct execute *x, struct walk *w, int64_t records_max)
{
    struct bytes from = execute_arg(x);
    int64_t wanted = execute_integer_arg(x);
    uint8_t to[STORE_KEY_SIZE_MAX];
    int found;

    w->x = x;
    w->left = wanted < 1 ? 1 : wanted > records_max ? records_max : wanted;
    found = store_scan(x->view->store, from,
                       key_range_last(x->view->ring, x->request->partition, (struct bytes){0}, to),
                       visit, w);
    return found == STOPPED ? 0 : found;
}

/* --- reading -------------------------------------------------------------------------------- */

/* The checksum is mixed, for keys that differ in a digit only differ in few of its bits. */
static int64_t bucket_of(struct bytes key)
{
    return (int64_t)((uint32_t)(crc32c(0, key.data, key.size) * UINT32_C(2654435761)) /
                     (UINT32_MAX / SCAN_BUCKETS + 1));
}

static int add_key(struct walk *w, struct bytes key, const struct store_record *record)
{
    if (!is_live(w->x, record) || (w->bucket >= 0 && bucket_of(key) != w->bucket))
        return 0;
    return message_add_value(w->x->out, w->begun, &key);
}

/* The last value: where to go on, nil at the partition's end. */
static int end_with_next(struct walk *w)
{
    struct bytes next = {w->next, w->next_size};
    int error = message_add_value(w->x->out, w->begun, w->next_size ? &next : NULL);

    return error ? error
                 : message_end_array_reply(w->x->out, w->begun, buf_bytes(w->x->view->proof));
}

int execute_scan(struct execute *x)
{
    struct walk w = {.each = add_key};
    struct bytes rest = x->rest;
    int error;

    message_next_arg(&rest, NULL);
    message_next_arg(&rest, NULL);
    w.bucket = wire_get_i64(message_next_arg(&rest, NULL).data);
    w.begun = message_begin_array_reply(x->out, x->request->id);
    if (w.begun == SIZE_MAX)
        return RK_NOMEM;
    error = walk(x, &w, SCAN_RECORDS_MAX);
    if (!error)
        return end_with_next(&w);
    /* A failed append has undone the reply already. */
    if (buf_len(x->out) > w.begun)
        buf_truncate(x->out, w.begun);
    return error;
}

static int count_key(struct walk *w, struct bytes key, const struct store_record *record)
{
    (void)key;
    w->count += is_live(w->x, record);
    return 0;
}

int execute_count(struct execute *x)
{
    struct walk w = {.each = count_key};
    uint8_t count[8];
    struct bytes value = {count, sizeof(count)};
    int error = walk(x, &w, COUNT_RECORDS_MAX);

    if (error)
        return error;
    wire_put_i64(count, w.count);
    w.begun = message_begin_array_reply(x->out, x->request->id);
    if (w.begun == SIZE_MAX)
        return RK_NOMEM;
    error = message_add_value(x->out, w.begun, &value);
    return error ? error : end_with_next(&w);
}

/* --- writing -------------------------------------------------------------------------------- */

static int delete_key(struct walk *w, struct bytes key, const struct store_record *record)
{
    uint8_t *kept;

    if (record->deleted)
        return 0;
    kept = arena_copy(&w->x->effect->arena, key.data, key.size);
    return kept ? execute_delete(w->x, bytes_of(kept, key.size)) : RK_NOMEM;
}

/* Expired keys go as well. */
int execute_flush(struct execute *x)
{
    struct walk w = {.each = delete_key};
    struct reply *reply = &x->effect->reply;
    int error = walk(x, &w, FLUSH_RECORDS_MAX);

    if (error)
        return error;
    reply->kind = w.next_size ? REPLY_BULK : REPLY_NIL;
    reply->data = bytes_of(arena_copy(&x->effect->arena, w.next, w.next_size), w.next_size);
    return reply->data.data ? 0 : RK_NOMEM;
}
