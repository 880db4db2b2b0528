/* Edge: gets a newer ring from another node, when it is heard of, over a connection of its own. */
#ifndef RINGKV_NODE_RING_FETCH_H
#define RINGKV_NODE_RING_FETCH_H

#include "shared/bytes.h"
#include "shared/loop.h"
#include "shared/ring.h"
#include "shared/secret.h"
#include <stdint.h>

struct ring_fetch;

/* `take` gets each encoded ring that came; what it makes of it, it tells through ring_fetch_know.
 * NULL: out of memory. */
struct ring_fetch *ring_fetch_new(struct loop *loop, const uint8_t identity[IDENTITY_SIZE],
                                  const struct secret *secret,
                                  void (*take)(void *arg, struct bytes ring), void *arg);
void ring_fetch_free(struct ring_fetch *f);

/* The ring this node has now (kept by the caller until the next call): whose members are asked. */
void ring_fetch_know(struct ring_fetch *f, const struct ring *ring);

/* There is a ring of this epoch: `member` (a number; 0: nobody in particular) knows it, and is
 * asked first, then the others, each once. */
void ring_fetch_hear(struct ring_fetch *f, uint64_t epoch, uint16_t member);

#endif
