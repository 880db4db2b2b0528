/* Operations on a range: pieces that follow one another cover all of it, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/execute_rig.h"

enum { KEYS = 100 };

static struct ring *ring;
static uint8_t next[STORE_KEY_SIZE_MAX];
static size_t next_size; /* 0: the end */

/* Live keys, and between them a tombstone and an expired key for each. */
static int fill(void **state)
{
    start(state);
    ring = ring_new(1, 0);
    assert_non_null(ring);
    view.ring = ring;
    for (int i = 0; i < KEYS; i++) {
        char key[16];

        snprintf(key, sizeof(key), "%03d", i);
        plant(key, "value", i % 2 ? NOW + 1 : 0, false);
        snprintf(key, sizeof(key), "%03d-dead", i);
        plant(key, NULL, 0, true);
        snprintf(key, sizeof(key), "%03d-gone", i);
        plant(key, "value", NOW, false);
    }
    memset(next, 0, POSITION_SIZE);
    next_size = POSITION_SIZE;
    return 0;
}

static int empty(void **state)
{
    ring_free(ring);
    return finish(state);
}

static void add_number(int64_t n)
{
    uint8_t number[8];

    wire_put_i64(number, n);
    add_arg(bytes_of(number, 8), (struct bytes){0});
}

static void begin_at_next(int64_t records)
{
    begin();
    add_arg(bytes_of(next, next_size), (struct bytes){0});
    add_number(records);
}

static void take_next(struct bytes value, bool nil)
{
    next_size = nil ? 0 : value.size;
    if (!nil)
        memcpy(next, value.data, value.size);
}

/* Notes the keys of one piece, which must be new. Returns how many. */
static int scan(int64_t records, int64_t bucket, bool seen_keys[KEYS])
{
    struct reply reply;
    int found = 0;

    begin_at_next(records);
    add_number(bucket);
    reply = read_op(OP_SCAN);
    assert_int_equal(reply.kind, REPLY_ARRAY);
    for (; reply.count > 1; reply.count--, found++) {
        struct bytes key = message_next_arg(&reply.data, NULL);
        int number;

        assert_int_equal(key.size, 11);
        number = atoi((char[4]){(char)key.data[8], (char)key.data[9], (char)key.data[10], 0});
        assert_false(seen_keys[number]);
        seen_keys[number] = true;
    }
    bool nil;
    struct bytes last = message_next_arg(&reply.data, &nil);

    take_next(last, nil);
    return found;
}

static void test_scan(void **state)
{
    (void)state;
    for (int64_t records = 1; records < 400; records = records * 2 + 1) {
        bool seen_keys[KEYS] = {0};
        int found = 0, rounds = 0;

        next_size = POSITION_SIZE;
        memset(next, 0, POSITION_SIZE);
        while (next_size) {
            found += scan(records, -1, seen_keys);
            rounds++;
        }
        assert_int_equal(found, KEYS);
        assert_int_equal(rounds, (3 * KEYS + records - 1) / records);
    }
}

/* Any number is taken for one that can be. */
static void test_scan_bounds(void **state)
{
    bool seen_keys[KEYS] = {0};

    (void)state;
    assert_int_equal(scan(INT64_MIN, -1, seen_keys), 1);
    assert_int_equal(scan(INT64_MAX, -1, seen_keys), KEYS - 1);
    assert_int_equal(next_size, 0);
}

static void test_scan_buckets(void **state)
{
    bool seen_keys[KEYS] = {0};
    int found = 0, used = 0;

    (void)state;
    for (int bucket = 0; bucket < SCAN_BUCKETS; bucket++) {
        int of_this;

        memset(next, 0, POSITION_SIZE);
        next_size = POSITION_SIZE;
        of_this = scan(1000, bucket, seen_keys);
        found += of_this;
        used += of_this > 0;
    }
    assert_int_equal(found, KEYS);
    assert_true(used > SCAN_BUCKETS / 2);
}

static void test_count(void **state)
{
    int64_t count = 0;

    (void)state;
    while (next_size) {
        struct reply reply;
        bool nil;

        begin_at_next(7);
        reply = read_op(OP_COUNT);
        assert_int_equal(reply.count, 2);
        count += wire_get_i64(message_next_arg(&reply.data, NULL).data);

        struct bytes last = message_next_arg(&reply.data, &nil);

        take_next(last, nil);
    }
    assert_int_equal(count, KEYS);
}

static void flush(bool tombstones)
{
    bool seen_keys[KEYS] = {0};
    size_t changes = 0;

    view.keep_tombstones = tombstones;
    while (next_size) {
        begin_at_next(10);
        write_op(OP_FLUSH);
        assert_true(effect.changes.count <= 10);
        changes += effect.changes.count;
        take_next(effect.reply.data, effect.reply.kind == REPLY_NIL);
    }
    assert_int_equal(changes, 2 * KEYS);
    memset(next, 0, POSITION_SIZE);
    next_size = POSITION_SIZE;
    assert_int_equal(scan(4000, -1, seen_keys), 0);
}

static void test_flush(void **state)
{
    (void)state;
    flush(true);
}

static void test_flush_alone(void **state)
{
    (void)state;
    flush(false);
}

/* A damaged record is not passed over, and no proof can be asked for. */
static void test_refused(void **state)
{
    struct request m;

    (void)state;
    begin_at_next(1000);
    m = request_of(OP_COUNT);
    m.level = LEVEL_VALUE;
    assert_int_equal(execute_read(&view, &m, &out, &seen), RK_INVALID);
    assert_int_equal(store_memory_damage(view.store, store_key("050")), 0);
    m.level = LEVEL_LINEAR;
    buf_truncate(&out, 0);
    assert_int_equal(execute_read(&view, &m, &out, &seen), RK_CORRUPT);
    add_number(-1);
    m = request_of(OP_SCAN);
    assert_int_equal(execute_read(&view, &m, &out, &seen), RK_CORRUPT);
    assert_int_equal(buf_len(&out), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fill, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_scan),  TEST(test_scan_bounds), TEST(test_scan_buckets), TEST(test_count),
        TEST(test_flush), TEST(test_flush_alone), TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
