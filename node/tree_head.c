#include "node/tree_head.h"
#include "shared/error.h"

#define MAGIC UINT32_C(0xbeefc0de)

enum {
    KIND_HEAD = 8,
    FORMAT = 1,
    FREE_AT = TREE_PAGE_HEAD_SIZE + 24,
    TABLES_AT = FREE_AT + TREE_TABLE_SIZE,
    LAST_AT = TABLES_AT + TREE_TABLE_SIZE,
    SNAPSHOT_AT = LAST_AT + 8,
    FIRST_PAGE = 2, /* behind the two heads */
    /* In a row: */
    FLAGS_AT = 4,
    DEPTH_AT = 6,
    ROOT_AT = 40,
};

_Static_assert((int)SNAPSHOT_AT + 8 == (int)TREE_HEAD_SIZE, "the snapshot's number comes last");

static int row_read(const uint8_t *row, uint64_t count, struct tree_table *out)
{
    *out = (struct tree_table){tree_u64(row + ROOT_AT), tree_u16(row + DEPTH_AT)};
    if (out->root == TREE_EMPTY)
        return out->depth == 0 ? 0 : RK_CORRUPT;
    return out->root >= FIRST_PAGE && out->root < count && out->depth > 0 &&
                   out->depth <= TREE_DEPTH_MAX
               ? 0
               : RK_CORRUPT;
}

int tree_head_read(const uint8_t *page, struct tree_head *out)
{
    if (tree_u16(page + TREE_KIND_AT) != KIND_HEAD ||
        tree_u32(page + TREE_PAGE_HEAD_SIZE) != MAGIC ||
        tree_u32(page + TREE_PAGE_HEAD_SIZE + 4) != FORMAT)
        return RK_CORRUPT;
    out->snapshot = tree_u64(page + SNAPSHOT_AT);
    out->count = tree_u64(page + LAST_AT) + 1;
    if (row_read(page + FREE_AT, out->count, &out->free) != 0)
        return RK_CORRUPT;
    return row_read(page + TABLES_AT, out->count, &out->tables);
}

int tree_table_read(const struct tree_file *f, struct bytes row, struct tree_table *out)
{
    size_t offset = (size_t)((uintptr_t)row.data - (uintptr_t)f->map);
    uint64_t number = offset / f->page_size;
    const uint8_t *page = f->map + number * f->page_size;

    /* In a page of the file, which is a leaf and carries its number. */
    if (row.size != TREE_TABLE_SIZE || (uintptr_t)row.data < (uintptr_t)f->map ||
        number >= f->count || tree_u64(page) != number ||
        tree_u16(page + TREE_KIND_AT) != TREE_LEAF || tree_u16(row.data + FLAGS_AT) != 0)
        return RK_CORRUPT;
    return row_read(row.data, f->count, out);
}
