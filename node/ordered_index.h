/* Pure: an order over memory records: a B+ tree (Comer 1979) that only grows, in an arena.
 *
 * Entries are ordered by a number, then by the record's key. For the order of keys the number is
 * the key's first 8 bytes, so that most comparisons touch no record; for the order of expiry it is
 * the expiry's rank.
 */
#ifndef RINGKV_NODE_ORDERED_INDEX_H
#define RINGKV_NODE_ORDERED_INDEX_H

#include "node/memory_pool.h"
#include "shared/bytes.h"
#include <stdint.h>

struct memory_record;
struct index_node;

enum { INDEX_DEPTH_MAX = 16 };

struct ordered_index {
    struct index_node *root;
    unsigned depth;       /* levels above the leaves */
    size_t leaves, inner; /* nodes */
};

struct index_place {
    const struct index_node *leaf; /* NULL: at the end */
    unsigned slot;
};

/* The number of a key in the order of keys: its first 8 bytes, big-endian, zeros behind a shorter
 * one. */
uint64_t index_number_of_key(struct bytes key);

/* How many bytes `count` insertions may take from the arena. */
size_t ordered_index_reserve(const struct ordered_index *x, size_t count);

/* Puts a record in, in the place of one with the same number and key. The room was reserved. */
void ordered_index_insert(struct ordered_index *x, struct memory_arena *arena, uint64_t number,
                          struct memory_record *record);

/* The first place at or behind (number, key). */
struct index_place ordered_index_seek(const struct ordered_index *x, uint64_t number,
                                      struct bytes key);

/* What is at a place, and its number; NULL at the end. */
struct memory_record *ordered_index_at(struct index_place place, uint64_t *number);

struct index_place ordered_index_next(struct index_place place);

#endif
