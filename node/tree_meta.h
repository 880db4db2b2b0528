/* Pure: the tree's meta row. format u32, size u32 (of the row), log position u64, keys u64,
 * tombstones u64, live bytes u64, CRC-32C of all before it u32. */
#ifndef RINGKV_NODE_TREE_META_H
#define RINGKV_NODE_TREE_META_H

#include "shared/bytes.h"
#include <stdint.h>

enum { TREE_FORMAT = 1, TREE_META_SIZE = 44 };

struct tree_meta {
    uint64_t position, keys, tombstones, live_bytes;
};

void tree_meta_write(const struct tree_meta *meta, uint8_t to[TREE_META_SIZE]);

/* 0, RK_VERSION, RK_CORRUPT. */
int tree_meta_read(struct bytes from, struct tree_meta *out);

#endif
