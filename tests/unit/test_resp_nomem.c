/* Every allocation of the RESP codec and its buffers fails once: the call says so, and the same
 * call made again succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/nomem.h"

#include "shared/buf.c"
#include "shared/resp_inline.c"
#include "shared/resp_parse.c"
#include "shared/resp_write.c"

#include "tests/unit/nomem_end.h"

#include <cmocka.h>

enum { ARGS = 100 };

static const struct resp_limits limits = {ARGS, 100, 1000, 10000, false};

/* Half of the command, then all of it, with the nth allocation failing; retries at once. Returns
 * whether one failed. */
static bool parse_failing(struct bytes in, unsigned n)
{
    struct resp_parser p = {0};
    bool failed = false;

    fail_allocation(n);
    for (size_t size = in.size / 2; size <= in.size; size += in.size - in.size / 2) {
        int64_t r = resp_parse(&p, bytes_of(in.data, size), &limits);

        if (r == RK_NOMEM) {
            failed = true;
            r = resp_parse(&p, bytes_of(in.data, size), &limits);
        }
        assert_int_equal(r, size < in.size ? RK_MORE : (int64_t)in.size);
    }
    fail_allocation(UINT32_MAX);
    assert_int_equal(p.arg_count, ARGS);
    for (uint32_t i = 0; i < ARGS; i++)
        assert_true(bytes_equal(p.args[i], bytes_from("a b")));
    resp_parser_free(&p);
    return failed;
}

/* Returns how many allocations there are to fail. */
static unsigned parse_each_failing(struct bytes in)
{
    unsigned n = 1;

    while (parse_failing(in, n))
        n++;
    return n - 1;
}

static void test_parse_array(void **state)
{
    struct buf stream = {0};

    (void)state;
    assert_int_equal(resp_put_array(&stream, ARGS), 0);
    for (int i = 0; i < ARGS; i++)
        assert_int_equal(resp_put_bulk(&stream, bytes_from("a b")), 0);
    /* Tables of 16, 32, 64 and 128: arguments and offsets of each. */
    assert_int_equal(parse_each_failing(buf_bytes(&stream)), 8);
    buf_free(&stream);
}

static void test_parse_inline(void **state)
{
    struct buf stream = {0};

    (void)state;
    for (int i = 0; i < ARGS; i++)
        assert_int_equal(buf_append(&stream, "'a b' ", 6), 0);
    assert_int_equal(buf_append(&stream, "\r\n", 2), 0);
    /* And the storage of what is without quotes. */
    assert_int_equal(parse_each_failing(buf_bytes(&stream)), 9);
    buf_free(&stream);
}

/* Each writer in turn; `which` past the last returns RK_NOTFOUND. */
static int put(struct buf *out, int which)
{
    switch (which) {
    case 0:
        return resp_put_simple(out, "OK");
    case 1:
        return resp_put_error(out, "ERR");
    case 2:
        return resp_put_errorf(out, "ERR %d", 1);
    case 3:
        return resp_put_integer(out, 1);
    case 4:
        return resp_put_bulk(out, bytes_from("x"));
    case 5:
        return resp_put_null(out, 2);
    case 6:
        return resp_put_null(out, 3);
    case 7:
        return resp_put_array(out, 1);
    case 8:
        return resp_put_map(out, 1, 3);
    case 9:
        return resp_put_set(out, 1, 3);
    case 10:
        return resp_put_verbatim(out, bytes_from("x"), 3);
    default:
        return RK_NOTFOUND;
    }
}

static void test_writers(void **state)
{
    uint8_t *room;

    (void)state;
    for (int which = 0;; which++) {
        struct buf out = {0};

        room = buf_reserve(&out, 1);
        assert_non_null(room);
        memset(room, 'x', out.size);
        buf_commit(&out, out.size);

        struct buf before = out;

        fail_allocation(1);

        int r = put(&out, which);

        fail_allocation(UINT32_MAX);
        assert_memory_equal(&out, &before, sizeof(out));
        if (r == RK_NOTFOUND) {
            buf_free(&out);
            return;
        }
        assert_int_equal(r, RK_NOMEM);
        assert_int_equal(put(&out, which), 0);
        assert_true(buf_len(&out) > before.size);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_array),
        cmocka_unit_test(test_parse_inline),
        cmocka_unit_test(test_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
