/* Writes against the store's twin in memory: what they answer and what they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/execute_rig.h"

/* --- writes --------------------------------------------------------------------------------- */

static void test_set(void **state)
{
    (void)state;
    plant("a", "old", NOW + 5, false);
    write_one(OP_SET, "a", "new");
    assert_int_equal(effect.reply.kind, REPLY_OK);
    assert_value("a", "new");
    /* SET takes an expiry away. */
    assert_int_equal(expiry_of("a"), 0);
    write_one(OP_SET, "a", "");
    assert_value("a", "");
}

/* Of a key that is named twice the last value holds. */
static void test_mset(void **state)
{
    (void)state;
    begin();
    add_key("a");
    add_value("1");
    add_key("b");
    add_value("2");
    add_key("a");
    add_value("3");
    write_op(OP_MSET);
    assert_int_equal(effect.reply.kind, REPLY_OK);
    assert_value("a", "3");
    assert_value("b", "2");
}

static void test_setnx(void **state)
{
    (void)state;
    write_one(OP_SETNX, "a", "1");
    assert_integer(1);
    write_one(OP_SETNX, "a", "2");
    assert_integer(0);
    assert_value("a", "1");
    plant("a", NULL, 0, true);
    write_one(OP_SETNX, "a", "3");
    assert_integer(1);
    assert_value("a", "3");
    plant("b", "old", NOW, false);
    write_one(OP_SETNX, "b", "4");
    assert_integer(1);
    assert_value("b", "4");
    assert_int_equal(expiry_of("b"), 0);
}

static void test_getset(void **state)
{
    (void)state;
    write_one(OP_GETSET, "a", "1");
    assert_int_equal(effect.reply.kind, REPLY_NIL);
    write_one(OP_GETSET, "a", "");
    assert_int_equal(effect.reply.kind, REPLY_BULK);
    assert_true(bytes_equal(effect.reply.data, bytes_from("1")));
    write_one(OP_GETSET, "a", "2");
    assert_int_equal(effect.reply.kind, REPLY_BULK);
    assert_int_equal(effect.reply.data.size, 0);
    plant("a", "old", NOW, false);
    write_one(OP_GETSET, "a", "3");
    assert_int_equal(effect.reply.kind, REPLY_NIL);
    plant("a", "keep", NOW + 1, false);
    write_one(OP_GETSET, "a", "4");
    /* The answer outlives the record that it was read from. */
    assert_true(bytes_equal(effect.reply.data, bytes_from("keep")));
    assert_value("a", "4");
    assert_int_equal(expiry_of("a"), 0);
}

static void test_del(void **state)
{
    struct store_record found;
    uint64_t wait;

    (void)state;
    plant("a", "1", 0, false);
    plant("b", "2", 0, false);
    plant("gone", NULL, 0, true);
    plant("expired", "3", NOW, false);
    begin();
    add_key("a");
    add_key("none");
    add_key("gone");
    add_key("a");
    add_key("expired");
    add_key("b");
    write_op(OP_DEL);
    assert_integer(2);
    assert_int_equal(effect.changes.count, 2);
    assert_value("a", NULL);
    assert_value("b", NULL);
    assert_int_equal(store_get(view.store, store_key("a"), &found, &wait), 0);
    assert_true(found.deleted && found.version.view == 2 && found.version.op == last_op);

    /* A lone node needs no tombstones. */
    view.keep_tombstones = false;
    plant("a", "1", 0, false);
    write_one(OP_DEL, "a", NULL);
    assert_integer(1);
    assert_int_equal(store_get(view.store, store_key("a"), &found, &wait), RK_NOTFOUND);
}

/* As many keys as a request holds, each twice. */
static void test_del_many(void **state)
{
    struct store_stats stats;
    char key[16];

    (void)state;
    for (int i = 0; i < MESSAGE_ARGS_MAX / 2; i++) {
        snprintf(key, sizeof(key), "%d", i);
        plant(key, "x", 0, false);
    }
    begin();
    for (int i = 0; i < MESSAGE_ARGS_MAX; i++) {
        snprintf(key, sizeof(key), "%d", i % (MESSAGE_ARGS_MAX / 2));
        add_key(key);
    }
    write_op(OP_DEL);
    assert_integer(MESSAGE_ARGS_MAX / 2);
    store_stats(view.store, &stats);
    assert_int_equal(stats.keys, 0);
    assert_int_equal(stats.tombstones, MESSAGE_ARGS_MAX / 2);
}

static void test_append(void **state)
{
    (void)state;
    write_one(OP_APPEND, "a", "");
    assert_integer(0);
    assert_value("a", "");
    write_one(OP_APPEND, "a", "one");
    assert_integer(3);
    write_one(OP_APPEND, "a", " two");
    assert_integer(7);
    assert_value("a", "one two");
    plant("a", "old", NOW + 7, false);
    write_one(OP_APPEND, "a", "er");
    assert_value("a", "older");
    assert_int_equal(expiry_of("a"), NOW + 7);
    plant("a", "old", NOW, false);
    write_one(OP_APPEND, "a", "new");
    assert_integer(3);
    assert_value("a", "new");
    assert_int_equal(expiry_of("a"), 0);
}

/* --- numbers -------------------------------------------------------------------------------- */

static void test_incrby(void **state)
{
    (void)state;
    increment("a", 5);
    assert_integer(5);
    assert_value("a", "5");
    increment("a", -7);
    assert_integer(-2);
    assert_value("a", "-2");
    increment("a", 0);
    assert_integer(-2);
    plant("a", "10", NOW + 3, false);
    increment("a", 1);
    assert_value("a", "11");
    assert_int_equal(expiry_of("a"), NOW + 3);
    plant("a", "10", NOW, false);
    increment("a", 1);
    assert_value("a", "1");
    assert_int_equal(expiry_of("a"), 0);
    plant("a", NULL, 0, true);
    increment("a", 1);
    assert_value("a", "1");
}

static void test_incrby_edges(void **state)
{
    static const struct {
        const char *before;
        int64_t by;
        const char *after; /* NULL: refused */
    } cases[] = {
        {"9223372036854775806", 1, "9223372036854775807"},
        {"9223372036854775807", 0, "9223372036854775807"},
        {"9223372036854775807", 1, NULL},
        {"9223372036854775807", INT64_MIN, "-1"},
        {"1", INT64_MAX, NULL},
        {"0", INT64_MAX, "9223372036854775807"},
        {"0", INT64_MIN, "-9223372036854775808"},
        {"-1", INT64_MIN, NULL},
        {"-9223372036854775807", -1, "-9223372036854775808"},
        {"-9223372036854775808", -1, NULL},
        {"-9223372036854775808", INT64_MAX, "-1"},
        {"-9223372036854775808", INT64_MIN, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        plant("a", cases[i].before, 0, false);
        increment("a", cases[i].by);
        if (cases[i].after) {
            assert_int_equal(effect.reply.kind, REPLY_INTEGER);
            assert_value("a", cases[i].after);
        } else {
            assert_refused("ERR increment or decrement would overflow");
            assert_value("a", cases[i].before);
        }
    }
    increment("none", INT64_MIN);
    assert_integer(INT64_MIN);
    assert_value("none", "-9223372036854775808");
}

static void test_incrby_not_a_number(void **state)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "01",
                                      "-0",
                                      "1e3",
                                      "0x10",
                                      "abc",
                                      "1.0",
                                      "9223372036854775808",
                                      "-9223372036854775809"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        plant("a", bad[i], 0, false);
        increment("a", 1);
        assert_refused("ERR value is not an integer or out of range");
        assert_value("a", bad[i]);
    }
}

static void add_float(const char *by)
{
    write_one(OP_INCRBYFLOAT, "a", by);
}

/* As Redis tells them: 17 digits behind the point at most, no zeros at the end, never an exponent.
 */
static void test_incrbyfloat(void **state)
{
    static const struct {
        const char *before, *by, *after;
    } cases[] = {
        {NULL, "1.5", "1.5"},
        {"10.50", "0.1", "10.6"},
        {"3", "-3", "0"},
        {"5.0e3", "2.0e2", "5200"},
        {"-0.1", "0.1", "0"},
        {"0", "-0.0", "0"},
        {"1e18", "1", "1000000000000000001"},
        {"0.1", "0.2", "0.3"},
        {"1", "1e-17", "1.00000000000000001"},
        {"1", "0x10", "17"},
        {"10", ".5", "10.5"},
        {"0", "1e-400", "0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        plant("a", cases[i].before, 0, !cases[i].before);
        add_float(cases[i].by);
        assert_bulk(cases[i].after);
        assert_value("a", cases[i].after);
    }
    plant("a", "1", NOW + 4, false);
    add_float("1");
    assert_int_equal(expiry_of("a"), NOW + 4);
}

static void test_incrbyfloat_wrong(void **state)
{
    static const char *const bad[] = {"",   " 1",  "1 ",     "abc",    "nan",
                                      "1e", "1,5", "1e9999", "1e-9999"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        plant("a", bad[i], 0, false);
        add_float("1");
        assert_refused("ERR value is not a valid float");
        plant("a", "1", 0, false);
        add_float(bad[i]);
        assert_refused("ERR value is not a valid float");
    }
    add_float("inf");
    assert_refused("ERR increment would produce NaN or Infinity");
    plant("a", "1e4932", 0, false);
    add_float("1e4932");
    assert_refused("ERR increment would produce NaN or Infinity");
}

/* --- limits --------------------------------------------------------------------------------- */

static void test_value_max(void **state)
{
    static const enum operation ops[] = {OP_SET, OP_SETNX, OP_GETSET, OP_APPEND};
    char fits[VALUE_MAX + 1], large[VALUE_MAX + 2];

    (void)state;
    memset(fits, 'x', VALUE_MAX);
    fits[VALUE_MAX] = '\0';
    memset(large, 'x', VALUE_MAX + 1);
    large[VALUE_MAX + 1] = '\0';
    for (int i = 0; i < 4; i++) {
        plant("a", NULL, 0, true);
        write_one(ops[i], "a", large);
        assert_refused("ERR value is too large: 101 bytes, the limit (max_value) is 100");
        assert_value("a", NULL);
        write_one(ops[i], "a", fits);
        assert_int_not_equal(effect.reply.kind, REPLY_ERROR);
        assert_value("a", fits);
    }
    plant("a", "old", 0, false);
    write_one(OP_GETSET, "a", large);
    assert_refused("ERR value is too large");
    assert_value("a", "old");
    write_one(OP_APPEND, "a", fits);
    assert_refused("ERR value is too large: 103 bytes");
    assert_value("a", "old");
    begin();
    add_key("a");
    add_value("new");
    add_key("b");
    add_value(large);
    add_key("c");
    add_value("new");
    write_op(OP_MSET);
    assert_refused("ERR value is too large: 101 bytes");
    assert_value("a", "old");
    assert_value("c", NULL);
    view.value_max = 1;
    increment("n", 10);
    assert_refused("ERR value is too large: 2 bytes, the limit (max_value) is 1");
}

/* Values that are more together than a frame holds: said so, and nothing is left behind. */
static void test_too_big(void **state)
{
    size_t size = 20 << 20;
    uint8_t *value = calloc(1, size);
    struct store_change change = {
        STORE_PUT, store_key("a"), {{1, 1}, 0, false, bytes_of(value, size)}};
    struct store_batch batch = {.changes = &change, .change_count = 1};
    struct request m;

    (void)state;
    assert_non_null(value);
    assert_int_equal(store_apply(view.store, &batch, &position), 0);
    assert_int_equal(buf_append(&out, "before", 6), 0);
    begin();
    for (int i = 0; i < 4; i++)
        add_key("a");
    m = request_of(OP_MGET);
    assert_int_equal(execute_read(&view, &m, &out, &seen), RK_TOOBIG);
    assert_int_equal(buf_len(&out), 6);
    m.arg_count = 3;
    m.args.size = 3 * (m.args.size / 4);
    assert_int_equal(execute_read(&view, &m, &out, &seen), 0);
    free(value);
}

static void test_not_a_write(void **state)
{
    struct request m;

    (void)state;
    begin();
    add_key("a");
    m = request_of(OP_GET);
    assert_int_equal(execute_write(&view, &m, (struct version){1, 1}, &effect), RK_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set, start, finish),
        cmocka_unit_test_setup_teardown(test_mset, start, finish),
        cmocka_unit_test_setup_teardown(test_setnx, start, finish),
        cmocka_unit_test_setup_teardown(test_getset, start, finish),
        cmocka_unit_test_setup_teardown(test_del, start, finish),
        cmocka_unit_test_setup_teardown(test_del_many, start, finish),
        cmocka_unit_test_setup_teardown(test_append, start, finish),
        cmocka_unit_test_setup_teardown(test_incrby, start, finish),
        cmocka_unit_test_setup_teardown(test_incrby_edges, start, finish),
        cmocka_unit_test_setup_teardown(test_incrby_not_a_number, start, finish),
        cmocka_unit_test_setup_teardown(test_incrbyfloat, start, finish),
        cmocka_unit_test_setup_teardown(test_incrbyfloat_wrong, start, finish),
        cmocka_unit_test_setup_teardown(test_value_max, start, finish),
        cmocka_unit_test_setup_teardown(test_too_big, start, finish),
        cmocka_unit_test_setup_teardown(test_not_a_write, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
