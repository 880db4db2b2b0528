/* MULTI: the commands that a client has queued. */
#ifndef RINGKV_PROXY_TRANSACTION_H
#define RINGKV_PROXY_TRANSACTION_H

#include "proxy/execution.h"
#include "proxy/watch.h"

enum {
    MULTI_COMMANDS_MAX = 2048,                    /* queued by one client */
    MULTI_BYTES_MAX = FRAME_BODY_MAX - (1 << 19), /* of their arguments */
};
_Static_assert(MULTI_COMMANDS_MAX + WATCH_KEYS_MAX <= MESSAGE_ARGS_MAX, "they fit in one request");

/* A queued command with a copy of its arguments. */
struct queued {
    struct queued *next;
    const struct command *command;
    uint32_t count;
    struct bytes args[];
};

struct transaction {
    struct queued *first, *last;
    uint32_t count;
    size_t bytes;       /* of arguments */
    bool failed;        /* a command could not be queued: EXEC will say so */
    bool placed;        /* `partition` is set: */
    uint32_t partition; /* where all keys lie */
};

/* Begins a transaction in a session that has none. 0 or RK_NOMEM. */
int transaction_begin(struct session *s);

/* Queues the command instead of running it, and replies. */
void transaction_queue(struct execution *x);

/* Ends the transaction, if there is one, and forgets the watched keys. */
void transaction_discard(struct router *r, struct session *s);

/* Takes the queued commands, which queued_free frees, out of the transaction. */
struct queued *transaction_take(struct transaction *t);
void queued_free(struct queued *first);

#endif
