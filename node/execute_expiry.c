/* Operations on when keys expire.
 *
 * The primary's clock decides, once: what is replicated is a time, or a delete. */
#include "node/execute_parts.h"
#include "shared/error.h"
#include "shared/operation.h"

/* The time as a record keeps it: positive, since 0 is no expiry. One beyond what fits is as far as
 * can be. */
static int64_t absolute(const struct execute *x, int64_t time_ms, bool relative)
{
    int64_t sum;

    if (__builtin_add_overflow(time_ms, relative ? x->view->now_ms : 0, &sum))
        return INT64_MAX;
    return sum > 0 ? sum : 1;
}

/* Sets a key that is there to the same value with another expiry. */
static int put_expiry(struct execute *x, struct bytes key, struct bytes value, int64_t expire_ms)
{
    return execute_keep(x, &value) ? RK_NOMEM : execute_put(x, key, value, expire_ms);
}

int execute_setx(struct execute *x)
{
    struct bytes key = execute_arg(x), value = execute_arg(x);
    int64_t time_ms = execute_integer_arg(x);
    int64_t flags = execute_integer_arg(x);
    struct reply *reply = &x->effect->reply;
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    bool there = error == 0;

    if (error && error != RK_NOTFOUND)
        return error;
    reply->kind = flags & SETX_GET ? REPLY_NIL : REPLY_OK;
    if (there && flags & SETX_GET && execute_reply_value(x, found.value) != 0)
        return RK_NOMEM;
    if ((flags & SETX_NX && there) || (flags & SETX_XX && !there)) {
        if (!(flags & SETX_GET))
            reply->kind = REPLY_NIL;
        return 0;
    }
    if (flags & SETX_EXPIRES)
        return execute_put(x, key, value, absolute(x, time_ms, flags & SETX_RELATIVE));
    return execute_put(x, key, value, flags & SETX_KEEPTTL ? found.expire_ms : 0);
}

int execute_getex(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t time_ms = execute_integer_arg(x);
    int64_t flags = execute_integer_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    int64_t expire_ms = flags & GETEX_PERSIST ? 0 : absolute(x, time_ms, flags & GETEX_RELATIVE);

    x->effect->reply.kind = REPLY_NIL;
    if (error)
        return error == RK_NOTFOUND ? 0 : error;
    if (execute_reply_value(x, found.value) != 0)
        return RK_NOMEM;
    if (expire_ms == found.expire_ms)
        return 0;
    if (expire_ms && expire_ms <= x->view->now_ms)
        return execute_delete(x, key);
    return execute_put(x, key, x->effect->reply.data, expire_ms);
}

int execute_getdel(struct execute *x)
{
    struct bytes key = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    x->effect->reply.kind = REPLY_NIL;
    if (error)
        return error == RK_NOTFOUND ? 0 : error;
    return execute_reply_value(x, found.value) ? RK_NOMEM : execute_delete(x, key);
}

static bool may_expire(int64_t old_ms, int64_t new_ms, int64_t flags)
{
    if (flags & EXPIRE_NX && old_ms)
        return false;
    if (flags & EXPIRE_XX && !old_ms)
        return false;
    if (flags & EXPIRE_GT && (!old_ms || new_ms <= old_ms))
        return false;
    return !(flags & EXPIRE_LT) || !old_ms || new_ms < old_ms;
}

int execute_expire(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t time_ms = execute_integer_arg(x);
    int64_t flags = execute_integer_arg(x);
    int64_t expire_ms = absolute(x, time_ms, flags & EXPIRE_RELATIVE);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    x->effect->reply.kind = REPLY_INTEGER;
    if (error)
        return error == RK_NOTFOUND ? 0 : error;
    if (!may_expire(found.expire_ms, expire_ms, flags))
        return 0;
    x->effect->reply.integer = 1;
    if (expire_ms <= x->view->now_ms)
        return execute_delete(x, key);
    return put_expiry(x, key, found.value, expire_ms);
}

int execute_persist(struct execute *x)
{
    struct bytes key = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    x->effect->reply.kind = REPLY_INTEGER;
    if (error)
        return error == RK_NOTFOUND ? 0 : error;
    if (!found.expire_ms)
        return 0;
    x->effect->reply.integer = 1;
    return put_expiry(x, key, found.value, 0);
}

/* PTTL and PEXPIRETIME. */
int execute_pttl(struct execute *x)
{
    struct reply reply = {.kind = REPLY_INTEGER};
    struct store_record found;
    int error = execute_look_up(x, execute_arg(x), &found);

    if (error && error != RK_NOTFOUND)
        return error;
    if (error)
        reply.integer = -2;
    else if (!found.expire_ms)
        reply.integer = -1;
    else
        reply.integer = found.expire_ms - (x->request->op == OP_PTTL ? x->view->now_ms : 0);
    return execute_answer(x, &reply);
}
