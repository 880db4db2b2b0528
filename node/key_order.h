/* Pure: memory records by key, in an order that is made where it is asked for.
 *
 * Most records are written, read by hash and written down once, so keeping them in order at every
 * write costs more than it gives. Keys begin with a position, which is spread evenly: its first
 * bits choose a bucket, and a write puts its record in front of the bucket's list. Whoever walks
 * sorts one bucket at a time, in memory of its own, so that the work of a step is bounded and two
 * threads may walk at once. Where positions are not spread (one hash tag, one partition that is
 * being copied), buckets fill: what comes then goes to a B+ tree beside them.
 */
#ifndef RINGKV_NODE_KEY_ORDER_H
#define RINGKV_NODE_KEY_ORDER_H

#include "node/memory_pool.h"
#include "node/ordered_index.h"
#include "shared/bytes.h"
#include <stdint.h>

enum {
    KEY_BUCKET_MAX = 64,  /* records in a bucket's list */
    KEY_BUCKETS_AHEAD = 8 /* whose lists a walk fetches together */
};

struct key_order {
    struct memory_record **newest; /* of each bucket; lists go by their `next` */
    uint8_t *counts;               /* records in each list, replaced ones included */
    unsigned bits, bits_max;       /* 2^bits buckets */
    size_t crowded;                /* records that found their bucket full */
    struct ordered_index more;     /* and where they are */
};

struct key_entry {
    uint64_t number; /* index_number_of_key */
    const struct memory_record *record;
};

/* A place in the order; valid while nothing is written. */
struct key_walk {
    const struct key_order *order;
    size_t bucket; /* that comes after `sorted`, and up to which lists were fetched */
    size_t fetched;
    unsigned at, count;
    struct key_entry sorted[KEY_BUCKET_MAX];
    struct index_place more;
};

/* For records that take up to `bytes` together. 0 or RK_NOMEM. */
int key_order_init(struct key_order *o, size_t bytes);
void key_order_free(struct key_order *o);

/* Forgets its records, `records` of them. When too many buckets were full there are more of them
 * from now on, as far as memory is there. */
void key_order_clear(struct key_order *o, size_t records);

/* The memory that it occupies besides the arena. */
size_t key_order_bytes(const struct key_order *o);

/* How many bytes `count` additions may take from the arena. */
size_t key_order_reserve(const struct key_order *o, size_t count);

/* Adds a record. One of the same key that was there must have been marked as replaced. The room was
 * reserved. */
void key_order_add(struct key_order *o, struct memory_arena *arena, struct memory_record *record);

/* Goes to the first record at or behind a key. */
void key_walk_begin(struct key_walk *w, const struct key_order *o, struct bytes from);

/* The record at a place; NULL at the end. */
const struct memory_record *key_walk_at(const struct key_walk *w);

/* Goes on behind the record at the place. */
void key_walk_next(struct key_walk *w);

#endif
