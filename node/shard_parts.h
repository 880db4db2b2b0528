/* What the files of a shard share; for node/shard*.c only. */
#ifndef RINGKV_NODE_SHARD_PARTS_H
#define RINGKV_NODE_SHARD_PARTS_H

#include "node/shard.h"

/* Hands the signals that gathered over to their links. */
void shard_close_outboxes(struct shard *s);

/* Frees everything that came with a ring. */
void shard_drop_ring(struct shard *s);

#endif
