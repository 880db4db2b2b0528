/* Edge: reading the tree's records over and over to find damaged ones, a little at a time. */
#ifndef RINGKV_NODE_SCRUB_H
#define RINGKV_NODE_SCRUB_H

#include "node/tree.h"

struct scrub {
    struct tree *tree;
    void (*damaged)(void *arg, struct bytes key);
    void *arg;
    MDB_txn *txn; /* reset between the steps */
    bool underway, page_counted;
    size_t last_size;
    uint8_t last[STORE_KEY_SIZE_MAX + 1]; /* the next step begins here */
    uint64_t records, damaged_records;    /* so far */
};

/* Checks about `bytes_max` bytes of records. 0; RK_NOTFOUND: it came to the end, and will begin
 * anew; RK_IO: a page is damaged, with which nothing behind it can be read; it counts as one
 * record, once until the end was reached again; RK_NOMEM. */
int scrub_step(struct scrub *s, size_t bytes_max);

void scrub_end(struct scrub *s);

#endif
