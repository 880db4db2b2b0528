/* The messages between proxies, nodes and ringctl: bodies of frames.
 *
 * Decoders check everything: sizes, counts, ranges, that nothing is left over. What they give back
 * points into the frame's body. Encoders append a whole frame. A connection begins with HELLO and
 * WELCOME (or GOODBYE).
 */
#ifndef RINGKV_SHARED_MESSAGE_H
#define RINGKV_SHARED_MESSAGE_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/limits.h"
#include <stdbool.h>
#include <stdint.h>

enum message_type {
    MESSAGE_HELLO = 1,   /* who connects, and to what */
    MESSAGE_WELCOME = 2, /* who answers */
    MESSAGE_GOODBYE = 3, /* why this connection ends; the last message on it */
    MESSAGE_PING = 4,    /* nothing but a sign of life; answered by PONG */
    MESSAGE_PONG = 5,
    MESSAGE_CHALLENGE = 6, /* answers a HELLO where there is a secret; shared/secret.h */
    MESSAGE_PROOF = 7,     /* answers it */

    MESSAGE_REQUEST = 10, /* proxy → primary: an operation */
    MESSAGE_REPLY = 11,
    MESSAGE_WAITS = 12, /* a request (its id) has to wait: for room, or for replicas that are slow.
                           Said again every node_timeout; its REPLY comes later */
    MESSAGE_TOUCHED_GET = 13, /* proxy → shard (shared/message_touched.h) */
    MESSAGE_TOUCHED = 14,

    MESSAGE_RING_GET = 20, /* anybody → node */
    MESSAGE_RING = 21,     /* the ring, in answer or because a new epoch came */
    MESSAGE_RING_PUT = 22, /* ringctl → node: go by this ring, if you are at that epoch */
    MESSAGE_DONE = 23,     /* the answer to RING_PUT */
    MESSAGE_STATUS_GET = 24,
    MESSAGE_STATUS = 25,
    /* Deciding and carrying out changes of the ring (shared/message_ring.h). */
    MESSAGE_RING_PREPARE = 26,
    MESSAGE_RING_PROMISE = 27,
    MESSAGE_RING_ACCEPT = 28,
    MESSAGE_PROGRESS_GET = 29,
    MESSAGE_PROGRESS = 40,
    MESSAGE_VERIFY =
        41, /* ringctl → node: compare replicas, or tell how far you are; answered by STATUS */

    /* Between nodes (node/peer_message.h). */
    MESSAGE_SIGNALS = 30,
    MESSAGE_STEP = 31,
    MESSAGE_CHUNK = 32,
    MESSAGE_DIFFERENCE = 33,
    MESSAGE_PAST = 34, /* a STEP that the receiver's state will have with the end of its transfer */
};

/* A view in one word: its number above, the number of the member that leads it below. Views compare
 * as numbers. 0 is no view. */
static inline uint64_t view_of(uint64_t number, uint16_t member)
{
    return number << 16 | member;
}
static inline uint64_t view_number(uint64_t view)
{
    return view >> 16;
}
static inline uint16_t view_member(uint64_t view)
{
    return (uint16_t)view;
}

enum message_role { ROLE_PROXY = 1, ROLE_NODE = 2, ROLE_CONTROL = 3 };

enum { SHARD_FRONT = 0xffff }; /* HELLO's shard when none is meant: ring, status */

struct hello {
    uint8_t role;                    /* enum message_role */
    uint8_t from_shard;              /* of a node that connects */
    uint8_t cluster[IDENTITY_SIZE];  /* zero: not known yet (only with SHARD_FRONT) */
    uint8_t identity[IDENTITY_SIZE]; /* of the member that connects; zero for proxies and ringctl */
    uint8_t target[IDENTITY_SIZE];   /* the member that is meant; zero: whoever answers */
    uint16_t shard;                  /* of the target, or SHARD_FRONT */
    uint64_t epoch;                  /* the ring the connecting side has; 0: none */
};

enum { HANDSHAKE_NONCE_SIZE = 32, HANDSHAKE_PROOF_SIZE = 32 };

struct welcome {
    uint8_t cluster[IDENTITY_SIZE]; /* zero: in no ring yet */
    uint8_t identity[IDENTITY_SIZE];
    uint16_t shards;
    uint64_t epoch; /* 0: no ring */
    bool proven;    /* `proof` is there: it knows the secret */
    uint8_t proof[HANDSHAKE_PROOF_SIZE];
};

struct goodbye {
    int error; /* of shared/error.h */
    struct bytes text;
};

enum request_level {
    LEVEL_LINEAR =
        0, /* the newest acknowledged state: at the primary, which asks a majority first */
    LEVEL_PRIMARY = 1, /* the primary, without confirming that it still is one */
    LEVEL_ANY = 2,     /* any replica, may be old */
    LEVEL_VALUE = 3,   /* any replica, with the proof of what it saw: half of a majority read */
    LEVEL_VERSION = 4, /* the proof alone: the other half */
};

enum request_flags {
    REQUEST_RETRY = 1, /* an earlier attempt may have been carried out */
    REQUEST_LEAD = 2,  /* the proxy cannot reach the primary: relay to it, or lead */
};

struct request {
    uint64_t
        id; /* chosen by the proxy, comes back in the reply; unique in flight on a connection */
    uint64_t epoch; /* in which the partition's voters changed last (ring_changed), as the proxy
                       knows it */
    uint64_t
        view; /* the view that is addressed: a primary of another one refuses. 0: not known yet */
    uint64_t session,
        number; /* the request's identity, the same in every attempt; session 0: a read */
    uint64_t base_view,
        base_op; /* the newest operation of the partition that the proxy knew of when it
                    first sent the request: it was not carried out before that */
    uint32_t partition;
    uint8_t op;    /* enum operation */
    uint8_t level; /* enum request_level */
    uint8_t flags; /* enum request_flags */
    uint16_t arg_count;
    uint16_t wait_ms;  /* how long it may wait in line for room; then it is refused as BUSY */
    struct bytes args; /* arg_count times: u32 size, bytes; walk with message_next_arg */
};

enum reply_kind {
    REPLY_OK = 1,
    REPLY_NIL = 2,
    REPLY_INTEGER = 3,
    REPLY_BULK = 4,
    REPLY_ARRAY = 5, /* count times: u32 size (UINT32_MAX: nil), bytes */
    REPLY_ERROR =
        6, /* the operation ran and answers with an error; `data` is RESP's text ("ERR ...") */
    REPLY_REFUSED = 7, /* it was not run: `refusal` says why */
    REPLY_VERSION = 8, /* the proof, and where the replica stands */
    REPLY_RESULTS = 9, /* of a transaction, count of them: shared/transaction.h */
};

enum refusal {
    REFUSAL_EPOCH = 1,     /* the ring has changed: fetch it; `epoch` is the node's */
    REFUSAL_ELSEWHERE = 2, /* not the primary, or of another view: `view` is the one it knows, `op`
                              its newest operation if it leads that view itself */
    REFUSAL_NOQUORUM = 3,  /* no majority of the replicas is reachable */
    REFUSAL_NOSPACE = 4,   /* the disk is full */
    REFUSAL_BUSY = 5,      /* too much is in flight, or waits */
    REFUSAL_MALFORMED = 6, /* the request is not valid */
    REFUSAL_DAMAGED = 7,   /* the stored record's checksum is wrong */
    REFUSAL_UNCERTAIN =
        8, /* it may have taken effect, or may yet: ask again, with the same number */
    REFUSAL_FORGOTTEN = 9, /* it may have taken effect, and that cannot be found out any more */
};

struct reply {
    uint64_t id;
    uint8_t kind;    /* enum reply_kind */
    uint8_t refusal; /* enum refusal */
    int64_t integer;
    uint64_t epoch, view; /* REPLY_REFUSED */
    uint64_t op;          /* REPLY_REFUSED; REPLY_VERSION: the newest operation of the state */
    /* REPLY_VERSION: the shard's touches so far (shared/message_touched.h), all that the replica
     * holds being on stable storage; 0: it is not. */
    uint64_t touches;
    uint32_t count;    /* REPLY_ARRAY, REPLY_RESULTS */
    struct bytes data; /* REPLY_BULK, REPLY_ERROR, REPLY_ARRAY, REPLY_RESULTS */
    /* Of a read at LEVEL_VALUE or LEVEL_VERSION: what the replica saw (shared/proof.h). Of a write:
     * the operation (view, op) that it became. */
    struct bytes proof;
};

/* Sizes of a read's proof: its head, and what it has of each key; of a write's, which is one
 * version. */
enum { PROOF_HEAD_SIZE = 16, PROOF_VERSION_SIZE = 16, PROOF_MAX = 16 + 16 * MESSAGE_ARGS_MAX };

struct ring_put {
    uint64_t tag;
    uint64_t expected_epoch; /* 0: only a node that is in no ring takes it */
    struct bytes ring;       /* ring_encode */
};

struct done {
    uint64_t tag;
    int error;      /* 0: done */
    uint64_t epoch; /* the node's, afterwards */
    struct bytes text;
};

/* Encoders: 0, RK_NOMEM or RK_TOOBIG; on failure `out` is unchanged. */
int message_put_hello(struct buf *out, const struct hello *m);
int message_put_welcome(struct buf *out, const struct welcome *m);
int message_put_challenge(struct buf *out, const uint8_t nonce[HANDSHAKE_NONCE_SIZE]);
int message_put_proof(struct buf *out, const uint8_t nonce[HANDSHAKE_NONCE_SIZE],
                      const uint8_t proof[HANDSHAKE_PROOF_SIZE]);
int message_put_goodbye(struct buf *out, int error, const char *text);
int message_put_ping(struct buf *out, uint64_t tag);
int message_put_pong(struct buf *out, uint64_t tag);
int message_put_waits(struct buf *out, uint64_t id);
int message_put_ring_get(struct buf *out, uint64_t tag);
int message_put_ring(struct buf *out, uint64_t tag, struct bytes ring);
int message_put_ring_put(struct buf *out, const struct ring_put *m);
int message_put_done(struct buf *out, const struct done *m);
/* VERIFY: with VERIFY_BEGIN the node begins to compare the replicas of what it leads, under a
 * number that whoever asks has chosen; in any case it tells how far it is. */
enum verify_flags { VERIFY_BEGIN = 1, VERIFY_REPAIR = 2 };
int message_put_verify(struct buf *out, uint64_t tag, uint64_t run, uint8_t flags);
int message_get_verify(struct bytes body, uint64_t *tag, uint64_t *run, uint8_t *flags);
int message_put_status_get(struct buf *out, uint64_t tag);
/* Status text is lines "name=value\n", for people and programs alike. */
int message_put_status(struct buf *out, uint64_t tag, struct bytes text);

/* A request with the arguments of `m`, which are encoded as message_next_arg reads them. 0,
 * RK_NOMEM, RK_TOOBIG (FRAME_BODY_MAX); on failure `out` is as it was. */
int message_put_request(struct buf *out, const struct request *m);

/* Replies; an array's values as they are (from a decoded one), or in three steps: begin, add each
 * value, end. begin returns where, for the others; SIZE_MAX: out of memory. A failure in add or end
 * leaves `out` as it was before begin; after a failed add do not call end. */
int message_put_reply(struct buf *out, const struct reply *m);
size_t message_begin_array_reply(struct buf *out, uint64_t id);
int message_add_value(struct buf *out, size_t begun, const struct bytes *value); /* NULL: nil */
int message_end_array_reply(struct buf *out, size_t begun, struct bytes proof);

/* Decoders of a frame's body: 0 or RK_CORRUPT. */
int message_get_hello(struct bytes body, struct hello *m);
int message_get_welcome(struct bytes body, struct welcome *m);
int message_get_challenge(struct bytes body, uint8_t nonce[HANDSHAKE_NONCE_SIZE]);
int message_get_proof(struct bytes body, uint8_t nonce[HANDSHAKE_NONCE_SIZE],
                      uint8_t proof[HANDSHAKE_PROOF_SIZE]);
int message_get_goodbye(struct bytes body, struct goodbye *m);
int message_get_request(struct bytes body,
                        struct request *m); /* op, arg_count and args match too */
int message_get_reply(struct bytes body, struct reply *m);
int message_get_tag(struct bytes body, uint64_t *tag); /* PING, PONG, WAITS, RING_GET, STATUS_GET */
int message_get_tagged(struct bytes body, uint64_t *tag, struct bytes *rest); /* RING, STATUS */
int message_get_ring_put(struct bytes body, struct ring_put *m);
int message_get_done(struct bytes body, struct done *m);

/* Parts of the decoders, for what travels inside of other things: whether arguments fit an
 * operation, whether values are so many. 0 or RK_CORRUPT. */
int message_check_args(uint8_t op, uint16_t arg_count, struct bytes args);
int message_check_values(struct bytes values, uint32_t count);

/* Walks the arguments of a decoded request or the values of a decoded array reply: the next one,
 * removed from the front of `rest`. `nil` may be NULL. The bytes were checked by the decoder. */
struct bytes message_next_arg(struct bytes *rest, bool *nil);

#endif
