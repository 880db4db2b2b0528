/* Operations that change keys only when these stand as they are said to. */
#include "node/execute_parts.h"
#include "node/mutant.h"
#include "shared/error.h"

/* A value takes the place of another: the key lives as long as it would have. */
int execute_cas(struct execute *x)
{
    struct bytes key = execute_arg(x), expected = execute_arg(x), value = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    x->effect->reply.kind = REPLY_INTEGER;
    if (error) {
        x->effect->reply.integer = -1;
        return 0;
    }
    x->effect->reply.integer =
        bytes_equal(found.value, expected) || MUTANT_OF(x->view->mutants, UNCOMPARED);
    return x->effect->reply.integer ? execute_put(x, key, value, found.expire_ms) : 0;
}

int execute_msetnx(struct execute *x)
{
    struct bytes rest = x->rest;

    for (uint16_t i = 0; i < x->request->arg_count; i += 2) {
        struct store_record found;
        int error = execute_look_up(x, message_next_arg(&rest, NULL), &found);

        message_next_arg(&rest, NULL);
        if (error && error != RK_NOTFOUND)
            return error;
        if (!error) {
            x->effect->reply.kind = REPLY_INTEGER;
            return 0;
        }
    }
    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = 1;
    for (uint16_t i = 0; i < x->request->arg_count; i += 2) {
        struct bytes key = execute_arg(x);
        int error = execute_put(x, key, execute_arg(x), 0);

        /* A value that is too large has become the reply. */
        if (error || x->effect->reply.kind == REPLY_ERROR)
            return error;
    }
    return 0;
}
