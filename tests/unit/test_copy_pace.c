/* How fast copies are sent: freely when nobody asks, less and less when requests suffer, and never
 * above the bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/copy_pace.h"
#include <cmocka.h>

enum { TICK_MS = 25, TICKS = 400, CHUNK = 64 << 10 };

/* Bytes that could be sent in ten seconds. */
static uint64_t send_all(struct copy_pace *p, enum copy_kind kind, bool busy, bool late)
{
    uint64_t sent = 0;

    for (int i = 0; i < TICKS; i++) {
        copy_pace_tick(p, TICK_MS, busy, late);
        for (int j = 0; j < 1000 && copy_pace_may_send(p, kind); j++) {
            copy_pace_sent(p, kind, CHUNK);
            sent += CHUNK;
        }
    }
    return sent;
}

static void test_nobody_asks(void **state)
{
    struct copy_pace p = {0};

    (void)state;
    assert_true(send_all(&p, COPY_CHANGE, false, true) == (uint64_t)TICKS * 1000 * CHUNK);
}

static void test_bounds(void **state)
{
    struct copy_pace p = {.bound = {[COPY_CHANGE] = 1 << 20}};
    uint64_t sent = send_all(&p, COPY_CHANGE, false, false);

    (void)state;
    assert_in_range(sent, 9 << 20, 11 << 20);
    assert_in_range(send_all(&p, COPY_CHANGE, true, false), 9 << 20, 11 << 20);
    assert_true(send_all(&p, COPY_REPAIR, true, false) > (uint64_t)100 << 20);
}

static void test_requests(void **state)
{
    struct copy_pace p = {0};
    uint64_t late = send_all(&p, COPY_REPAIR, true, true), calm;

    (void)state;
    assert_in_range(late, 10 * COPY_REPAIR_MIN, 20 * COPY_REPAIR_MIN);
    assert_int_equal(p.gentle[COPY_REPAIR], COPY_REPAIR_MIN);
    calm = send_all(&p, COPY_REPAIR, true, false);
    assert_true(calm > 10 * late);
}

/* A change of the ring stays below its ceiling, unless an operator has named another one, and that
 * is no more than a bound when ticks are late. */
static void test_ceiling(void **state)
{
    struct copy_pace p = {0};

    (void)state;
    send_all(&p, COPY_CHANGE, true, false);
    send_all(&p, COPY_CHANGE, true, false);
    assert_int_equal(p.gentle[COPY_CHANGE], COPY_CHANGE_MAX);
    assert_in_range(send_all(&p, COPY_CHANGE, true, false), 9 * COPY_CHANGE_MAX,
                    10 * COPY_CHANGE_MAX + CHUNK);
    p.bound[COPY_CHANGE] = 20 << 20;
    send_all(&p, COPY_CHANGE, true, false);
    assert_int_equal(p.gentle[COPY_CHANGE], 20 << 20);
    assert_in_range(send_all(&p, COPY_CHANGE, true, false), 190 << 20, 210 << 20);
    send_all(&p, COPY_CHANGE, true, true);
    assert_int_equal(p.gentle[COPY_CHANGE], COPY_CHANGE_MIN);
    /* A repair meanwhile found no other rate. */
    assert_int_equal(p.gentle[COPY_REPAIR], COPY_REPAIR_FIRST);
}

/* Clients that ask in turns have not gone in between. */
static void test_pause(void **state)
{
    struct copy_pace p = {0};
    uint64_t passed = 0;

    (void)state;
    copy_pace_tick(&p, TICK_MS, true, false);
    for (; p.busy_ms; passed += TICK_MS) {
        assert_true(p.gentle[COPY_CHANGE] > 0);
        copy_pace_tick(&p, TICK_MS, false, false);
    }
    assert_int_equal(passed, COPY_CALM_MS);
    assert_int_equal(p.gentle[COPY_CHANGE], 0);
    assert_int_equal(p.gentle[COPY_REPAIR], 0);
}

/* Requests alone, however long, find no rate: nothing was tried. */
static void test_untried(void **state)
{
    struct copy_pace p = {0};

    (void)state;
    for (int i = 0; i < TICKS; i++)
        copy_pace_tick(&p, TICK_MS, true, false);
    assert_int_equal(p.gentle[COPY_REPAIR], COPY_REPAIR_FIRST);
    /* Less than might be is no trial of more. */
    for (int i = 0; i < TICKS; i++) {
        copy_pace_sent(&p, COPY_REPAIR, 1);
        copy_pace_tick(&p, TICK_MS, true, false);
    }
    assert_int_equal(p.gentle[COPY_REPAIR], COPY_REPAIR_FIRST);
    assert_true(send_all(&p, COPY_REPAIR, true, false) > (uint64_t)10 * COPY_REPAIR_FIRST);
    assert_true(p.gentle[COPY_REPAIR] > COPY_REPAIR_FIRST);
    copy_pace_tick(&p, TICK_MS, true, false);
    copy_pace_tick(&p, TICK_MS, true, false);
    assert_int_equal(p.gentle[COPY_REPAIR], COPY_REPAIR_FIRST);
}

static void test_smaller_parts(void **state)
{
    struct copy_pace p = {0};

    (void)state;
    assert_int_equal(copy_pace_part(&p, CHUNK), CHUNK);
    copy_pace_tick(&p, TICK_MS, true, false);
    assert_int_equal(copy_pace_part(&p, CHUNK), CHUNK / COPY_GENTLE_PART);
    copy_pace_tick(&p, COPY_CALM_MS, false, false);
    assert_int_equal(copy_pace_part(&p, CHUNK), CHUNK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_asks),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_requests),      cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_pause),         cmocka_unit_test(test_untried),
        cmocka_unit_test(test_smaller_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
