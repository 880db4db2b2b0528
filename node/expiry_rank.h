/* Pure: the order in which records expire, as seven bytes, so that an expiry and a store key of
 * full length make one LMDB key. Times before 1970 or after the year 2,280,000 fall together at the
 * ends. */
#ifndef RINGKV_NODE_EXPIRY_RANK_H
#define RINGKV_NODE_EXPIRY_RANK_H

#include "shared/bytes.h"
#include "shared/limits.h"
#include "shared/wire.h"
#include <stdint.h>

enum { EXPIRY_RANK_SIZE = 7, EXPIRY_KEY_SIZE_MAX = EXPIRY_RANK_SIZE + STORE_KEY_SIZE_MAX };

_Static_assert(EXPIRY_KEY_SIZE_MAX <= 511, "LMDB's default key limit");

static inline uint64_t expiry_rank(int64_t expire_ms)
{
    const uint64_t last = (UINT64_C(1) << (8 * EXPIRY_RANK_SIZE)) - 1;

    if (expire_ms < 0)
        return 0;
    return (uint64_t)expire_ms > last ? last : (uint64_t)expire_ms;
}

/* Writes the LMDB key of an expiry, which takes up to EXPIRY_KEY_SIZE_MAX + 1 bytes of room.
 * Returns its size. */
static inline size_t expiry_key_write(uint64_t rank, struct bytes key, uint8_t *to)
{
    wire_put_position(to, rank << 8);
    if (key.size)
        memcpy(to + EXPIRY_RANK_SIZE, key.data, key.size);
    return EXPIRY_RANK_SIZE + key.size;
}

/* The rank at the front of such a key of at least EXPIRY_RANK_SIZE + 1 bytes. */
static inline uint64_t expiry_key_rank(const uint8_t *from)
{
    return wire_get_position(from) >> 8;
}

/* A place in the order of expiry: an expiry key, or one that stands between such keys.
 * Zero-initialised it is the beginning. */
struct expiry_place {
    uint8_t key[EXPIRY_KEY_SIZE_MAX + 1];
    size_t size;
};

static inline struct bytes expiry_place_bytes(const struct expiry_place *place)
{
    return bytes_of(place->key, place->size);
}

/* At an entry, or right behind it. */
static inline void expiry_place_set(struct expiry_place *place, uint64_t rank, struct bytes key,
                                    bool behind)
{
    place->size = expiry_key_write(rank, key, place->key);
    place->key[place->size] = 0;
    place->size += behind;
}

#endif
