/* Commands on values as arrays of bits. */
#include "proxy/commands.h"
#include "proxy/keyed.h"
#include "shared/limits.h"

static bool take_bit_offset(struct execution *x, int64_t *offset)
{
    if (resp_read_integer(x->args[2], offset) == 0 && *offset >= 0 && *offset / 8 < RESP_BULK_MAX)
        return true;
    reply_error(x, "ERR bit offset is not an integer or out of range");
    return false;
}

void run_getbit(struct execution *x)
{
    int64_t offset;

    if (take_bit_offset(x, &offset))
        keyed_one(x, OP_GETBIT, (struct keyed_arg[]){keyed_integer(offset)}, 1);
}

void run_setbit(struct execution *x)
{
    int64_t offset, bit;

    if (!take_bit_offset(x, &offset))
        return;
    if (resp_read_integer(x->args[3], &bit) != 0 || bit < 0 || bit > 1) {
        reply_error(x, "ERR bit is not an integer or out of range");
        return;
    }
    keyed_one(x, OP_SETBIT, (struct keyed_arg[]){keyed_integer(offset), keyed_integer(bit)}, 2);
}

/* The range at the end of BITCOUNT and BITPOS. */
struct bits_range {
    int64_t first, last, flags;
};

/* Reads BIT or BYTE. */
static const char *read_unit(struct bytes word, int64_t *flags)
{
    if (resp_word_is(word, "bit"))
        *flags |= BITS_UNIT;
    else if (!resp_word_is(word, "byte"))
        return KEYED_SYNTAX_ERROR;
    return NULL;
}

/* NULL, or what is wrong with "[start end [BYTE | BIT]]". */
static const char *read_count_range(const struct bytes *args, uint32_t count,
                                    struct bits_range *range)
{
    *range = (struct bits_range){0};
    if (count == 0)
        return NULL;
    if (count == 1 || count > 3)
        return KEYED_SYNTAX_ERROR;
    range->flags = BITS_RANGE;
    if (resp_read_integer(args[0], &range->first) != 0 ||
        resp_read_integer(args[1], &range->last) != 0)
        return KEYED_NOT_AN_INTEGER;
    /* Nothing, whatever the unit: Redis does not come to look at it. */
    if (range->first < 0 && range->last < 0 && range->first > range->last)
        return NULL;
    return count == 3 ? read_unit(args[2], &range->flags) : NULL;
}

void run_bitcount(struct execution *x)
{
    struct bits_range range;
    const char *wrong = read_count_range(x->args + 2, x->count - 2, &range);

    if (wrong)
        keyed_complain(x, wrong, 0);
    else
        keyed_one(x, OP_BITCOUNT,
                  (struct keyed_arg[]){keyed_integer(range.first), keyed_integer(range.last),
                                       keyed_integer(range.flags)},
                  3);
}

/* NULL, or what is wrong with "[start [end [BYTE | BIT]]]". */
static const char *read_find_range(const struct bytes *args, uint32_t count,
                                   struct bits_range *range)
{
    *range = (struct bits_range){.last = -1};
    if (count == 0)
        return NULL;
    if (count > 3)
        return KEYED_SYNTAX_ERROR;
    range->flags = BITS_RANGE;
    if (resp_read_integer(args[0], &range->first) != 0)
        return KEYED_NOT_AN_INTEGER;
    if (count == 3 && read_unit(args[2], &range->flags) != NULL)
        return KEYED_SYNTAX_ERROR;
    if (count >= 2) {
        range->flags |= BITS_END;
        if (resp_read_integer(args[1], &range->last) != 0)
            return KEYED_NOT_AN_INTEGER;
    }
    return NULL;
}

void run_bitpos(struct execution *x)
{
    struct bits_range range;
    const char *wrong;
    int64_t bit;

    if (!execution_integer(x, 2, &bit))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(x, "ERR The bit argument must be 1 or 0.");
        return;
    }
    wrong = read_find_range(x->args + 3, x->count - 3, &range);
    if (wrong)
        keyed_complain(x, wrong, bit ? -1 : 0);
    else
        keyed_one(x, OP_BITPOS,
                  (struct keyed_arg[]){keyed_integer(bit), keyed_integer(range.first),
                                       keyed_integer(range.last), keyed_integer(range.flags)},
                  4);
}
