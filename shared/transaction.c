#include "shared/transaction.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/reader.h"
#include "shared/wire.h"
#include <assert.h>

bool transaction_takes(uint8_t op)
{
    const struct operation_info *info = operation_info(op);

    return info && info->args[0] == 'k';
}

static int get_watched(struct reader *r, struct transaction_item *out)
{
    out->token = reader_bytes(r, WATCH_TOKEN_SIZE);
    out->key = reader_rest(r);
    return r->bad || out->token.data[0] > 1 || out->key.size <= POSITION_SIZE ||
                   out->key.size > STORE_KEY_SIZE_MAX
               ? RK_CORRUPT
               : 0;
}

int transaction_get_item(struct bytes arg, struct transaction_item *out)
{
    struct reader r = reader_of(arg);

    *out = (struct transaction_item){.op = reader_u8(&r)};
    if (r.bad)
        return RK_CORRUPT;
    if (out->op == 0)
        return get_watched(&r, out);
    out->arg_count = reader_u16(&r);
    out->args = reader_rest(&r);
    if (r.bad || !transaction_takes(out->op))
        return RK_CORRUPT;
    return message_check_args(out->op, out->arg_count, out->args);
}

int transaction_put_result(struct buf *out, const struct reply *reply)
{
    uint8_t *at = buf_reserve(out, TRANSACTION_RESULT_HEAD + reply->data.size);

    assert(reply->data.size <= UINT32_MAX);
    if (!at)
        return RK_NOMEM;
    at[0] = reply->kind;
    wire_put_i64(at + 1, reply->integer);
    wire_put_u32(at + 9, reply->count);
    wire_put_u32(at + 13, (uint32_t)reply->data.size);
    if (reply->data.size)
        memcpy(at + TRANSACTION_RESULT_HEAD, reply->data.data, reply->data.size);
    buf_commit(out, TRANSACTION_RESULT_HEAD + reply->data.size);
    return 0;
}

static struct reply get_result(struct reader *r)
{
    struct reply reply = {.kind = reader_u8(r)};

    reply.integer = reader_i64(r);
    reply.count = reader_u32(r);
    reply.data = reader_sized(r);
    return reply;
}

struct reply transaction_next_result(struct bytes *rest)
{
    struct reader r = reader_of(*rest);
    struct reply reply = get_result(&r);

    *rest = bytes_of(r.at, r.left);
    return reply;
}

/* One encoding for each result: what its kind does not have is zero. */
static bool result_fits(const struct reply *reply)
{
    bool has_data =
        reply->kind == REPLY_BULK || reply->kind == REPLY_ERROR || reply->kind == REPLY_ARRAY;

    if (reply->kind == 0 || reply->kind > REPLY_ERROR)
        return false;
    if ((reply->integer && reply->kind != REPLY_INTEGER) || (reply->data.size && !has_data))
        return false;
    return reply->kind == REPLY_ARRAY ? message_check_values(reply->data, reply->count) == 0
                                      : reply->count == 0;
}

int transaction_check_results(struct bytes results, uint32_t count)
{
    struct reader r = reader_of(results);

    if (count > MESSAGE_ARGS_MAX)
        return RK_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        struct reply reply = get_result(&r);

        if (r.bad || !result_fits(&reply))
            return RK_CORRUPT;
    }
    return reader_end(&r);
}
