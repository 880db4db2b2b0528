/* What the files of operations share: how an operation takes its arguments, looks up keys, changes
 * them and answers. execute.c has the frame and the table of operations. */
#ifndef RINGKV_NODE_EXECUTE_PARTS_H
#define RINGKV_NODE_EXECUTE_PARTS_H

#include "node/execute.h"

/* Redis's own texts, so that clients recognise them. */
#define EXECUTE_NOT_AN_INTEGER "ERR value is not an integer or out of range"
#define EXECUTE_NOT_A_FLOAT    "ERR value is not a valid float"

/* One operation being carried out. */
struct execute {
    const struct execute_view *view;
    const struct request *request;
    struct bytes rest;                /* the arguments not taken yet */
    struct buf *out;                  /* of a read: where its reply goes */
    struct execute_seen *seen;        /* of a read */
    struct effect *effect;            /* of a write, and in a transaction */
    const struct change_list *before; /* of the transaction's operations before this one, or NULL */
    struct version version;           /* of a write's changes */
};

/* The next argument; they were checked against the operation's letters. */
static inline struct bytes execute_arg(struct execute *x)
{
    return message_next_arg(&x->rest, NULL);
}

int64_t execute_integer_arg(struct execute *x);

/* Looks a key up as of now: 0, RK_NOTFOUND (absent, deleted or expired; then found->value is empty
 * and found->expire_ms 0), or another error to be returned. A write sees what it changed itself.
 * A read notes what it saw, for its proof as well. */
int execute_look_up(struct execute *x, struct bytes key, struct store_record *found);

/* Ends a read: appends its reply, with id and proof. */
int execute_answer(struct execute *x, const struct reply *reply);

/* Copies what was found, which the next look into the store may take away, to where it stays: the
 * effect's arena. 0 or RK_NOMEM. */
int execute_keep(struct execute *x, struct bytes *value);

/* A copy of a value that is to be changed, with zeros behind it up to `size`; NULL: out of memory.
 */
uint8_t *execute_grown(struct execute *x, struct bytes value, size_t size);

/* A range of a value, both ends included. */
struct execute_range {
    int64_t first, last;
};

/* Two ends that count from the value's end and are in the wrong order: nothing, says Redis, however
 * short the value is. */
static inline bool execute_range_backward(const struct execute_range *range)
{
    return range->first < 0 && range->last < 0 && range->first > range->last;
}

/* Cuts a range as a client gives it, negative ends counting from the value's end, to what a value
 * of `size` has of it. False: nothing. */
bool execute_range_cut(struct execute_range *range, int64_t size);

/* The reply of a write is a value that was found. 0 or RK_NOMEM. */
int execute_reply_value(struct execute *x, struct bytes value);

/* A write sets a key. A value that is too large makes the reply an error. Key and value must stay:
 * in the request or in the effect's arena. */
int execute_put(struct execute *x, struct bytes key, struct bytes value, int64_t expire_ms);

/* A write deletes a key that is there. */
int execute_delete(struct execute *x, struct bytes key);

/* Runs the function of the operation, which must be one that may stand in a transaction. */
int execute_operation(struct execute *x);

/* The reply of a write is an error, and nothing is changed. `text` must stay. */
int execute_fail(struct execute *x, const char *text);

/* Likewise: a value would be of so many bytes, more than there may be. */
int execute_fail_size(struct execute *x, uint64_t size);

/* The operations. Each returns 0 or an error as execute_read does. */
int execute_append(struct execute *x);
int execute_bitcount(struct execute *x);
int execute_bitpos(struct execute *x);
int execute_cas(struct execute *x);
int execute_copy(struct execute *x);
int execute_count(struct execute *x);
int execute_del(struct execute *x);
int execute_encoding(struct execute *x);
int execute_exec(struct execute *x);
int execute_exists(struct execute *x);
int execute_expire(struct execute *x);
int execute_flush(struct execute *x);
int execute_get(struct execute *x);
int execute_getbit(struct execute *x);
int execute_getdel(struct execute *x);
int execute_getex(struct execute *x);
int execute_getrange(struct execute *x);
int execute_getset(struct execute *x);
int execute_incrby(struct execute *x);
int execute_incrbyfloat(struct execute *x);
int execute_lcs(struct execute *x);
int execute_mget(struct execute *x);
int execute_msetnx(struct execute *x);
int execute_persist(struct execute *x);
int execute_pttl(struct execute *x);
int execute_rename(struct execute *x);
int execute_scan(struct execute *x);
int execute_set(struct execute *x);
int execute_setbit(struct execute *x);
int execute_setnx(struct execute *x);
int execute_setrange(struct execute *x);
int execute_setx(struct execute *x);
int execute_strlen(struct execute *x);
int execute_usage(struct execute *x);
int execute_watch(struct execute *x);

#endif
