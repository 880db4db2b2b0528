/* One node's half of deciding which ring follows: the acceptor of single-decree Paxos (Lamport,
 * "Paxos Made Simple", 2001), one instance for each epoch. The proposer is tools/ring_propose.h.
 *
 * Pure. A slot changes by making its next state, which must be on stable storage before it is taken
 * and before the answer leaves: an acceptor that forgets what it promised would let two rings of
 * one epoch be decided.
 */
#ifndef RINGKV_NODE_RING_SLOT_H
#define RINGKV_NODE_RING_SLOT_H

#include "shared/buf.h"
#include "shared/message_ring.h"
#include "shared/ring.h"

struct ring_slot {
    uint64_t epoch;         /* of the ring to be decided; 0: this node is in no ring */
    struct ballot promised; /* no lower one is accepted; {0, 0}: none yet */
    struct ballot accepted; /* {0, 0}: none */
    struct buf ring;        /* what was accepted, encoded */
};

enum { RING_SLOT_ENCODED_MAX = 64 + RING_ENCODED_MAX };

/* A new slot: nothing was promised for this epoch. */
struct ring_slot ring_slot_of(uint64_t epoch);
void ring_slot_free(struct ring_slot *s);

/* Promises a ballot. 0: *next is the state to write down; RK_REFUSED: a higher ballot was promised;
 * RK_EPOCH: another epoch is to be decided here; RK_NOMEM. */
int ring_slot_prepare(const struct ring_slot *s, const struct ring_prepare *m,
                      struct ring_slot *next);

/* Accepts a ring, which the caller has decoded, and found fit to follow, as `epoch` tells. Results
 * as above. */
int ring_slot_accept(const struct ring_slot *s, const struct ring_accept *m, uint64_t epoch,
                     struct ring_slot *next);

/* The file's format. Encode appends: 0 or RK_NOMEM. Decode: 0, RK_NOMEM, RK_VERSION, RK_CORRUPT. */
int ring_slot_encode(const struct ring_slot *s, struct buf *out);
int ring_slot_decode(struct bytes in, struct ring_slot *out);

#endif
