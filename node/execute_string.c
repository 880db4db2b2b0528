/* Operations on values as strings of bytes. */
#include "node/execute_parts.h"
#include "shared/error.h"
#include "shared/resp.h"

int execute_get(struct execute *x)
{
    struct store_record found;
    int error = execute_look_up(x, execute_arg(x), &found);

    if (error && error != RK_NOTFOUND)
        return error;
    return execute_answer(
        x, &(struct reply){.kind = error ? REPLY_NIL : REPLY_BULK, .data = found.value});
}

int execute_strlen(struct execute *x)
{
    struct store_record found;
    int error = execute_look_up(x, execute_arg(x), &found);

    if (error && error != RK_NOTFOUND)
        return error;
    return execute_answer(
        x, &(struct reply){.kind = REPLY_INTEGER, .integer = (int64_t)found.value.size});
}

/* The values go straight into the frame. */
int execute_mget(struct execute *x)
{
    size_t begun = message_begin_array_reply(x->out, x->request->id);

    if (begun == SIZE_MAX)
        return RK_NOMEM;
    for (uint16_t i = 0; i < x->request->arg_count; i++) {
        struct store_record found;
        int error = execute_look_up(x, execute_arg(x), &found);

        if (error && error != RK_NOTFOUND) {
            buf_truncate(x->out, begun);
            return error;
        }
        error = message_add_value(x->out, begun, error ? NULL : &found.value);
        if (error)
            return error;
    }
    return message_end_array_reply(x->out, begun, buf_bytes(x->view->proof));
}

/* SET and MSET. */
int execute_set(struct execute *x)
{
    struct reply *reply = &x->effect->reply;

    reply->kind = REPLY_OK;
    for (uint16_t i = 0; i < x->request->arg_count && reply->kind == REPLY_OK; i += 2) {
        struct bytes key = execute_arg(x);
        int error = execute_put(x, key, execute_arg(x), 0);

        if (error)
            return error;
    }
    return 0;
}

int execute_setnx(struct execute *x)
{
    struct bytes key = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = error == RK_NOTFOUND;
    if (error != RK_NOTFOUND)
        return error;
    return execute_put(x, key, execute_arg(x), 0);
}

int execute_getset(struct execute *x)
{
    struct bytes key = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    x->effect->reply.kind = REPLY_NIL;
    if (!error && execute_reply_value(x, found.value) != 0)
        return RK_NOMEM;
    return execute_put(x, key, execute_arg(x), 0);
}

int execute_append(struct execute *x)
{
    struct bytes key = execute_arg(x), more = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    size_t size = found.value.size + more.size;
    uint8_t *joined;

    if (error && error != RK_NOTFOUND)
        return error;
    joined = execute_grown(x, found.value, size);
    if (!joined)
        return RK_NOMEM;
    if (more.size)
        memcpy(joined + found.value.size, more.data, more.size);
    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = (int64_t)size;
    return execute_put(x, key, bytes_of(joined, size), found.expire_ms);
}

int execute_getrange(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t first = execute_integer_arg(x);
    struct execute_range range = {first, execute_integer_arg(x)};
    bool backward = execute_range_backward(&range);
    struct reply reply = {.kind = REPLY_BULK};
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    if (!backward && execute_range_cut(&range, (int64_t)found.value.size))
        reply.data =
            bytes_of(found.value.data + range.first, (size_t)(range.last - range.first + 1));
    return execute_answer(x, &reply);
}

/* Writes over a part of a value; what is between its end and the part becomes zeros. */
int execute_setrange(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t from = execute_integer_arg(x);
    struct bytes part = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    size_t size;
    uint8_t *whole;

    if (error && error != RK_NOTFOUND)
        return error;
    if (from < 0 || from > VALUE_SIZE_MAX || (uint64_t)from + part.size > x->view->value_max)
        return execute_fail_size(x, (uint64_t)from + part.size);
    size =
        (size_t)from + part.size > found.value.size ? (size_t)from + part.size : found.value.size;
    whole = execute_grown(x, found.value, size);
    if (!whole)
        return RK_NOMEM;
    if (part.size)
        memcpy(whole + from, part.data, part.size);
    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = (int64_t)size;
    return execute_put(x, key, bytes_of(whole, size), found.expire_ms);
}

enum { EMBSTR_SIZE_MAX = 44, LONG_DIGITS_MAX = 20 }; /* Redis's */

static const char *encoding_of(struct bytes value)
{
    int64_t number;

    if (value.size <= LONG_DIGITS_MAX && resp_read_integer(value, &number) == 0)
        return "int";
    return value.size <= EMBSTR_SIZE_MAX ? "embstr" : "raw";
}

/* As what Redis would keep the value after a SET. */
int execute_encoding(struct execute *x)
{
    struct reply reply = {.kind = REPLY_NIL};
    struct store_record found;
    int error = execute_look_up(x, execute_arg(x), &found);

    if (error && error != RK_NOTFOUND)
        return error;
    if (!error)
        reply = (struct reply){.kind = REPLY_BULK, .data = bytes_from(encoding_of(found.value))};
    return execute_answer(x, &reply);
}

/* What a record takes besides its store key and value: version, expiry, checksum, and its share of
 * a page. */
enum { RECORD_HEAD_SIZE = 56 };

int execute_usage(struct execute *x)
{
    struct reply reply = {.kind = REPLY_NIL};
    struct bytes key = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    if (!error) {
        reply.kind = REPLY_INTEGER;
        reply.integer = (int64_t)(RECORD_HEAD_SIZE + key.size + found.value.size);
    }
    return execute_answer(x, &reply);
}
