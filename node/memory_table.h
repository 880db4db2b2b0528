/* Pure: what was written since the last checkpoint: records and state rows, the newest of each.
 *
 * A hash table finds a record; key_order.h gives the order of keys, a B+ tree that of expiries.
 * Written by the shard's thread alone; a table to which nothing is written any more may be read by
 * two threads.
 */
#ifndef RINGKV_NODE_MEMORY_TABLE_H
#define RINGKV_NODE_MEMORY_TABLE_H

#include "node/key_order.h"
#include "node/memory_pool.h"
#include "node/ordered_index.h"
#include "node/record_counts.h"
#include "node/store.h"
#include "shared/limits.h"
#include <stdbool.h>

/* A record, or the mark that a key was forgotten. */
struct memory_record {
    uint64_t position; /* of the write in the log */
    struct version version;
    int64_t expire_ms;
    struct memory_record *next; /* in key_order's list */
    uint32_t value_size, value_room;
    uint16_t key_size;
    bool deleted, forgotten;
    bool replaced;   /* by another record of its key */
    uint8_t bytes[]; /* the key, then the value */
};

struct memory_state {
    uint64_t position;
    uint8_t size;
    uint8_t bytes[STORE_STATE_MAX];
};

struct memory_slot {
    uint64_t hash;
    struct memory_record *record; /* NULL: free */
};

struct memory_table {
    struct memory_arena arena;
    struct memory_slot *slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t count;      /* keys, forgotten ones included */
    size_t state_count;
    uint64_t last_position;
    struct record_counts held;    /* its records */
    struct record_counts covered; /* an estimate of what it hides, see memory_table_cover */
    struct key_order by_key;      /* forgotten ones included */
    struct ordered_index by_expiry;
    uint64_t seed;
    struct memory_state **states; /* by partition */
};

static inline struct bytes memory_record_key(const struct memory_record *r)
{
    return bytes_of(r->bytes, r->key_size);
}

static inline struct bytes memory_record_value(const struct memory_record *r)
{
    return bytes_of(r->bytes + r->key_size, r->value_size);
}

/* `bytes`: what it may hold. `seed` makes the hash one that clients cannot know. 0 or RK_NOMEM. */
int memory_table_init(struct memory_table *t, struct memory_pool *pool, size_t bytes,
                      uint64_t seed);
void memory_table_free(struct memory_table *t);

/* Forgets everything; the memory stays in the pool. */
void memory_table_clear(struct memory_table *t);

/* The memory it occupies, and by how much a batch would raise that. */
size_t memory_table_bytes(const struct memory_table *t);
size_t memory_table_growth(const struct memory_table *t, const struct store_batch *batch);

/* Makes sure that a batch (see store_batch_check) can be put in. 0 or RK_NOMEM. */
int memory_table_reserve(struct memory_table *t, const struct store_batch *batch);

/* What a table hides of the tables and the tree below it is known by samples: the first keys that
 * come are looked up there, later ones now and then. For how many keys the `nth` one stands; 0: it
 * is not to be looked up. */
int memory_table_sample(size_t nth);

/* A key that comes next, and stands for `times`, is there below. */
void memory_table_cover(struct memory_table *t, struct bytes key, const struct store_record *below,
                        int times);

/* Puts in a batch for which room was reserved; positions must not descend. */
void memory_table_put(struct memory_table *t, const struct store_batch *batch, uint64_t position);

uint64_t memory_table_hash(const struct memory_table *t, struct bytes key);

/* Asks the processor to fetch what memory_table_get will look at. */
void memory_table_prefetch(const struct memory_table *t, uint64_t hash);

/* As told to others; of one that is not forgotten. */
static inline struct store_record memory_record_told(const struct memory_record *r)
{
    return (struct store_record){r->version, r->expire_ms, r->deleted, memory_record_value(r)};
}

/* The newest record of a key or the mark that it was forgotten; NULL: nothing is known here. */
const struct memory_record *memory_table_get(const struct memory_table *t, uint64_t hash,
                                             struct bytes key);

/* The state row of a partition, or NULL. */
const struct memory_state *memory_table_state(const struct memory_table *t, uint32_t partition);

static inline bool memory_table_is_empty(const struct memory_table *t)
{
    return t->count == 0 && t->state_count == 0;
}

/* What is at a place in the order of expiries (t->by_expiry), or NULL when that record has been
 * replaced by one with another expiry. */
const struct memory_record *memory_table_expiring(const struct memory_table *t,
                                                  struct index_place place, uint64_t *rank);

#endif
