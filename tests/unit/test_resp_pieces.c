/* What the parser remembers of a command that arrives in pieces, and what memory it takes. */
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

static void test_announcing_allocates_nothing(void **state)
{
    struct resp_parser p = {0};

    (void)state;
    assert_int_equal(resp_parse(&p, bytes_from("*1048576\r\n$16777216\r\n"), &limits_normal),
                     RK_MORE);
    assert_int_equal(p.arg_size, 0);
    assert_null(p.args);
    assert_null(p.unquoted.data);
    resp_parser_free(&p);
}

/* What was parsed is not looked at again: here it is overwritten. */
static void test_pieces_are_not_parsed_again(void **state)
{
    enum { ARGS = 1000, ARG_SIZE = 20, PIECE = 64 };
    struct resp_parser p = {0};
    struct buf stream = {0};
    size_t wiped = 0;
    int64_t r = RK_MORE;

    (void)state;
    assert_int_equal(resp_put_array(&stream, ARGS), 0);
    for (int i = 0; i < ARGS; i++)
        assert_int_equal(resp_put_bulk(&stream, bytes_from("01234567890123456789")), 0);
    for (size_t size = PIECE; r == RK_MORE; size += PIECE) {
        if (size > buf_len(&stream))
            size = buf_len(&stream);
        r = resp_parse(&p, bytes_of(stream.data, size), &limits_normal);
        if (r == RK_MORE && size > PIECE)
            wiped = size - PIECE;
        memset(stream.data, '?', wiped);
    }
    assert_int_equal(r, buf_len(&stream));
    assert_int_equal(p.arg_count, ARGS);
    for (int i = 0; i < ARGS; i++) {
        assert_int_equal(p.args[i].size, ARG_SIZE);
        assert_ptr_equal(p.args[i].data, stream.data + 7 + i * 27 + 5);
    }
    buf_free(&stream);
    resp_parser_free(&p);
}

/* A line that comes a byte at a time is not searched from its beginning each time: an end put where
 * the search has been is not found. */
static void test_lines_are_not_searched_again(void **state)
{
    static const char *const starts[] = {"*", "*1\r\n$", "x"};
    char stream[1000];

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct resp_parser p = {0};
        size_t head = strlen(starts[i]);

        memset(stream, '1', sizeof(stream));
        memcpy(stream, starts[i], head);
        assert_int_equal(resp_parse(&p, bytes_of(stream, 500), &limits_normal), RK_MORE);
        memset(stream + head, '\n', 500 - head);
        assert_int_equal(resp_parse(&p, bytes_of(stream, 900), &limits_normal), RK_MORE);
        stream[899] = '\r';
        assert_int_equal(resp_parse(&p, bytes_of(stream, 901), &limits_normal), RK_MORE);
        resp_parser_free(&p);
    }
}

static void test_large_bulk_in_pieces(void **state)
{
    size_t size = 16 * MIB;
    struct resp_parser p = {0};
    uint8_t *stream = malloc(size + 64);
    int64_t r = RK_MORE;

    (void)state;
    assert_non_null(stream);

    size_t head = (size_t)snprintf((char *)stream, 64, "*2\r\n$1\r\nk\r\n$%zu\r\n", size);
    size_t total = head + size + 2;

    memset(stream + head, '\n', size);
    memcpy(stream + head + size, "\r\n", 2);
    for (size_t at = 64 * KIB; at < total; at += 64 * KIB) {
        assert_int_equal(resp_parse(&p, bytes_of(stream, at), &limits_normal), RK_MORE);
        assert_int_equal(p.scanned, head - 11);
    }
    r = resp_parse(&p, bytes_of(stream, total), &limits_normal);
    assert_int_equal(r, total);
    assert_int_equal(p.args[1].size, size);
    assert_ptr_equal(p.args[1].data, stream + head);
    free(stream);
    resp_parser_free(&p);
}

static void test_steady_state_does_not_allocate(void **state)
{
    struct resp_parser p = {0};
    struct bytes in = bytes_from("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");

    (void)state;
    assert_int_equal(resp_parse(&p, in, &limits_normal), in.size);

    struct bytes *args = p.args;
    uint32_t size = p.arg_size;

    for (size_t cut = 1; cut <= in.size; cut++) {
        int64_t r = resp_parse(&p, bytes_of(in.data, cut), &limits_normal);

        assert_int_equal(r, cut < in.size ? RK_MORE : (int64_t)in.size);
        assert_ptr_equal(p.args, args);
        assert_int_equal(p.arg_size, size);
    }
    resp_parser_free(&p);
}

static void test_trim(void **state)
{
    struct resp_parser p = {0};
    struct buf stream = {0};

    (void)state;
    assert_int_equal(resp_put_array(&stream, 1000), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(resp_put_bulk(&stream, bytes_from("x")), 0);

    struct bytes in = buf_bytes(&stream);

    assert_int_equal(resp_parse(&p, in, &limits_normal), in.size);
    resp_parser_trim(&p);
    assert_int_equal(p.arg_size, 0);
    assert_int_equal(p.arg_count, 0);

    assert_int_equal(resp_parse(&p, bytes_of(in.data, in.size - 1), &limits_normal), RK_MORE);
    resp_parser_trim(&p);
    assert_int_equal(resp_parse(&p, in, &limits_normal), in.size);
    assert_int_equal(p.arg_count, 1000);
    assert_true(bytes_equal(p.args[0], bytes_from("x")));

    assert_int_equal(resp_parse(&p, bytes_from("get \"a b\"\n"), &limits_normal), 10);
    assert_non_null(p.unquoted.data);
    resp_parser_trim(&p);
    assert_null(p.unquoted.data);

    assert_int_equal(resp_parse(&p, bytes_from("get a\n"), &limits_normal), 6);
    assert_true(p.arg_size > 0);
    resp_parser_trim(&p);
    assert_true(p.arg_size > 0);
    buf_free(&stream);
    resp_parser_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_announcing_allocates_nothing),
        cmocka_unit_test(test_pieces_are_not_parsed_again),
        cmocka_unit_test(test_lines_are_not_searched_again),
        cmocka_unit_test(test_large_bulk_in_pieces),
        cmocka_unit_test(test_steady_state_does_not_allocate),
        cmocka_unit_test(test_trim),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
