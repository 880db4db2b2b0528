/* Pure: reads the entries of a table of an LMDB file in the order of their keys.
 *
 * LMDB's own cursors believe what pages say. Here every number and offset that is followed is
 * checked first. A page that is damaged in part is read as far as it can be (tree_walk.h is the one
 * that takes it as a whole): an entry whose value cannot be where it should is given without, and
 * when it cannot be said what comes next, that is an error and not the end.
 */
#ifndef RINGKV_NODE_TREE_SCAN_H
#define RINGKV_NODE_TREE_SCAN_H

#include "node/tree_head.h"

struct tree_scan {
    const struct tree_file *file;
    struct tree_table table;
    size_t key_size_max; /* no entry has a larger key */
    unsigned depth;      /* pages on the way */
    struct tree_scan_level {
        struct tree_page page;
        uint64_t number;
        unsigned at; /* the node that the way goes through, or that was given last */
    } way[TREE_DEPTH_MAX];
    struct bytes last; /* the key that was given last */
    /* What is wrong, once something was: */
    uint64_t damaged_page;
    const char *damage;
};

/* Begins in a snapshot that must not change meanwhile. The file outlives the scan. */
void tree_scan_begin(struct tree_scan *s, const struct tree_file *f, struct tree_table table,
                     size_t key_size_max);

/* Goes to the first entry at or behind `from` (of size 0: to the first of all), or (from NULL) to
 * the next. Keys and values lie in the map; *value has no data when it cannot be where it should.
 * 0; RK_NOTFOUND at the end; RK_CORRUPT. */
int tree_scan_move(struct tree_scan *s, const struct bytes *from, struct bytes *key,
                   struct bytes *value);

#endif
