#include "tests/sim/linear.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { A, B, C, D };

static struct linear_op make(uint8_t op, uint16_t key, const char *value, uint64_t invoked,
                             uint64_t returned)
{
    struct linear_op o = {.op = op, .key_count = 1, .invoked = invoked, .returned = returned};

    o.keys[0] = key;
    if (value)
        o.values[0] = bytes_from(value);
    o.kind = REPLY_OK;
    return o;
}

static struct linear_op set(uint16_t key, const char *value, uint64_t invoked, uint64_t returned)
{
    return make(OP_SET, key, value, invoked, returned);
}

static struct linear_op answer(struct linear_op o, const char *seen)
{
    o.kind = seen ? REPLY_BULK : REPLY_NIL;
    if (seen)
        o.results[0] = bytes_from(seen);
    return o;
}

static struct linear_op count(struct linear_op o, int64_t seen)
{
    o.kind = REPLY_INTEGER;
    o.integer = seen;
    return o;
}

static struct linear_op get(uint16_t key, const char *seen, uint64_t invoked, uint64_t returned)
{
    return answer(make(OP_GET, key, NULL, invoked, returned), seen);
}

static struct linear_op getset(uint16_t key, const char *value, const char *seen, uint64_t invoked,
                               uint64_t returned)
{
    return answer(make(OP_GETSET, key, value, invoked, returned), seen);
}

static struct linear_op incr(uint16_t key, int64_t by, int64_t seen, uint64_t invoked,
                             uint64_t returned)
{
    struct linear_op o = count(make(OP_INCRBY, key, NULL, invoked, returned), seen);

    o.by = by;
    return o;
}

/* On keys A and B. */
static struct linear_op mset(const char *a, const char *b, uint64_t invoked, uint64_t returned)
{
    struct linear_op o = set(A, a, invoked, returned);

    o.op = OP_MSET;
    o.key_count = 2;
    o.keys[1] = B;
    o.values[1] = bytes_from(b);
    return o;
}

static struct linear_op mget(const char *a, const char *b, uint64_t invoked, uint64_t returned)
{
    struct linear_op o = get(A, a, invoked, returned);

    o.op = OP_MGET;
    o.kind = REPLY_ARRAY;
    o.key_count = 2;
    o.keys[1] = B;
    o.nils = (uint8_t)((a ? 0 : 1) | (b ? 0 : 2));
    if (b)
        o.results[1] = bytes_from(b);
    return o;
}

static struct linear_op getdel(uint16_t key, const char *seen, uint64_t invoked, uint64_t returned)
{
    return answer(make(OP_GETDEL, key, NULL, invoked, returned), seen);
}

static struct linear_op timed(uint8_t op, const char *value, int64_t when, uint64_t invoked,
                              uint64_t returned)
{
    struct linear_op o = make(op, A, value, invoked, returned);

    o.by = when;
    return o;
}

static struct linear_op setx(const char *value, int64_t when, uint64_t invoked, uint64_t returned)
{
    return timed(OP_SETX, value, when, invoked, returned);
}

static struct linear_op expire(int64_t when, int64_t seen, uint64_t invoked, uint64_t returned)
{
    return count(timed(OP_EXPIRE, NULL, when, invoked, returned), seen);
}

/* Time has come to that moment. */
static struct linear_op expiry(int64_t when, uint64_t invoked)
{
    return timed(LINEAR_EXPIRY, NULL, when, invoked, invoked + 1);
}

static enum linear_verdict check(const struct linear_op *ops, size_t n)
{
    uint16_t key;

    return linear_check(ops, n, 1000000, &key);
}

#define CHECK(verdict, ...)                                                     \
    do {                                                                        \
        struct linear_op ops_[] = {__VA_ARGS__};                                \
        assert_int_equal(check(ops_, sizeof(ops_) / sizeof(ops_[0])), verdict); \
    } while (0)

static void taken_once(void **state)
{
    struct linear_op lost = getdel(A, NULL, 3, LINEAR_NEVER);

    (void)state;
    CHECK(LINEAR_YES, set(A, "x", 1, 2), getdel(A, "x", 3, 4), getdel(A, NULL, 5, 6));
    CHECK(LINEAR_NO, set(A, "x", 1, 2), getdel(A, "x", 3, 5), getdel(A, "x", 4, 6));
    CHECK(LINEAR_NO, set(A, "x", 1, 2), getdel(A, "x", 3, 4), get(A, "x", 5, 6));
    CHECK(LINEAR_YES, set(A, "x", 1, 2), lost, get(A, NULL, 5, 6));
    CHECK(LINEAR_YES, set(A, "x", 1, 2), lost, get(A, "x", 5, 6));
    CHECK(LINEAR_NO, set(A, "x", 1, 2), lost, get(A, NULL, 5, 6), get(A, "x", 7, 8));
}

static void one_after_another(void **state)
{
    (void)state;
    assert_int_equal(check(NULL, 0), LINEAR_YES);
    CHECK(LINEAR_YES, get(A, NULL, 1, 2), set(A, "x", 3, 4), get(A, "x", 5, 6));
    CHECK(LINEAR_NO, get(A, "x", 1, 2), set(A, "x", 3, 4));
    CHECK(LINEAR_NO, set(A, "x", 1, 2), get(A, NULL, 3, 4));
    CHECK(LINEAR_NO, set(A, "x", 1, 2), set(A, "y", 3, 4), get(A, "x", 5, 6));
    CHECK(LINEAR_YES, set(A, "x", 1, 2), set(B, "y", 3, 4), get(A, "x", 5, 6), get(B, "y", 7, 8));
}

static void at_the_same_time(void **state)
{
    (void)state;
    CHECK(LINEAR_YES, set(A, "x", 1, 10), get(A, NULL, 2, 3), get(A, "x", 4, 5));
    /* Herlihy and Wing's: once one has seen it, none after it may miss it. */
    CHECK(LINEAR_NO, set(A, "x", 1, 10), get(A, "x", 2, 3), get(A, NULL, 4, 5));
    CHECK(LINEAR_YES, set(A, "x", 1, 10), get(A, "x", 2, 5), get(A, NULL, 3, 4));
    /* Two readers that see two writes in different orders. */
    CHECK(LINEAR_NO, set(A, "x", 1, 20), set(A, "y", 2, 21), get(A, "x", 3, 4), get(A, "y", 5, 6),
          get(A, "x", 7, 8));
    CHECK(LINEAR_YES, set(A, "x", 1, 20), set(A, "y", 2, 21), get(A, "x", 3, 4), get(A, "y", 5, 6),
          get(A, "y", 7, 8));
    CHECK(LINEAR_NO, incr(A, 1, 1, 1, 10), incr(A, 1, 1, 2, 11));
    CHECK(LINEAR_YES, incr(A, 1, 2, 1, 10), incr(A, 1, 1, 2, 11));
}

static void without_an_answer(void **state)
{
    (void)state;
    /* Never, late, or very late. */
    CHECK(LINEAR_YES, set(A, "x", 1, LINEAR_NEVER), get(A, NULL, 2, 3), get(A, NULL, 4, 5));
    CHECK(LINEAR_YES, set(A, "x", 1, LINEAR_NEVER), get(A, NULL, 2, 3), get(A, "x", 4, 5));
    CHECK(LINEAR_YES, set(A, "x", 1, LINEAR_NEVER), set(A, "y", 2, 3), get(A, "y", 4, 5),
          get(A, "x", 6, 7));
    /* But not before it began, not twice, and not taken back. */
    CHECK(LINEAR_NO, get(A, "x", 1, 2), set(A, "x", 3, LINEAR_NEVER));
    CHECK(LINEAR_NO, set(A, "x", 1, LINEAR_NEVER), get(A, "x", 2, 3), get(A, NULL, 4, 5));
    CHECK(LINEAR_NO, set(A, "x", 1, LINEAR_NEVER), get(A, "x", 2, 3), set(A, "y", 4, 5),
          get(A, "x", 6, 7));
    CHECK(LINEAR_NO, incr(A, 1, 0, 1, LINEAR_NEVER), get(A, "2", 2, 3));
    CHECK(LINEAR_YES, incr(A, 1, 0, 1, LINEAR_NEVER), incr(A, 1, 0, 2, LINEAR_NEVER),
          get(A, "2", 3, 4));
    CHECK(LINEAR_NO, incr(A, 1, 0, 1, LINEAR_NEVER), incr(A, 1, 0, 2, LINEAR_NEVER),
          get(A, "3", 3, 4));
    /* Two that did not answer, each seen through the other. */
    CHECK(LINEAR_YES, set(A, "5", 1, LINEAR_NEVER), incr(A, 3, 0, 2, LINEAR_NEVER),
          get(A, "8", 3, 4));
    CHECK(LINEAR_YES, set(A, "5", 1, LINEAR_NEVER), incr(A, 3, 0, 2, LINEAR_NEVER),
          get(A, "3", 3, 4), get(A, "5", 5, 6));
    CHECK(LINEAR_NO, set(A, "5", 1, LINEAR_NEVER), incr(A, 3, 0, 2, LINEAR_NEVER),
          get(A, "3", 3, 4), get(A, "8", 5, 6));
}

static void several_keys(void **state)
{
    struct linear_op del = count(make(OP_DEL, A, NULL, 10, 11), 2);

    (void)state;
    CHECK(LINEAR_YES, mset("x", "y", 1, 2), mget("x", "y", 3, 4));
    /* Half of it seen. */
    CHECK(LINEAR_NO, mset("x", "y", 1, 10), mget("x", NULL, 2, 3));
    CHECK(LINEAR_NO, mset("x", "y", 1, LINEAR_NEVER), get(A, "x", 2, 3), get(B, NULL, 4, 5));
    /* Each key by itself is linearizable, the two together are not. */
    CHECK(LINEAR_NO, mset("1", "1", 1, 20), set(A, "2", 2, 21), set(B, "2", 3, 22),
          mget("2", "1", 30, 31), mget("1", "2", 32, 33));
    CHECK(LINEAR_YES, set(A, "a", 1, LINEAR_NEVER), set(B, "b", 2, LINEAR_NEVER),
          mget("a", "b", 3, 4));
    CHECK(LINEAR_YES, set(B, "b", 1, LINEAR_NEVER), set(A, "a", 2, LINEAR_NEVER),
          mget(NULL, NULL, 3, 4), mget("a", NULL, 5, 6), mget("a", "b", 7, 8));
    CHECK(LINEAR_NO, set(B, "b", 1, LINEAR_NEVER), set(A, "a", 2, LINEAR_NEVER),
          mget("a", NULL, 5, 6), mget(NULL, "b", 7, 8));
    del.key_count = 2;
    del.keys[1] = B;
    CHECK(LINEAR_YES, mset("x", "y", 1, 2), del, mget(NULL, NULL, 12, 13));
    CHECK(LINEAR_NO, set(A, "x", 1, 2), del, mget(NULL, NULL, 12, 13));
}

static void every_operation(void **state)
{
    struct linear_op append = count(make(OP_APPEND, A, "7", 5, 6), 3);
    struct linear_op failed = incr(A, 1, 0, 7, 8);

    (void)state;
    failed.kind = REPLY_ERROR;
    CHECK(LINEAR_YES, count(make(OP_SETNX, A, "12", 1, 2), 1),
          count(make(OP_SETNX, A, "13", 3, 4), 0), append, incr(A, 3, 130, 7, 8),
          count(make(OP_EXISTS, A, NULL, 9, 10), 1), count(make(OP_STRLEN, A, NULL, 11, 12), 3),
          getset(A, "z", "130", 13, 14), count(make(OP_DEL, A, NULL, 15, 16), 1),
          count(make(OP_DEL, A, NULL, 17, 18), 0), getset(A, "y", NULL, 19, 20));
    CHECK(LINEAR_YES, set(A, "no", 1, 2), failed, get(A, "no", 9, 10));
    CHECK(LINEAR_NO, set(A, "1", 1, 2), failed);
    CHECK(LINEAR_NO, set(A, "9223372036854775807", 1, 2), incr(A, 1, INT64_MIN, 7, 8));
    CHECK(LINEAR_YES, set(A, "9223372036854775807", 1, 2), failed);
    CHECK(LINEAR_NO, count(make(OP_SETNX, A, "1", 1, 2), 1),
          count(make(OP_SETNX, A, "2", 3, 4), 1));
    CHECK(LINEAR_NO, set(A, "12", 1, 2), append, get(A, "12", 7, 8));
}

/* --- compared with every order tried -------------------------------------------------------- */

enum { SMALL = 6 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d >> 16;
}

/* Registers 0 (absent) to 3, operations SET, GET, GETSET, MSET and MGET; on keys A and B. */
static bool apply_small(const struct linear_op *o, int s[2], bool answered)
{
    static const char *const names[] = {NULL, "1", "2", "3"};
    bool fits = true;

    for (uint8_t k = 0; k < o->key_count; k++) {
        int *slot = &s[o->keys[k]];
        const char *seen = names[*slot];

        if (o->op == OP_GET || o->op == OP_GETSET)
            fits = seen ? o->kind == REPLY_BULK && bytes_equal(o->results[k], bytes_from(seen))
                        : o->kind == REPLY_NIL;
        if (o->op == OP_MGET)
            fits = fits && (o->nils >> k & 1) == !seen &&
                   (!seen || bytes_equal(o->results[k], bytes_from(seen)));
        if (o->values[k].size)
            *slot = o->values[k].data[0] - '0';
    }
    return fits || !answered;
}

static bool any_order(const struct linear_op *ops, size_t n, unsigned done, const int s[2])
{
    uint64_t end = LINEAR_NEVER;
    bool all = true;

    for (size_t i = 0; i < n; i++)
        if (!(done >> i & 1) && ops[i].returned != LINEAR_NEVER) {
            all = false;
            end = ops[i].returned < end ? ops[i].returned : end;
        }
    if (all)
        return true;
    for (size_t i = 0; i < n; i++) {
        int next[2] = {s[0], s[1]};

        if (done >> i & 1 || ops[i].invoked > end ||
            !apply_small(&ops[i], next, ops[i].returned != LINEAR_NEVER))
            continue;
        if (any_order(ops, n, done | 1u << i, next))
            return true;
    }
    return false;
}

static struct linear_op draw(uint64_t *r, uint64_t invoked, uint64_t returned)
{
    static const char *const names[] = {NULL, "1", "2", "3"};
    static const uint8_t kinds[] = {OP_SET, OP_GET, OP_GETSET, OP_MSET, OP_MGET};
    uint8_t op = kinds[next_random(r) % 5];
    const char *value = names[1 + next_random(r) % 3], *other = names[1 + next_random(r) % 3];
    const char *seen = names[next_random(r) % 4], *too = names[next_random(r) % 4];
    uint16_t key = (uint16_t)(next_random(r) % 2);

    switch (op) {
    case OP_SET:
        return set(key, value, invoked, returned);
    case OP_GET:
        return get(key, seen, invoked, returned);
    case OP_GETSET:
        return getset(key, value, seen, invoked, returned);
    case OP_MSET:
        return mset(value, other, invoked, returned);
    default:
        return mget(seen, too, invoked, returned);
    }
}

static void as_by_trying_all(void **state)
{
    uint64_t r = 42;
    unsigned yes = 0, no = 0;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        struct linear_op ops[SMALL];
        int start[2] = {0, 0};
        bool good;

        for (uint64_t i = 0; i < SMALL; i++) {
            uint64_t begun = 2 * (next_random(&r) % 20 * SMALL + i);

            ops[i] = draw(&r, begun,
                          next_random(&r) % 3 ? begun + (1 + next_random(&r) % 10) * SMALL * 10 + 1
                                              : LINEAR_NEVER);
        }
        good = any_order(ops, SMALL, 0, start);
        good ? yes++ : no++;
        if ((check(ops, SMALL) == LINEAR_YES) != good)
            fail_msg("round %d: the checker says otherwise", round);
    }
    assert_true(yes > 500);
    assert_true(no > 500);
}

/* --- size ----------------------------------------------------------------------------------- */

/* Eight clients at a time, with one in eight operations unanswered: 200 operations on one key. */
static size_t long_history(struct linear_op *ops, int64_t wrong_at)
{
    int64_t value = 0;

    for (uint64_t i = 0; i < 200; i++) {
        ops[i] = incr(A, 1, 0, 10 * i + 1, 10 * i + 75);
        if (i % 8 == 7)
            ops[i].returned = LINEAR_NEVER;
        else
            ops[i].integer = ++value + ((int64_t)i >= wrong_at ? 2 : 0);
    }
    return 200;
}

static void long_histories(void **state)
{
    static struct linear_op ops[200];

    (void)state;
    assert_int_equal(check(ops, long_history(ops, 1000)), LINEAR_YES);
    /* Two of the unanswered explain two numbers left out, but not before they began. */
    assert_int_equal(check(ops, long_history(ops, 100)), LINEAR_YES);
    assert_int_equal(check(ops, long_history(ops, 0)), LINEAR_NO);
}

static void too_many_to_decide(void **state)
{
    struct linear_op ops[40];
    uint16_t key;

    (void)state;
    for (uint64_t i = 0; i < 39; i++) {
        ops[i] = make(OP_APPEND, A, NULL, i + 1, LINEAR_NEVER);
        ops[i].values[0] = bytes_of(&"0123456789abcdefghijklmnopqrstuvwxyzABCD"[i], 1);
    }
    ops[39] = get(A, "impossible, whatever came before", 100, 101);
    assert_int_equal(linear_check(ops, 40, 1000, &key), LINEAR_UNDECIDED);
    assert_int_equal(key, A);
}

/* A value is there until its moment, and not after. */
static void expiries(void **state)
{
    (void)state;
    CHECK(LINEAR_YES, setx("a", 7, 1, 2), get(A, "a", 3, 4), expiry(7, 5), get(A, NULL, 7, 8));
    CHECK(LINEAR_NO, setx("a", 7, 1, 2), get(A, NULL, 3, 4), expiry(7, 5));
    CHECK(LINEAR_NO, setx("a", 7, 1, 2), expiry(7, 5), get(A, "a", 7, 8));
    /* While it comes, either; but what was seen to be gone stays gone. */
    CHECK(LINEAR_YES, setx("a", 7, 1, 2), expiry(7, 5), get(A, "a", 4, 8));
    CHECK(LINEAR_YES, setx("a", 7, 1, 2), expiry(7, 5), get(A, NULL, 4, 8));
    CHECK(LINEAR_NO, setx("a", 7, 1, 2), get(A, NULL, 3, 4), get(A, "a", 5, 9), expiry(7, 7));
    /* Written by one without an answer, before or after its moment. */
    CHECK(LINEAR_YES, setx("a", 7, 1, LINEAR_NEVER), get(A, "a", 2, 3), expiry(7, 5),
          get(A, NULL, 7, 8));
    CHECK(LINEAR_NO, setx("a", 7, 1, LINEAR_NEVER), expiry(7, 5), get(A, "a", 7, 8));
    CHECK(LINEAR_YES, set(A, "z", 1, 2), expiry(7, 5), setx("a", 7, 7, 8), get(A, NULL, 9, 10));
    CHECK(LINEAR_NO, set(A, "z", 1, 2), expiry(7, 5), setx("a", 7, 7, 8), get(A, "a", 9, 10));
}

/* What comes after belongs to no expiry, or keeps the one that was there. */
static void expiries_kept_and_lost(void **state)
{
    struct linear_op persist = count(make(OP_PERSIST, A, NULL, 3, 4), 1);
    struct linear_op when = count(make(OP_PEXPIRETIME, A, NULL, 3, 4), 7);

    (void)state;
    CHECK(LINEAR_YES, setx("a", 7, 1, 2), set(A, "b", 3, 4), expiry(7, 5), get(A, "b", 7, 8));
    CHECK(LINEAR_NO, setx("a", 7, 1, 2), set(A, "b", 3, 4), expiry(7, 5), get(A, NULL, 7, 8));
    CHECK(LINEAR_YES, setx("1", 7, 1, 2), incr(A, 1, 2, 3, 4), expiry(7, 5), incr(A, 1, 1, 7, 8));
    CHECK(LINEAR_NO, setx("1", 7, 1, 2), incr(A, 1, 2, 3, 4), expiry(7, 5), incr(A, 1, 3, 7, 8));
    CHECK(LINEAR_YES, set(A, "a", 1, 2), expire(7, 1, 3, 4), expiry(7, 5), get(A, NULL, 7, 8));
    CHECK(LINEAR_NO, set(A, "a", 1, 2), expire(7, 0, 3, 4), expiry(7, 5), get(A, NULL, 7, 8));
    CHECK(LINEAR_YES, setx("a", 7, 1, 2), persist, expiry(7, 5), get(A, "a", 7, 8));
    CHECK(LINEAR_YES, setx("a", 7, 1, 2), when, expiry(7, 5));
    CHECK(LINEAR_NO, setx("a", 6, 1, 2), when, expiry(6, 5));
    /* A later expiry: the earlier moment does nothing. */
    CHECK(LINEAR_YES, setx("a", 7, 1, 2), expire(9, 1, 3, 4), expiry(7, 5), get(A, "a", 7, 8),
          expiry(9, 9), get(A, NULL, 11, 12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_another),  cmocka_unit_test(taken_once),
        cmocka_unit_test(at_the_same_time),   cmocka_unit_test(without_an_answer),
        cmocka_unit_test(several_keys),       cmocka_unit_test(every_operation),
        cmocka_unit_test(as_by_trying_all),   cmocka_unit_test(long_histories),
        cmocka_unit_test(expiries),           cmocka_unit_test(expiries_kept_and_lost),
        cmocka_unit_test(too_many_to_decide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
