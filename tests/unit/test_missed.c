/* For whom a change of a partition's replicas waits, and for whom it does not: a dead member must
 * not hold up the way back to a ring that has it, nor may it cost a majority. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { NODES = 3, HISTORY_STEPS = 16, TICKS_OF_PATIENCE = 1000, STANDSTILL_MS = 120000 };

static struct shard_rig rig;

static void begin(uint8_t replicas)
{
    rig_begin_change(&rig, replicas);
    rig_use_phase(&rig, RING_LEARNING);
}

static const struct group *led(void)
{
    assert_int_equal(rig_leader(&rig), 0);
    return &rig_shard(&rig, 0)->groups[0];
}

static bool has_taught(void)
{
    return group_has_taught(rig_shard(&rig, 0), led());
}

static bool is_ready(void)
{
    return group_is_ready(rig_shard(&rig, 0), led());
}

static void be_patient(void)
{
    for (int i = 0; i < TICKS_OF_PATIENCE; i++)
        rig_tick(&rig);
    rig_settle(&rig);
}

static int three(void **state)
{
    (void)state;
    rig_begin(&rig, NODES, HISTORY_STEPS);
    rig_set(&rig, 1, bytes_from("before"));
    return 0;
}

/* All three have it, then only the first `replicas` of them, and the way back has just begun. The
 * others are dead. */
static void turn_back_from(uint8_t replicas)
{
    begin(replicas);
    rig_use_phase(&rig, RING_JOINT);
    assert_true(is_ready());
    for (int node = replicas; node < NODES; node++)
        rig_kill(&rig, node);
    rig_use_phase(&rig, RING_MOVED);
    rig_set(&rig, 1, bytes_from("moved"));
    rig_cancel_change(&rig);
    rig_use_phase(&rig, RING_LEARNING);
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

static void test_back_without_the_dead(void **state)
{
    (void)state;
    turn_back_from(2);
    be_patient();
    assert_true(has_taught());
    rig_use_phase(&rig, RING_JOINT);
    rig_set(&rig, 1, bytes_from("joint"));
    assert_true(is_ready());
    rig_use_phase(&rig, RING_MOVED);
    rig_finish_change(&rig);
    rig_set(&rig, 1, bytes_from("after"));
    rig_start(&rig, 2);
    rig_settle(&rig);
    rig_check_equal(&rig);
}

/* One that is only starting again gets its copy first. */
static void test_back_with_one_that_comes_again(void **state)
{
    (void)state;
    turn_back_from(2);
    rig_start(&rig, 2);
    rig_settle(&rig);
    assert_true(has_taught());
    rig_check_equal(&rig);
    rig_kill(&rig, 2);
    rig_tick(&rig);
    assert_false(has_taught());
    be_patient();
    assert_true(has_taught());
}

/* The process stands still, and when it goes on it has heard of nobody for long: that says nothing
 * of the others. */
static void test_after_a_standstill(void **state)
{
    (void)state;
    turn_back_from(2);
    rig_start(&rig, 2);
    rig_settle(&rig);
    rig_kill(&rig, 2);
    rig.now_ms += STANDSTILL_MS;
    rig_tick(&rig);
    assert_false(has_taught());
    be_patient();
    assert_true(has_taught());
}

/* Two dead members of three would have the vote then, and nobody would be served. */
static void test_back_to_a_majority(void **state)
{
    (void)state;
    turn_back_from(1);
    be_patient();
    assert_false(has_taught());
    rig_set(&rig, 1, bytes_from("served"));
    rig_start(&rig, 1);
    be_patient();
    assert_true(has_taught());
    rig_use_phase(&rig, RING_JOINT);
    assert_true(is_ready());
}

/* The way forth waits: without it there would be a copy less than before. */
static void test_a_new_member_is_waited_for(void **state)
{
    (void)state;
    begin(2);
    rig_use_phase(&rig, RING_JOINT);
    rig_use_phase(&rig, RING_MOVED);
    rig_finish_change(&rig);
    rig_kill(&rig, 2);
    begin(NODES);
    be_patient();
    assert_false(has_taught());
    rig_start(&rig, 2);
    rig_settle(&rig);
    assert_true(has_taught());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_back_without_the_dead, three, finish),
        cmocka_unit_test_setup_teardown(test_back_with_one_that_comes_again, three, finish),
        cmocka_unit_test_setup_teardown(test_after_a_standstill, three, finish),
        cmocka_unit_test_setup_teardown(test_back_to_a_majority, three, finish),
        cmocka_unit_test_setup_teardown(test_a_new_member_is_waited_for, three, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
