/* Edge: what a node tells about itself: lines "name=value". doc/operations.md explains each. */
#ifndef RINGKV_NODE_STATUS_H
#define RINGKV_NODE_STATUS_H

#include "node/node.h"
#include "shared/buf.h"
#include "shared/ring.h"

struct status_front {
    uint64_t uptime_s, unix_ms, connections, accepted, refused, accept_pauses, handshake_failures;
    uint64_t epoch_heard;
};

/* Appends the lines. `ring` may be NULL. 0 or RK_NOMEM. */
int status_write(const struct node *node, const struct ring *ring, const struct status_front *front,
                 struct buf *out);

#endif
