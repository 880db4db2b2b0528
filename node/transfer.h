/* Range transfer: makes a backup's partition equal to the primary's.
 *
 * The primary's state is the truth: what the backup has and the primary has not goes away, whatever
 * its version, so deletes cannot come back. Chunks travel on the same link, in order, as the live
 * steps: a step made after a chunk was read arrives after it, so the backup can simply apply both
 * as they come.
 *
 * A backup that was away tells at which version it stands. What the primary has of newer versions
 * it sends; of all else it sends a digest, of some thousand records at once. Where the backup's own
 * records give another digest, it says so, and the stretch is compared in smaller parts, and at
 * last sent whole. So what travels is what changed, wherever it lies, and no stretch is taken for
 * equal that is not: a backup that went another way than the primary, or whose disk has damaged a
 * record, is mended too. An empty replica gets a plain copy.
 *
 * From its first foreign record to the last chunk the backup holds a mixture. It is marked so,
 * durably, serves no read and is no source; it promises with the position that it had before.
 */
#ifndef RINGKV_NODE_TRANSFER_H
#define RINGKV_NODE_TRANSFER_H

#include "node/key_range.h"
#include "node/peer_message.h"
#include "shared/limits.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;
struct group;
struct group_peer;

enum {
    CHUNK_BYTES = 256 << 10, /* a chunk ends when it has passed this */
    CHUNK_RECORDS = 2048,    /* or holds so many */
    CHUNKS_IN_FLIGHT = 2,    /* not yet answered */
    TRANSFERS_MAX =
        4, /* of a shard to one member at a time, so that it can write what it is sent */
};
_Static_assert((int)CHUNK_RECORDS <= (int)STORE_CHANGES_MAX, "a chunk is one batch");

/* How closely a stretch is compared. */
enum transfer_level {
    TRANSFER_COARSE, /* digests of thousands of records */
    TRANSFER_FINE,   /* of a hundred */
    TRANSFER_WHOLE,  /* no digests, all records */
    TRANSFER_LEVELS,
};

/* A stretch that is not done yet; its range's lower bound moves along. */
struct transfer_stretch {
    bool used;
    uint8_t level; /* enum transfer_level */
    struct key_range range;
};

enum transfer_kind {
    TRANSFER_BRING_UP, /* the backup does not follow, and will in the end */
    TRANSFER_COMPARE,  /* it follows: tells what differs */
    TRANSFER_REPAIR,   /* and mends it, where it lies */
};

/* The primary's side. */
struct transfer_out {
    struct transfer_out *next, **before; /* of the shard's */
    uint16_t member;
    uint8_t kind;   /* enum transfer_kind */
    bool verifying; /* for node/verify.h, which is told of its end */
    uint64_t id;
    uint64_t sent;        /* chunks */
    bool complete;        /* the last chunk is sent */
    struct version since; /* where the backup stood */
    struct version at;    /* as of the newest chunk */
    /* The partition, and what has to be compared more closely, or sent again. A level is walked
     * only while no finer one is left, so there are hardly more of each than can be in flight. */
    struct transfer_stretch stretches[1 + TRANSFER_LEVELS * CHUNKS_IN_FLIGHT];
    struct transfer_flight {
        uint64_t number; /* of the chunk; 0: free */
        uint8_t level;
        struct key_range range;
    } flights[CHUNKS_IN_FLIGHT];
};

/* The backup's side. */
struct transfer_in {
    uint64_t id; /* 0: none */
    uint64_t view;
    uint64_t next; /* number of the next chunk */
};

/* Begins a transfer to a peer, from where it said that it stands: now; or when it is its turn and
 * this node has on stable storage what the peer may have of its view. */
void transfer_begin(struct shard *s, struct group *g, struct group_peer *peer);
/* This node has operations of its view up to `op` on stable storage now, and `before` (-1: none)
 * until now: somebody's turn may have come. */
void transfer_source_synced(struct shard *s, const struct group *g, int64_t before, int64_t op);
/* Begins those that wait and whose turn it is; at the end of every turn. */
void transfer_begin_waiting(struct shard *s);
/* Compares a replica that follows, and repairs it. False: its turn has not come, or it does not
 * follow. */
bool transfer_compare(struct shard *s, struct group *g, struct group_peer *peer,
                      enum transfer_kind kind, bool verifying);
/* Sends chunks as far as they may be in flight. */
void transfer_continue(struct shard *s, struct group *g, struct group_peer *peer);
/* A chunk is written or found equal (SIGNAL_TAKEN), its digest is not the backup's
 * (SIGNAL_DIFFERS), or it has to come again (SIGNAL_LATER). */
void transfer_answered(struct shard *s, struct group *g, struct group_peer *peer,
                       const struct signal *m);
void transfer_stop(struct shard *s, struct group_peer *peer);

/* Whether the pace of copies lets something be sent to a replica now, and that it was. */
bool transfer_may_send(const struct shard *s, const struct group_peer *peer);
void transfer_count(struct shard *s, const struct group_peer *peer, uint32_t records,
                    uint64_t bytes);

/* Takes a chunk at the backup. *whole: it was the last one, the group stands at m->at. 0 (also when
 * the chunk is of no running transfer, and ignored), or the error for which it could not be
 * written. */
int transfer_take(struct shard *s, struct group *g, uint16_t from, const struct chunk *m,
                  bool *whole);
void transfer_forget(struct transfer_in *t);
/* Takes a chunk of a comparison. */
void transfer_take_compare(struct shard *s, struct group *g, uint16_t from, const struct chunk *m);
/* Gives answers that were held back while the store was slowed down; with every tick. */
void transfer_answer(struct shard *s);

#endif
