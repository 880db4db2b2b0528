/* The keys that clients use: hash tags of known partitions, made once for all runs. */
#ifndef RINGKV_TESTS_SIM_KEYS_H
#define RINGKV_TESTS_SIM_KEYS_H

#include "shared/bytes.h"
#include <stdint.h>

enum {
    KEYS_BITS = 4, /* tags are spread evenly over so many slices of the positions */
    KEYS_TAGS_OF_SLICE = 2,
    KEYS_TAGS = KEYS_TAGS_OF_SLICE << KEYS_BITS,
    KEYS_OF_TAG = 4,
    KEYS_COUNT = KEYS_TAGS * KEYS_OF_TAG,
};

struct sim_key {
    uint64_t position;
    char text[16]; /* "{17}2" */
};

/* Key k of tag t is keys[t * KEYS_OF_TAG + k]; tag t lies in slice t % 2^KEYS_BITS. */
struct sim_keys {
    struct sim_key keys[KEYS_COUNT];
};

/* 0 or RK_NOMEM. */
int sim_keys_make(struct sim_keys *keys);

static inline uint32_t sim_key_partition(const struct sim_key *key, uint32_t bits)
{
    return (uint32_t)(key->position >> (64 - bits));
}

#endif
