#include "shared/position.h"
#include "shared/error.h"
#include "shared/limits.h"
#include "shared/wire.h"
#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct positioner {
    EVP_MD *digest; /* fetched once: looking it up by name costs more than hashing a key */
    EVP_MD_CTX *context;
};

static const char *const hash_names[] = {[POSITION_MD5] = "md5", [POSITION_SHA1] = "sha1"};

enum { HASH_COUNT = sizeof(hash_names) / sizeof(hash_names[0]) };

const char *position_hash_name(enum position_hash hash)
{
    unsigned int number = (unsigned int)hash;

    return number < HASH_COUNT ? hash_names[number] : NULL;
}

int position_hash_from_name(const char *name)
{
    for (int i = 0; i < HASH_COUNT; i++)
        if (hash_names[i] && strcmp(hash_names[i], name) == 0)
            return i;
    return RK_INVALID;
}

struct positioner *positioner_new(enum position_hash hash)
{
    const char *name = position_hash_name(hash);
    struct positioner *p;

    if (!name)
        return NULL;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->digest = EVP_MD_fetch(NULL, name, NULL);
    p->context = EVP_MD_CTX_new();
    if (!p->digest || !p->context || !EVP_DigestInit_ex2(p->context, p->digest, NULL)) {
        positioner_free(p);
        return NULL;
    }
    assert(EVP_MD_get_size(p->digest) >= POSITION_SIZE);
    return p;
}

void positioner_free(struct positioner *p)
{
    if (!p)
        return;
    EVP_MD_CTX_free(p->context);
    EVP_MD_free(p->digest);
    free(p);
}

struct bytes position_tag(struct bytes key)
{
    const uint8_t *end = key.data + key.size;
    const uint8_t *open, *close;

    if (key.size == 0)
        return key;
    open = memchr(key.data, '{', key.size);
    if (!open)
        return key;
    open++;
    close = memchr(open, '}', (size_t)(end - open));
    if (!close || close == open)
        return key;
    return bytes_of(open, (size_t)(close - open));
}

uint64_t position_of(struct positioner *p, struct bytes key)
{
    struct bytes tag = position_tag(key);
    uint8_t digest[EVP_MAX_MD_SIZE];
    bool hashed;

    hashed = EVP_DigestInit_ex2(p->context, NULL, NULL) &&
             EVP_DigestUpdate(p->context, tag.data, tag.size) &&
             EVP_DigestFinal_ex(p->context, digest, NULL);
    /* A wrong position would put the key where no reader looks for it. */
    if (!hashed)
        abort();
    return wire_get_position(digest);
}
