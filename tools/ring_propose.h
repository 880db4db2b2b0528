/* Deciding the next ring: the proposer's half of single-decree Paxos (Lamport, "Paxos Made Simple",
 * 2001), one instance for each epoch. Its acceptors are nodes of the ring before (node/ring_slot.h
 * is their half). Pure: what the nodes answer comes in, what to send next is told by the state.
 *
 *   begin ──PREPARE to all──> PREPARING ──promises of a majority──> ACCEPTING
 *   ACCEPTING: send ACCEPT with ring_propose_value to all ──acceptances of a majority──> DECIDED
 *
 * A value that some acceptor has accepted before may have been decided already: it is proposed
 * instead of the own one, so that nothing decided is ever undecided. The caller sees by
 * ring_propose_is_own whether it was its own ring that won.
 */
#ifndef RINGKV_TOOLS_RING_PROPOSE_H
#define RINGKV_TOOLS_RING_PROPOSE_H

#include "shared/buf.h"
#include "shared/limits.h"
#include "shared/message_ring.h"
#include <stdbool.h>
#include <stdint.h>

enum propose_state {
    PROPOSE_PREPARING, /* send PREPARE to the acceptors, report what they answer */
    PROPOSE_ACCEPTING, /* send ACCEPT to them */
    PROPOSE_DECIDED,   /* the value is the next ring; give it to everybody */
    PROPOSE_OVERTAKEN, /* somebody uses a higher ballot: wait a little, begin again above it */
    PROPOSE_STALE,     /* a node has a ring of this epoch or a later one: fetch it */
    PROPOSE_FAILED,    /* no majority can answer any more; what was sent may still take effect */
};

struct ring_propose {
    enum propose_state state;
    uint32_t acceptors; /* how many there are */
    struct ballot ballot;
    struct bytes own; /* encoded; the caller's, stays valid */
    struct buf found; /* what was accepted at the highest ballot, if anything */
    struct ballot found_ballot;
    uint64_t highest_number;    /* of any ballot that was heard of */
    uint64_t newest_epoch;      /* of any node that has gone on */
    uint32_t yes, no;           /* answers in the present state */
    bool answered[MEMBERS_MAX]; /* in the present state: answers count once */
};

/* Begins with a ballot of this number; `proposer` is a random number of the caller's, not 0. To
 * begin again after OVERTAKEN or FAILED: number above highest_number, the same ring. */
void ring_propose_begin(struct ring_propose *p, uint32_t acceptors, uint64_t number,
                        uint64_t proposer, struct bytes own);
void ring_propose_free(struct ring_propose *p);

/* What acceptor `from` answered to PREPARE. 0 or RK_NOMEM (then the run has FAILED). */
int ring_propose_promise(struct ring_propose *p, uint32_t from, const struct ring_promise *m);

/* What acceptor `from` answered to ACCEPT: 0, RK_EPOCH with the node's epoch, or another error. */
void ring_propose_accepted(struct ring_propose *p, uint32_t from, int error, uint64_t epoch);

/* Acceptor `from` does not answer. */
void ring_propose_silent(struct ring_propose *p, uint32_t from);

/* What to send with ACCEPT, and what is decided. */
static inline struct bytes ring_propose_value(const struct ring_propose *p)
{
    return buf_len(&p->found) ? buf_bytes(&p->found) : p->own;
}

static inline bool ring_propose_is_own(const struct ring_propose *p)
{
    return bytes_equal(ring_propose_value(p), p->own);
}

#endif
