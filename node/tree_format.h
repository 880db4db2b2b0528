/* Pure: the pages of an LMDB 0.9 file on 64-bit little-endian machines, read so that nothing that a
 * page says leads out of it, or out of the file. LMDB itself believes all of it.
 *
 * A page: its number u64, unused u16, kind u16, lower u16 (where its list of offsets ends), upper
 * u16 (where its nodes begin), then the offsets of its nodes, u16 each, in the order of their keys.
 *
 * A node: two words u16 and flags u16, which hold the size of a value (words) or the number of a
 * child (all three), key size u16, the key, then the value or, if it is large, the number of the
 * page that it begins on. The key of a branch's first node stands for whatever is below the second.
 *
 * A large value's first page has, for lower and upper, how many pages there are u32.
 */
#ifndef RINGKV_NODE_TREE_FORMAT_H
#define RINGKV_NODE_TREE_FORMAT_H

#include "shared/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file in memory: what one snapshot of it may use. */
struct tree_file {
    const uint8_t *map; /* page 0 */
    uint64_t count;     /* pages */
    size_t page_size;
};

enum tree_page_kind { TREE_BRANCH = 1, TREE_LEAF = 2, TREE_LARGE = 4 };

enum {
    TREE_PAGE_HEAD_SIZE = 16,
    TREE_KIND_AT = 10,
    TREE_LOWER_AT = 12,
    TREE_UPPER_AT = 14,
    TREE_KINDS = 7,
    TREE_NODE_HEAD_SIZE = 8,
    TREE_NODE_LARGE = 1, /* flags: the value has pages of its own */
    TREE_NODE_TABLE = 2, /* it is the row of a table */
    TREE_DEPTH_MAX = 32, /* as LMDB's */
};

struct tree_page {
    const struct tree_file *file;
    const uint8_t *at;
    unsigned kind, nodes;
};

struct tree_node {
    const uint8_t *at;
    struct bytes key;
};

static inline uint16_t tree_u16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t tree_u32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t tree_u64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* False: it is not a page with nodes that carries its own number. */
static inline bool tree_page_open(const struct tree_file *f, uint64_t number, struct tree_page *out)
{
    const uint8_t *at;
    unsigned lower;

    if (number >= f->count)
        return false;
    at = f->map + number * f->page_size;
    lower = tree_u16(at + TREE_LOWER_AT);
    *out = (struct tree_page){
        .file = f,
        .at = at,
        .kind = tree_u16(at + TREE_KIND_AT) & TREE_KINDS,
        .nodes = lower > TREE_PAGE_HEAD_SIZE ? (lower - TREE_PAGE_HEAD_SIZE) / 2 : 0};
    return tree_u64(at) == number && out->nodes > 0 && lower <= f->page_size;
}

static inline unsigned tree_node_offset(const struct tree_page *page, unsigned i)
{
    return tree_u16(page->at + TREE_PAGE_HEAD_SIZE + 2 * i);
}

/* False: it or its key does not lie in the page. */
static inline bool tree_node_open(const struct tree_page *page, unsigned i, struct tree_node *out)
{
    size_t offset = tree_node_offset(page, i), key_size;

    if (offset + TREE_NODE_HEAD_SIZE > page->file->page_size) {
        *out = (struct tree_node){.at = page->at};
        return false;
    }
    out->at = page->at + offset;
    key_size = tree_u16(out->at + 6);
    out->key = bytes_of(out->at + TREE_NODE_HEAD_SIZE, key_size);
    return offset + TREE_NODE_HEAD_SIZE + key_size <= page->file->page_size;
}

static inline uint64_t tree_node_child(const struct tree_node *node)
{
    return tree_u64(node->at) & UINT64_C(0xffffffffffff);
}

/* How many pages a large value takes. */
static inline uint64_t tree_large_pages(const struct tree_file *f, size_t size)
{
    return (TREE_PAGE_HEAD_SIZE + (uint64_t)size + f->page_size - 1) / f->page_size;
}

/* A value that has pages of its own. */
static inline bool tree_large_value(const struct tree_file *f, uint64_t number, size_t size,
                                    struct bytes *out)
{
    uint64_t pages = tree_large_pages(f, size);
    const uint8_t *at;

    if (number >= f->count || pages > f->count - number)
        return false;
    at = f->map + number * f->page_size;
    *out = bytes_of(at + TREE_PAGE_HEAD_SIZE, size);
    return tree_u64(at) == number && (tree_u16(at + TREE_KIND_AT) & TREE_KINDS) == TREE_LARGE;
}

/* The value of a leaf's node that was opened. False: it does not lie where it should. */
static inline bool tree_node_value(const struct tree_page *page, const struct tree_node *node,
                                   struct bytes *out)
{
    const uint8_t *value = node->key.data + node->key.size;
    size_t room = page->file->page_size - (size_t)(value - page->at);
    unsigned flags = tree_u16(node->at + 4);

    if (flags == TREE_NODE_LARGE && room >= sizeof(uint64_t))
        return tree_large_value(page->file, tree_u64(value), tree_u32(node->at), out);
    *out = bytes_of(value, tree_u32(node->at));
    return flags == 0 && out->size <= room;
}

#endif
