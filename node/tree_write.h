/* Edge: one write transaction on the tree. For one thread at a time. */
#ifndef RINGKV_NODE_TREE_WRITE_H
#define RINGKV_NODE_TREE_WRITE_H

#include "node/memory_table.h"
#include "node/tree.h"

struct expiry_change {
    uint64_t rank;
    struct bytes key; /* the memory record's */
    bool add;
};

struct tree_writer {
    struct tree *tree;
    MDB_txn *txn;
    MDB_cursor *cursor; /* in records */
    struct record_counts counts;
    struct tree_guard guard;       /* what LMDB will come to is checked here first */
    bool guarded;                  /* false: the format of the pages is not known */
    struct expiry_change *changes; /* to the order of expiry, applied sorted at the end */
    size_t change_count, change_size;
};

/* How much a transaction will write: for tree_write_begin's reservation. */
struct tree_write_size {
    size_t records, expiring, states;
    size_t bytes;          /* keys and values */
    size_t overflow_pages; /* of large values, see tree_write_size_add */
};

/* Adds a record to the size. */
void tree_write_size_add(struct tree_write_size *size, const struct memory_record *record);

/* Begins a transaction for which the file has room on the disk. 0; RK_NOSPACE: it has not, nothing
 * has happened; RK_NOMEM, RK_IO, RK_CORRUPT.
 *
 * RK_CORRUPT here and below: a page is damaged, tree_writer_tell says which and what to do. Nothing
 * was written because of it, and the transaction must be aborted. */
int tree_write_begin(struct tree_writer *w, struct tree *t, const struct tree_write_size *size);

/* 0; RK_FULL: the map must grow (tree_grow) and the transaction begin anew; RK_NOMEM, RK_IO,
 * RK_CORRUPT. */
int tree_write_record(struct tree_writer *w, const struct memory_record *record);
int tree_write_state(struct tree_writer *w, uint32_t partition, const struct memory_state *state);

/* Writes the log position with the data and commits. RK_FULL as above, RK_NOMEM; RK_IO, and then it
 * is not known whether it was done: the store must end. The writer may be used again after all of
 * them. */
int tree_write_commit(struct tree_writer *w, uint64_t position, char *why, size_t why_size);
void tree_write_abort(struct tree_writer *w);

/* What an error was, if it was RK_CORRUPT. */
void tree_writer_tell(const struct tree_writer *w, char *why, size_t why_size);

void tree_writer_free(struct tree_writer *w);

#endif
