/* A partition while its replicas change: what needs a majority needs one of the set before and one
 * of the target. Partition 0 goes from three replicas to the first of them alone, and back, so that
 * one of the sets is always that one node, and any two of the three are a majority of the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { NODES = 3, HISTORY_STEPS = 16 };

static struct shard_rig rig;

/* All partitions are joint then. */
static void begin_change(uint8_t replicas)
{
    rig_begin_change(&rig, replicas);
    rig_use_phase(&rig, RING_JOINT);
    assert_int_equal(ring_phase(rig.ring, 0), RING_JOINT);
}

static void end_change(void)
{
    rig_use_phase(&rig, RING_MOVED);
    rig_finish_change(&rig);
}

static int three_to_one(void **state)
{
    (void)state;
    rig_begin(&rig, NODES, HISTORY_STEPS);
    rig_set(&rig, 1, bytes_from("before"));
    begin_change(1);
    assert_int_equal(rig_leader(&rig), 0);
    return 0;
}

static int one_to_three(void **state)
{
    three_to_one(state);
    end_change();
    begin_change(NODES);
    assert_int_equal(rig_leader(&rig), 0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

/* The primary is the majority of one set; until one more has the operation nobody is told of it. */
static void test_write(void **state)
{
    (void)state;
    rig_forget_replies(&rig, 0);
    rig_set_full(&rig, 1, true);
    rig_set_full(&rig, 2, true);
    rig_send_set(&rig, 0, 1, bytes_from("value"));
    rig_deliver(&rig);
    assert_int_equal(rig_count_ok(&rig, 0), 0);
    rig_set_full(&rig, 2, false);
    rig_tick(&rig);
    rig_deliver(&rig);
    assert_int_equal(rig_count_ok(&rig, 0), 1);
    rig_set_full(&rig, 1, false);
    rig_settle(&rig);
    rig_check_equal(&rig);
}

static void test_write_without_the_others(void **state)
{
    struct reply reply;

    (void)state;
    rig_kill(&rig, 1);
    rig_set(&rig, 1, bytes_from("one is enough"));
    rig_kill(&rig, 2);
    reply = rig_request(&rig, 0, OP_SET, LEVEL_LINEAR, 1, bytes_from("none is not"));
    assert_int_equal(reply.kind, REPLY_REFUSED);
    assert_int_equal(reply.refusal, REFUSAL_NOQUORUM);
}

/* A read waits until a majority of each set has said that the view is the highest they promised. */
static void test_read(void **state)
{
    struct group *g = &rig.nodes[0].shard->groups[0];

    (void)state;
    rig_forget_replies(&rig, 0);
    rig_send(&rig, 0, OP_GET, LEVEL_LINEAR, 1, (struct bytes){0}, 0);
    assert_int_equal(buf_len(&rig.nodes[0].replies), 0);
    assert_int_equal(g->pending_count, 1);
    rig_deliver(&rig);
    assert_int_equal(g->pending_count, 0);
    assert_true(buf_len(&rig.nodes[0].replies) > 0);
}

/* Two of three are a majority of the larger set, and of the other none: they lead nobody, before
 * the one that they need is back. */
static void test_view(void **state)
{
    (void)state;
    rig_kill(&rig, 0);
    for (int node = 1; node < NODES; node++)
        rig_request_again(&rig, node, OP_SET, 1, bytes_from("value"));
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), -1);
    rig_start(&rig, 0);
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), 0);
    rig_set(&rig, 1, bytes_from("value"));
    rig_check_equal(&rig);
}

int main(void)
{
#define BOTH(name)                                        \
    {#name " 3 to 1", name, three_to_one, finish, NULL},  \
    {                                                     \
#name " 1 to 3", name, one_to_three, finish, NULL \
    }
    const struct CMUnitTest tests[] = {
        BOTH(test_write),
        BOTH(test_write_without_the_others),
        BOTH(test_read),
        BOTH(test_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
