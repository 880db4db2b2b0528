#include "shared/frame.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/wire.h"

enum { CHECKED_FROM = 8 };

int64_t frame_read(struct bytes in, size_t body_max, struct frame *out)
{
    if (in.size < FRAME_HEADER_SIZE)
        return RK_MORE;

    uint32_t size = wire_get_u32(in.data);

    if (in.data[8] != FRAME_VERSION)
        return RK_VERSION;
    if (size == 0 || size > FRAME_BODY_MAX || wire_get_u16(in.data + 10) != 0)
        return RK_CORRUPT;
    if (size > body_max)
        return RK_TOOBIG;
    if (in.size - FRAME_HEADER_SIZE < size)
        return RK_MORE;
    if (crc32c(0, in.data + CHECKED_FROM, FRAME_HEADER_SIZE - CHECKED_FROM + size) !=
        wire_get_u32(in.data + 4))
        return RK_CORRUPT;
    out->type = in.data[9];
    out->body = bytes_of(in.data + FRAME_HEADER_SIZE, size);
    return FRAME_HEADER_SIZE + (int64_t)size;
}

size_t frame_begin(struct buf *out, uint8_t type)
{
    size_t begun = buf_len(out);
    uint8_t *header = buf_reserve(out, FRAME_HEADER_SIZE);

    if (!header)
        return SIZE_MAX;
    memset(header, 0, FRAME_HEADER_SIZE);
    header[8] = FRAME_VERSION;
    header[9] = type;
    buf_commit(out, FRAME_HEADER_SIZE);
    return begun;
}

int frame_end(struct buf *out, size_t begun)
{
    size_t size = buf_len(out) - begun - FRAME_HEADER_SIZE;
    uint8_t *header = buf_head(out) + begun;

    if (size == 0 || size > FRAME_BODY_MAX) {
        buf_truncate(out, begun);
        return size ? RK_TOOBIG : RK_INVALID;
    }
    wire_put_u32(header, (uint32_t)size);
    wire_put_u32(header + 4,
                 crc32c(0, header + CHECKED_FROM, FRAME_HEADER_SIZE - CHECKED_FROM + size));
    return 0;
}

int frame_put(struct buf *out, uint8_t type, struct bytes head, struct bytes rest)
{
    size_t begun = frame_begin(out, type);

    if (begun == SIZE_MAX)
        return RK_NOMEM;
    if (buf_append(out, head.data, head.size) != 0 || buf_append(out, rest.data, rest.size) != 0) {
        buf_truncate(out, begun);
        return RK_NOMEM;
    }
    return frame_end(out, begun);
}

void frame_restamp(uint8_t *frame, size_t body_offset, uint64_t value)
{
    uint32_t size = wire_get_u32(frame);

    wire_put_u64(frame + FRAME_HEADER_SIZE + body_offset, value);
    wire_put_u32(frame + 4,
                 crc32c(0, frame + CHECKED_FROM, FRAME_HEADER_SIZE - CHECKED_FROM + size));
}
