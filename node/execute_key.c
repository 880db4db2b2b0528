/* Operations on keys, whatever their values. */
#include "node/execute_parts.h"
#include "shared/error.h"

int execute_exists(struct execute *x)
{
    struct reply reply = {.kind = REPLY_INTEGER};

    for (uint16_t i = 0; i < x->request->arg_count; i++) {
        struct store_record found;
        int error = execute_look_up(x, execute_arg(x), &found);

        if (error && error != RK_NOTFOUND)
            return error;
        reply.integer += error == 0;
    }
    return execute_answer(x, &reply);
}

int execute_del(struct execute *x)
{
    struct reply *reply = &x->effect->reply;

    reply->kind = REPLY_INTEGER;
    for (uint16_t i = 0; i < x->request->arg_count; i++) {
        struct bytes key = execute_arg(x);
        struct store_record found;
        int error = execute_look_up(x, key, &found);

        if (error == RK_NOTFOUND)
            continue;
        if (!error)
            error = execute_delete(x, key);
        if (error)
            return error;
        reply->integer++;
    }
    return 0;
}
