/* From the answers of calls to the reply of their command. */
#ifndef RINGKV_PROXY_ANSWER_H
#define RINGKV_PROXY_ANSWER_H

#include "proxy/failure.h"
#include "proxy/request.h"
#include "proxy/router.h"
#include "shared/message.h"

/* A call, in no list any more, was answered. The slot may be gone afterwards. */
void answer_reply(struct router *r, struct call *c, const struct reply *reply);

/* A call, in no list any more, will not be answered. */
void answer_failure(struct router *r, struct call *c, enum failure why);

/* Ends a slot with a failure whatever its calls brought; none of them is in a list. */
void answer_abandon(struct router *r, struct slot *slot, enum failure why);

/* Notes why a slot will end with an error; the worst reason counts. */
void answer_fail(struct slot *slot, enum failure why);

/* Ends a slot whose calls are all answered, with what they came to. */
void answer_finish(struct router *r, struct slot *slot);

/* Appends the reply of a part of a transaction, whose results are taken off the front of `results`.
 * 0 or RK_NOMEM. */
int answer_put_part(struct router *r, struct buf *out, struct slot *slot, struct bytes *results);

/* The text of RESP's error, without '-'. */
const char *failure_text(enum failure why);

#endif
