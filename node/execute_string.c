/* Operations on values as strings of bytes. */
#include "node/execute_parts.h"
#include "shared/error.h"

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

/* The old value is copied: it has to outlive what the store does with the new one. */
int execute_getset(struct execute *x)
{
    struct bytes key = execute_arg(x);
    struct reply *reply = &x->effect->reply;
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    reply->kind = error ? REPLY_NIL : REPLY_BULK;
    reply->data = bytes_of(arena_copy(&x->effect->arena, found.value.data, found.value.size),
                           found.value.size);
    if (!reply->data.data)
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
    joined = arena_alloc(&x->effect->arena, size);
    if (!joined)
        return RK_NOMEM;
    if (found.value.size)
        memcpy(joined, found.value.data, found.value.size);
    if (more.size)
        memcpy(joined + found.value.size, more.data, more.size);
    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = (int64_t)size;
    return execute_put(x, key, bytes_of(joined, size), found.expire_ms);
}
