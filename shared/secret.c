#include "shared/secret.h"
#include "shared/error.h"
#include "shared/file.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Says for whom a proof is, so that nobody can be made to prove it for the other. */
enum side { SIDE_CONNECTS = 'c', SIDE_ANSWERS = 'a' };

static bool prove(const struct handshake *h, const struct secret *s, enum side side,
                  uint8_t proof[HANDSHAKE_PROOF_SIZE])
{
    uint8_t text[1 + 2 * HANDSHAKE_NONCE_SIZE] = {(uint8_t)side};
    unsigned size = HANDSHAKE_PROOF_SIZE;

    memcpy(text + 1, h->challenge, HANDSHAKE_NONCE_SIZE);
    memcpy(text + 1 + HANDSHAKE_NONCE_SIZE, h->answer, HANDSHAKE_NONCE_SIZE);
    return HMAC(EVP_sha256(), s->key, SECRET_KEY_SIZE, text, sizeof(text), proof, &size) != NULL;
}

static bool is_proof(const struct handshake *h, const struct secret *s, enum side side,
                     const uint8_t proof[HANDSHAKE_PROOF_SIZE])
{
    uint8_t right[HANDSHAKE_PROOF_SIZE];

    return prove(h, s, side, right) && CRYPTO_memcmp(right, proof, sizeof(right)) == 0;
}

static bool make_nonce(uint8_t nonce[HANDSHAKE_NONCE_SIZE])
{
    return getrandom(nonce, HANDSHAKE_NONCE_SIZE, 0) == HANDSHAKE_NONCE_SIZE;
}

/* --- the file -------------------------------------------------------------------------------- */

static int take_secret(struct secret *s, const char *path, struct bytes text, char *why,
                       size_t why_size)
{
    unsigned size = SECRET_KEY_SIZE;

    while (text.size && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.size--;
    if (text.size < SECRET_FILE_MIN) {
        snprintf(why, why_size,
                 "%s: a secret has at least %d bytes; make one with: openssl rand -hex 32", path,
                 SECRET_FILE_MIN);
        return RK_INVALID;
    }
    if (EVP_Digest(text.data, text.size, s->key, &size, EVP_sha256(), NULL) != 1) {
        snprintf(why, why_size, "%s", rk_error_text(RK_NOMEM));
        return RK_NOMEM;
    }
    s->set = true;
    return 0;
}

int secret_load(struct secret *s, const char *path, char *why, size_t why_size)
{
    struct buf text = {0};
    bool open = false;
    int failed;

    *s = (struct secret){.set = false};
    if (!path[0])
        return 0;
    if (file_open_to_all(path, &open) == 0 && open) {
        snprintf(why, why_size,
                 "%s: it has the cluster's secret, and every user of this machine can read it; "
                 "chmod o-rwx it",
                 path);
        return RK_INVALID;
    }
    failed = file_read(path, SECRET_FILE_MAX, &text);
    if (failed)
        snprintf(why, why_size, "%s: the secret cannot be read: %s", path,
                 failed == RK_IO ? strerror(errno) : rk_error_text(failed));
    else
        failed = take_secret(s, path, buf_bytes(&text), why, why_size);
    if (buf_len(&text))
        OPENSSL_cleanse(buf_head(&text), buf_len(&text));
    buf_free(&text);
    return failed;
}

/* --- one connection -------------------------------------------------------------------------- */

int handshake_challenge(struct handshake *h, struct buf *out)
{
    if (!make_nonce(h->challenge))
        return RK_IO;
    h->challenged = true;
    return message_put_challenge(out, h->challenge);
}

bool handshake_proven(struct handshake *h, const struct secret *s, struct bytes body,
                      struct welcome *welcome)
{
    uint8_t proof[HANDSHAKE_PROOF_SIZE];

    if (message_get_proof(body, h->answer, proof) != 0 || !is_proof(h, s, SIDE_CONNECTS, proof))
        return false;
    welcome->proven = prove(h, s, SIDE_ANSWERS, welcome->proof);
    return welcome->proven;
}

int handshake_answer(struct handshake *h, const struct secret *s, struct bytes body,
                     struct buf *out)
{
    uint8_t proof[HANDSHAKE_PROOF_SIZE];

    if (h->challenged || message_get_challenge(body, h->challenge) != 0)
        return RK_CORRUPT;
    if (!s->set)
        return RK_REFUSED;
    if (!make_nonce(h->answer))
        return RK_IO;
    h->challenged = true;
    return prove(h, s, SIDE_CONNECTS, proof) ? message_put_proof(out, h->answer, proof) : RK_NOMEM;
}

bool handshake_trusts(const struct handshake *h, const struct secret *s,
                      const struct welcome *welcome)
{
    return !s->set ||
           (h->challenged && welcome->proven && is_proof(h, s, SIDE_ANSWERS, welcome->proof));
}
