/* Commands on strings: checked here, done by the nodes. */
#include "proxy/commands.h"
#include "proxy/keyed.h"
#include "shared/limits.h"

void run_levelget(struct execution *x)
{
    static const uint8_t levels[] = {LEVEL_PRIMARY, LEVEL_ANY, LEVEL_LINEAR};
    int64_t level;

    if (!execution_integer(x, 2, &level))
        return;
    if (level < 0 || level > 2)
        reply_error(x,
                    "ERR level is out of range: 0 asks the primary, 1 any replica, 2 a majority");
    else
        keyed_send(
            x, &(struct keyed){.op = OP_GET, .level = levels[level], .key_at = 1, .key_count = 1});
}

static void add(struct execution *x, int64_t increment)
{
    keyed_one(x, OP_INCRBY, (struct keyed_arg[]){keyed_integer(increment)}, 1);
}

void run_incr(struct execution *x)
{
    add(x, 1);
}

void run_decr(struct execution *x)
{
    add(x, -1);
}

void run_incrby(struct execution *x)
{
    int64_t increment;

    if (execution_integer(x, 2, &increment))
        add(x, increment);
}

void run_decrby(struct execution *x)
{
    int64_t decrement;

    if (!execution_integer(x, 2, &decrement))
        return;
    if (decrement == INT64_MIN)
        reply_error(x, "ERR decrement would overflow");
    else
        add(x, -decrement);
}

void run_getrange(struct execution *x)
{
    int64_t first, last;

    if (execution_integer(x, 2, &first) && execution_integer(x, 3, &last))
        keyed_one(x, OP_GETRANGE, (struct keyed_arg[]){keyed_integer(first), keyed_integer(last)},
                  2);
}

void run_setrange(struct execution *x)
{
    struct bytes part = x->args[3];
    int64_t from;

    if (!execution_integer(x, 2, &from))
        return;
    if (from < 0)
        reply_error(x, "ERR offset is out of range");
    else if (part.size == 0)
        keyed_one(x, OP_STRLEN, NULL, 0);
    else if (from > RESP_BULK_MAX - (int64_t)part.size)
        reply_error(x, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    else
        keyed_one(x, OP_SETRANGE, (struct keyed_arg[]){keyed_integer(from), keyed_value(part)}, 2);
}

/* --- LCS ------------------------------------------------------------------------------------ */

struct lcs_options {
    int64_t flags; /* enum lcs_flags */
    int64_t shortest;
    bool sized;
};

/* NULL, or what is wrong. */
static const char *read_lcs_options(const struct bytes *args, uint32_t count, struct lcs_options *o)
{
    *o = (struct lcs_options){0};
    for (uint32_t i = 0; i < count; i++) {
        if (resp_word_is(args[i], "idx"))
            o->flags |= LCS_RANGES;
        else if (resp_word_is(args[i], "len"))
            o->flags |= LCS_LENGTH;
        else if (resp_word_is(args[i], "withmatchlen"))
            o->sized = true;
        else if (!resp_word_is(args[i], "minmatchlen") || ++i == count)
            return KEYED_SYNTAX_ERROR;
        else if (resp_read_integer(args[i], &o->shortest) != 0)
            return KEYED_NOT_AN_INTEGER;
    }
    if (o->flags == (LCS_RANGES | LCS_LENGTH))
        return "ERR If you want both the length and indexes, please just use IDX.";
    return NULL;
}

void run_lcs(struct execution *x)
{
    struct lcs_options o;
    const char *wrong = read_lcs_options(x->args + 3, x->count - 3, &o);
    enum shape_kind shape = o.sized ? SHAPE_RANGES_SIZED : SHAPE_RANGES;

    if (wrong) {
        reply_error(x, wrong);
        return;
    }
    keyed_send(x,
               &(struct keyed){
                   .op = OP_LCS,
                   .level = keyed_level(x, OP_LCS),
                   .key_at = 1,
                   .key_count = 2,
                   .args = (struct keyed_arg[]){keyed_integer(o.flags), keyed_integer(o.shortest)},
                   .arg_count = 2,
                   .shape = {.kind = o.flags & LCS_RANGES ? shape : SHAPE_AS_IT_IS},
               });
}

/* --- many keys ------------------------------------------------------------------------------ */

void run_mset(struct execution *x)
{
    if (x->count % 2 == 0)
        reply_wrong_arity(x);
    else
        keyed_many(x, GATHER_OK, true);
}
