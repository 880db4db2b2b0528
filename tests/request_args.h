/* The arguments of a request, put together one by one as a proxy does it. */
#ifndef RINGKV_TESTS_REQUEST_ARGS_H
#define RINGKV_TESTS_REQUEST_ARGS_H

#include "shared/buf.h"
#include "shared/limits.h"
#include "shared/message.h"
#include "shared/wire.h"

/* Begins with zeros. */
struct request_args {
    struct buf encoded;
    uint16_t count;
};

/* 0 or RK_NOMEM. */
static inline int request_args_add(struct request_args *a, struct bytes arg)
{
    uint8_t size[4];

    wire_put_u32(size, (uint32_t)arg.size);
    a->count++;
    return buf_append(&a->encoded, size, sizeof(size)) ||
                   buf_append(&a->encoded, arg.data, arg.size)
               ? RK_NOMEM
               : 0;
}

/* The position, then the key. */
static inline int request_args_add_key(struct request_args *a, uint64_t position, struct bytes key)
{
    uint8_t size[4 + POSITION_SIZE];

    wire_put_u32(size, (uint32_t)(POSITION_SIZE + key.size));
    wire_put_position(size + 4, position);
    a->count++;
    return buf_append(&a->encoded, size, sizeof(size)) ||
                   buf_append(&a->encoded, key.data, key.size)
               ? RK_NOMEM
               : 0;
}

/* Puts the request `m` with these arguments, and begins anew. As message_put_request. */
static inline int request_args_put(struct request_args *a, struct request m, struct buf *out)
{
    int error;

    m.arg_count = a->count;
    m.args = buf_bytes(&a->encoded);
    error = message_put_request(out, &m);
    buf_free(&a->encoded);
    a->count = 0;
    return error;
}

#endif
