#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/buf.h"
#include "shared/error.h"
#include <stdlib.h>

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d >> 16;
}

static void append(struct buf *b, const char *text)
{
    assert_int_equal(buf_append(b, text, strlen(text)), 0);
}

static void expect(const struct buf *b, const char *text)
{
    assert_int_equal(buf_len(b), strlen(text));
    assert_memory_equal(buf_head(b), text, strlen(text));
    assert_true(bytes_equal(buf_bytes(b), bytes_from(text)));
}

static void test_empty_owns_nothing(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_len(&b), 0);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_null(b.data);
    assert_null(buf_head(&b));
    assert_int_equal(buf_bytes(&b).size, 0);
    buf_consume(&b, 0);
    buf_truncate(&b, 0);
    buf_trim(&b, 0);
    assert_null(b.data);
    buf_free(&b);
    assert_null(b.data);
}

static void test_append_consume_truncate(void **state)
{
    struct buf b = {0};

    (void)state;
    append(&b, "hello");
    append(&b, " world");
    expect(&b, "hello world");
    buf_consume(&b, 6);
    expect(&b, "world");
    buf_truncate(&b, 3);
    expect(&b, "wor");
    append(&b, "k");
    expect(&b, "work");
    buf_consume(&b, 4);
    assert_int_equal(buf_len(&b), 0);
    assert_int_equal(b.start, 0);
    append(&b, "x");
    expect(&b, "x");
    buf_free(&b);
}

static void test_reserve_and_commit(void **state)
{
    struct buf b = {0};

    (void)state;
    append(&b, "ab");

    uint8_t *to = buf_reserve(&b, 3);

    assert_non_null(to);
    assert_ptr_equal(to, buf_head(&b) + 2);
    assert_true(b.size - b.end >= 3);
    expect(&b, "ab");
    memcpy(to, "cdX", 3);
    buf_commit(&b, 2);
    expect(&b, "abcd");
    assert_non_null(buf_reserve(&b, 0));
    expect(&b, "abcd");
    buf_free(&b);
    assert_non_null(buf_reserve(&b, 0));
    buf_free(&b);
}

/* Room that consumed bytes left is used before more memory is taken. */
static void test_reuses_consumed_room(void **state)
{
    struct buf b = {0};
    uint8_t *room = buf_reserve(&b, 1);

    (void)state;
    assert_non_null(room);

    size_t size = b.size;

    memset(room, 'a', size);
    buf_commit(&b, size);
    b.data[size - 1] = 'z';
    buf_consume(&b, size - 1);
    for (int i = 0; i < 10; i++)
        append(&b, "0123456789");
    assert_ptr_equal(b.data, room);
    assert_int_equal(b.size, size);
    assert_int_equal(buf_len(&b), 101);
    assert_memory_equal(buf_head(&b), "z0123456789", 11);
    buf_free(&b);
}

/* A long backlog that moves on by a few bytes at a time is not copied for each of them. */
static void test_backlog_is_copied_seldom(void **state)
{
    enum { SIZE = 1 << 16, TURNS = 10000 };
    static uint8_t backlog[SIZE];
    struct buf b = {0};
    int moves = 0;

    (void)state;
    assert_int_equal(buf_append(&b, backlog, SIZE), 0);
    for (int i = 0; i < TURNS; i++) {
        buf_consume(&b, 10);
        assert_int_equal(buf_append(&b, backlog, 10), 0);
        moves += b.start == 0; /* a copy begins at 0, and bytes had been consumed */
    }
    /* Half of the room is free after each copy, and there are 10 bytes a turn to fill it. */
    assert_true(moves <= 1 + TURNS * 10 / SIZE);
    buf_free(&b);
}

static void test_too_large(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_null(b.data);
    append(&b, "abc");

    struct buf before = b;

    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_null(buf_reserve(&b, SIZE_MAX - 2));
    assert_null(buf_reserve(&b, SIZE_MAX / 2));
    assert_int_equal(buf_append(&b, "", SIZE_MAX), RK_NOMEM);
    assert_memory_equal(&b, &before, sizeof(b));
    expect(&b, "abc");
    buf_free(&b);
}

static void test_trim(void **state)
{
    static char text[5000];
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_append(&b, text, sizeof(text)), 0);
    buf_trim(&b, 0);
    assert_int_equal(buf_len(&b), sizeof(text));
    buf_consume(&b, sizeof(text));
    buf_trim(&b, b.size);
    assert_non_null(b.data);
    buf_trim(&b, b.size - 1);
    assert_null(b.data);
    assert_int_equal(b.size, 0);
    append(&b, "again");
    expect(&b, "again");
    buf_free(&b);
}

/* The nth byte ever written, for any n. */
static uint8_t byte_at(size_t n)
{
    return (uint8_t)(n ^ n >> 8 ^ n >> 16);
}

static void step(struct buf *b, size_t *first, size_t *last, uint64_t *seed)
{
    uint64_t what = random_next(seed) % 8;
    size_t size = random_next(seed) % (what == 0 ? 20000 : 300);

    if (what < 4) {
        uint8_t *to = buf_reserve(b, size);

        assert_non_null(to);
        for (size_t i = 0; i < size; i++)
            to[i] = byte_at((*last)++);
        buf_commit(b, size);
    } else if (what < 7) {
        size = what == 6 ? buf_len(b) : size > buf_len(b) ? buf_len(b) : size;
        buf_consume(b, size);
        *first += size;
    } else {
        size = size > buf_len(b) ? 0 : buf_len(b) - size;
        buf_truncate(b, size);
        *last = *first + size;
    }
}

static void test_random_steps(void **state)
{
    struct buf b = {0};
    uint64_t seed = 88172645463325252;
    size_t first = 0;
    size_t last = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        step(&b, &first, &last, &seed);
        assert_int_equal(buf_len(&b), last - first);
        assert_true(b.start <= b.end && b.end <= b.size);
        for (size_t k = 0; k < buf_len(&b); k++)
            if (b.data[b.start + k] != byte_at(first + k))
                assert_int_equal(b.data[b.start + k], byte_at(first + k));
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_owns_nothing),
        cmocka_unit_test(test_append_consume_truncate),
        cmocka_unit_test(test_reserve_and_commit),
        cmocka_unit_test(test_reuses_consumed_room),
        cmocka_unit_test(test_backlog_is_copied_seldom),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_random_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
