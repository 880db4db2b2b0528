/* The writers of replies, numbers and words, and that the parser reads what the writers wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/error.h"
#include "shared/resp.h"
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d >> 16;
}

/* Takes what was written out of the buffer. */
static void expect_bytes(struct buf *out, struct bytes expected)
{
    assert_int_equal(buf_len(out), expected.size);
    assert_memory_equal(buf_head(out), expected.data, expected.size);
    buf_truncate(out, 0);
}

static void expect(struct buf *out, const char *expected)
{
    expect_bytes(out, bytes_from(expected));
}

static void test_lines(void **state)
{
    struct buf out = {0};

    (void)state;
    assert_int_equal(resp_put_simple(&out, "OK"), 0);
    expect(&out, "+OK\r\n");
    assert_int_equal(resp_put_simple(&out, ""), 0);
    expect(&out, "+\r\n");
    assert_int_equal(resp_put_simple(&out, "a\r\n+b"), 0);
    expect(&out, "+a  +b\r\n");
    assert_int_equal(resp_put_simple(&out, "\n\r"), 0);
    expect(&out, "+  \r\n");
    assert_int_equal(resp_put_error(&out, "ERR syntax error"), 0);
    expect(&out, "-ERR syntax error\r\n");
    assert_int_equal(resp_put_error(&out, "ERR a\r\n$1\r\nb\n"), 0);
    expect(&out, "-ERR a  $1  b \r\n");
    assert_int_equal(resp_put_errorf(&out, "ERR unknown command '%.*s'", 4, "a\r\nbc"), 0);
    expect(&out, "-ERR unknown command 'a  b'\r\n");
    assert_int_equal(resp_put_errorf(&out, "%s", ""), 0);
    expect(&out, "-\r\n");
    buf_free(&out);
}

/* Longer than any guess at a buffer for it. */
static void test_long_error(void **state)
{
    static char text[100001];
    struct buf out = {0};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(resp_put_errorf(&out, "ERR %s!", text), 0);
    assert_int_equal(buf_len(&out), 1 + 4 + 100000 + 1 + 2);
    assert_memory_equal(buf_head(&out), "-ERR xxx", 8);
    assert_memory_equal(buf_head(&out) + buf_len(&out) - 5, "xx!\r\n", 5);
    buf_free(&out);
}

static void test_integers(void **state)
{
    struct buf out = {0};

    (void)state;
    assert_int_equal(resp_put_integer(&out, 0), 0);
    assert_int_equal(resp_put_integer(&out, -1), 0);
    assert_int_equal(resp_put_integer(&out, INT64_MAX), 0);
    assert_int_equal(resp_put_integer(&out, INT64_MIN), 0);
    expect(&out, ":0\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n");
    buf_free(&out);
}

static void test_bulks(void **state)
{
    struct buf out = {0};

    (void)state;
    assert_int_equal(resp_put_bulk(&out, bytes_from("hello")), 0);
    expect(&out, "$5\r\nhello\r\n");
    assert_int_equal(resp_put_bulk(&out, bytes_of(NULL, 0)), 0);
    expect(&out, "$0\r\n\r\n");
    assert_int_equal(resp_put_bulk(&out, bytes_of("a\0\r\n", 4)), 0);
    expect_bytes(&out, bytes_of("$4\r\na\0\r\n\r\n", 10));
    assert_int_equal(resp_put_verbatim(&out, bytes_from("some\ntext"), 2), 0);
    expect(&out, "$9\r\nsome\ntext\r\n");
    assert_int_equal(resp_put_verbatim(&out, bytes_from("some\ntext"), 3), 0);
    expect(&out, "=13\r\ntxt:some\ntext\r\n");
    assert_int_equal(resp_put_verbatim(&out, bytes_of(NULL, 0), 3), 0);
    expect(&out, "=4\r\ntxt:\r\n");
    buf_free(&out);
}

static void test_both_versions(void **state)
{
    struct buf out = {0};

    (void)state;
    for (int version = 2; version <= 3; version++) {
        assert_int_equal(resp_put_null(&out, version), 0);
        assert_int_equal(resp_put_array(&out, 3), 0);
        assert_int_equal(resp_put_map(&out, 3, version), 0);
        assert_int_equal(resp_put_set(&out, 3, version), 0);
        expect(&out, version == 2 ? "$-1\r\n*3\r\n*6\r\n*3\r\n" : "_\r\n*3\r\n%3\r\n~3\r\n");
    }
    assert_int_equal(resp_put_array(&out, 0), 0);
    assert_int_equal(resp_put_map(&out, 0, 2), 0);
    assert_int_equal(resp_put_array(&out, 1048576), 0);
    expect(&out, "*0\r\n*0\r\n*1048576\r\n");
    buf_free(&out);
}

/* The longest there is of each kind, or the usual. */
static int put_kind(struct buf *out, int kind)
{
    switch (kind) {
    case 0:
        return resp_put_integer(out, INT64_MIN);
    case 1:
        return resp_put_bulk(out, bytes_from("0123456789"));
    case 2:
        return resp_put_verbatim(out, bytes_from("0123456789"), 3);
    case 3:
        return resp_put_simple(out, "0123456789");
    case 4:
        return resp_put_errorf(out, "%s", "0123456789");
    default:
        return resp_put_array(out, INT64_MAX);
    }
}

/* With any room left in the buffer: a writer that reserves too little writes past its end. */
static void test_reserves_enough(void **state)
{
    static const uint8_t fill[1024];

    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        for (size_t room = 0; room <= 64; room++) {
            struct buf out = {0};

            assert_non_null(buf_reserve(&out, 1));
            assert_int_equal(buf_append(&out, fill, out.size - room), 0);
            assert_int_equal(put_kind(&out, kind), 0);
            assert_true(out.end <= out.size);
            buf_free(&out);
        }
    }
}

/* A value that no memory can hold the copy of: the buffer stays as it was. The bytes behind such a
 * size are never read. */
static void test_no_room(void **state)
{
    struct buf out = {0};
    struct bytes huge = {(const uint8_t *)"x", SIZE_MAX / 2};

    (void)state;
    assert_int_equal(resp_put_simple(&out, "OK"), 0);
    assert_int_equal(resp_put_bulk(&out, huge), RK_NOMEM);
    assert_int_equal(resp_put_verbatim(&out, huge, 3), RK_NOMEM);
    expect(&out, "+OK\r\n");
    buf_free(&out);
}

static void check_integer(const char *text, int error, int64_t expected)
{
    int64_t value = 42;

    assert_int_equal(resp_read_integer(bytes_from(text), &value), error);
    assert_true(value == (error ? 42 : expected));
}

static void test_read_integer(void **state)
{
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        "-0",
        "00",
        "01",
        "-01",
        " 1",
        "1 ",
        "1\n",
        "1e3",
        "0x1",
        "1.0",
        "--1",
        "a",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999",
        "10000000000000000000000",
        "/",
        ":",
        "-/",
        "1-",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_integer(bad[i], RK_INVALID, 0);
    check_integer("0", 0, 0);
    check_integer("7", 0, 7);
    check_integer("-1", 0, -1);
    check_integer("1234567890", 0, 1234567890);
    check_integer("9223372036854775806", 0, INT64_MAX - 1);
    check_integer("9223372036854775807", 0, INT64_MAX);
    check_integer("-9223372036854775807", 0, INT64_MIN + 1);
    check_integer("-9223372036854775808", 0, INT64_MIN);

    int64_t value = 42;

    assert_int_equal(resp_read_integer(bytes_of(NULL, 0), &value), RK_INVALID);
    assert_int_equal(resp_read_integer(bytes_of("1\0", 2), &value), RK_INVALID);
}

static void test_integers_round_trip(void **state)
{
    uint64_t seed = 88172645463325252;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t high = random_next(&seed);
        int64_t value = (int64_t)((high << 32 | (random_next(&seed) & UINT32_MAX)) >> i % 64);
        char text[20];
        char expected[32];
        int64_t back;

        if (i % 2)
            value = (int64_t)(0 - (uint64_t)value);

        size_t size = resp_format_integer(text, value);

        assert_int_equal(size, snprintf(expected, sizeof(expected), "%lld", (long long)value));
        assert_memory_equal(text, expected, size);
        assert_int_equal(resp_read_integer(bytes_of(text, size), &back), 0);
        assert_true(back == value);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_true(resp_word_is(bytes_from("get"), "get"));
    assert_true(resp_word_is(bytes_from("GeT"), "get"));
    assert_true(resp_word_is(bytes_of(NULL, 0), ""));
    assert_false(resp_word_is(bytes_of(NULL, 0), "get"));
    assert_false(resp_word_is(bytes_from("ge"), "get"));
    assert_false(resp_word_is(bytes_from("gett"), "get"));
    assert_false(resp_word_is(bytes_from("set"), "get"));
    assert_false(resp_word_is(bytes_of("get\0", 4), "get"));
    assert_false(resp_word_is(bytes_of("get\0x", 5), "get"));
    assert_false(resp_word_is(bytes_from("[x]"), "{x}"));
    assert_false(resp_word_is(bytes_from("@"), "`"));
    assert_true(resp_word_is(bytes_from("SETZ-A"), "setz-a"));
}

static void put_text(struct buf *stream, const char *text)
{
    assert_int_equal(buf_append(stream, text, strlen(text)), 0);
}

static void put_quoted(struct buf *stream, struct bytes arg, uint64_t *seed)
{
    put_text(stream, "\"");
    for (size_t i = 0; i < arg.size; i++) {
        uint8_t c = arg.data[i];
        char text[8];

        if (c < ' ' || c >= 0x7f || random_next(seed) % 8 == 0)
            snprintf(text, sizeof(text), random_next(seed) % 2 ? "\\x%02x" : "\\x%02X", c);
        else
            snprintf(text, sizeof(text), c == '"' || c == '\\' ? "\\%c" : "%c", c);
        put_text(stream, text);
    }
    put_text(stream, "\"");
}

/* As an array, or as a line with quotes. */
static void put_command(struct buf *stream, const struct bytes *args, uint32_t count,
                        uint64_t *seed)
{
    bool quoted = random_next(seed) % 3 == 0;

    if (!quoted)
        assert_int_equal(resp_put_array(stream, count), 0);
    for (uint32_t i = 0; i < count; i++) {
        if (quoted) {
            put_quoted(stream, args[i], seed);
            put_text(stream, i + 1 < count ? " " : "\r\n");
        } else {
            assert_int_equal(resp_put_bulk(stream, args[i]), 0);
        }
    }
}

/* Gives the stream to the parser in random pieces until a command is complete. */
static int64_t parse_pieces(struct resp_parser *p, struct bytes in, uint64_t *seed)
{
    static const struct resp_limits limits = {1000, 1000, 65536, 1000000, false};
    size_t size = 0;
    int64_t r = RK_MORE;

    while (r == RK_MORE && size < in.size) {
        size += 1 + random_next(seed) % (random_next(seed) % 4 ? 100 : 2000);
        if (size > in.size)
            size = in.size;
        r = resp_parse(p, bytes_of(in.data, size), &limits);
    }
    return r;
}

static void round_trip(uint64_t seed)
{
    enum { COMMANDS_MAX = 5, ARGS_MAX = 40 };
    struct bytes args[COMMANDS_MAX][ARGS_MAX];
    uint32_t counts[COMMANDS_MAX];
    uint32_t commands = 1 + (uint32_t)(random_next(&seed) % COMMANDS_MAX);
    struct resp_parser p = {0};
    struct buf stream = {0};
    uint8_t bytes[400];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_next(&seed);
    for (uint32_t c = 0; c < commands; c++) {
        counts[c] = 1 + (uint32_t)(random_next(&seed) % (random_next(&seed) % 4 ? 5 : ARGS_MAX));
        for (uint32_t i = 0; i < counts[c]; i++)
            args[c][i] = bytes_of(bytes + random_next(&seed) % 200,
                                  random_next(&seed) % (random_next(&seed) % 8 ? 20 : 200));
        put_command(&stream, args[c], counts[c], &seed);
    }
    for (uint32_t c = 0; c < commands; c++) {
        int64_t r = parse_pieces(&p, buf_bytes(&stream), &seed);

        assert_true(r > 0);
        assert_int_equal(p.arg_count, counts[c]);
        for (uint32_t i = 0; i < counts[c]; i++)
            assert_true(bytes_equal(p.args[i], args[c][i]));
        buf_consume(&stream, (size_t)r);
    }
    assert_int_equal(buf_len(&stream), 0);
    buf_free(&stream);
    resp_parser_free(&p);
}

static void test_commands_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++)
        round_trip(seed * 0x9e3779b97f4a7c15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_bulks),
        cmocka_unit_test(test_both_versions),
        cmocka_unit_test(test_reserves_enough),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_read_integer),
        cmocka_unit_test(test_integers_round_trip),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_commands_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
