#include "node/log_record.h"
#include "node/store_batch.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <string.h>

static const char log_magic[8] = {'r', 'i', 'n', 'g', 'k', 'v', 'l', 'g'};

enum { KIND_SHIFT = 28, BODY_SIZE_MASK = (1 << KIND_SHIFT) - 1 };

_Static_assert((int)STORE_BATCH_SIZE_MAX < (int)BODY_SIZE_MASK, "a batch fits in one record");

void log_head_write(const struct log_head *head, uint8_t to[LOG_HEAD_SIZE])
{
    memset(to, 0, LOG_HEAD_SIZE);
    memcpy(to, log_magic, 8);
    wire_put_u32(to + 8, LOG_FORMAT);
    wire_put_u32(to + 12, LOG_HEAD_SIZE);
    wire_put_u64(to + 16, head->number);
    wire_put_u64(to + 24, head->first_position);
    wire_put_u64(to + 32, head->salt);
    wire_put_u64(to + 40, head->size);
    wire_put_u32(to + LOG_HEAD_SIZE - 4, crc32c(0, to, LOG_HEAD_SIZE - 4));
}

int log_head_read(const uint8_t from[LOG_HEAD_SIZE], struct log_head *out)
{
    if (memcmp(from, log_magic, 8) != 0)
        return RK_CORRUPT;
    if (wire_get_u32(from + LOG_HEAD_SIZE - 4) != crc32c(0, from, LOG_HEAD_SIZE - 4))
        return RK_CORRUPT;
    if (wire_get_u32(from + 8) != LOG_FORMAT || wire_get_u32(from + 12) != LOG_HEAD_SIZE)
        return RK_VERSION;
    out->number = wire_get_u64(from + 16);
    out->first_position = wire_get_u64(from + 24);
    out->salt = wire_get_u64(from + 32);
    out->size = wire_get_u64(from + 40);
    return 0;
}

size_t log_record_batch_size(const struct store_batch *batch)
{
    return LOG_RECORD_HEAD_SIZE + store_batch_size(batch);
}

static uint32_t record_crc(const uint8_t *record, size_t size, uint64_t salt)
{
    return crc32c(crc32c(0, &salt, sizeof(salt)), record + 4, size - 4);
}

static void record_seal(uint8_t *record, enum log_kind kind, size_t size, uint64_t position,
                        uint64_t salt)
{
    wire_put_u32(record + 4,
                 (uint32_t)kind << KIND_SHIFT | (uint32_t)(size - LOG_RECORD_HEAD_SIZE));
    wire_put_u64(record + 8, position);
    wire_put_u32(record, record_crc(record, size, salt));
}

int log_record_append_batch(struct buf *to, uint64_t salt, uint64_t position,
                            const struct store_batch *batch)
{
    size_t size = log_record_batch_size(batch);
    uint8_t *record = buf_reserve(to, size);

    if (!record)
        return RK_NOMEM;
    store_batch_write(batch, record + LOG_RECORD_HEAD_SIZE);
    record_seal(record, LOG_BATCH, size, position, salt);
    buf_commit(to, size);
    return 0;
}

int log_record_append_mark(struct buf *to, uint64_t salt, uint64_t position)
{
    uint8_t *record = buf_reserve(to, LOG_MARK_SIZE);

    if (!record)
        return RK_NOMEM;
    wire_put_u64(record + LOG_RECORD_HEAD_SIZE, salt);
    record_seal(record, LOG_MARK, LOG_MARK_SIZE, position, salt);
    buf_commit(to, LOG_MARK_SIZE);
    return 0;
}

int log_record_read(struct bytes from, uint64_t salt, struct log_record *out)
{
    uint32_t word;

    if (from.size < LOG_RECORD_HEAD_SIZE)
        return RK_CORRUPT;
    word = wire_get_u32(from.data + 4);
    out->size = LOG_RECORD_HEAD_SIZE + (word & BODY_SIZE_MASK);
    if (out->size > from.size)
        return RK_CORRUPT;
    if (word >> KIND_SHIFT == LOG_BATCH)
        out->kind = LOG_BATCH;
    else if (word >> KIND_SHIFT == LOG_MARK && out->size == LOG_MARK_SIZE)
        out->kind = LOG_MARK;
    else
        return RK_CORRUPT;
    if (wire_get_u32(from.data) != record_crc(from.data, out->size, salt))
        return RK_CORRUPT;
    out->position = wire_get_u64(from.data + 8);
    out->body = bytes_of(from.data + LOG_RECORD_HEAD_SIZE, out->size - LOG_RECORD_HEAD_SIZE);
    return 0;
}

uint64_t log_record_find_marks(struct bytes in, uint64_t salt)
{
    const uint8_t *at = in.data, *end = in.data + in.size;
    uint64_t highest = 0;

    while (at < end) {
        const uint8_t *found = memmem(at, (size_t)(end - at), &salt, sizeof(salt));
        struct log_record record;

        if (!found)
            break;
        at = found + 1;
        if (found - in.data < LOG_RECORD_HEAD_SIZE)
            continue;
        if (log_record_read(bytes_of(found - LOG_RECORD_HEAD_SIZE, LOG_MARK_SIZE), salt, &record) ==
                0 &&
            record.kind == LOG_MARK && record.position > highest)
            highest = record.position;
    }
    return highest;
}
