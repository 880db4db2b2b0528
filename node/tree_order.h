/* Edge: the order of the tree's records, as a function that is quicker than LMDB's own.
 *
 * It is the same order, so that LMDB's tools read the file as well: bytes compared as unsigned, a
 * key before those that it begins. Most comparisons are decided by the position, the first 8 bytes.
 */
#ifndef RINGKV_NODE_TREE_ORDER_H
#define RINGKV_NODE_TREE_ORDER_H

#include <lmdb.h>

/* For mdb_set_compare. */
int tree_order(const MDB_val *a, const MDB_val *b);

#endif
