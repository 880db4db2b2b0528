/* Passwords as salted hashes: PBKDF2 with HMAC-SHA-256 (RFC 8018), written as one word
 *
 *   pbkdf2-sha256:ITERATIONS:SALT:HASH
 *
 * with 16 bytes of salt and 32 of hash in hexadecimal. The cost is meant: whoever reads the file
 * has to pay it for every guess. So no event loop computes a hash (proxy/errands.h).
 */
#ifndef RINGKV_PROXY_PASSWORD_H
#define RINGKV_PROXY_PASSWORD_H

#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    PASSWORD_SIZE_MAX = 512, /* bytes; a longer one is never right */
    PASSWORD_SALT_SIZE = 16,
    PASSWORD_HASH_SIZE = 32,
    PASSWORD_ITERATIONS = 200000, /* of a new hash; about 0.1 s of a 2020s core */
    PASSWORD_ITERATIONS_MIN = 1000,
    PASSWORD_ITERATIONS_MAX = 10000000, /* some seconds: more would be a mistake */
    PASSWORD_TEXT_SIZE = 128,           /* of the word above, with its NUL */
    PASSWORD_PROOF_SIZE = 32,
};

struct password {
    uint32_t iterations;
    uint8_t salt[PASSWORD_SALT_SIZE];
    uint8_t hash[PASSWORD_HASH_SIZE];
};

/* Hashes a password; `salt` is random. 0; RK_INVALID: empty, or with a NUL in it; RK_TOOBIG;
 * RK_NOMEM. */
int password_make(struct password *out, struct bytes password,
                  const uint8_t salt[PASSWORD_SALT_SIZE], uint32_t iterations);

/* Reads the word. 0 or RK_INVALID. */
int password_read(struct bytes text, struct password *out);
void password_write(const struct password *p, char text[PASSWORD_TEXT_SIZE]);

/* Takes as long as making it did, right or wrong, and compares in constant time. */
bool password_matches(const struct password *p, struct bytes password);

/* A short-lived stand-in for the hash: HMAC-SHA-256 of the password under a key that never leaves
 * the process. Two microseconds, so a client that logs in with what was found right before need
 * not wait. 0 or RK_NOMEM. */
int password_prove(const uint8_t key[PASSWORD_PROOF_SIZE], struct bytes password,
                   uint8_t proof[PASSWORD_PROOF_SIZE]);
bool password_proof_equal(const uint8_t a[PASSWORD_PROOF_SIZE],
                          const uint8_t b[PASSWORD_PROOF_SIZE]);

/* Overwrites what was secret, also where the compiler sees no use of it. */
void password_forget(void *secret, size_t size);

#endif
