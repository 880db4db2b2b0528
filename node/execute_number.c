/* Operations on values that are numbers. */
#include "node/execute_parts.h"
#include "shared/error.h"
#include "shared/resp.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

/* Redis's measures: a number is a text of less than so many bytes, and is told with 17 digits
 * behind the point, which shows most decimal fractions as they were typed. */
enum { FLOAT_TEXT_MAX = 5 * 1024 };

/* A whole text that is a number in C's notation, without spaces before it. Infinity is one. */
static int read_float(struct bytes text, long double *value)
{
    char copy[FLOAT_TEXT_MAX];
    char *end;

    if (text.size == 0 || text.size >= sizeof(copy))
        return RK_INVALID;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    errno = 0;
    *value = strtold(copy, &end);
    if (isspace((unsigned char)copy[0]) || end != copy + text.size || isnan(*value) ||
        (errno == ERANGE && (isinf(*value) || *value == 0)))
        return RK_INVALID;
    return 0;
}

static size_t format_float(char to[FLOAT_TEXT_MAX], long double value)
{
    size_t size = (size_t)snprintf(to, FLOAT_TEXT_MAX, "%.17Lf", value);

    while (to[size - 1] == '0')
        size--;
    if (to[size - 1] == '.')
        size--;
    if (size == 2 && to[0] == '-' && to[1] == '0') {
        to[0] = '0';
        size = 1;
    }
    return size;
}

int execute_incrbyfloat(struct execute *x)
{
    struct bytes key = execute_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    long double value = 0, by;
    char text[FLOAT_TEXT_MAX];

    if (error && error != RK_NOTFOUND)
        return error;
    if ((!error && read_float(found.value, &value) != 0) || read_float(execute_arg(x), &by) != 0)
        return execute_fail(x, EXECUTE_NOT_A_FLOAT);
    value += by;
    if (isnan(value) || isinf(value))
        return execute_fail(x, "ERR increment would produce NaN or Infinity");
    if (execute_reply_value(x, bytes_of(text, format_float(text, value))) != 0)
        return RK_NOMEM;
    return execute_put(x, key, x->effect->reply.data, found.expire_ms);
}
