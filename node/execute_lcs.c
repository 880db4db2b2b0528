/* LCS: what two values have in common. */
#include "node/execute_parts.h"
#include "node/lcs.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdlib.h>

/* As LCS_RANGES says. */
static int add_range(void *arg, const struct lcs_match *match)
{
    struct buf *out = arg;
    uint8_t numbers[16];

    wire_put_u32(numbers, match->a_first);
    wire_put_u32(numbers + 4, match->a_last);
    wire_put_u32(numbers + 8, match->b_first);
    wire_put_u32(numbers + 12, match->b_last);
    return buf_append(out, numbers, sizeof(numbers));
}

static int answer_ranges(struct execute *x, const struct lcs *l, int64_t shortest)
{
    struct buf ranges = {0};
    uint8_t length[4];
    int error;

    wire_put_u32(length, lcs_length(l));
    error = buf_append(&ranges, length, sizeof(length));
    if (!error)
        error = lcs_matches(l, shortest, add_range, &ranges);
    if (!error)
        error = execute_answer(x, &(struct reply){.kind = REPLY_BULK, .data = buf_bytes(&ranges)});
    buf_free(&ranges);
    return error;
}

static int answer_text(struct execute *x, const struct lcs *l)
{
    size_t size = lcs_length(l);
    uint8_t *text = malloc(size + 1);
    int error;

    if (!text)
        return RK_NOMEM;
    lcs_text(l, text);
    error = execute_answer(x, &(struct reply){.kind = REPLY_BULK, .data = bytes_of(text, size)});
    free(text);
    return error;
}

static int answer(struct execute *x, struct bytes a, struct bytes b, int64_t flags,
                  int64_t shortest)
{
    struct lcs l;
    int error = lcs_begin(&l, a, b);

    if (error == RK_TOOBIG)
        error = execute_answer(
            x, &(struct reply){.kind = REPLY_ERROR,
                               .data = bytes_from("ERR Insufficient memory, transient memory for "
                                                  "LCS exceeds proto-max-bulk-len")});
    else if (!error && flags & LCS_LENGTH)
        error =
            execute_answer(x, &(struct reply){.kind = REPLY_INTEGER, .integer = lcs_length(&l)});
    else if (!error)
        error = flags & LCS_RANGES ? answer_ranges(x, &l, shortest) : answer_text(x, &l);
    lcs_free(&l);
    return error;
}

int execute_lcs(struct execute *x)
{
    struct bytes keys[2] = {execute_arg(x)};
    struct buf first = {0};
    struct store_record found;
    int64_t flags, shortest;
    int error = execute_look_up(x, keys[0], &found);

    keys[1] = execute_arg(x);
    flags = execute_integer_arg(x);
    shortest = execute_integer_arg(x);
    if (error && error != RK_NOTFOUND)
        return error;
    /* The next look into the store may take the first value away. */
    if (buf_append(&first, found.value.data, found.value.size) != 0)
        return RK_NOMEM;
    error = execute_look_up(x, keys[1], &found);
    if (!error || error == RK_NOTFOUND)
        error = answer(x, buf_bytes(&first), found.value, flags, shortest);
    buf_free(&first);
    return error;
}
