/* Whether a node's answer about a range of keys (SCAN, COUNT, FLUSH) is one that leads on.
 *
 * A walk over all keys goes on where the node says. So that it ends whatever a node says, every
 * answer has to come closer to the end of the partition that was asked for.
 */
#ifndef RINGKV_PROXY_RANGE_ANSWER_H
#define RINGKV_PROXY_RANGE_ANSWER_H

#include "proxy/request.h"
#include "shared/ring.h"
#include <stdbool.h>

/* `c` has its arguments still. Its reply is REPLY_ARRAY, REPLY_BULK or REPLY_NIL. */
bool range_answer_fits(const struct ring *ring, const struct call *c, const struct reply *reply);

#endif
