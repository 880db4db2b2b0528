/* Pure: finds a key in the pages of an LMDB file, quicker than mdb_get does.
 *
 * A get from a tree that is larger than the processor's caches is bound by memory: LMDB compares
 * keys one after the other, and each comparison waits for a line of its own. Here a page's lines
 * are asked for together before they are looked at, and positions are compared as integers.
 *
 * The way down is remembered: for the first bits of a position, the leaves that were met last and
 * the page above them, and between which positions each answers for. So most gets begin there and
 * not at the root. Another snapshot has other pages: what was remembered of one before is not used.
 *
 * What is read is the format of LMDB 0.9 on 64-bit little-endian machines. Every page carries its
 * number and its kind, which are checked, as every offset is: LMDB, which checks none of it, could
 * not be asked about a page that is not as expected.
 */
#ifndef RINGKV_NODE_TREE_PAGES_H
#define RINGKV_NODE_TREE_PAGES_H

#include "node/tree_head.h"

/* A page. It has all keys whose positions lie between `low` and `high`, neither of them included:
 * keys of those very positions may be its neighbours'. */
struct tree_hint {
    uint64_t low, high, number;
    uint64_t snapshot; /* as of which; 0: none */
};

enum { TREE_BRANCH_BITS = 12, TREE_LEAF_BITS = 16, TREE_LEAF_WAYS = 2 };

/* What is remembered of the way down, by the first bits of a position. Zeroed: nothing. */
struct tree_hints {
    struct tree_hint branches[1 << TREE_BRANCH_BITS]; /* pages above leaves */
    struct tree_hint leaves[1 << TREE_LEAF_BITS][TREE_LEAF_WAYS];
};

/* A table of the file, as of one snapshot. What it points to must not change while it is used. */
struct tree_pages {
    struct tree_file file;
    uint64_t root;            /* TREE_EMPTY: the table has no page */
    unsigned depth;           /* pages from the root to a leaf, both included */
    uint64_t snapshot;        /* another number for each, not 0 */
    struct tree_hints *hints; /* NULL: nothing is remembered */
};

/* Whether this machine has the format that is read here. */
bool tree_pages_known(void);

/* Finds the pages of a table; the rest is the caller's to set before. `row`: the table's row among
 * the tables of the file, where it stands in the map. 0 or RK_CORRUPT: it, or its page, is not as
 * expected. */
int tree_pages_locate(struct tree_pages *p, struct bytes row);

/* The value of a key, in the map; keys are in tree_order. 0; RK_NOTFOUND; RK_CORRUPT: a page is not
 * as expected. */
int tree_pages_find(const struct tree_pages *p, struct bytes key, struct bytes *value);

enum { TREE_AHEAD_MAX = 8 };

/* Asks for the memory that finding these keys, at most TREE_AHEAD_MAX, will read: for all of them
 * at each step down, so that they wait for it at the same time and not one after the other. */
void tree_pages_go_ahead(const struct tree_pages *p, const struct bytes *keys, size_t count);

#endif
