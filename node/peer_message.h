/* Messages between the replicas of a partition: bodies of frames, like shared/message.h.
 *
 * SIGNALS carries many small notices about many partitions at once (a node that starts prepares all
 * its partitions in one message). STEP carries one step of a partition's history, CHUNK a piece of
 * a range transfer. All of them say in which epoch the partition's voters changed last, as their
 * sender knows it (ring_changed), and are taken only where the same is known.
 */
#ifndef RINGKV_NODE_PEER_MESSAGE_H
#define RINGKV_NODE_PEER_MESSAGE_H

#include "node/range_digest.h"
#include "node/store.h"
#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/message.h"

enum signal_kind {
    SIGNAL_PREPARE = 1, /* candidate → replica: promise `view` */
    SIGNAL_PROMISE = 2, /* replica → candidate: promised; my state is `last` */
    SIGNAL_REFUSED = 3, /* I have promised `view`, which is higher than yours */
    SIGNAL_LEADING = 4, /* primary → replica: I lead `view` and am at `last`; where are you? */
    SIGNAL_ACK = 5, /* replica → primary of `view`: all up to `last` is on stable storage here */
    SIGNAL_GAP =
        6, /* replica → primary of `view`: I am at `last` and cannot follow what you sent */
    SIGNAL_TAKEN = 7, /* replica → primary: chunk `last.op` of the transfer `last.view` is written,
                         or found equal */
    SIGNAL_LEAD = 8,  /* to the replica that should lead: the most advanced, or the preferred one */
    SIGNAL_CONFIRM =
        9, /* primary → replica: is `view` the highest you promised? (round `last.op`) */
    SIGNAL_CONFIRMED = 10, /* replica → primary: it is */
    SIGNAL_FAILED = 11, /* replica → primary: what you sent could not be written; I am at `last` */
    SIGNAL_DIFFERS = 12, /* replica → primary: of chunk `last.op` of the transfer `last.view` I have
                            a different digest */
    SIGNAL_LATER = 13,   /* replica → primary: that chunk finds no room now, send it again */
    SIGNAL_DAMAGED =
        14, /* replica → primary: a record of mine cannot be read, compare and repair */
};

enum {
    SIGNAL_PARTIAL = 1, /* flag: half-way through a transfer, the state is of no use */
    SIGNAL_NO_PAST = 2, /* flag: it remembers no steps that led to its state */
};

struct signal {
    uint8_t kind;
    uint8_t flags;
    uint32_t partition;
    uint64_t epoch; /* ring_changed of the partition */
    uint64_t view;
    struct version last;
};

enum { SIGNAL_SIZE = 40, SIGNALS_MAX = 4096 };

enum step_kind {
    STEP_START = 1, /* a view begins: `from` is the state that its primary adopted */
    STEP_OPERATION = 2,
};

/* One step of a partition's history. A replica takes it only when its state is exactly `from`, and
 * is then at `at`. */
struct step {
    uint64_t epoch; /* ring_changed of the partition */
    uint64_t view;  /* of the primary that sends it; at.view is the view in which it was made */
    uint32_t partition;
    uint8_t kind;
    struct version from, at;
    uint64_t session, number; /* of the request behind it; 0: none */
    uint8_t result_kind;      /* enum reply_kind: what that request was answered; 0: not told */
    int64_t result_integer;   /* of an array or a transaction, how many there are */
    struct bytes result_data; /* of a bulk, an error, an array, a transaction */
    uint16_t change_count;
    struct bytes changes; /* walk with peer_next_change */
};

enum { CHUNK_FIRST = 1, CHUNK_LAST = 2, CHUNK_DIGEST = 4, CHUNK_COMPARE = 8, CHUNK_REPAIR = 16 };

/* A piece of a range transfer: the sender's records behind `lower` up to `upper`. Without
 * CHUNK_DIGEST all of them: a record that the receiver has there and that is not here goes away.
 * With it some of them, and a digest of all others. With CHUNK_COMPARE it is of no transfer, but
 * for a receiver that stands at `at`: it tells what differs, and with CHUNK_REPAIR mends it.
 * CHUNK_LAST has neither range nor records: the transfer is over, the receiver's state is `at`. */
struct chunk {
    uint64_t epoch; /* ring_changed of the partition */
    uint64_t view;
    uint32_t partition;
    uint8_t flags;
    uint64_t transfer;         /* chosen by the primary, new for every transfer */
    uint64_t number;           /* of the chunk, from 1 */
    struct version at;         /* the sender's state when it read them */
    struct bytes lower, upper; /* store keys; size 0: the partition's beginning, end */
    struct range_digest rest;
    uint16_t change_count;
    struct bytes changes;
};

/* Keys of records that differ at a replica from what the primary has, found by a CHUNK_COMPARE. */
struct difference {
    uint64_t epoch;
    uint64_t view;
    uint32_t partition;
    bool repaired;
    uint32_t count;
    struct bytes keys; /* count times: u16 size, a store key; walk with peer_next_key */
};

/* Opens a SIGNALS frame: where it begins, or SIZE_MAX, out of memory. / Appends to it: 0 or
 * RK_NOMEM. The frame is closed with frame_end. */
size_t peer_begin_signals(struct buf *out);
int peer_add_signal(struct buf *out, const struct signal *s);

/* Checks the body of a SIGNALS frame: 0 or RK_CORRUPT. */
int peer_check_signals(struct bytes body);
/* Removes the first signal from `signals`, a body that passed; false at the end. */
bool peer_next_signal(struct bytes *signals, struct signal *out);

/* Encodes a whole frame; 0, RK_NOMEM, RK_TOOBIG (out unchanged). `changes` and `change_count` of
 * the struct are not used, the array is. */
int peer_put_step(struct buf *out, const struct step *s, const struct store_change *changes,
                  size_t change_count);

/* Replaces epoch and view in an encoded STEP frame and mends its checksum: a step made in one view
 * may have to be sent again by the primary of a later one. */
void peer_restamp_step(uint8_t *frame, uint64_t epoch, uint64_t view);

/* A chunk in three steps: begin (with all but what the end takes) tells where, for the others, or
 * SIZE_MAX: out of memory; add each record; end (takes flags, change_count, rest and upper). A
 * failure in add or end, RK_NOMEM or RK_TOOBIG, leaves `out` as it was before begin; after a failed
 * add do not call end. */
size_t peer_begin_chunk(struct buf *out, const struct chunk *c);
int peer_add_change(struct buf *out, size_t begun, const struct store_change *change);
int peer_end_chunk(struct buf *out, size_t begun, const struct chunk *c);

/* Encodes a whole frame: 0, RK_NOMEM, RK_TOOBIG (out unchanged). */
int peer_put_difference(struct buf *out, const struct difference *d);

/* Decoders of a frame's body: 0 or RK_CORRUPT. What they give points into the body. */
int peer_get_step(struct bytes body, struct step *s);
int peer_get_chunk(struct bytes body, struct chunk *c);
int peer_get_difference(struct bytes body, struct difference *d);

/* Removes the first key of a difference; false at the end. */
bool peer_next_key(struct bytes *keys, struct bytes *key);

/* Removes the first change; false at the end. The bytes were checked by the decoder. */
bool peer_next_change(struct bytes *changes, struct store_change *out);

#endif
