#include "node/tree_record.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/wire.h"

enum { FLAG_DELETED = 1, FLAG_EXPIRES = 2, FLAGS = 3, HEAD_SIZE = 21, EXPIRY_SIZE = 8 };
_Static_assert((int)HEAD_SIZE + (int)EXPIRY_SIZE == (int)TREE_RECORD_HEAD_MAX, "both parts");

size_t tree_record_head_size(int64_t expire_ms)
{
    return expire_ms ? HEAD_SIZE + EXPIRY_SIZE : HEAD_SIZE;
}

static uint32_t record_crc(struct bytes key, const uint8_t *record, size_t size)
{
    return crc32c(crc32c(0, key.data, key.size), record + 4, size - 4);
}

void tree_record_write(struct bytes key, const struct store_record *record, uint8_t *to)
{
    size_t head_size = tree_record_head_size(record->expire_ms);

    to[4] =
        (uint8_t)((record->deleted ? FLAG_DELETED : 0) | (record->expire_ms ? FLAG_EXPIRES : 0));
    wire_put_u64(to + 5, record->version.view);
    wire_put_u64(to + 13, record->version.op);
    if (record->expire_ms)
        wire_put_i64(to + HEAD_SIZE, record->expire_ms);
    if (record->value.size)
        memcpy(to + head_size, record->value.data, record->value.size);
    wire_put_u32(to, record_crc(key, to, head_size + record->value.size));
}

bool tree_record_peek(struct bytes from, struct store_record *out)
{
    size_t head_size = HEAD_SIZE;

    *out = (struct store_record){0};
    if (from.size < HEAD_SIZE)
        return false;
    if (from.data[4] & FLAG_EXPIRES)
        head_size += EXPIRY_SIZE;
    if (from.size < head_size || from.data[4] & ~FLAGS)
        return false;
    out->version.view = wire_get_u64(from.data + 5);
    out->version.op = wire_get_u64(from.data + 13);
    out->deleted = from.data[4] & FLAG_DELETED;
    if (from.data[4] & FLAG_EXPIRES)
        out->expire_ms = wire_get_i64(from.data + HEAD_SIZE);
    out->value = bytes_of(from.data + head_size, from.size - head_size);
    return true;
}

int tree_record_read(struct bytes key, struct bytes from, struct store_record *out)
{
    if (!tree_record_peek(from, out) ||
        wire_get_u32(from.data) != record_crc(key, from.data, from.size))
        return RK_CORRUPT;
    return 0;
}

void tree_state_key(uint32_t partition, uint8_t key[TREE_STATE_KEY_SIZE])
{
    wire_put_u32(key, __builtin_bswap32(partition));
}

static uint32_t state_crc(uint32_t partition, struct bytes state)
{
    uint8_t key[TREE_STATE_KEY_SIZE];

    tree_state_key(partition, key);
    return crc32c(crc32c(0, key, sizeof(key)), state.data, state.size);
}

size_t tree_state_write(uint32_t partition, struct bytes state, uint8_t to[TREE_STATE_SIZE_MAX])
{
    wire_put_u32(to, state_crc(partition, state));
    memcpy(to + 4, state.data, state.size);
    return 4 + state.size;
}

int tree_state_read(uint32_t partition, struct bytes from, struct bytes *out)
{
    if (from.size < 4 || from.size > TREE_STATE_SIZE_MAX)
        return RK_CORRUPT;
    *out = bytes_of(from.data + 4, from.size - 4);
    return wire_get_u32(from.data) == state_crc(partition, *out) ? 0 : RK_CORRUPT;
}
