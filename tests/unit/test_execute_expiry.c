/* Operations on when keys expire, against the store's twin in memory: what they change, what they
 * answer, and what stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/execute_rig.h"

enum { NOTHING = -7 }; /* there is no such key */

static void setx(const char *key, const char *value, int64_t time_ms, int64_t flags)
{
    begin();
    add_key(key);
    add_value(value);
    add_integer(time_ms);
    add_integer(flags);
    write_op(OP_SETX);
}

static void two_integers(enum operation op, const char *key, int64_t time_ms, int64_t flags)
{
    begin();
    add_key(key);
    add_integer(time_ms);
    add_integer(flags);
    write_op(op);
}

/* What is left behind: the expiry, or NOTHING. */
static int64_t left_of(const char *key)
{
    return read_one(OP_GET, key).kind == REPLY_NIL ? NOTHING : expiry_of(key);
}

/* --- SET ------------------------------------------------------------------------------------ */

static void test_setx_times(void **state)
{
    (void)state;
    setx("a", "1", 5000, SETX_EXPIRES | SETX_RELATIVE);
    assert_int_equal(effect.reply.kind, REPLY_OK);
    assert_int_equal(expiry_of("a"), NOW + 5000);
    setx("a", "2", NOW + 7, SETX_EXPIRES);
    assert_int_equal(expiry_of("a"), NOW + 7);
    setx("a", "3", 0, SETX_KEEPTTL);
    assert_value("a", "3");
    assert_int_equal(expiry_of("a"), NOW + 7);
    setx("a", "4", 0, 0);
    assert_int_equal(expiry_of("a"), 0);
    setx("new", "5", 0, SETX_KEEPTTL);
    assert_int_equal(expiry_of("new"), 0);
    /* Of a value that has expired nothing is kept. */
    plant("a", "old", NOW, false);
    setx("a", "6", 0, SETX_KEEPTTL);
    assert_int_equal(expiry_of("a"), 0);
    /* A time that is over: as if it had never been there. */
    setx("a", "6", 0, SETX_EXPIRES); /* a time, not none */
    assert_value("a", NULL);
    setx("a", "7", NOW, SETX_EXPIRES);
    assert_int_equal(effect.reply.kind, REPLY_OK);
    assert_value("a", NULL);
    setx("a", "8", OPERATION_RELATIVE_MAX, SETX_EXPIRES | SETX_RELATIVE);
    assert_true(expiry_of("a") == OPERATION_RELATIVE_MAX + NOW);
    setx("a", "9", INT64_MAX, SETX_EXPIRES | SETX_RELATIVE);
    assert_true(expiry_of("a") == INT64_MAX);
    setx("a", "10", INT64_MIN, SETX_EXPIRES);
    assert_value("a", NULL);
}

static void test_setx_conditions(void **state)
{
    static const struct {
        int64_t flags;
        bool there, sets;
        const char *bulk;
        enum reply_kind kind;
    } cases[] = {
        {SETX_NX, false, true, NULL, REPLY_OK},
        {SETX_NX, true, false, NULL, REPLY_NIL},
        {SETX_XX, false, false, NULL, REPLY_NIL},
        {SETX_XX, true, true, NULL, REPLY_OK},
        {SETX_GET, false, true, NULL, REPLY_NIL},
        {SETX_GET, true, true, "old", REPLY_BULK},
        {SETX_GET | SETX_NX, false, true, NULL, REPLY_NIL},
        {SETX_GET | SETX_NX, true, false, "old", REPLY_BULK},
        {SETX_GET | SETX_XX, false, false, NULL, REPLY_NIL},
        {SETX_GET | SETX_XX, true, true, "old", REPLY_BULK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        plant("a", cases[i].there ? "old" : NULL, cases[i].there ? NOW + 9 : 0, !cases[i].there);
        setx("a", "new", NOW + 5, cases[i].flags | SETX_EXPIRES);
        assert_int_equal(effect.reply.kind, cases[i].kind);
        if (cases[i].bulk)
            assert_bulk(cases[i].bulk);
        assert_value("a", cases[i].sets ? "new" : cases[i].there ? "old" : NULL);
        assert_int_equal(left_of("a"), cases[i].sets    ? NOW + 5
                                       : cases[i].there ? NOW + 9
                                                        : NOTHING);
    }
}

/* --- GETEX, GETDEL -------------------------------------------------------------------------- */

static void test_getex(void **state)
{
    (void)state;
    two_integers(OP_GETEX, "none", 5, GETEX_RELATIVE);
    assert_bulk(NULL);
    plant("a", "1", 0, false);
    two_integers(OP_GETEX, "a", 5, GETEX_RELATIVE);
    assert_bulk("1");
    assert_int_equal(expiry_of("a"), NOW + 5);
    two_integers(OP_GETEX, "a", NOW + 9, 0);
    assert_bulk("1");
    assert_int_equal(expiry_of("a"), NOW + 9);
    assert_int_equal(effect.changes.count, 1);
    two_integers(OP_GETEX, "a", NOW + 9, 0);
    assert_bulk("1");
    assert_int_equal(effect.changes.count, 0);
    two_integers(OP_GETEX, "a", 0, GETEX_PERSIST);
    assert_bulk("1");
    assert_int_equal(expiry_of("a"), 0);
    two_integers(OP_GETEX, "a", 0, GETEX_PERSIST);
    assert_int_equal(effect.changes.count, 0);
    two_integers(OP_GETEX, "a", NOW, 0);
    assert_bulk("1");
    assert_value("a", NULL);
}

static void test_getdel(void **state)
{
    (void)state;
    write_one(OP_GETDEL, "a", NULL);
    assert_bulk(NULL);
    plant("a", "1", NOW + 1, false);
    write_one(OP_GETDEL, "a", NULL);
    assert_bulk("1");
    assert_value("a", NULL);
    plant("a", "1", NOW, false);
    write_one(OP_GETDEL, "a", NULL);
    assert_bulk(NULL);
}

/* --- EXPIRE, PERSIST ------------------------------------------------------------------------ */

static void test_expire(void **state)
{
    static const struct {
        int64_t before, time, flags, after; /* relative to NOW; before 0: no expiry */
        int64_t done;
    } cases[] = {
        {0, 10, 0, 10, 1},
        {5, 10, 0, 10, 1},
        {5, 5, 0, 5, 1},
        {0, 10, EXPIRE_NX, 10, 1},
        {5, 10, EXPIRE_NX, 5, 0},
        {0, 10, EXPIRE_XX, 0, 0},
        {5, 10, EXPIRE_XX, 10, 1},
        {5, 10, EXPIRE_GT, 10, 1},
        {10, 10, EXPIRE_GT, 10, 0},
        {10, 5, EXPIRE_GT, 10, 0},
        {0, 10, EXPIRE_GT, 0, 0},
        {10, 5, EXPIRE_LT, 5, 1},
        {5, 5, EXPIRE_LT, 5, 0},
        {5, 10, EXPIRE_LT, 5, 0},
        {0, 10, EXPIRE_LT, 10, 1},
        {0, 0, 0, NOTHING, 1},
        {5, 0, 0, NOTHING, 1},
        {5, -100, 0, NOTHING, 1},
        {5, 0, EXPIRE_GT, 5, 0},
        {5, 0, EXPIRE_LT, NOTHING, 1},
        {0, -9, EXPIRE_XX, 0, 0},
        {5, 10, EXPIRE_XX | EXPIRE_GT, 10, 1},
        {0, 10, EXPIRE_XX | EXPIRE_LT, 0, 0},
    };

    (void)state;
    for (int relative = 0; relative < 2; relative++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            int64_t after = cases[i].after;

            plant("a", "1", cases[i].before ? NOW + cases[i].before : 0, false);
            two_integers(OP_EXPIRE, "a", cases[i].time + (relative ? 0 : NOW),
                         cases[i].flags | (relative ? EXPIRE_RELATIVE : 0));
            assert_integer(cases[i].done);
            assert_int_equal(left_of("a"), after > 0 ? NOW + after : after);
        }
    two_integers(OP_EXPIRE, "none", 5, EXPIRE_RELATIVE);
    assert_integer(0);
    plant("a", "1", NOW, false);
    two_integers(OP_EXPIRE, "a", 5, EXPIRE_RELATIVE);
    assert_integer(0);
    plant("a", "1", 0, false);
    two_integers(OP_EXPIRE, "a", INT64_MIN, EXPIRE_RELATIVE);
    assert_integer(1);
    assert_value("a", NULL);
}

static void test_persist(void **state)
{
    (void)state;
    write_one(OP_PERSIST, "a", NULL);
    assert_integer(0);
    plant("a", "1", NOW + 5, false);
    write_one(OP_PERSIST, "a", NULL);
    assert_integer(1);
    assert_value("a", "1");
    assert_int_equal(expiry_of("a"), 0);
    write_one(OP_PERSIST, "a", NULL);
    assert_integer(0);
    assert_int_equal(effect.changes.count, 0);
    plant("a", "1", NOW, false);
    write_one(OP_PERSIST, "a", NULL);
    assert_integer(0);
}

static void test_times_left(void **state)
{
    (void)state;
    assert_int_equal(read_one(OP_PTTL, "a").integer, -2);
    assert_int_equal(read_one(OP_PEXPIRETIME, "a").integer, -2);
    plant("a", "1", 0, false);
    assert_int_equal(read_one(OP_PTTL, "a").integer, -1);
    assert_int_equal(read_one(OP_PEXPIRETIME, "a").integer, -1);
    plant("a", "1", NOW + 5, false);
    assert_int_equal(read_one(OP_PTTL, "a").integer, 5);
    assert_int_equal(read_one(OP_PEXPIRETIME, "a").integer, NOW + 5);
    plant("a", "1", NOW, false);
    assert_int_equal(read_one(OP_PTTL, "a").integer, -2);
    plant("a", "1", INT64_MAX, false);
    assert_true(read_one(OP_PTTL, "a").integer == INT64_MAX - NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_setx_times, start, finish),
        cmocka_unit_test_setup_teardown(test_setx_conditions, start, finish),
        cmocka_unit_test_setup_teardown(test_getex, start, finish),
        cmocka_unit_test_setup_teardown(test_getdel, start, finish),
        cmocka_unit_test_setup_teardown(test_expire, start, finish),
        cmocka_unit_test_setup_teardown(test_persist, start, finish),
        cmocka_unit_test_setup_teardown(test_times_left, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
