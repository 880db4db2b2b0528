#include "shared/message_touched.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/reader.h"
#include "shared/wire.h"

enum { GET_SIZE = 16, HEAD_SIZE = 24, ENTRY_SIZE = 4 };

int message_put_touched_get(struct buf *out, const struct touched_get *m)
{
    uint8_t body[GET_SIZE];

    wire_put_u64(body, m->tag);
    wire_put_u64(body + 8, m->since);
    return frame_put(out, MESSAGE_TOUCHED_GET, bytes_of(body, sizeof(body)), (struct bytes){0});
}

int message_put_touched(struct buf *out, const struct touched *m)
{
    uint8_t head[HEAD_SIZE];

    wire_put_u64(head, m->tag);
    wire_put_u64(head + 8, m->touches);
    wire_put_u32(head + 16, m->any);
    wire_put_u32(head + 20, m->count);
    return frame_put(out, MESSAGE_TOUCHED, bytes_of(head, sizeof(head)), m->partitions);
}

int message_get_touched_get(struct bytes body, struct touched_get *m)
{
    struct reader r = reader_of(body);

    m->tag = reader_u64(&r);
    m->since = reader_u64(&r);
    return reader_end(&r);
}

uint32_t touched_partition(const struct touched *m, uint32_t index)
{
    return wire_get_u32(m->partitions.data + (size_t)index * ENTRY_SIZE);
}

int message_get_touched(struct bytes body, struct touched *m)
{
    struct reader r = reader_of(body);
    uint32_t any;

    m->tag = reader_u64(&r);
    m->touches = reader_u64(&r);
    any = reader_u32(&r);
    m->count = reader_u32(&r);
    m->any = any;
    if (any > 1 || m->count > TOUCHED_MAX || (any && m->count))
        return RK_CORRUPT;
    m->partitions = reader_bytes(&r, (size_t)m->count * ENTRY_SIZE);
    if (reader_end(&r) != 0)
        return RK_CORRUPT;
    for (uint32_t i = 0; i < m->count; i++)
        if (touched_partition(m, i) >= PARTITIONS_MAX)
            return RK_CORRUPT;
    return 0;
}
