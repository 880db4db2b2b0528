/* A transaction as one operation: its commands become parts of one EXEC, and each gets its own
 * reply from the results.
 *
 * The functions of the queued commands run while the router collects: what they would send stays in
 * a slot of its own, and goes with those of the others to the partition's primary. Commands that
 * need no node are run when the answer is there, in their places: so they are not when a watched
 * key has changed.
 */
#ifndef RINGKV_PROXY_COLLECT_H
#define RINGKV_PROXY_COLLECT_H

#include "proxy/transaction.h"

/* What one command came to: calls (in `slot`) or a reply of its own; neither when the proxy runs
 * it. */
struct part {
    struct slot *slot;
    struct buf reply;
};

struct parts {
    struct queued *commands; /* a part for each, in their order */
    uint32_t count;
    uint32_t results; /* calls of all parts together */
    bool local;       /* the proxy runs some */
    struct part parts[];
};

/* Sends the session's transaction, and ends it. Its reply follows. */
void collect_and_send(struct execution *x);

/* Appends the replies of all parts as an array. 0 or RK_NOMEM. */
int parts_put_reply(struct router *r, struct session *s, struct buf *out, struct parts *parts,
                    const struct reply *reply);

void parts_free(struct requests *q, struct parts *parts);

#endif
