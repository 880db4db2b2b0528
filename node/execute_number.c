/* Operations on values that are numbers. */
#include "node/execute_parts.h"
#include "shared/error.h"
#include "shared/resp.h"

int execute_incrby(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t by = execute_integer_arg(x), value = 0;
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    char *digits;

    if (error && error != RK_NOTFOUND)
        return error;
    if (!error && resp_read_integer(found.value, &value) != 0)
        return execute_fail(x, EXECUTE_NOT_AN_INTEGER);
    if (__builtin_add_overflow(value, by, &value))
        return execute_fail(x, "ERR increment or decrement would overflow");
    digits = arena_alloc(&x->effect->arena, 20);
    if (!digits)
        return RK_NOMEM;
    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = value;
    return execute_put(x, key, bytes_of(digits, resp_format_integer(digits, value)),
                       found.expire_ms);
}
