/* The parser of commands: what it accepts, refuses, and that cutting a stream changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/error.h"
#include "shared/resp.h"
#include <stdio.h>
#include <stdlib.h>

#define KIB 1024u
#define MIB (1024u * KIB)

static const struct resp_limits limits_normal = {1024 * 1024, 16 * MIB, 64 * KIB, 64 * MIB, false};

static void log_text(struct buf *log, const char *text)
{
    assert_int_equal(buf_append(log, text, strlen(text)), 0);
}

/* A command as <arg><arg>; with bytes that are not printable as \xHH. */
static void log_command(struct buf *log, const struct resp_parser *p)
{
    for (uint32_t i = 0; i < p->arg_count; i++) {
        log_text(log, "<");
        for (size_t k = 0; k < p->args[i].size; k++) {
            uint8_t c = p->args[i].data[k];
            char text[8];

            snprintf(text, sizeof(text), c >= ' ' && c < 0x7f ? "%c" : "\\x%02x", c);
            log_text(log, text);
        }
        log_text(log, ">");
    }
    log_text(log, ";");
}

/* Parses what has arrived, each time from a block of its own that is exactly as large, so that
 * reading past the end is seen and pointers kept between calls are, too. Returns the bytes consumed
 * or an error other than RK_MORE. */
static int64_t parse_arrived(struct resp_parser *p, struct bytes arrived, struct buf *log,
                             const struct resp_limits *limits)
{
    size_t consumed = 0;

    while (consumed < arrived.size) {
        size_t size = arrived.size - consumed;
        uint8_t *block = malloc(size);

        assert_non_null(block);
        memcpy(block, arrived.data + consumed, size);

        int64_t r = resp_parse(p, bytes_of(block, size), limits);

        if (r > 0) {
            assert_true((uint64_t)r <= size);
            log_command(log, p);
        }
        free(block);
        if (r == RK_MORE)
            break;
        if (r < 0)
            return r;
        assert_true(r > 0);
        consumed += (size_t)r;
    }
    return (int64_t)consumed;
}

/* Feeds the stream up to each of `cuts` in turn, then all of it; returns what came out: commands,
 * then "!error" or, when bytes are left over, "~". To be freed. */
static char *replay(struct bytes stream, const size_t *cuts, size_t cut_count,
                    const struct resp_limits *limits)
{
    struct resp_parser p = {0};
    struct buf log = {0};
    size_t consumed = 0;
    int64_t r = 0;

    for (size_t i = 0; i <= cut_count && r >= 0; i++) {
        size_t until = i < cut_count ? cuts[i] : stream.size;

        if (until < consumed)
            continue;
        r = parse_arrived(&p, bytes_of(stream.data + consumed, until - consumed), &log, limits);
        if (r > 0)
            consumed += (size_t)r;
    }
    if (r < 0) {
        assert_int_equal(r, RK_PROTOCOL);
        log_text(&log, "!");
        log_text(&log, p.error);
    } else if (consumed < stream.size) {
        log_text(&log, "~");
    }
    resp_parser_free(&p);
    assert_int_equal(buf_append(&log, "", 1), 0);
    return (char *)log.data;
}

static void check_cut(struct bytes stream, const size_t *cuts, size_t cut_count,
                      const struct resp_limits *limits, const char *expected)
{
    char *got = replay(stream, cuts, cut_count, limits);

    assert_string_equal(got, expected);
    free(got);
}

/* Whole, cut at every point, and byte by byte. */
static void check_stream(struct bytes stream, const struct resp_limits *limits,
                         const char *expected)
{
    size_t *cuts = malloc((stream.size + 1) * sizeof(*cuts));

    assert_non_null(cuts);
    check_cut(stream, NULL, 0, limits, expected);
    for (size_t i = 0; i < stream.size; i++)
        check_cut(stream, &i, 1, limits, expected);
    for (size_t i = 0; i < stream.size; i++)
        cuts[i] = i + 1;
    check_cut(stream, cuts, stream.size, limits, expected);
    free(cuts);
}

struct vector {
    const char *in;
    size_t size;
    const char *out;
};

/* The size is taken from the literal, so that it may hold NULs. */
#define V(in, out)              \
    {                           \
        in, sizeof(in) - 1, out \
    }
#define INVALID_COUNT  "!Protocol error: invalid multibulk length"
#define INVALID_LENGTH "!Protocol error: invalid bulk length"
#define NO_CRLF        "!Protocol error: expected CRLF after bulk"
#define UNBALANCED     "!Protocol error: unbalanced quotes in request"
#define NUL_INLINE     "!Protocol error: unexpected NUL in inline request"

static void check_vectors(const struct vector *vectors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_stream(bytes_of(vectors[i].in, vectors[i].size), &limits_normal, vectors[i].out);
}

static void test_arrays(void **state)
{
    static const struct vector vectors[] = {
        V("*1\r\n$4\r\nPING\r\n", "<PING>;"),
        V("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n", "<SET><k><hello>;"),
        V("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n", "<GET><k>;<PING>;"),
        V("*1\r\n$4\r\nQUIT\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "<QUIT>;<GET><k>;"),
        V("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "<ECHO><>;"),
        V("*2\r\n$3\r\nGET\r\n$6\r\na\0b\r\nc\r\n", "<GET><a\\x00b\\x0d\\x0ac>;"),
        V("*1\r\n$12\r\nabcdefghijkl\r\n", "<abcdefghijkl>;"),
        V("*1\r\n$4\r\nPING\r\n\n\r\nPING\n", "<PING>;;;<PING>;"),
        V("*0\r\n", ";"),
        V("*-1\r\n", ";"),
        V("*-2\r\n*1\r\n$4\r\nPING\r\n", ";<PING>;"),
        V("*-9223372036854775808\r\n", ";"),
        V("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$10\r\nk", "<PING>;~"),
        V("*1", "~"),
        V("*1048576\r\n", "~"),
        V("*1\r\n$16777216\r\n", "~"),
        V("*1\r\n$4\r\nPING\r", "~"),
    };

    (void)state;
    check_vectors(vectors, sizeof(vectors) / sizeof(vectors[0]));
}

static void test_bad_counts(void **state)
{
    static const struct vector vectors[] = {
        V("*2147483648\r\n", INVALID_COUNT),
        V("*1048577\r\n", INVALID_COUNT),
        V("*+1\r\n", INVALID_COUNT),
        V("*01\r\n", INVALID_COUNT),
        V("*-0\r\n", INVALID_COUNT),
        V("*\r\n", INVALID_COUNT),
        V("*-\r\n", INVALID_COUNT),
        V("* 1\r\n", INVALID_COUNT),
        V("*1 \r\n", INVALID_COUNT),
        V("*1\n$4\r\nPING\r\n", INVALID_COUNT),
        V("*1\rx", INVALID_COUNT),
        V("*1\0\r\n", INVALID_COUNT),
        V("*a\r\n", INVALID_COUNT),
        V("*1e3\r\n", INVALID_COUNT),
        V("*12345678901\r\n", INVALID_COUNT),
        V("*9223372036854775807\r\n", INVALID_COUNT),
        V("*9223372036854775808\r\n", INVALID_COUNT),
        V("*-9223372036854775809\r\n", INVALID_COUNT),
        V("*99999999999999999999\r\n", INVALID_COUNT),
        V("*1000000000000000000000000000000000000000000000\r\n", INVALID_COUNT),
        V("*1\r\n$4\r\nPING\r\n*x\r\n", "<PING>;" INVALID_COUNT),
    };

    (void)state;
    check_vectors(vectors, sizeof(vectors) / sizeof(vectors[0]));
}

static void test_bad_bulks(void **state)
{
    static const struct vector vectors[] = {
        V("*1\r\n$-1\r\n", INVALID_LENGTH),
        V("*1\r\n$9223372036854775807\r\n", INVALID_LENGTH),
        V("*1\r\n$99999999999999999999\r\n", INVALID_LENGTH),
        V("*1\r\n$536870912\r\n", INVALID_LENGTH),
        V("*1\r\n$16777217\r\n", INVALID_LENGTH),
        V("*1\r\n$4294967300\r\n", INVALID_LENGTH),
        V("*1\r\n$04\r\nPING\r\n", INVALID_LENGTH),
        V("*1\r\n$+4\r\nPING\r\n", INVALID_LENGTH),
        V("*1\r\n$\r\n", INVALID_LENGTH),
        V("*1\r\n$4\nPING\r\n", INVALID_LENGTH),
        V("*1\r\n$4\r\nPIN\r\n", NO_CRLF),
        V("*1\r\n$4\r\nPINGS\r\n", NO_CRLF),
        V("*1\r\n$4\r\nPING\n", NO_CRLF),
        V("*1\r\n$4\r\nPING\r\r", NO_CRLF),
        V("*2\r\n$3\r\nGET$1\r\nk\r\n", NO_CRLF),
        V("*1\r\nPING\r\n", "!Protocol error: expected '$', got 'P'"),
        V("*1\r\n*1\r\n$4\r\nPING\r\n", "!Protocol error: expected '$', got '*'"),
        V("*2\r\n$3\r\nGET\r\n:1\r\n", "!Protocol error: expected '$', got ':'"),
        V("*1\r\n=8\r\ntxt:PING\r\n", "!Protocol error: expected '$', got '='"),
        V("*1\r\n \r\n", "!Protocol error: expected '$', got ' '"),
        V("*1\r\n\x7f", "!Protocol error: expected '$', got '\\x7f'"),
        V("*1\r\n_\r\n", "!Protocol error: expected '$', got '_'"),
        V("*1\r\n\r\n", "!Protocol error: expected '$', got '\\x0d'"),
        V("*1\r\n\0", "!Protocol error: expected '$', got '\\x00'"),
        V("*1\r\n\xff", "!Protocol error: expected '$', got '\\xff'"),
    };

    (void)state;
    check_vectors(vectors, sizeof(vectors) / sizeof(vectors[0]));
}

static void test_inline(void **state)
{
    static const struct vector vectors[] = {
        V("PING\r\n", "<PING>;"),
        V("PING\n", "<PING>;"),
        V("\r\n\nPING\r\n", ";;<PING>;"),
        V("  \t \r\n", ";"),
        V("  set   k\tv  \r\n", "<set><k><v>;"),
        V("a\r\r\n", "<a>;"),
        V("a\rb\r\n", "<a><b>;"),
        V("PING", "~"),
        V("%1\r\n", "<%1>;"),
        V("$4\r\nPING\r\n", "<$4>;<PING>;"),
        V("GET k\r\n*1\r\n$4\r\nPING\r\nGET j\n", "<GET><k>;<PING>;<GET><j>;"),
        V("\v\fa\vb\fc d\v\n", "<a\\x0bb\\x0cc><d\\x0b>;"),
        V("caf\xc3\xa9 \x80\n", "<caf\\xc3\\xa9><\\x80>;"),
        V("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", NUL_INLINE),
        V("GET a\0b\r\n", NUL_INLINE),
        V("GET a\r\n\0", "<GET><a>;" NUL_INLINE),
    };

    (void)state;
    check_vectors(vectors, sizeof(vectors) / sizeof(vectors[0]));
}

static void test_inline_quotes(void **state)
{
    static const struct vector vectors[] = {
        V("set k \"hello world\"\n", "<set><k><hello world>;"),
        V("set \"\" ''\r\n", "<set><><>;"),
        V("\"\\n\\r\\t\\b\\a\\\\\\\"\\q\"\n", "<\\x0a\\x0d\\x09\\x08\\x07\\\"q>;"),
        V("\"\\x00\\xfF\\x41\\x4\\xg1\\X41\"\n", "<\\x00\\xffAx4xg1X41>;"),
        V("'a\\'b' '\\n' '\"' \"'\"\n", "<a'b><\\n><\"><'>;"),
        V("'a\\\\b\\' c'\n", "<a\\\\b' c>;"),
        V("'a\\\\' b\n", UNBALANCED),
        V("foo\"bar baz\" foo'bar baz'\n", "<foobar baz><foobar baz>;"),
        V("\"a\"\v\"b\" \"c\"\f'd'\n", "<a><b><c><d>;"),
        V("a\\nb \\x41\n", "<a\\nb><\\x41>;"),
        V("\"a\"\r\n'b'\r\n", "<a>;<b>;"),
        V("\"abc\n", UNBALANCED),
        V("'abc\r\n", UNBALANCED),
        V("set k \"\n", UNBALANCED),
        V("\"abc\\\"\n", UNBALANCED),
        V("\"abc\\\n", UNBALANCED),
        V("'abc\\'\n", UNBALANCED),
        V("'abc\\\n", UNBALANCED),
        V("\"a\"b\n", UNBALANCED),
        V("\"a\"\"b\"\n", UNBALANCED),
        V("'a'b\n", UNBALANCED),
        V("a'b'c\n", UNBALANCED),
        V("it's\r\n", UNBALANCED),
        V("\"\\x4", "~"),
        V("\"\\x4\n", UNBALANCED),
        V("PING\n\"\n", "<PING>;" UNBALANCED),
    };

    (void)state;
    check_vectors(vectors, sizeof(vectors) / sizeof(vectors[0]));
}

/* A line made of `before`, `fill` bytes of `c`, and `after`, whole and in some cuts around the end
 * (a cut at every one of 65,000 points would take minutes). */
static void check_long(const char *before, size_t fill, char c, const char *after,
                       const struct resp_limits *limits, const char *expected)
{
    struct buf stream = {0};
    uint8_t *room;

    assert_int_equal(buf_append(&stream, before, strlen(before)), 0);
    room = buf_reserve(&stream, fill + 1);
    assert_non_null(room);
    memset(room, c, fill);
    buf_commit(&stream, fill);
    assert_int_equal(buf_append(&stream, after, strlen(after)), 0);

    size_t size = buf_len(&stream);

    check_cut(buf_bytes(&stream), NULL, 0, limits, expected);
    for (size_t i = size < 6 ? 0 : size - 6; i < size; i++) {
        size_t cuts[] = {1, i / 2, i, i + 1};

        check_cut(buf_bytes(&stream), cuts, sizeof(cuts) / sizeof(cuts[0]), limits, expected);
    }
    buf_free(&stream);
}

static void test_endless_lines(void **state)
{
    static const char big_inline[] = "!Protocol error: too big inline request";
    static const char big_count[] = "!Protocol error: too big mbulk count string";
    static const char big_length[] = "!Protocol error: too big bulk count string";
    size_t max = limits_normal.inline_max;

    (void)state;
    check_long("", max + 2, 'a', "", &limits_normal, big_inline);
    check_long("", max + 1, 'a', "", &limits_normal, "~");
    check_long("", max + 1, 'a', "\n", &limits_normal, big_inline);
    check_long("", max, ' ', "\r\n", &limits_normal, ";");
    check_long("", max, ' ', "\n", &limits_normal, ";");
    check_long("*", max, '1', "", &limits_normal, big_count);
    check_long("*", max - 1, '1', "", &limits_normal, "~");
    check_long("*", max - 1, '1', "\r\n", &limits_normal, INVALID_COUNT);
    check_long("*", max, '1', "\r\n", &limits_normal, big_count);
    check_long("*1\r\n$", max, 'x', "", &limits_normal, big_length);
    check_long("*1\r\n$", max - 1, 'x', "\r\n", &limits_normal, INVALID_LENGTH);
}

/* Few arguments, small ones. */
static void test_limits(void **state)
{
    static const struct resp_limits limits = {3, 8, 20, 40, false};
    static const struct vector vectors[] = {
        V("*3\r\n$1\r\na\r\n$1\r\nb\r\n$8\r\n12345678\r\n", "<a><b><12345678>;"),
        V("*4\r\n", INVALID_COUNT),
        V("*1\r\n$9\r\n", INVALID_LENGTH),
        V("*3\r\n$8\r\n12345678\r\n$8\r\n12345678\r\n$2\r\n12\r\n", "<12345678><12345678><12>;"),
        V("*3\r\n$8\r\n12345678\r\n$8\r\n12345678\r\n$3\r\n", "!Protocol error: too big request"),
        V("a b c\r\n", "<a><b><c>;"),
        V("a b c d\r\n", "!Protocol error: too big inline request"),
        V("123456789\r\n", "!Protocol error: too big inline request"),
        V("12345678 1234567 123\r\n", "<12345678><1234567><123>;"),
        V("12345678 1234567 1234\n", "!Protocol error: too big inline request"),
        V("                     ", "~"),
        V("                      ", "!Protocol error: too big inline request"),
        V("*                              1", "~"),
        V("*                               1", "!Protocol error: too big mbulk count string"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check_stream(bytes_of(vectors[i].in, vectors[i].size), &limits, vectors[i].out);

    static const struct resp_limits tiny_total = {3, 8, 20, 6, false};

    check_stream(bytes_from("123456\n"), &tiny_total, "!Protocol error: too big request");
    check_stream(bytes_from("12345\n"), &tiny_total, "<12345>;");
}

/* As many arguments as the limit allows, but no more than Redis. */
/* Who has not logged in has small bounds, and errors that say so; Redis's words. */
static void test_stranger(void **state)
{
    static const struct resp_limits limits = {3, 8, 20, 100, true};
    static const struct vector vectors[] = {
        V("*3\r\n$1\r\na\r\n$1\r\nb\r\n$8\r\n12345678\r\n", "<a><b><12345678>;"),
        V("*4\r\n", "!Protocol error: unauthenticated multibulk length"),
        V("*1\r\n$9\r\n", "!Protocol error: unauthenticated bulk length"),
        V("*x\r\n", INVALID_COUNT),
        V("*1\r\n$-1\r\n", INVALID_LENGTH),
        V("*1\r\n$x\r\n", INVALID_LENGTH),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check_stream(bytes_of(vectors[i].in, vectors[i].size), &limits, vectors[i].out);
}

static void test_count_of_redis(void **state)
{
    static const struct resp_limits limits = {UINT32_MAX, UINT32_MAX, 1024, UINT64_MAX, false};

    (void)state;
    check_stream(bytes_from("*2147483647\r\n"), &limits, "~");
    check_stream(bytes_from("*2147483648\r\n"), &limits, INVALID_COUNT);
    check_stream(bytes_from("*1\r\n$4294967295\r\n"), &limits, "~");
    check_stream(bytes_from("*1\r\n$4294967296\r\n"), &limits, INVALID_LENGTH);
}

static void test_limits_may_change_between_calls(void **state)
{
    static const struct resp_limits small = {3, 8, 4, 40, false};
    struct resp_parser p = {0};
    struct bytes in = bytes_from("SET a b c d e f g\n");

    (void)state;
    assert_int_equal(resp_parse(&p, bytes_of(in.data, in.size - 1), &limits_normal), RK_MORE);
    assert_int_equal(resp_parse(&p, in, &small), RK_PROTOCOL);
    in = bytes_from("*2\r\n$3\r\nGET\r\n$9\r\n123456789\r\n");
    resp_parser_free(&p);
    assert_int_equal(resp_parse(&p, bytes_of(in.data, in.size - 1), &limits_normal), RK_MORE);
    assert_int_equal(resp_parse(&p, in, &small), RK_PROTOCOL);
    assert_int_equal(resp_parse(&p, in, &limits_normal), in.size);
    assert_int_equal(p.arg_count, 2);
    resp_parser_free(&p);
}

static void test_error_repeats(void **state)
{
    struct resp_parser p = {0};
    struct bytes in = bytes_from("*2\r\n$3\r\nGET\r\n$9x\r\n");

    (void)state;
    assert_int_equal(resp_parse(&p, bytes_of(in.data, in.size - 1), &limits_normal), RK_MORE);
    for (int i = 0; i < 3; i++) {
        p.error[0] = '\0';
        assert_int_equal(resp_parse(&p, in, &limits_normal), RK_PROTOCOL);
        assert_string_equal(p.error, "Protocol error: invalid bulk length");
    }
    resp_parser_free(&p);
}

static void test_nothing_to_read(void **state)
{
    struct resp_parser p = {0};

    (void)state;
    assert_int_equal(resp_parse(&p, bytes_of(NULL, 0), &limits_normal), RK_MORE);
    assert_null(p.args);
    resp_parser_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_bad_counts),
        cmocka_unit_test(test_bad_bulks),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_inline_quotes),
        cmocka_unit_test(test_endless_lines),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_count_of_redis),
        cmocka_unit_test(test_limits_may_change_between_calls),
        cmocka_unit_test(test_error_repeats),
        cmocka_unit_test(test_nothing_to_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
