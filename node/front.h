/* Edge: the node's main thread. It accepts connections, reads their HELLO, hands those that are
 * meant for a shard to its worker, and serves the rest itself: the ring, and status. */
#ifndef RINGKV_NODE_FRONT_H
#define RINGKV_NODE_FRONT_H

#include "node/node.h"
#include "shared/loop.h"
#include <stdint.h>

struct front;

/* Listens. NULL with a text in `why`. */
struct front *front_new(struct node *node, struct loop *loop, char *why, size_t why_size);
void front_free(struct front *f);

/* Takes no more connections. */
void front_stop(struct front *f);

/* Takes the ring that is in the data folder, if any, and tells the workers. 0, or an error with a
 * text. */
int front_load_ring(struct front *f, char *why, size_t why_size);

/* As ring_keeper_hear; `front` is the struct front. */
void front_newer_epoch(void *front, uint64_t epoch, uint16_t member);

#endif
