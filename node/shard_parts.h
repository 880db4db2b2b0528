/* What the files of a shard share; for node/shard*.c only. */
#ifndef RINGKV_NODE_SHARD_PARTS_H
#define RINGKV_NODE_SHARD_PARTS_H

#include "node/shard.h"

/* --- shard.c --- */

/* The box of the link that a partition's messages travel on, or NULL. */
struct outbox *shard_outbox(const struct shard *s, uint16_t member, uint32_t partition);

/* The group that a message is for, or NULL: it was said under another epoch, which is normal while
 * one spreads, or is not for this place. */
struct group *shard_group_for(struct shard *s, uint16_t member, uint64_t epoch, uint32_t partition);

/* Hands the signals that gathered over to their links. */
void shard_close_outboxes(struct shard *s);

/* --- shard_ring.c --- */

/* Frees everything that came with a ring. */
void shard_drop_ring(struct shard *s);

/* --- shard_waiting.c --- */

/* Takes a STEP, PAST or CHUNK now, or, while the store has no room, later and in its order. 0 or
 * RK_CORRUPT. */
int shard_take_in_order(struct shard *s, uint16_t member, uint8_t type, struct bytes body);

#endif
