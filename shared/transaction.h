/* What the operation EXEC carries: the keys that a client watched and the operations of its
 * transaction, one argument each; and what comes back, one result for each operation.
 *
 * Watched keys come first. A key is watched as its token told it then: whether it was there, and
 * the version of its record, or of the whole partition when there was none. Only nodes look into
 * tokens.
 */
#ifndef RINGKV_SHARED_TRANSACTION_H
#define RINGKV_SHARED_TRANSACTION_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/message.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    WATCH_TOKEN_SIZE = 17,     /* u8 there, u64 view, u64 operation */
    TRANSACTION_ITEM_HEAD = 3, /* u8 operation, u16 its arguments, before the arguments */
    TRANSACTION_RESULT_HEAD = 17,
};

struct transaction_item {
    uint8_t op; /* enum operation; 0: a watched key */
    uint16_t arg_count;
    struct bytes args;  /* of the operation, as in a request */
    struct bytes token; /* of a watched key */
    struct bytes key;   /* likewise, a store key */
};

/* Reads one argument of EXEC: 0, or RK_CORRUPT: neither a watched key nor an operation that may
 * stand in a transaction, with arguments that fit it. What it gives points into `arg`. */
int transaction_get_item(struct bytes arg, struct transaction_item *out);

/* Whether an operation may stand in a transaction: all on keys, none on ranges, no transaction. */
bool transaction_takes(uint8_t op);

/* Appends a result: kind, integer, count and data of `reply`. 0 or RK_NOMEM, `out` unchanged. */
int transaction_put_result(struct buf *out, const struct reply *reply);

/* Removes the first of the results of a REPLY_RESULTS that was decoded. */
struct reply transaction_next_result(struct bytes *rest);

/* For message.c: whether `results` are so many, each of a kind that an operation can have. 0 or
 * RK_CORRUPT. */
int transaction_check_results(struct bytes results, uint32_t count);

#endif
