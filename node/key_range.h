/* A stretch of a partition's keys, and how it is given to store_scan. */
#ifndef RINGKV_NODE_KEY_RANGE_H
#define RINGKV_NODE_KEY_RANGE_H

#include "shared/bytes.h"
#include "shared/limits.h"
#include "shared/ring.h"
#include <stdint.h>

/* One end of a stretch, kept. Size 0: the partition's own end. */
struct key_bound {
    uint16_t size;
    uint8_t key[STORE_KEY_SIZE_MAX];
};

/* The keys behind `lower` up to `upper` itself. */
struct key_range {
    struct key_bound lower, upper;
};

static inline struct bytes key_bound_bytes(const struct key_bound *b)
{
    return bytes_of(b->key, b->size);
}

/* `key` is at most STORE_KEY_SIZE_MAX long. */
void key_bound_set(struct key_bound *b, struct bytes key);

/* The first possible key behind `lower`, or of the partition when it is empty. */
struct bytes key_range_first(const struct ring *ring, uint32_t partition, struct bytes lower,
                             uint8_t room[STORE_KEY_SIZE_MAX + 1]);

/* `upper`, or the last possible key of the partition when it is empty. */
struct bytes key_range_last(const struct ring *ring, uint32_t partition, struct bytes upper,
                            uint8_t room[STORE_KEY_SIZE_MAX]);

#endif
