/* What a replica is given of the time before it followed: steps that its state has already, kept so
 * that it could answer requests that come again as its primary does. Without them a replica that
 * was copied, or restarted, and leads soon after would have to leave writes in doubt. */
#ifndef RINGKV_NODE_PAST_H
#define RINGKV_NODE_PAST_H

#include "node/group.h"

enum {
    PAST_STEPS_MAX = 64,       /* of a partition, the newest, */
    PAST_BYTES_MAX = 64 << 10, /* and their bytes */
};

/* At the primary: appends its newest steps up to where the step `end` begins (NULL: all), the
 * oldest first. False without memory; some of them may then be in `out`, which does no harm. */
bool past_send(struct shard *s, struct group *g, struct buf *out, const struct history_entry *end);

/* Takes such a step, `frame` being the message as it came. It is not applied. Steps that do not
 * lead to where the replica stands in the end are dropped with the next one that it takes. */
void past_take(struct shard *s, struct group *g, const struct step *m, struct bytes frame);

#endif
