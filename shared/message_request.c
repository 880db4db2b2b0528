/* Requests and their replies. They are built where they lie in the output: there are very many of
 * them. */
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/operation.h"
#include "shared/reader.h"
#include "shared/transaction.h"
#include "shared/wire.h"
#include <stddef.h>

enum {
    REQUEST_HEAD = 72,
    REQUEST_ARG_COUNT_AT = 46,
    REPLY_HEAD = 12,
    REPLY_FLAGS_AT = 10,
    ARRAY_COUNT_AT = REPLY_HEAD,
    NIL_SIZE = -1,
};

/* Begins a frame and makes room for `size` bytes of its body, which are given to the caller to
 * fill. */
static uint8_t *begin_fixed(struct buf *out, uint8_t type, size_t size, size_t *begun)
{
    *begun = frame_begin(out, type);
    if (*begun == SIZE_MAX)
        return NULL;

    uint8_t *at = buf_reserve(out, size);

    if (!at) {
        buf_truncate(out, *begun);
        return NULL;
    }
    memset(at, 0, size);
    buf_commit(out, size);
    return at;
}

static int end_with(struct buf *out, size_t begun, struct bytes rest)
{
    if (buf_append(out, rest.data, rest.size) != 0) {
        buf_truncate(out, begun);
        return RK_NOMEM;
    }
    return frame_end(out, begun);
}

static int add_sized(struct buf *out, size_t begun, struct bytes value)
{
    size_t body = buf_len(out) - begun - FRAME_HEADER_SIZE;

    if (body + 4 > FRAME_BODY_MAX || value.size > FRAME_BODY_MAX - 4 - body) {
        buf_truncate(out, begun);
        return RK_TOOBIG;
    }

    uint8_t *at = buf_reserve(out, 4 + value.size);

    if (!at) {
        buf_truncate(out, begun);
        return RK_NOMEM;
    }
    wire_put_u32(at, (uint32_t)value.size);
    if (value.size)
        memcpy(at + 4, value.data, value.size);
    buf_commit(out, 4 + value.size);
    return 0;
}

/* --- requests ------------------------------------------------------------------------------- */

int message_put_request(struct buf *out, const struct request *m)
{
    size_t begun;
    uint8_t *at = begin_fixed(out, MESSAGE_REQUEST, REQUEST_HEAD, &begun);

    if (!at)
        return RK_NOMEM;
    wire_put_u64(at, m->id);
    wire_put_u64(at + 8, m->epoch);
    wire_put_u64(at + 16, m->view);
    wire_put_u64(at + 24, m->session);
    wire_put_u64(at + 32, m->number);
    wire_put_u32(at + 40, m->partition);
    at[44] = m->op;
    at[45] = m->level;
    wire_put_u16(at + REQUEST_ARG_COUNT_AT, m->arg_count);
    wire_put_u64(at + 48, m->base_view);
    wire_put_u64(at + 56, m->base_op);
    at[64] = m->flags;
    wire_put_u16(at + 65, m->wait_ms);
    return end_with(out, begun, m->args);
}

/* Checks one argument against its letter of struct operation_info. */
static bool arg_fits(char letter, struct bytes arg)
{
    switch (letter) {
    case 'k':
        return arg.size > POSITION_SIZE && arg.size <= STORE_KEY_SIZE_MAX;
    case 'i':
        return arg.size == 8;
    case 'c':
        return arg.size >= POSITION_SIZE && arg.size <= STORE_KEY_SIZE_MAX + 1;
    case 'x': {
        struct transaction_item item;

        return transaction_get_item(arg, &item) == 0;
    }
    default:
        return arg.size <= VALUE_SIZE_MAX;
    }
}

int message_check_args(uint8_t op, uint16_t arg_count, struct bytes args)
{
    const struct operation_info *info = operation_info(op);
    struct reader r = reader_of(args);
    size_t letters = 0;
    bool repeats;

    if (!info)
        return RK_CORRUPT;
    while (info->args[letters] && info->args[letters] != '*')
        letters++;
    repeats = info->args[letters] == '*';
    if (arg_count == 0 || arg_count > MESSAGE_ARGS_MAX || arg_count % letters != 0 ||
        (!repeats && arg_count != letters))
        return RK_CORRUPT;
    for (size_t i = 0; i < arg_count; i++) {
        struct bytes arg = reader_sized(&r);

        if (r.bad || !arg_fits(info->args[i % letters], arg))
            return RK_CORRUPT;
    }
    return reader_end(&r);
}

static bool is_zero(struct bytes b)
{
    for (size_t i = 0; i < b.size; i++)
        if (b.data[i])
            return false;
    return true;
}

int message_get_request(struct bytes body, struct request *m)
{
    struct reader r = reader_of(body);

    m->id = reader_u64(&r);
    m->epoch = reader_u64(&r);
    m->view = reader_u64(&r);
    m->session = reader_u64(&r);
    m->number = reader_u64(&r);
    m->partition = reader_u32(&r);
    m->op = reader_u8(&r);
    m->level = reader_u8(&r);
    m->arg_count = reader_u16(&r);

    m->base_view = reader_u64(&r);
    m->base_op = reader_u64(&r);
    m->flags = reader_u8(&r);
    m->wait_ms = reader_u16(&r);

    struct bytes reserved = reader_bytes(&r, 5);

    m->args = reader_rest(&r);
    if (r.bad || !is_zero(reserved) || m->partition >= PARTITIONS_MAX || m->level > LEVEL_VERSION ||
        m->flags > (REQUEST_RETRY | REQUEST_LEAD))
        return RK_CORRUPT;
    return message_check_args(m->op, m->arg_count, m->args);
}

struct bytes message_next_arg(struct bytes *rest, bool *nil)
{
    uint32_t size = wire_get_u32(rest->data);
    bool absent = size == (uint32_t)NIL_SIZE;
    struct bytes arg = {rest->data + 4, absent ? 0 : size};

    if (nil)
        *nil = absent;
    *rest = bytes_of(arg.data + arg.size, rest->size - 4 - arg.size);
    return arg;
}

/* --- replies -------------------------------------------------------------------------------- */

enum { REPLY_FLAG_PROOF = 1 };

/* The proof stands at the end, behind it its size: what it proves is only known once the values
 * were read. */
static int add_proof(struct buf *out, size_t begun, struct bytes proof)
{
    uint8_t *at;

    if (proof.size == 0)
        return 0;
    at = buf_reserve(out, proof.size + 4);
    if (!at) {
        buf_truncate(out, begun);
        return RK_NOMEM;
    }
    memcpy(at, proof.data, proof.size);
    wire_put_u32(at + proof.size, (uint32_t)proof.size);
    buf_commit(out, proof.size + 4);
    buf_head(out)[begun + FRAME_HEADER_SIZE + REPLY_FLAGS_AT] = REPLY_FLAG_PROOF;
    return 0;
}

static uint8_t *begin_reply(struct buf *out, uint64_t id, uint8_t kind, uint8_t refusal,
                            size_t more, size_t *begun)
{
    uint8_t *at = begin_fixed(out, MESSAGE_REPLY, REPLY_HEAD + more, begun);

    if (!at)
        return NULL;
    wire_put_u64(at, id);
    at[8] = kind;
    at[9] = refusal;
    return at + REPLY_HEAD;
}

int message_put_reply(struct buf *out, const struct reply *m)
{
    bool counted = m->kind == REPLY_ARRAY || m->kind == REPLY_RESULTS;
    bool has_data = counted || m->kind == REPLY_BULK || m->kind == REPLY_ERROR;
    size_t more = m->kind == REPLY_INTEGER   ? 8
                  : m->kind == REPLY_REFUSED ? 24
                  : m->kind == REPLY_VERSION ? 16
                  : counted                  ? 4
                                             : 0;
    size_t begun;
    uint8_t *at =
        begin_reply(out, m->id, m->kind, m->kind == REPLY_REFUSED ? m->refusal : 0, more, &begun);

    if (!at)
        return RK_NOMEM;
    if (m->kind == REPLY_INTEGER)
        wire_put_i64(at, m->integer);
    if (counted)
        wire_put_u32(at, m->count);
    if (m->kind == REPLY_REFUSED) {
        wire_put_u64(at, m->epoch);
        wire_put_u64(at + 8, m->view);
        wire_put_u64(at + 16, m->op);
    }
    if (m->kind == REPLY_VERSION) {
        wire_put_u64(at, m->touches);
        wire_put_u64(at + 8, m->op);
    }
    if (has_data && buf_append(out, m->data.data, m->data.size) != 0) {
        buf_truncate(out, begun);
        return RK_NOMEM;
    }

    int error = add_proof(out, begun, m->proof);

    return error ? error : frame_end(out, begun);
}

size_t message_begin_array_reply(struct buf *out, uint64_t id)
{
    size_t begun;

    return begin_reply(out, id, REPLY_ARRAY, 0, 4, &begun) ? begun : SIZE_MAX;
}

int message_add_value(struct buf *out, size_t begun, const struct bytes *value)
{
    int error = add_sized(out, begun, value ? *value : (struct bytes){0});

    if (error)
        return error;

    uint8_t *count = buf_head(out) + begun + FRAME_HEADER_SIZE + ARRAY_COUNT_AT;

    wire_put_u32(count, wire_get_u32(count) + 1);
    if (!value)
        wire_put_u32(buf_head(out) + buf_len(out) - 4, (uint32_t)NIL_SIZE);
    return 0;
}

int message_end_array_reply(struct buf *out, size_t begun, struct bytes proof)
{
    int error = add_proof(out, begun, proof);

    return error ? error : frame_end(out, begun);
}

int message_check_values(struct bytes values, uint32_t count)
{
    struct reader r = reader_of(values);

    if (count > MESSAGE_ARGS_MAX)
        return RK_CORRUPT;
    for (uint32_t i = 0; i < count && !r.bad; i++) {
        uint32_t size = reader_u32(&r);

        if (size != (uint32_t)NIL_SIZE)
            reader_bytes(&r, size);
    }
    return reader_end(&r);
}

/* Cuts the proof off the end of a reply's body. */
static int take_proof(struct bytes *body, struct bytes *proof)
{
    uint32_t size = body->size < REPLY_HEAD + 4 ? 0 : wire_get_u32(body->data + body->size - 4);

    if (size < PROOF_HEAD_SIZE || size > PROOF_MAX || size > body->size - REPLY_HEAD - 4)
        return RK_CORRUPT;
    *proof = bytes_of(body->data + body->size - 4 - size, size);
    body->size -= size + 4;
    return 0;
}

/* What follows the head, by kind. */
static int get_content(struct reader *r, struct reply *m)
{
    switch (m->kind) {
    case REPLY_OK:
    case REPLY_NIL:
        break;
    case REPLY_VERSION:
        m->touches = reader_u64(r);
        m->op = reader_u64(r);
        break;
    case REPLY_INTEGER:
        m->integer = reader_i64(r);
        break;
    case REPLY_BULK:
    case REPLY_ERROR:
        m->data = reader_rest(r);
        break;
    case REPLY_ARRAY:
        m->count = reader_u32(r);
        m->data = reader_rest(r);
        return r->bad ? RK_CORRUPT : message_check_values(m->data, m->count);
    case REPLY_RESULTS:
        m->count = reader_u32(r);
        m->data = reader_rest(r);
        return r->bad ? RK_CORRUPT : transaction_check_results(m->data, m->count);
    case REPLY_REFUSED:
        m->epoch = reader_u64(r);
        m->view = reader_u64(r);
        m->op = reader_u64(r);
        if (m->refusal > REFUSAL_FORGOTTEN)
            return RK_CORRUPT;
        break;
    default:
        return RK_CORRUPT;
    }
    return reader_end(r);
}

int message_get_reply(struct bytes body, struct reply *m)
{
    struct bytes proof = {0};
    struct reader r;
    uint16_t flags;

    if (body.size >= REPLY_HEAD && body.data[REPLY_FLAGS_AT] == REPLY_FLAG_PROOF &&
        take_proof(&body, &proof) != 0)
        return RK_CORRUPT;
    r = reader_of(body);
    *m = (struct reply){.id = reader_u64(&r)};
    m->kind = reader_u8(&r);
    m->refusal = reader_u8(&r);
    flags = reader_u16(&r);
    m->proof = proof;
    if (r.bad || flags > REPLY_FLAG_PROOF || (m->kind == REPLY_REFUSED) != (m->refusal != 0) ||
        (m->kind == REPLY_VERSION && !proof.size))
        return RK_CORRUPT;
    return get_content(&r, m);
}
