/* How replies of writes are held back while checkpoints run: evenly, whatever the number of
 * writers, and so that memory lasts. Writers, log and checkpoints are played here, in time of its
 * own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/write_pace.h"
#include <cmocka.h>
#include <string.h>

enum {
    BOUND = 64 << 20,
    MEMORY = 260, /* bytes of a record in memory, and in the log */
    LOGGED = 220,
    WORK_US = 4,   /* to apply a write */
    SYNC_US = 300, /* until it is in the log */
    STEPS = 8,     /* transactions of a checkpoint */
    WRITERS_MAX = 4096,
};

struct play {
    struct write_pace pace;
    uint64_t now_us, whole_us;        /* a checkpoint of half the bound takes so long */
    uint64_t active, frozen;          /* bytes of memory */
    uint64_t begun_us, took_us, step; /* of the checkpoint; what it takes in all */
    uint64_t checkpoints, written, refused;
    uint64_t worst_us, used_max;
    /* Writers that wait for replies, oldest first: when each wrote, and when its reply leaves. */
    uint64_t wrote_us[WRITERS_MAX], leave_us[WRITERS_MAX];
};

static void run_checkpoint(struct play *p)
{
    while (p->frozen && p->now_us >= p->begun_us + p->took_us * (p->step + 1) / STEPS) {
        p->step++;
        if (p->step < STEPS) {
            write_pace_look(&p->pace, p->now_us, p->step, STEPS);
        } else {
            p->frozen = 0;
            p->checkpoints++;
            write_pace_end(&p->pace, p->now_us);
        }
    }
    if (p->frozen || p->active < BOUND / 2)
        return;
    write_pace_begin(&p->pace, p->now_us, p->active, p->active * LOGGED / MEMORY);
    p->frozen = p->active;
    p->active = p->step = 0;
    p->begun_us = p->now_us;
    p->took_us = p->whole_us * (p->frozen >> 10) / (BOUND / 2 >> 10);
}

/* One writer writes. Returns when its reply leaves. */
static uint64_t write_one(struct play *p)
{
    uint64_t delay_us;

    p->now_us += WORK_US;
    run_checkpoint(p);
    while (p->active + p->frozen + MEMORY > BOUND) {
        p->refused++;
        p->now_us += 1000;
        run_checkpoint(p);
    }
    p->active += MEMORY;
    p->written++;
    if (p->active + p->frozen > p->used_max)
        p->used_max = p->active + p->frozen;
    write_pace_take(&p->pace, p->now_us, LOGGED, p->active + p->frozen);
    delay_us = write_pace_delay_us(&p->pace, p->now_us);
    assert_in_range(delay_us, 0, STORE_DELAY_US_MAX);
    return p->now_us + (delay_us > SYNC_US ? delay_us : SYNC_US);
}

/* So many writers, each of which waits for its reply before it writes again. */
static void play(struct play *p, uint64_t writers, uint64_t until_us)
{
    for (uint64_t i = 0; i < writers; i++) {
        p->wrote_us[i] = p->now_us;
        p->leave_us[i] = write_one(p);
    }
    for (uint64_t i = 0; p->now_us < until_us; i = (i + 1) % writers) {
        uint64_t waited;

        if (p->now_us < p->leave_us[i])
            p->now_us = p->leave_us[i];
        waited = p->now_us - p->wrote_us[i];
        if (waited > p->worst_us)
            p->worst_us = waited;
        p->wrote_us[i] = p->now_us;
        p->leave_us[i] = write_one(p);
    }
}

/* Goes on as if it began now. */
static void forget(struct play *p)
{
    p->checkpoints = p->written = p->refused = p->worst_us = p->used_max = 0;
}

static void test_writers_are_slowed_down_evenly(void **state)
{
    static const uint64_t writers[] = {64, 256, 1024, 4096};
    const uint64_t second = 1000000, records_a_second = BOUND / 2 / MEMORY;

    (void)state;
    for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++) {
        static struct play p;
        uint64_t fair_us = writers[i] * second / records_a_second;

        memset(&p, 0, sizeof(p));
        p.pace.bound = BOUND;
        p.whole_us = second;
        play(&p, writers[i], 5 * second);
        forget(&p);
        play(&p, writers[i], 35 * second);
        assert_int_equal(p.refused, 0);
        assert_true(p.written > 30 * records_a_second * 9 / 10);
        assert_true(p.worst_us < 3 * fair_us + 2 * SYNC_US);
    }
}

/* The first one takes 4 times as long as anything before. */
static void test_a_checkpoint_that_is_late(void **state)
{
    static struct play p;
    const uint64_t second = 1000000;

    (void)state;
    memset(&p, 0, sizeof(p));
    p.pace.bound = BOUND;
    p.whole_us = second;
    play(&p, 256, 5 * second);
    forget(&p);
    p.whole_us = 4 * second;
    play(&p, 256, 60 * second);
    assert_int_equal(p.refused, 0);
    assert_true(p.checkpoints >= 12);
    assert_true(p.worst_us <= STORE_DELAY_US_MAX);
}

/* One that does not end: the less room is left, the longer is the delay, up to its bound. */
static void test_a_checkpoint_that_does_not_end(void **state)
{
    struct write_pace pace = {.bound = BOUND};
    uint64_t now_us = 5000000, delay_us = 0;

    (void)state;
    write_pace_begin(&pace, now_us, BOUND / 2, BOUND / 2 * (uint64_t)LOGGED / MEMORY);
    now_us += 10000000;
    for (uint64_t used = BOUND / 2; used < BOUND; used += MEMORY) {
        write_pace_take(&pace, now_us, LOGGED, used);
        delay_us = write_pace_delay_us(&pace, now_us);
        assert_in_range(delay_us, 0, STORE_DELAY_US_MAX);
    }
    assert_int_equal(delay_us, STORE_DELAY_US_MAX);
    write_pace_take(&pace, now_us, LOGGED, 2 * (uint64_t)BOUND);
    assert_int_equal(write_pace_delay_us(&pace, now_us), STORE_DELAY_US_MAX);
    assert_int_equal(write_pace_delay_us(&pace, now_us + STORE_DELAY_US_MAX), 0);
}

static void test_what_is_not_slowed_down(void **state)
{
    struct write_pace pace = {.bound = BOUND};
    uint64_t now_us = 1000;

    (void)state;
    /* No checkpoint is under way. */
    write_pace_take(&pace, now_us, LOGGED, BOUND - 1);
    assert_int_equal(write_pace_delay_us(&pace, now_us), 0);
    /* A burst. */
    write_pace_begin(&pace, now_us, BOUND / 2, BOUND / 2);
    for (uint64_t used = BOUND / 2; used < BOUND / 2 + BOUND / 8; used += LOGGED) {
        write_pace_take(&pace, now_us, LOGGED, used);
        assert_int_equal(write_pace_delay_us(&pace, now_us), 0);
    }
    /* Writers slower than the checkpoint. */
    for (uint64_t used = BOUND / 2 + BOUND / 8; used < BOUND - BOUND / 16; used += LOGGED) {
        now_us += 20;
        write_pace_take(&pace, now_us, LOGGED, used);
        assert_int_equal(write_pace_delay_us(&pace, now_us), 0);
    }
}

/* A small table takes long for what it holds: that is not what a full one will take. */
static void test_small_checkpoints_tell_nothing(void **state)
{
    struct write_pace pace = {.bound = BOUND};

    (void)state;
    write_pace_begin(&pace, 0, BOUND / 2, BOUND / 2);
    write_pace_end(&pace, 1024 * 1024);
    assert_int_equal(pace.us_per_mib, 32768);
    write_pace_begin(&pace, 0, 1000, 1000);
    write_pace_end(&pace, 100000);
    assert_int_equal(pace.us_per_mib, 32768);
    write_pace_begin(&pace, 0, BOUND / 4, BOUND / 4);
    write_pace_end(&pace, 1024 * 1024);
    assert_int_equal(pace.us_per_mib, 49152);
    /* Nothing was logged, nothing is in the table. */
    write_pace_begin(&pace, 0, 0, 0);
    write_pace_take(&pace, 0, 100, BOUND);
    write_pace_end(&pace, 0);
    assert_int_equal(pace.us_per_mib, 49152);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers_are_slowed_down_evenly),
        cmocka_unit_test(test_a_checkpoint_that_is_late),
        cmocka_unit_test(test_a_checkpoint_that_does_not_end),
        cmocka_unit_test(test_what_is_not_slowed_down),
        cmocka_unit_test(test_small_checkpoints_tell_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
