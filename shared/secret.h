/* Edge: the secret that the programs of a cluster share, and how the two ends of a connection show
 * each other that they know it.
 *
 *   connects                            answers
 *   HELLO                        -->
 *                                <--    CHALLENGE: a number of its own
 *   PROOF: a number of its own,
 *   HMAC of both under the key   -->
 *                                <--    WELCOME, with another HMAC of both
 *
 * Who answers without a secret sends no CHALLENGE; who connects with one does not take that for a
 * WELCOME. What comes afterwards is neither encrypted nor signed: this keeps strangers out, not
 * somebody who can change what is on the wire.
 */
#ifndef RINGKV_SHARED_SECRET_H
#define RINGKV_SHARED_SECRET_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/message.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SECRET_KEY_SIZE = 32,
    SECRET_FILE_MIN = 16, /* bytes; less can be guessed */
    SECRET_FILE_MAX = 4096,
};

/* Bytes of a frame that who connects takes from the other before that has said who it is. */
enum { HANDSHAKE_BODY_MAX = 4096 };

struct secret {
    bool set; /* false: none is asked for */
    uint8_t key[SECRET_KEY_SIZE];
};

/* Reads a file, whose bytes, without newlines at the end, are the secret; "" stands for none. A
 * file that every user of the machine may read is refused. 0, RK_IO, RK_INVALID, RK_NOMEM with the
 * reason in `why`. */
int secret_load(struct secret *s, const char *path, char *why, size_t why_size);

/* One connection's part. */
struct handshake {
    bool challenged; /* a CHALLENGE was sent or answered */
    uint8_t challenge[HANDSHAKE_NONCE_SIZE], answer[HANDSHAKE_NONCE_SIZE];
};

/* Who answers: appends a CHALLENGE. 0, RK_NOMEM, RK_IO (no random bytes). */
int handshake_challenge(struct handshake *h, struct buf *out);

/* Whether the PROOF is right; then WELCOME gets its own. */
bool handshake_proven(struct handshake *h, const struct secret *s, struct bytes body,
                      struct welcome *welcome);

/* Who connects: answers a CHALLENGE. 0; RK_REFUSED: without a secret it cannot; RK_CORRUPT,
 * RK_NOMEM, RK_IO. */
int handshake_answer(struct handshake *h, const struct secret *s, struct bytes body,
                     struct buf *out);

/* Whether the other side may be trusted: it knows the secret, or none is set. */
bool handshake_trusts(const struct handshake *h, const struct secret *s,
                      const struct welcome *welcome);

/* What is told when they may not. */
#define HANDSHAKE_NO_SECRET \
    "the node asks for the cluster's secret; set secret_file to the file that the nodes have"
#define HANDSHAKE_NO_TRUST "the node does not know the cluster's secret; is its secret_file set?"

#endif
