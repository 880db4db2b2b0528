/* Pure: where an LMDB file's tables begin: its head (page 0 or 1, by turns), and the rows in which
 * the tables' roots stand.
 *
 * A row: 4 bytes that we do not use, flags u16 (0: keys are bytes, one value each), depth u16,
 * branch pages u64, leaf pages u64, pages of large values u64, entries u64, the root's number u64.
 *
 * A head, behind the page's: magic u32, version u32, two words u64 of LMDB's own, the row of the
 * list of free pages, the row of the table of tables, the last page's number u64, snapshot u64.
 */
#ifndef RINGKV_NODE_TREE_HEAD_H
#define RINGKV_NODE_TREE_HEAD_H

#include "node/tree_format.h"

enum { TREE_TABLE_SIZE = 48, TREE_HEAD_SIZE = TREE_PAGE_HEAD_SIZE + 24 + 2 * TREE_TABLE_SIZE + 16 };

#define TREE_EMPTY UINT64_MAX

struct tree_table {
    uint64_t root;  /* TREE_EMPTY: it has no page */
    unsigned depth; /* pages from the root to a leaf, both included */
};

struct tree_head {
    uint64_t snapshot; /* another number for each commit: one more */
    uint64_t count;    /* pages that it may use */
    struct tree_table free, tables;
};

/* The head in this page (TREE_HEAD_SIZE bytes of it) of a file. 0 or RK_CORRUPT. */
int tree_head_read(const uint8_t *page, struct tree_head *out);

/* The row of a table, where it stands in the map. 0, or RK_CORRUPT: it, or its page, is not as
 * expected. */
int tree_table_read(const struct tree_file *f, struct bytes row, struct tree_table *out);

#endif
