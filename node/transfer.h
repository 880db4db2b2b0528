/* Range transfer: makes a backup's partition equal to the primary's.
 *
 * The primary's state is the truth: what the backup has and the primary has not goes away, whatever
 * its version, so deletes cannot come back. Chunks travel on the same link, in order, as the live
 * steps: a step made after a chunk was read arrives after it, so the backup can simply apply both
 * as they come.
 *
 * From its first foreign record to the last chunk the backup holds a mixture. It is marked so,
 * durably, serves no read and is no source; it promises with the position that it had before.
 */
#ifndef RINGKV_NODE_TRANSFER_H
#define RINGKV_NODE_TRANSFER_H

#include "node/peer_message.h"
#include "shared/limits.h"
#include "shared/ring.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;
struct group;
struct group_peer;

enum {
    CHUNK_BYTES = 256 << 10, /* a chunk ends when it has passed this */
    CHUNK_RECORDS = 2048,    /* or holds so many */
    CHUNKS_IN_FLIGHT = 4,    /* not yet confirmed to be on stable storage */
};
_Static_assert((int)CHUNK_RECORDS <= (int)STORE_CHANGES_MAX, "a chunk is one batch");

/* The primary's side. */
struct transfer_out {
    uint64_t id;
    uint64_t sent, taken; /* chunks */
    bool complete;        /* the last chunk is sent */
    struct version at;    /* as of the newest chunk */
    uint16_t cursor_size;
    uint8_t cursor[STORE_KEY_SIZE_MAX]; /* last key sent */
};

/* The backup's side. */
struct transfer_in {
    uint64_t id; /* 0: none */
    uint64_t view;
    uint64_t next; /* number of the next chunk */
    uint16_t cursor_size;
    uint8_t *cursor; /* last key taken; allocated while a transfer runs */
};

/* Begins a transfer to a peer. 0 or RK_NOMEM. */
int transfer_begin(struct shard *s, struct group *g, struct group_peer *peer);
/* Sends chunks as far as they may be in flight. */
void transfer_continue(struct shard *s, struct group *g, struct group_peer *peer);
void transfer_taken(struct shard *s, struct group *g, struct group_peer *peer,
                    const struct signal *m);
void transfer_stop(struct group_peer *peer);

/* Takes a chunk at the backup. *whole: it was the last one, the group stands at m->at. 0 (also when
 * the chunk is of no running transfer, and ignored), or the error for which it could not be
 * written. */
int transfer_take(struct shard *s, struct group *g, uint16_t from, const struct chunk *m,
                  bool *whole);
void transfer_forget(struct transfer_in *t);

/* The first possible key behind a cursor, or of the partition when the cursor is empty; the last
 * possible of it. */
struct bytes transfer_range_begin(const struct ring *ring, uint32_t partition, struct bytes cursor,
                                  uint8_t from[STORE_KEY_SIZE_MAX + 1]);
struct bytes transfer_range_end(const struct ring *ring, uint32_t partition,
                                uint8_t to[STORE_KEY_SIZE_MAX]);

#endif
