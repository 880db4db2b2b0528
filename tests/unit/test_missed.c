/* For whom a change of a partition's replicas waits, and for whom it does not: a dead member must
 * not hold up the way back to a ring that has it, nor may it cost a majority. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/ring_change.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { NODES = 3, HISTORY_STEPS = 16, TICKS_OF_PATIENCE = 1000 };

static struct shard_rig rig;

static void use_ring(int error, struct ring *next, const char *why)
{
    struct ring *before = rig.ring;

    if (error)
        fail_msg("%s", why);
    rig.ring = next;
    for (int i = 0; i < NODES; i++)
        if (rig.nodes[i].shard)
            assert_int_equal(shard_set_ring(rig.nodes[i].shard, next, (uint16_t)(i + 1)), 0);
    ring_free(before);
    rig_settle(&rig);
}

static void use_phase(enum ring_phase phase)
{
    uint8_t phases[PARTITIONS_MAX];
    struct ring *next = NULL;
    char why[256] = "";
    int error;

    memset(phases, (int)phase, ring_partitions(rig.ring));
    error = ring_advance(rig.ring, phases, &next, why, sizeof(why));
    use_ring(error, next, why);
}

static void begin(uint8_t replicas)
{
    struct ring_asked asked = {.what = "set replicas", .who = "a test"};
    struct ring *target = ring_copy(rig.ring), *next = NULL;
    char why[256] = "";
    int error;

    assert_non_null(target);
    target->replicas = replicas;
    assert_int_equal(ring_finish(target, NULL, 0), 0);
    error = ring_begin(rig.ring, target, &asked, &next, why, sizeof(why));
    ring_free(target);
    use_ring(error, next, why);
    use_phase(RING_LEARNING);
}

static void finish_change(void)
{
    struct ring *next = NULL;
    char why[256] = "";
    int error = ring_finish_change(rig.ring, 1, &next, why, sizeof(why));

    use_ring(error, next, why);
}

static void cancel(void)
{
    struct ring *next = NULL;
    char why[256] = "";
    int error = ring_cancel(rig.ring, &next, why, sizeof(why));

    use_ring(error, next, why);
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
    use_phase(RING_JOINT);
    assert_true(is_ready());
    for (int node = replicas; node < NODES; node++)
        rig_kill(&rig, node);
    use_phase(RING_MOVED);
    rig_set(&rig, 1, bytes_from("moved"));
    cancel();
    use_phase(RING_LEARNING);
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
    use_phase(RING_JOINT);
    rig_set(&rig, 1, bytes_from("joint"));
    assert_true(is_ready());
    use_phase(RING_MOVED);
    finish_change();
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
    use_phase(RING_JOINT);
    assert_true(is_ready());
}

/* The way forth waits: without it there would be a copy less than before. */
static void test_a_new_member_is_waited_for(void **state)
{
    (void)state;
    begin(2);
    use_phase(RING_JOINT);
    use_phase(RING_MOVED);
    finish_change();
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
        cmocka_unit_test_setup_teardown(test_back_to_a_majority, three, finish),
        cmocka_unit_test_setup_teardown(test_a_new_member_is_waited_for, three, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
