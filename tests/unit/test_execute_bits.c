/* Bits and parts of values, against a bit-by-bit model of what Redis does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/execute_rig.h"

static void add_integers(const int64_t *integers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_integer(integers[i]);
}

#define INTEGERS(...) \
    (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static int64_t ask(enum operation op, const int64_t *integers, size_t count)
{
    struct reply reply;

    begin();
    add_key("a");
    add_integers(integers, count);
    reply = read_op(op);
    assert_int_equal(reply.kind, REPLY_INTEGER);
    return reply.integer;
}

static void plant_bytes(const uint8_t *bytes, size_t size)
{
    struct store_change change = {
        STORE_PUT, store_key("a"), {{1, ++last_op}, 0, false, bytes_of(bytes, size)}};
    struct store_batch batch = {.changes = &change, .change_count = 1};

    assert_int_equal(store_apply(view.store, &batch, &position), 0);
}

/* --- one bit -------------------------------------------------------------------------------- */

static void set_bit(int64_t bit, int64_t to)
{
    begin();
    add_key("a");
    add_integer(bit);
    add_integer(to);
    write_op(OP_SETBIT);
}

static void test_bits(void **state)
{
    (void)state;
    assert_int_equal(ask(OP_GETBIT, INTEGERS(0)), 0);
    set_bit(7, 1);
    assert_integer(0);
    assert_value("a", "\1");
    set_bit(7, 1);
    assert_integer(1);
    assert_int_equal(effect.changes.count, 0);
    set_bit(1, 1);
    assert_value("a", "A");
    assert_int_equal(ask(OP_GETBIT, INTEGERS(1)), 1);
    assert_int_equal(ask(OP_GETBIT, INTEGERS(2)), 0);
    assert_int_equal(ask(OP_GETBIT, INTEGERS(8)), 0);
    assert_int_equal(ask(OP_GETBIT, INTEGERS(INT64_MAX)), 0);
    set_bit(17, 0);
    assert_integer(0);
    assert_int_equal(read_one(OP_STRLEN, "a").integer, 3);
    set_bit(23, 0);
    assert_integer(0);
    assert_int_equal(effect.changes.count, 0);
    set_bit(1, 0);
    assert_integer(1);
    set_bit(VALUE_MAX * 8 - 1, 0);
    assert_int_equal(read_one(OP_STRLEN, "a").integer, VALUE_MAX);
    set_bit(VALUE_MAX * 8, 0);
    assert_refused("ERR value is too large: 101 bytes, the limit (max_value) is 100");
    set_bit(INT64_MAX, 0);
    assert_refused("ERR value is too large: 1152921504606846976 bytes");
    plant("a", "\1", NOW + 3, false);
    set_bit(0, 1);
    assert_int_equal(expiry_of("a"), NOW + 3);
}

/* --- many bits ------------------------------------------------------------------------------ */

/* The bits that a range means; false: none. */
static bool range_of(int64_t size, bool bits, int64_t *first, int64_t *last)
{
    int64_t total = bits ? size * 8 : size;

    *first = *first < 0 ? *first + total : *first;
    *last = *last < 0 ? *last + total : *last;
    *first = *first < 0 ? 0 : *first;
    *last = *last < 0 ? 0 : *last;
    *last = *last >= total ? total - 1 : *last;
    if (*first > *last)
        return false;
    *first *= bits ? 1 : 8;
    *last = bits ? *last : *last * 8 + 7;
    return true;
}

static int bit_at(const uint8_t *bytes, int64_t bit)
{
    return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

static int64_t count_slowly(const uint8_t *bytes, int64_t size, int64_t first, int64_t last,
                            bool bits)
{
    int64_t count = 0;

    if ((first < 0 && last < 0 && first > last) || !range_of(size, bits, &first, &last))
        return 0;
    for (int64_t i = first; i <= last; i++)
        count += bit_at(bytes, i);
    return count;
}

static int64_t find_slowly(const uint8_t *bytes, int64_t size, int wanted, int64_t first,
                           int64_t last, int64_t flags)
{
    if (!range_of(size, flags & BITS_UNIT, &first, &last))
        return -1;
    for (int64_t i = first; i <= last; i++)
        if (bit_at(bytes, i) == wanted)
            return i;
    return wanted || flags & BITS_END ? -1 : size * 8;
}

static void compare_ranges(const uint8_t *bytes, int64_t size)
{
    for (int64_t first = -21; first <= 21; first++)
        for (int64_t last = -21; last <= 21; last++)
            for (int bits = 0; bits < 2; bits++) {
                int64_t flags = BITS_RANGE | BITS_END | (bits ? BITS_UNIT : 0);

                assert_int_equal(ask(OP_BITCOUNT, INTEGERS(first, last, flags)),
                                 count_slowly(bytes, size, first, last, bits));
                for (int wanted = 0; wanted < 2; wanted++)
                    assert_int_equal(ask(OP_BITPOS, INTEGERS(wanted, first, last, flags)),
                                     find_slowly(bytes, size, wanted, first, last, flags));
            }
    for (int64_t first = -4; first <= 4; first++)
        for (int wanted = 0; wanted < 2; wanted++)
            assert_int_equal(ask(OP_BITPOS, INTEGERS(wanted, first, -1, BITS_RANGE)),
                             find_slowly(bytes, size, wanted, first, -1, BITS_RANGE));
    assert_int_equal(ask(OP_BITCOUNT, INTEGERS(0, 0, 0)), count_slowly(bytes, size, 0, -1, false));
}

static void test_ranges_of_bits(void **state)
{
    static const uint8_t patterns[][2] = {
        {0, 0}, {0xff, 0xff}, {0x0f, 0xf0}, {0x80, 0x01}, {0x5a, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        for (size_t size = 0; size <= 2; size++) {
            plant_bytes(patterns[i], size);
            compare_ranges(patterns[i], (int64_t)size);
        }
}

static void test_bits_of_nothing(void **state)
{
    (void)state;
    assert_int_equal(ask(OP_BITCOUNT, INTEGERS(0, 0, 0)), 0);
    assert_int_equal(ask(OP_BITPOS, INTEGERS(0, 0, -1, 0)), 0);
    assert_int_equal(ask(OP_BITPOS, INTEGERS(1, 0, -1, 0)), -1);
}

static void test_count_many(void **state)
{
    uint8_t bytes[37];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 89 + 3);
    plant_bytes(bytes, sizeof(bytes));
    for (int64_t first = 0; first < 37 * 8; first += 7)
        for (int64_t last = first; last < 37 * 8; last += 5)
            assert_int_equal(ask(OP_BITCOUNT, INTEGERS(first, last, BITS_RANGE | BITS_UNIT)),
                             count_slowly(bytes, sizeof(bytes), first, last, true));
}

/* --- parts of values ------------------------------------------------------------------------ */

static void assert_part(int64_t first, int64_t last, const char *wanted)
{
    struct reply reply;

    begin();
    add_key("a");
    add_integer(first);
    add_integer(last);
    reply = read_op(OP_GETRANGE);
    assert_int_equal(reply.kind, REPLY_BULK);
    assert_true(bytes_equal(reply.data, bytes_from(wanted)));
}

static void test_getrange(void **state)
{
    (void)state;
    assert_part(0, -1, "");
    plant("a", "Hello", 0, false);
    assert_part(0, -1, "Hello");
    assert_part(1, 3, "ell");
    assert_part(-3, -1, "llo");
    assert_part(-100, 1, "He");
    assert_part(3, 100, "lo");
    assert_part(5, 9, "");
    assert_part(3, 2, "");
    assert_part(-1, -3, "");
    assert_part(-100, -100, "H");
    assert_part(-100, -200, "");
    assert_part(INT64_MIN, INT64_MAX, "Hello");
    assert_part(INT64_MAX, INT64_MIN, "");
    plant("a", "", 0, false);
    assert_part(0, -1, "");
    plant("a", "gone", NOW, false);
    assert_part(0, -1, "");
}

static void set_range(int64_t from, const char *part)
{
    begin();
    add_key("a");
    add_integer(from);
    add_value(part);
    write_op(OP_SETRANGE);
}

static void test_setrange(void **state)
{
    (void)state;
    set_range(2, "ab");
    assert_integer(4);
    assert_true(bytes_equal(read_one(OP_GET, "a").data, bytes_of("\0\0ab", 4)));
    plant("a", "Hello World", NOW + 2, false);
    set_range(6, "Redis");
    assert_integer(11);
    assert_value("a", "Hello Redis");
    assert_int_equal(expiry_of("a"), NOW + 2);
    set_range(0, "J");
    assert_value("a", "Jello Redis");
    set_range(VALUE_MAX - 1, "x");
    assert_integer(VALUE_MAX);
    set_range(VALUE_MAX, "x");
    assert_refused("ERR value is too large: 101 bytes");
    set_range(INT64_MAX, "x");
    assert_refused("ERR value is too large: 9223372036854775808 bytes");
    set_range(-1, "x");
    assert_refused("ERR value is too large");
}

static void assert_encoding(const char *value, const char *wanted)
{
    plant("a", value, 0, false);
    assert_true(bytes_equal(read_one(OP_ENCODING, "a").data, bytes_from(wanted)));
}

static void test_encoding_and_usage(void **state)
{
    char text[46];

    (void)state;
    assert_int_equal(read_one(OP_ENCODING, "a").kind, REPLY_NIL);
    assert_int_equal(read_one(OP_USAGE, "a").kind, REPLY_NIL);
    assert_encoding("9223372036854775807", "int");
    assert_encoding("-1", "int");
    assert_encoding("01", "embstr");
    assert_encoding("9223372036854775808", "embstr");
    assert_encoding("", "embstr");
    memset(text, 'x', sizeof(text));
    text[44] = '\0';
    assert_encoding(text, "embstr");
    text[44] = 'x';
    text[45] = '\0';
    assert_encoding(text, "raw");
    assert_int_equal(read_one(OP_USAGE, "a").integer, 56 + 9 + 45);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bits, start, finish),
        cmocka_unit_test_setup_teardown(test_ranges_of_bits, start, finish),
        cmocka_unit_test_setup_teardown(test_bits_of_nothing, start, finish),
        cmocka_unit_test_setup_teardown(test_count_many, start, finish),
        cmocka_unit_test_setup_teardown(test_getrange, start, finish),
        cmocka_unit_test_setup_teardown(test_setrange, start, finish),
        cmocka_unit_test_setup_teardown(test_encoding_and_usage, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
