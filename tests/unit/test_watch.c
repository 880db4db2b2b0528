/* The keys that a client watches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/watch.h"
#include "shared/buf.h"
#include "shared/error.h"
#include "shared/message.h"
#include "shared/wire.h"
#include <cmocka.h>

static struct watch watch;
static struct buf keys, tokens;

static void put_arg(struct buf *to, const uint8_t *data, size_t size)
{
    uint8_t head[4];

    wire_put_u32(head, (uint32_t)size);
    assert_int_equal(buf_append(to, head, sizeof(head)), 0);
    assert_int_equal(buf_append(to, data, size), 0);
}

/* A key of one letter, at a position, with a token of so many bytes. */
static void want(uint64_t position, char letter, size_t token_size)
{
    uint8_t key[POSITION_SIZE + 1], token[WATCH_TOKEN_SIZE + 1] = {(uint8_t)letter};

    wire_put_position(key, position);
    key[POSITION_SIZE] = (uint8_t)letter;
    put_arg(&keys, key, sizeof(key));
    put_arg(&tokens, token, token_size);
}

static int add(uint32_t partition, uint16_t count)
{
    int error = watch_add(&watch, partition, count, buf_bytes(&keys), buf_bytes(&tokens));

    buf_truncate(&keys, 0);
    buf_truncate(&tokens, 0);
    return error;
}

static bool has(uint64_t position, const char *key)
{
    return watch_has(&watch, position, bytes_from(key));
}

static int finish(void **state)
{
    (void)state;
    watch_clear(&watch);
    assert_null(watch.first);
    assert_int_equal(watch.count, 0);
    buf_free(&keys);
    buf_free(&tokens);
    return 0;
}

static void test_has(void **state)
{
    (void)state;
    assert_false(has(1, "a"));
    want(1, 'a', WATCH_TOKEN_SIZE);
    want(2, 'b', WATCH_TOKEN_SIZE);
    assert_int_equal(add(5, 2), 0);
    assert_int_equal(watch.count, 2);
    assert_int_equal(watch.partition, 5);
    assert_true(has(1, "a"));
    assert_true(has(2, "b"));
    assert_false(has(1, "b")); /* the position of one, the name of the other */
    assert_false(has(3, "a"));
    assert_false(has(1, ""));
    assert_false(has(1, "aa"));
    watch_clear(&watch);
    assert_false(has(1, "a"));
}

static void test_bad_token_adds_none(void **state)
{
    (void)state;
    want(1, 'a', WATCH_TOKEN_SIZE);
    assert_int_equal(add(5, 1), 0);
    want(2, 'b', WATCH_TOKEN_SIZE);
    want(3, 'c', WATCH_TOKEN_SIZE + 1);
    assert_int_equal(add(6, 2), RK_CORRUPT);
    assert_int_equal(watch.count, 1);
    assert_int_equal(watch.partition, 5);
    assert_true(has(1, "a"));
    assert_false(has(2, "b"));
    want(2, 'b', 0);
    assert_int_equal(add(6, 1), RK_CORRUPT);
    assert_int_equal(watch.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_has, finish),
        cmocka_unit_test_teardown(test_bad_token_adds_none, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
