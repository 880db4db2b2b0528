/* Operations that put a key's value under another key. */
#include "node/execute_parts.h"
#include "shared/error.h"
#include "shared/operation.h"

#define NO_SUCH_KEY "ERR no such key"

struct two_keys {
    struct bytes from, to;
    struct store_record found; /* what is to be put at `to`; in the arena */
    bool there;                /* `from` is */
    bool unless_there;         /* `to` must not be replaced, */
    bool taken;                /* and is there */
};

static int look_up_both(struct execute *x, struct two_keys *k)
{
    struct store_record other;
    int error;

    k->from = execute_arg(x);
    k->to = execute_arg(x);
    error = execute_look_up(x, k->from, &k->found);
    k->there = error == 0;
    if (error)
        return error == RK_NOTFOUND ? 0 : error;
    /* The next look-up takes what the store gave away. */
    k->found.value.data = arena_copy(&x->effect->arena, k->found.value.data, k->found.value.size);
    if (!k->found.value.data)
        return RK_NOMEM;
    error = execute_look_up(x, k->to, &other);
    k->unless_there = execute_integer_arg(x) == KEY_UNLESS_THERE;
    k->taken = k->unless_there && error == 0;
    return error == RK_NOTFOUND ? 0 : error;
}

/* The key keeps its time to live under its new name. */
int execute_rename(struct execute *x)
{
    struct two_keys k = {0};
    int error = look_up_both(x, &k);

    if (error)
        return error;
    if (!k.there)
        return execute_fail(x, NO_SUCH_KEY);
    x->effect->reply.kind = k.unless_there ? REPLY_INTEGER : REPLY_OK;
    x->effect->reply.integer = k.unless_there && !k.taken;
    if (k.taken || bytes_equal(k.from, k.to))
        return 0;
    error = execute_put(x, k.to, k.found.value, k.found.expire_ms);
    /* A value that is too large, since max_value was lowered, has become the reply. */
    if (error || x->effect->reply.kind == REPLY_ERROR)
        return error;
    return execute_delete(x, k.from);
}

int execute_copy(struct execute *x)
{
    struct two_keys k = {0};
    int error = look_up_both(x, &k);

    if (error)
        return error;
    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = k.there && !k.taken;
    return x->effect->reply.integer ? execute_put(x, k.to, k.found.value, k.found.expire_ms) : 0;
}
