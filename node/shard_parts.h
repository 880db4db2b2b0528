/* What the files of a shard share; for node/shard*.c only. */
#ifndef RINGKV_NODE_SHARD_PARTS_H
#define RINGKV_NODE_SHARD_PARTS_H

#include "node/shard.h"

/* --- shard.c --- */

/* The group that a message is for, or NULL: it was said under another epoch, which is normal while
 * one spreads, or is not for this place. */
struct group *shard_group_for(struct shard *s, uint16_t member, uint64_t epoch, uint32_t partition);

/* Carries out a request now. 0: it is answered, or will be; RK_FULL: there is no room for it,
 * nothing happened. */
int shard_carry_out(struct shard *s, uint64_t client, const struct request *m);

/* --- shard_out.c --- */

/* The box of the link that a partition's messages travel on, or NULL. */
struct outbox *shard_outbox(const struct shard *s, uint16_t member, uint32_t partition);

/* Hands the signals that gathered over to their links. */
void shard_close_outboxes(struct shard *s);

/* --- shard_relay.c --- */

/* A link is gone, and with it the answers to what was passed on by it: whoever asked is told at
 * once, and need not find out by waiting. */
void shard_relays_lost(struct shard *s, uint16_t member, uint16_t shard_of_peer,
                       uint16_t peer_shards);
/* What another replica passes on (MESSAGE_REQUEST), or says of what was passed on to it
 * (MESSAGE_REPLY, MESSAGE_WAITS). 0 or RK_CORRUPT. */
int shard_take_relayed(struct shard *s, uint16_t member, uint8_t type, struct bytes body);

/* --- shard_line.c --- */

/* Lets a request of a group wait in line, or refuses it. */
void shard_join_line(struct shard *s, struct group *g, uint64_t client, const struct request *m);

/* Serves the first in line as long as there is room, up to about so many bytes. Returns how many
 * left. */
size_t shard_serve_line(struct shard *s, size_t bytes_max);

/* Tells whose requests wait, here and for living replicas, that they are not forgotten. */
void shard_tell_waiting(struct shard *s);

/* Ends what has waited for too long, and what this node cannot carry out any more. */
void shard_look_at_line(struct shard *s);

/* --- shard_ring.c --- */

/* Frees everything that came with a ring. */
void shard_drop_ring(struct shard *s);

/* --- shard_waiting.c --- */

/* Takes a STEP, PAST or CHUNK now, or, while the store has no room, later and in its order. 0 or
 * RK_CORRUPT. */
int shard_take_in_order(struct shard *s, uint16_t member, uint8_t type, struct bytes body);

#endif
