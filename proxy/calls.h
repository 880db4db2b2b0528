/* In which order a client's calls go, when they go once more, and when they are given up.
 *
 * A client that sends several commands without waiting may count on their order. So a call that was
 * refused is tried again only while no later call of the same client is under way that could take
 * effect before it, later commands of that client queue up behind it, and when a later one was done
 * on the same partition all the same, the refusal is what the client gets: nothing was done, and
 * nothing can be done in its turn any more. A write waits until the client's earlier reads from
 * majorities, or from any replica, are answered, which could see it otherwise; a read behind a
 * write goes to the primary.
 */
#ifndef RINGKV_PROXY_CALLS_H
#define RINGKV_PROXY_CALLS_H

#include "proxy/failure.h"
#include "proxy/request.h"
#include "proxy/router.h"

/* Sends a new call, or lets it wait behind earlier ones. Its slot may be gone afterwards. */
void call_begin(struct router *r, struct call *c);

/* A call, in no list, was refused, or there is nobody to take it: it goes once more with the next
 * round (ROUTER_RETRY_MS), or, as long as that did not come to nothing too often, when an answer to
 * another call of its client comes. If that does not help in time, it ends with `reason`. */
void call_wait(struct router *r, struct call *c, enum failure reason);

/* Likewise, but it waits for other calls of its client alone, and goes as soon as these let it. */
void call_hold(struct router *r, struct call *c, enum failure reason);

/* A call was done, or its time is over: earlier ones of its client that wait for the same partition
 * have missed their turn. */
void call_passed(struct router *r, const struct call *c);

/* A write may have been done, and is asked for again: earlier reads that wait could see it, and
 * earlier refused writes would undo it. Earlier writes whose newest attempt is in doubt as well are
 * asked for again before it. */
void call_in_doubt(struct router *r, const struct call *c);

/* Whether a later call of the same client is in flight, or an earlier read that could see this
 * write. */
bool call_must_hold(const struct router *r, const struct call *c);

/* Whether the call, about to be sent to a primary on a lane, would part from those of its client
 * that are in flight: some straight and some by another replica (call->led), or to one partition by
 * different views. They would be carried out in any order, or one that is refused there would have
 * missed its turn. It waits until they are answered. */
bool call_must_not_part(const struct router *r, const struct call *c, const struct lane *lane);

/* For attempt.c: a call's first leg was sent, its last one has come back. */
void call_under_way(const struct router *r, struct call *c);
void call_came_back(struct router *r, struct call *c);

/* A round: tries all calls that wait. */
void calls_retry(struct router *r);

/* Between rounds: those that are held or were not refused often yet, unless another one waits in
 * front of them. */
void calls_retry_in_hurry(struct router *r);

/* Ends a slot that took too long. */
void calls_time_out(struct router *r, struct slot *slot);

#endif
