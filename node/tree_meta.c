#include "node/tree_meta.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/wire.h"

void tree_meta_write(const struct tree_meta *meta, uint8_t to[TREE_META_SIZE])
{
    wire_put_u32(to, TREE_FORMAT);
    wire_put_u32(to + 4, TREE_META_SIZE);
    wire_put_u64(to + 8, meta->position);
    wire_put_u64(to + 16, meta->keys);
    wire_put_u64(to + 24, meta->tombstones);
    wire_put_u64(to + 32, meta->live_bytes);
    wire_put_u32(to + TREE_META_SIZE - 4, crc32c(0, to, TREE_META_SIZE - 4));
}

int tree_meta_read(struct bytes from, struct tree_meta *out)
{
    if (from.size < 8)
        return RK_CORRUPT;
    if (wire_get_u32(from.data) != TREE_FORMAT)
        return RK_VERSION;
    if (from.size != TREE_META_SIZE ||
        wire_get_u32(from.data + TREE_META_SIZE - 4) != crc32c(0, from.data, TREE_META_SIZE - 4))
        return RK_CORRUPT;
    out->position = wire_get_u64(from.data + 8);
    out->keys = wire_get_u64(from.data + 16);
    out->tombstones = wire_get_u64(from.data + 24);
    out->live_bytes = wire_get_u64(from.data + 32);
    return 0;
}
