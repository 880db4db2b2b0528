#include "proxy/password.h"
#include "shared/error.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define SCHEME "pbkdf2-sha256:"

_Static_assert(sizeof(SCHEME) + 10 + 2 * PASSWORD_SALT_SIZE + 2 * PASSWORD_HASH_SIZE + 2 <=
                   PASSWORD_TEXT_SIZE,
               "the word fits");

static bool derive(struct bytes password, const uint8_t *salt, uint32_t iterations,
                   uint8_t hash[PASSWORD_HASH_SIZE])
{
    return PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, salt,
                             PASSWORD_SALT_SIZE, (int)iterations, EVP_sha256(), PASSWORD_HASH_SIZE,
                             hash) == 1;
}

/* HMAC pads its key with NULs, so that a password and one with NULs behind it had the same hash. */
static bool is_possible(struct bytes password)
{
    return password.size > 0 && password.size <= PASSWORD_SIZE_MAX &&
           !memchr(password.data, '\0', password.size);
}

int password_make(struct password *out, struct bytes password,
                  const uint8_t salt[PASSWORD_SALT_SIZE], uint32_t iterations)
{
    if (password.size > PASSWORD_SIZE_MAX)
        return RK_TOOBIG;
    if (!is_possible(password))
        return RK_INVALID;
    out->iterations = iterations;
    memcpy(out->salt, salt, PASSWORD_SALT_SIZE);
    return derive(password, salt, iterations, out->hash) ? 0 : RK_NOMEM;
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes `size` bytes in hexadecimal off the text. */
static bool take_hex(struct bytes *text, uint8_t *to, size_t size)
{
    if (text->size < 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = digit_of(text->data[2 * i]), low = digit_of(text->data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    *text = bytes_of(text->data + 2 * size, text->size - 2 * size);
    return true;
}

static bool take_word(struct bytes *text, const char *word)
{
    size_t size = strlen(word);

    if (text->size < size || memcmp(text->data, word, size) != 0)
        return false;
    *text = bytes_of(text->data + size, text->size - size);
    return true;
}

static bool take_iterations(struct bytes *text, uint32_t *iterations)
{
    uint32_t number = 0;

    while (text->size && *text->data >= '0' && *text->data <= '9' &&
           number <= PASSWORD_ITERATIONS_MAX) {
        number = number * 10 + (*text->data - '0');
        *text = bytes_of(text->data + 1, text->size - 1);
    }
    *iterations = number;
    return number >= PASSWORD_ITERATIONS_MIN && number <= PASSWORD_ITERATIONS_MAX;
}

int password_read(struct bytes text, struct password *out)
{
    bool good = take_word(&text, SCHEME) && take_iterations(&text, &out->iterations) &&
                take_word(&text, ":") && take_hex(&text, out->salt, PASSWORD_SALT_SIZE) &&
                take_word(&text, ":") && take_hex(&text, out->hash, PASSWORD_HASH_SIZE) &&
                text.size == 0;

    return good ? 0 : RK_INVALID;
}

static char *put_hex(char *at, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at += sprintf(at, "%02x", data[i]);
    return at;
}

void password_write(const struct password *p, char text[PASSWORD_TEXT_SIZE])
{
    char *at = text + sprintf(text, SCHEME "%u:", p->iterations);

    at = put_hex(at, p->salt, PASSWORD_SALT_SIZE);
    *at++ = ':';
    put_hex(at, p->hash, PASSWORD_HASH_SIZE);
}

bool password_matches(const struct password *p, struct bytes password)
{
    uint8_t hash[PASSWORD_HASH_SIZE];
    bool same;

    if (!derive(password, p->salt, p->iterations, hash))
        return false;
    same = is_possible(password) && CRYPTO_memcmp(hash, p->hash, sizeof(hash)) == 0;
    password_forget(hash, sizeof(hash));
    return same;
}

int password_prove(const uint8_t key[PASSWORD_PROOF_SIZE], struct bytes password,
                   uint8_t proof[PASSWORD_PROOF_SIZE])
{
    unsigned size = PASSWORD_PROOF_SIZE;

    return HMAC(EVP_sha256(), key, PASSWORD_PROOF_SIZE, password.data, password.size, proof, &size)
               ? 0
               : RK_NOMEM;
}

bool password_proof_equal(const uint8_t a[PASSWORD_PROOF_SIZE],
                          const uint8_t b[PASSWORD_PROOF_SIZE])
{
    return CRYPTO_memcmp(a, b, PASSWORD_PROOF_SIZE) == 0;
}

void password_forget(void *secret, size_t size)
{
    OPENSSL_cleanse(secret, size);
}
