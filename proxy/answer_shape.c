#include "proxy/answer_shape.h"
#include "shared/error.h"
#include "shared/resp.h"
#include "shared/wire.h"

enum { RANGE_SIZE = 16 };

static int put_pair(struct buf *out, uint32_t first, uint32_t last)
{
    int error = resp_put_array(out, 2);

    if (!error)
        error = resp_put_integer(out, first);
    return error ? error : resp_put_integer(out, last);
}

static int put_range(struct buf *out, const uint8_t *range, bool sized)
{
    uint32_t first = wire_get_u32(range), last = wire_get_u32(range + 4);
    int error = resp_put_array(out, sized ? 3 : 2);

    if (!error)
        error = put_pair(out, first, last);
    if (!error)
        error = put_pair(out, wire_get_u32(range + 8), wire_get_u32(range + 12));
    if (!error && sized)
        error = resp_put_integer(out, (int64_t)last - first + 1);
    return error;
}

static int put_ranges(struct buf *out, struct bytes data, bool sized, int resp)
{
    size_t before = buf_len(out);
    int error;

    if (data.size < 4 || (data.size - 4) % RANGE_SIZE != 0)
        return RK_INVALID;
    error = resp_put_map(out, 2, resp);
    if (!error)
        error = resp_put_bulk(out, bytes_from("matches"));
    if (!error)
        error = resp_put_array(out, (data.size - 4) / RANGE_SIZE);
    for (size_t at = 4; at < data.size && !error; at += RANGE_SIZE)
        error = put_range(out, data.data + at, sized);
    if (!error)
        error = resp_put_bulk(out, bytes_from("len"));
    if (!error)
        error = resp_put_integer(out, wire_get_u32(data.data));
    if (error)
        buf_truncate(out, before);
    return error;
}

static int64_t seconds_of(int64_t ms)
{
    return ms < 0 ? ms : ms / 1000 + (ms % 1000 >= 500);
}

static int put_complaint(struct buf *out, const struct answer_shape *shape, int64_t count, int resp)
{
    if (count)
        return resp_put_error(out, shape->complaint);
    return shape->absent == SHAPE_ABSENT_NIL ? resp_put_null(out, resp)
                                             : resp_put_integer(out, shape->absent);
}

int answer_shape_put(struct buf *out, const struct answer_shape *shape, const struct reply *reply,
                     int resp)
{
    bool ranges = shape->kind == SHAPE_RANGES || shape->kind == SHAPE_RANGES_SIZED;

    if (reply->kind != (ranges ? REPLY_BULK : REPLY_INTEGER))
        return RK_INVALID;
    switch ((enum shape_kind)shape->kind) {
    case SHAPE_TYPE:
        return resp_put_simple(out, reply->integer ? "string" : "none");
    case SHAPE_SECONDS:
        return resp_put_integer(out, seconds_of(reply->integer));
    case SHAPE_RANGES:
    case SHAPE_RANGES_SIZED:
        return put_ranges(out, reply->data, shape->kind == SHAPE_RANGES_SIZED, resp);
    case SHAPE_IF_THERE:
        return reply->integer ? resp_put_integer(out, shape->integer) : resp_put_null(out, resp);
    case SHAPE_COMPLAINT:
        return put_complaint(out, shape, reply->integer, resp);
    case SHAPE_AS_IT_IS:
        break;
    }
    return RK_INVALID;
}
