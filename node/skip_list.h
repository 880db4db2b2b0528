/* Pure: an ordered map from keys to payloads (Pugh 1990), for the store's twin in memory.
 *
 * The heights are drawn from the list's own generator, so that a run repeats exactly.
 */
#ifndef RINGKV_NODE_SKIP_LIST_H
#define RINGKV_NODE_SKIP_LIST_H

#include "shared/bytes.h"
#include <stdint.h>

enum { SKIP_HEIGHT_MAX = 20 };

struct skip_entry {
    void *payload; /* the caller's */
    struct bytes key;
    unsigned references; /* the caller's, 0 in a new entry */
    unsigned height;
    struct skip_entry *next[]; /* `height` of them; next[0] is the next entry in order */
};

struct skip_list {
    struct skip_entry *first[SKIP_HEIGHT_MAX];
    uint64_t random;
    size_t count;
};

void skip_list_init(struct skip_list *l, uint64_t seed);

/* Frees the entries, not their payloads. */
void skip_list_free(struct skip_list *l);

/* The entry of a key, or NULL. */
struct skip_entry *skip_list_find(const struct skip_list *l, struct bytes key);

/* The first entry whose key is not below `key`, or NULL. */
struct skip_entry *skip_list_seek(const struct skip_list *l, struct bytes key);

/* The entry of a key, made with a copy of the key and payload NULL if need be. NULL: out of memory.
 */
struct skip_entry *skip_list_insert(struct skip_list *l, struct bytes key);

/* Takes out and frees an entry that is in the list. */
void skip_list_remove(struct skip_list *l, struct skip_entry *entry);

#endif
