/* Pure: what is checked of an LMDB file before a transaction writes to it: its head, the table of
 * tables, the list of free pages, and a walk through each table, for the pages that it will come
 * to. */
#ifndef RINGKV_NODE_TREE_GUARD_H
#define RINGKV_NODE_TREE_GUARD_H

#include "node/tree_walk.h"

enum tree_walk_name {
    TREE_TABLES,
    TREE_FREE,
    TREE_RECORDS,
    TREE_EXPIRY,
    TREE_STATES,
    TREE_META,
    TREE_WALKS,
};

#define TREE_RECORDS_NAME "records"
#define TREE_EXPIRY_NAME  "expiry"
#define TREE_STATES_NAME  "states"
#define TREE_META_NAME    "meta"

struct tree_guard {
    struct tree_file file;
    struct tree_head head;
    struct tree_walk walks[TREE_WALKS]; /* TREE_RECORDS and others: by tree_walk_to */
    uint64_t damaged_page;              /* what is wrong, once something was */
    const char *damage;
};

/* Begins with a snapshot, of which the file holds no more than `file->count` pages: checks the head
 * and the table of tables. 0 or RK_CORRUPT. */
int tree_guard_begin(struct tree_guard *g, const struct tree_file *file, uint64_t snapshot);

/* Checks the list of free pages, up to where it has named so many: LMDB takes the oldest first. 0
 * or RK_CORRUPT. */
int tree_guard_free(struct tree_guard *g, uint64_t pages);

/* A step in one of the walks has given RK_CORRUPT: says so of the whole, and returns it. */
int tree_guard_damaged(struct tree_guard *g, enum tree_walk_name which);

#endif
