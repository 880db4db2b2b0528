/* A call's attempts: to whom it goes, what becomes of a refusal, a silence, a lost connection.
 *
 * Writes, and reads about which replicas differ, go to the primary of the view that is known of the
 * partition. When it cannot be reached another replica is asked to relay or to lead. Each attempt
 * of a write names one view only, and only the newest attempt's answer counts: an older one would
 * leave the newer able to take effect afterwards. All attempts have the same number, by which a
 * primary knows what it, or its predecessor, has done already.
 *
 * Reads go to a majority: the value from one replica, versions from the others. Their proofs being
 * the same, no primary was needed; otherwise it decides.
 */
#ifndef RINGKV_PROXY_ATTEMPT_H
#define RINGKV_PROXY_ATTEMPT_H

#include "proxy/failure.h"
#include "proxy/router.h"

/* Sends a call, in no list, for the first time or once more. Its slot may be gone afterwards. */
void attempt_next(struct router *r, struct call *c);

/* Ends a call without its having been done, unless an earlier attempt leaves a doubt. */
void attempt_fail(struct router *r, struct call *c, enum failure why);

/* Takes a leg's answer; `body` is the reply's. */
void attempt_reply(struct router *r, struct leg *leg, const struct reply *reply, struct bytes body);

/* The node says that the leg's request waits there: it is not forgotten, and has its time anew. */
void attempt_waits(struct router *r, struct leg *leg);

/* The request's time is over: the call, in flight or in no list, is answered with why it came to
 * nothing. */
void attempt_time_out(struct router *r, struct call *c);

void attempt_lane_lost(struct router *r, struct lane *lane);

/* --- attempt_late.c --- */

/* Looks at what nodes owe: reads are moved away from a node that has gone silent, requests that
 * were not answered in time are given up, and their calls tried elsewhere. */
void attempt_late(struct router *r);

/* After how many milliseconds something that is owed is to be looked at: nothing is late before. */
uint64_t attempt_late_ms(const struct router *r);

#endif
