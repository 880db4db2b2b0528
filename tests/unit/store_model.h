/* What a store must hold after its first n batches, for the tests of both stores.
 *
 * Batch n is made from a seed and n alone, and its state row says n: so a store that was opened
 * again tells how far it remembers, and everything else must fit that.
 */
#ifndef RINGKV_TESTS_UNIT_STORE_MODEL_H
#define RINGKV_TESTS_UNIT_STORE_MODEL_H

#include "node/store.h"

enum { MODEL_KEYS = 96, MODEL_PARTITIONS = 3, MODEL_CHANGES_MAX = 6, MODEL_VALUE_MAX = 9000 };

struct model {
    uint64_t seed;
    uint64_t applied;
    bool large_values;
    struct model_key {
        bool there;
        uint64_t written; /* the batch that changed it last; 0: none */
        struct version version;
        int64_t expire_ms;
        bool deleted;
        size_t value_size;
        uint64_t value_seed;
    } keys[MODEL_KEYS];
    uint64_t states[MODEL_PARTITIONS]; /* the batch that wrote it; 0: none */
};

/* A batch and the room for what it points to. */
struct model_batch {
    struct store_batch batch;
    struct store_change changes[MODEL_CHANGES_MAX];
    uint8_t keys[MODEL_CHANGES_MAX][STORE_KEY_SIZE_MAX];
    uint8_t values[MODEL_CHANGES_MAX][MODEL_VALUE_MAX];
    uint8_t state[8];
};

uint64_t model_random(uint64_t *state);

/* The store key with this index: short, long and equal positions, in no order. Returns its size. */
size_t model_key_write(size_t index, uint8_t to[STORE_KEY_SIZE_MAX]);

void model_init(struct model *m, uint64_t seed, bool large_values);

/* Makes the batch that comes next; model_advance then takes it in. */
void model_next(const struct model *m, struct model_batch *out);
void model_advance(struct model *m);

/* Up to which batch a store remembers, by its state rows. */
uint64_t model_remembered(struct store *s);

/* Compares a store with the model: every key, states, scans of ranges and of expiries, with
 * cmocka's assertions. */
void model_check(const struct model *m, struct store *s);

/* Compares stats.keys, tombstones and live_bytes: exact once all is in the tree. */
void model_check_counts(const struct model *m, struct store *s);

#endif
