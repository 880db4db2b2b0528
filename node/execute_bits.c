/* Operations on values as arrays of bits: the first bit is the most significant one of the first
 * byte. */
#include "node/execute_parts.h"
#include "shared/error.h"
#include "shared/operation.h"

/* --- one bit -------------------------------------------------------------------------------- */

static uint8_t mask_of(int64_t bit)
{
    return (uint8_t)(0x80 >> (bit & 7));
}

static int64_t bit_of(struct bytes value, int64_t bit)
{
    int64_t byte = bit >> 3;

    return byte >= 0 && byte < (int64_t)value.size && (value.data[byte] & mask_of(bit));
}

int execute_getbit(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t bit = execute_integer_arg(x);
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    return execute_answer(
        x, &(struct reply){.kind = REPLY_INTEGER, .integer = bit_of(found.value, bit)});
}

int execute_setbit(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t bit = execute_integer_arg(x), to = execute_integer_arg(x);
    uint64_t byte = (uint64_t)bit >> 3;
    struct store_record found;
    int error = execute_look_up(x, key, &found);
    size_t size;
    uint8_t *whole;

    if (error && error != RK_NOTFOUND)
        return error;
    if (byte >= x->view->value_max)
        return execute_fail_size(x, byte + 1);
    x->effect->reply.kind = REPLY_INTEGER;
    x->effect->reply.integer = bit_of(found.value, bit);
    /* Nothing changes: as in Redis, who watches the key sees no change either. */
    if (byte < found.value.size && x->effect->reply.integer == to)
        return 0;
    size = byte < found.value.size ? found.value.size : (size_t)byte + 1;
    whole = execute_grown(x, found.value, size);
    if (!whole)
        return RK_NOMEM;
    whole[byte] = (uint8_t)((whole[byte] & ~mask_of(bit)) | (to ? mask_of(bit) : 0));
    return execute_put(x, key, bytes_of(whole, size), found.expire_ms);
}

/* --- many bits ------------------------------------------------------------------------------ */

/* Turns a range of bytes or bits into one of bits. False: it is empty. */
static bool cut_to_bits(struct execute_range *range, size_t size, int64_t flags)
{
    if (!(flags & BITS_RANGE))
        *range = (struct execute_range){0, -1};
    if (flags & BITS_RANGE && flags & BITS_UNIT)
        return execute_range_cut(range, (int64_t)size * 8);
    if (!execute_range_cut(range, (int64_t)size))
        return false;
    range->first *= 8;
    range->last = range->last * 8 + 7;
    return true;
}

static int64_t count_bytes(const uint8_t *at, size_t size)
{
    int64_t count = 0;
    uint64_t word;

    for (; size >= sizeof(word); at += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        count += __builtin_popcountll(word);
    }
    for (; size; at++, size--)
        count += __builtin_popcount(*at);
    return count;
}

/* What of the first and of the last byte lies in a range of bits. */
static uint8_t first_mask(const struct execute_range *range)
{
    return (uint8_t)(0xff >> (range->first & 7));
}

static uint8_t last_mask(const struct execute_range *range)
{
    return (uint8_t)(0xff << (7 - (range->last & 7)));
}

static int64_t count_bits(struct bytes value, const struct execute_range *range)
{
    const uint8_t *first = value.data + range->first / 8, *last = value.data + range->last / 8;

    return count_bytes(first, (size_t)(last - first) + 1) -
           __builtin_popcount(*first & ~first_mask(range) & 0xff) -
           __builtin_popcount(*last & ~last_mask(range) & 0xff);
}

int execute_bitcount(struct execute *x)
{
    struct bytes key = execute_arg(x);
    int64_t first = execute_integer_arg(x);
    struct execute_range range = {first, execute_integer_arg(x)};
    int64_t flags = execute_integer_arg(x);
    bool backward = flags & BITS_RANGE && execute_range_backward(&range);
    struct reply reply = {.kind = REPLY_INTEGER};
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    if (!backward && cut_to_bits(&range, found.value.size, flags))
        reply.integer = count_bits(found.value, &range);
    return execute_answer(x, &reply);
}

/* The first bit of a range that is set, or that is not; -1: there is none. */
static int64_t find_bit(struct bytes value, const struct execute_range *range, bool set)
{
    uint8_t other = set ? 0 : 0xff; /* a byte that has none, turned to 0 by ^ */
    int64_t last_byte = range->last / 8;

    for (int64_t byte = range->first / 8; byte <= last_byte; byte++) {
        uint8_t wanted = value.data[byte] ^ other;

        if (byte == range->first / 8)
            wanted &= first_mask(range);
        if (byte == last_byte)
            wanted &= last_mask(range);
        if (wanted)
            return byte * 8 + __builtin_clz((unsigned)wanted) - 24;
    }
    return -1;
}

static int64_t position_in(struct bytes value, struct execute_range range, bool set, int64_t flags)
{
    int64_t at;

    if (!cut_to_bits(&range, value.size, flags))
        return -1;
    at = find_bit(value, &range, set);
    /* Without an end that was given, a value goes on with zeros for ever. */
    return at < 0 && !set && !(flags & BITS_END) ? (int64_t)value.size * 8 : at;
}

int execute_bitpos(struct execute *x)
{
    struct bytes key = execute_arg(x);
    bool set = execute_integer_arg(x) != 0;
    int64_t first = execute_integer_arg(x);
    struct execute_range range = {first, execute_integer_arg(x)};
    int64_t flags = execute_integer_arg(x);
    struct reply reply = {.kind = REPLY_INTEGER};
    struct store_record found;
    int error = execute_look_up(x, key, &found);

    if (error && error != RK_NOTFOUND)
        return error;
    if (error)
        reply.integer = set ? -1 : 0;
    else
        reply.integer = position_in(found.value, range, set, flags);
    return execute_answer(x, &reply);
}
