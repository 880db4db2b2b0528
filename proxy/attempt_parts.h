/* What the files of attempts share; for proxy/attempt.c, attempt_late.c and majority.c only. */
#ifndef RINGKV_PROXY_ATTEMPT_PARTS_H
#define RINGKV_PROXY_ATTEMPT_PARTS_H

#include "proxy/attempt.h"

/* --- attempt.c --- */

struct lane *attempt_lane_of(const struct router *r, uint16_t member, uint32_t partition);

/* Sends one leg its request. False when it could not be sent; the call is then answered, or waits.
 */
bool attempt_send(struct router *r, struct call *c, struct leg *leg, struct lane *lane,
                  struct request *m);

/* Lets a leg wait for the answer to the lane's next question, in place of a request. False as
 * above. */
bool attempt_share(struct router *r, struct call *c, struct leg *leg, struct lane *lane);

/* Takes a leg, or all legs of a call, off their lanes; answers that still come are late. */
void attempt_end_leg(struct router *r, struct leg *leg);
void attempt_end_legs(struct router *r, struct call *c);

/* A leg's request will get no answer: its node is silent, or gone. The call is tried elsewhere; a
 * write may have been done, for the reason given. */
void attempt_lose_leg(struct router *r, struct leg *leg, enum failure doubt);

/* A lane's output has grown: the edge has to look at it. */
void attempt_mark_dirty(struct router *r, struct lane *lane);

/* Sends a call once more, at once or, when that did not help, later. */
void attempt_again(struct router *r, struct call *c, enum failure reason);

/* Some of a partition's replicas, by their index in the ring's order: as many as are wanted, or
 * fewer when fewer can be reached. Begins at another one each time. Returns how many. */
uint32_t attempt_choose(struct router *r, const struct call *c, uint8_t *chosen, uint32_t wanted);
bool attempt_may_still_open(const struct router *r, const struct call *c);

/* --- majority.c --- */

void majority_read(struct router *r, struct call *c);
void majority_take(struct router *r, struct leg *leg, const struct reply *reply, struct bytes body);

#endif
