/* Edge: writing a memory table down into the tree, in key order and in bounded transactions.
 *
 * The log position moves with the last transaction. After a crash between two of them the replay
 * covers the whole table again: it ends at the same records, whatever of it the tree holds already.
 */
#ifndef RINGKV_NODE_CHECKPOINT_H
#define RINGKV_NODE_CHECKPOINT_H

#include "node/memory_table.h"
#include "node/tree_write.h"

/* Of a transaction: more take longer to sync at once, and need more of the file free. */
enum { CHECKPOINT_RECORDS_MAX = 16384 };

struct checkpoint {
    struct tree *tree;
    struct tree_writer writer;
    size_t records_max; /* a transaction; 0 at first: lowered on a full disk */
    size_t written;     /* records of the table under way that were committed */
    const struct memory_record *records[CHECKPOINT_RECORDS_MAX]; /* of the part under way */
    void *arg;
    /* Has the map grown, with no transaction open anywhere. 0, or an error that ends the
     * checkpoint. */
    int (*grow)(void *arg);
    /* The disk is full: waits a while. 0, or an error that ends the checkpoint. */
    int (*wait_for_room)(void *arg);
    /* After every transaction. 0, or an error that ends the checkpoint. */
    int (*committed)(void *arg);
    char *why; /* gets what is wrong */
    size_t why_size;
};

/* Writes down a table that does not change any more. 0, what a callback returned, or RK_IO,
 * RK_CORRUPT, RK_NOMEM: the store must then end. */
int checkpoint_write(struct checkpoint *c, const struct memory_table *table);

#endif
