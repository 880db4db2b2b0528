#include "node/store_batch.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <string.h>

enum {
    BATCH_HEAD_SIZE = 12,
    CHANGE_HEAD_SIZE = 8,
    CHANGE_RECORD_SIZE = 24,
};

enum change_code { CODE_PUT, CODE_FORGET, CODE_TOMBSTONE };

static int change_check(const struct store_change *change)
{
    if (change->kind != STORE_PUT && change->kind != STORE_FORGET)
        return RK_INVALID;
    if (change->key.size == 0)
        return RK_INVALID;
    if (change->key.size > STORE_KEY_SIZE_MAX)
        return RK_TOOBIG;
    if (change->kind == STORE_PUT && change->record.value.size > VALUE_SIZE_MAX)
        return RK_TOOBIG;
    return 0;
}

int store_batch_check(const struct store_batch *batch)
{
    if (batch->partition >= PARTITIONS_MAX)
        return RK_INVALID;
    if (batch->state.size > STORE_STATE_MAX || batch->change_count > STORE_CHANGES_MAX)
        return RK_TOOBIG;
    for (size_t i = 0; i < batch->change_count; i++) {
        int error = change_check(&batch->changes[i]);

        if (error)
            return error;
    }
    return store_batch_size(batch) > STORE_BATCH_SIZE_MAX ? RK_TOOBIG : 0;
}

static size_t change_size(const struct store_change *change)
{
    size_t size = CHANGE_HEAD_SIZE + change->key.size;

    return change->kind == STORE_PUT ? size + CHANGE_RECORD_SIZE + change->record.value.size : size;
}

size_t store_batch_size(const struct store_batch *batch)
{
    size_t size = BATCH_HEAD_SIZE + batch->state.size;

    for (size_t i = 0; i < batch->change_count; i++)
        size += change_size(&batch->changes[i]);
    return size;
}

static uint8_t *put_bytes(uint8_t *to, struct bytes bytes)
{
    if (bytes.size)
        memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

static uint8_t *change_write(const struct store_change *change, uint8_t *to)
{
    const struct store_record *record = &change->record;
    bool put = change->kind == STORE_PUT;

    to[0] = !put ? CODE_FORGET : record->deleted ? CODE_TOMBSTONE : CODE_PUT;
    to[1] = 0;
    wire_put_u16(to + 2, (uint16_t)change->key.size);
    wire_put_u32(to + 4, put ? (uint32_t)record->value.size : 0);
    to += CHANGE_HEAD_SIZE;
    if (!put)
        return put_bytes(to, change->key);
    wire_put_u64(to, record->version.view);
    wire_put_u64(to + 8, record->version.op);
    wire_put_i64(to + 16, record->expire_ms);
    return put_bytes(put_bytes(to + CHANGE_RECORD_SIZE, change->key), record->value);
}

void store_batch_write(const struct store_batch *batch, uint8_t *to)
{
    wire_put_u32(to, batch->partition);
    wire_put_u32(to + 4, (uint32_t)batch->change_count);
    wire_put_u16(to + 8, (uint16_t)batch->state.size);
    wire_put_u16(to + 10, 0);
    to = put_bytes(to + BATCH_HEAD_SIZE, batch->state);
    for (size_t i = 0; i < batch->change_count; i++)
        to = change_write(&batch->changes[i], to);
}

/* Takes `size` bytes from the front; false: there are not that many. */
static bool take(struct bytes *from, size_t size, struct bytes *out)
{
    if (from->size < size)
        return false;
    *out = bytes_of(from->data, size);
    *from = bytes_of(from->data + size, from->size - size);
    return true;
}

static int change_read(struct bytes *from, struct store_change *out)
{
    struct bytes head, record;

    if (!take(from, CHANGE_HEAD_SIZE, &head) || head.data[0] > CODE_TOMBSTONE || head.data[1] != 0)
        return RK_CORRUPT;

    size_t key_size = wire_get_u16(head.data + 2);
    size_t value_size = wire_get_u32(head.data + 4);

    *out = (struct store_change){.kind = head.data[0] == CODE_FORGET ? STORE_FORGET : STORE_PUT};
    if (key_size == 0 || key_size > STORE_KEY_SIZE_MAX || value_size > VALUE_SIZE_MAX)
        return RK_CORRUPT;
    if (out->kind == STORE_FORGET)
        return value_size == 0 && take(from, key_size, &out->key) ? 0 : RK_CORRUPT;
    if (!take(from, CHANGE_RECORD_SIZE, &record) || !take(from, key_size, &out->key) ||
        !take(from, value_size, &out->record.value))
        return RK_CORRUPT;
    out->record.version.view = wire_get_u64(record.data);
    out->record.version.op = wire_get_u64(record.data + 8);
    out->record.expire_ms = wire_get_i64(record.data + 16);
    out->record.deleted = head.data[0] == CODE_TOMBSTONE;
    return 0;
}

int store_batch_read(struct bytes from, struct store_change changes[STORE_CHANGES_MAX],
                     struct store_batch *out)
{
    struct bytes head;

    if (!take(&from, BATCH_HEAD_SIZE, &head))
        return RK_CORRUPT;
    *out = (struct store_batch){.partition = wire_get_u32(head.data),
                                .changes = changes,
                                .change_count = wire_get_u32(head.data + 4)};

    size_t state_size = wire_get_u16(head.data + 8);

    if (out->partition >= PARTITIONS_MAX || state_size > STORE_STATE_MAX ||
        wire_get_u16(head.data + 10) != 0 || out->change_count > STORE_CHANGES_MAX ||
        !take(&from, state_size, &out->state))
        return RK_CORRUPT;
    for (size_t i = 0; i < out->change_count; i++)
        if (change_read(&from, &changes[i]) != 0)
            return RK_CORRUPT;
    return from.size == 0 ? 0 : RK_CORRUPT;
}
