/* The messages by which a ring's change is decided and carried out, between ringctl and nodes.
 *
 * Which ring has an epoch is decided once (Paxos with one decree for each epoch; Lamport, "Paxos
 * Made Simple", 2001): the members of the ring before it promise a ballot and accept a ring, and
 * when a majority of them has accepted one, that is it. RING_PUT then makes it the ring.
 */
#ifndef RINGKV_SHARED_MESSAGE_RING_H
#define RINGKV_SHARED_MESSAGE_RING_H

#include "shared/message.h"

/* Ordered by number, then by who proposes. {0, 0}: none. */
struct ballot {
    uint64_t number;
    uint64_t proposer; /* random, so that two never propose under the same ballot */
};

static inline int ballot_compare(struct ballot a, struct ballot b)
{
    if (a.number != b.number)
        return a.number < b.number ? -1 : 1;
    return (a.proposer > b.proposer) - (a.proposer < b.proposer);
}

/* Asks for a promise to accept no ring of this epoch under a lower ballot any more. */
struct ring_prepare {
    uint64_t tag;
    uint64_t epoch; /* of the ring to be decided: one more than the node's */
    struct ballot ballot;
};

struct ring_promise {
    uint64_t tag;
    int error;      /* 0: promised; RK_REFUSED: a higher ballot was; RK_EPOCH: the node is not at
                       the epoch before; else it could not be written down */
    uint64_t epoch; /* of the node's ring */
    struct ballot promised; /* the highest */
    struct ballot accepted; /* under which the ring below was accepted; {0, 0}: none was */
    struct bytes ring;      /* ring_encode */
};

/* Asks to accept a ring; answered by DONE, with RK_REFUSED and RK_EPOCH as above, or RK_INVALID: it
 * cannot follow the node's ring. */
struct ring_accept {
    uint64_t tag;
    struct ballot ballot;
    struct bytes ring;
};

enum progress_flags {
    PROGRESS_LEARNED = 1, /* all learners follow: the partition may become joint */
    PROGRESS_READY = 2,   /* all that is said in doc/replication.md of a ready joint partition */
};

/* Of the partitions that the node leads and that are learning or joint. */
struct progress {
    uint64_t tag;
    uint64_t epoch; /* of the ring by which this is meant; 0: the node has none */
    uint64_t records_copied, bytes_copied; /* sent by this process for changes so far */
    uint32_t count;
    struct bytes entries; /* count times; walk with message_next_progress */
};

struct progress_entry {
    uint32_t partition;
    uint8_t flags;
};

enum { PROGRESS_ENTRY_SIZE = 5 };

/* Encoders and decoders, as in shared/message.h. */
int message_put_ring_prepare(struct buf *out, const struct ring_prepare *m);
int message_get_ring_prepare(struct bytes body, struct ring_prepare *m);
int message_put_ring_promise(struct buf *out, const struct ring_promise *m);
int message_get_ring_promise(struct bytes body, struct ring_promise *m);
int message_put_ring_accept(struct buf *out, const struct ring_accept *m);
int message_get_ring_accept(struct bytes body, struct ring_accept *m);
int message_put_progress_get(struct buf *out, uint64_t tag);

/* `entries` holds count times what message_add_progress puts. */
int message_put_progress(struct buf *out, const struct progress *m);
int message_get_progress(struct bytes body, struct progress *m);
int message_add_progress(struct buf *entries, const struct progress_entry *e);
/* Removes the first entry; false at the end. */
bool message_next_progress(struct bytes *entries, struct progress_entry *e);

#endif
