/* What a node's log tells of a change of the ring when a newer ring is taken: that it was begun,
 * paused, cancelled or has ended, and by whom, so that the log of one node alone says why its
 * partitions move. */
#ifndef RINGKV_NODE_RING_NEWS_H
#define RINGKV_NODE_RING_NEWS_H

#include "shared/ring.h"
#include <stdbool.h>

enum { RING_NEWS_SIZE = 128 + RING_WHAT_MAX + RING_WHO_MAX };

/* Of two rings, the second newer; `before` NULL: the node had none, or has only just started.
 * False: there is nothing to tell. Epochs between the two are not known: of a change that began and
 * ended in them its end is told. */
bool ring_news(const struct ring *before, const struct ring *ring, char text[RING_NEWS_SIZE]);

#endif
