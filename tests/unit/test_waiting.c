/* Backups whose stores have no room for a moment: nothing is lost, sent again or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/group_parts.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { HISTORY_STEPS = 16, SETS = 100, TICKS = 200, LARGE = 1 << 20, SHARE = 1 << 16, KEYS = 5000 };

static struct shard_rig rig;
static uint8_t large[LARGE];

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, 3, HISTORY_STEPS);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

static void pass_time(int ticks)
{
    for (int i = 0; i < ticks; i++) {
        rig_tick(&rig);
        rig_deliver(&rig);
    }
}

static void check_all_follow(void)
{
    const struct group *g = &rig_shard(&rig, 0)->groups[0];

    for (uint8_t i = 0; i < g->peer_count; i++)
        assert_int_equal(g->peers[i].state, PEER_FOLLOWING);
    assert_true(rig_leader(&rig) == 0);
}

/* For five seconds, with more steps than the primary remembers. */
static void test_both_full(void **state)
{
    uint64_t gaps = rig_shard(&rig, 1)->counters.gaps + rig_shard(&rig, 2)->counters.gaps;
    uint64_t sent = rig_shard(&rig, 0)->counters.steps_sent;

    (void)state;
    rig_forget_replies(&rig, 0);
    rig_set_full(&rig, 1, true);
    rig_set_full(&rig, 2, true);
    for (int i = 0; i < SETS; i++)
        rig_send_set(&rig, 0, i, bytes_from("value"));
    pass_time(TICKS);
    assert_int_equal(rig_count_ok(&rig, 0), 0);
    check_all_follow();
    rig_set_full(&rig, 1, false);
    rig_set_full(&rig, 2, false);
    pass_time(1);
    assert_int_equal(rig_count_ok(&rig, 0), SETS);
    check_all_follow();
    rig_check_equal(&rig);
    assert_int_equal(rig_shard(&rig, 0)->counters.steps_sent - sent, 2 * SETS);
    assert_int_equal(rig_shard(&rig, 0)->counters.transfers, 0);
    assert_int_equal(rig_shard(&rig, 0)->counters.refused_noquorum, 0);
    assert_int_equal(rig_shard(&rig, 1)->counters.gaps + rig_shard(&rig, 2)->counters.gaps, gaps);
    assert_int_equal(rig_shard(&rig, 1)->counters.steps_waited, SETS);
    assert_int_equal(rig_shard(&rig, 1)->counters.steps_dropped, 0);
}

/* More than may wait: the rest is dropped, and brought once there is room. Writers go on meanwhile.
 */
static void test_too_much_waits(void **state)
{
    (void)state;
    rig_set_full(&rig, 2, true);
    for (int i = 0; i < 2 * WAITING_MAX / LARGE; i++)
        rig_set(&rig, i, bytes_of(large, LARGE / 2 + (uint32_t)i));
    pass_time(TICKS);
    rig_set(&rig, 1, bytes_of(large, LARGE / 2));
    rig_set(&rig, 2, bytes_of(large, LARGE / 2));
    assert_true(rig_shard(&rig, 2)->counters.steps_dropped > 0);
    rig_set_full(&rig, 2, false);
    rig_settle(&rig);
    check_all_follow();
    rig_check_equal(&rig);
}

/* What waits belongs to its link. */
static void test_link_breaks(void **state)
{
    (void)state;
    rig_set_full(&rig, 2, true);
    for (int i = 0; i < SETS; i++)
        rig_set(&rig, i, bytes_from("value"));
    assert_true(shard_waits(rig_shard(&rig, 2), 1, 0));
    shard_peer_down(rig_shard(&rig, 2), 1, 0, 1);
    assert_false(shard_waits(rig_shard(&rig, 2), 1, 0));
    shard_peer_up(rig_shard(&rig, 2), 1, 0, 1);
    shard_peer_down(rig_shard(&rig, 0), 3, 0, 1);
    shard_peer_up(rig_shard(&rig, 0), 3, 0, 1);
    rig_set_full(&rig, 2, false);
    rig_settle(&rig);
    check_all_follow();
    rig_check_equal(&rig);
}

/* The primary steps down for a view that comes to nothing, and says so before its last steps are
 * taken: they must not make it the leader again, or this replica would relay requests to it for
 * ever. */
static void test_view_ends_meanwhile(void **state)
{
    const struct signal higher = {.kind = SIGNAL_REFUSED, .view = view_of(9, 0)};
    struct group *backup = &rig_shard(&rig, 2)->groups[0];
    struct version before = backup->last;

    (void)state;
    rig_set_full(&rig, 2, true);
    rig_set(&rig, 1, bytes_from("value"));
    rig_set(&rig, 2, bytes_from("value"));
    assert_true(backup->leader == rig_shard(&rig, 0)->groups[0].view);
    group_signal(rig_shard(&rig, 0), &rig_shard(&rig, 0)->groups[0], 2, &higher);
    shard_turn_end(rig_shard(&rig, 0));
    rig_deliver(&rig);
    assert_true(backup->leader == 0);
    assert_true(shard_waits(rig_shard(&rig, 2), 1, 0));
    rig_set_full(&rig, 2, false);
    pass_time(1);
    assert_true(version_compare(backup->last, before) > 0);
    assert_true(backup->leader == 0);
    rig_settle(&rig);
    check_all_follow();
    assert_true(view_number(backup->leader) > 9);
    rig_check_equal(&rig);
}

/* What a replica said of an earlier view of the same primary comes late: the answer must not end
 * the present one. */
static void test_late_gap_of_a_view_before(void **state)
{
    struct group *leader = &rig_shard(&rig, 0)->groups[0], *backup = &rig_shard(&rig, 2)->groups[0];
    struct signal late = {.kind = SIGNAL_GAP, .epoch = leader->epoch, .view = leader->view};

    (void)state;
    group_lead(rig_shard(&rig, 0), leader);
    rig_settle(&rig);
    assert_true(leader->role == GROUP_PRIMARY && leader->view > late.view);
    group_signal(rig_shard(&rig, 0), leader, 3, &late);
    shard_turn_end(rig_shard(&rig, 0));
    rig_deliver(&rig);
    assert_true(backup->leader == leader->view);
    rig_set_full(&rig, 2, true);
    rig_set(&rig, 1, bytes_from("value"));
    rig_set_full(&rig, 2, false);
    rig_settle(&rig);
    assert_true(backup->leader == leader->view);
    rig_check_equal(&rig);
}

/* The store of a replica that is brought up is full again and again, at the end as well. */
static void test_full_in_transfer(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        rig_set(&rig, i, bytes_from("before"));
    rig_kill(&rig, 2);
    for (int i = 0; i < KEYS; i += 2)
        rig_set(&rig, i, bytes_from("after"));
    rig_start(&rig, 2);
    for (int i = 0; i < TICKS; i++) {
        rig_set_full(&rig, 2, i % 3);
        rig_tick(&rig);
        if (i < SETS)
            rig_send_set(&rig, rig_leader(&rig), i, bytes_from("live"));
        for (int turns = 0; turns < 3; turns++)
            rig_deliver_once(&rig);
    }
    rig_set_full(&rig, 2, false);
    rig_settle(&rig);
    rig_check_equal(&rig);
    assert_int_equal(rig_shard(&rig, 0)->counters.transfers, 1);
}

/* The link has room again for what the primary has to say to the last node. */
static void ask_last_where(void)
{
    struct group_peer *peer = group_peer(&rig_shard(&rig, 0)->groups[0], 3);

    peer->state = PEER_LAGGING;
    shard_peer_room(rig_shard(&rig, 0), 3, 0, 1);
    rig_deliver(&rig);
}

/* The first chunk of a transfer waits behind steps. Meanwhile some of these are taken, and the
 * primary, asking where the replica stands, finds that its history is enough after all. Then the
 * chunk comes, and shows nothing that differs: the replica must not go on waiting for the next one,
 * and take the steps for its beside. */
static void test_chunk_comes_too_late(void **state)
{
    struct group *leader = &rig_shard(&rig, 0)->groups[0], *backup = &rig_shard(&rig, 2)->groups[0];
    struct version before = backup->last;

    (void)state;
    rig_set_full(&rig, 2, true);
    for (int i = 0; i < 3 * HISTORY_STEPS / 2; i++)
        rig_set(&rig, 1, bytes_of(large, SHARE));
    ask_last_where();
    assert_int_equal(rig_shard(&rig, 0)->counters.transfers, 1);
    rig_set_full(&rig, 2, false);
    shard_take_waiting(rig_shard(&rig, 2));
    rig_set_full(&rig, 2, true);
    rig_deliver(&rig);
    assert_true(version_compare(backup->last, before) > 0);
    assert_true(version_compare(backup->last, leader->last) < 0);
    ask_last_where();
    check_all_follow();
    rig_set_full(&rig, 2, false);
    rig_settle(&rig);
    rig_set(&rig, 2, bytes_from("value"));
    rig_settle(&rig);
    check_all_follow();
    assert_false(backup->partial);
    rig_check_equal(&rig);
}

/* Replicas that are there and being brought up are worth waiting for at this primary. */
static void test_refusals(void **state)
{
    struct group *g = &rig_shard(&rig, 0)->groups[0];
    struct reply reply;

    (void)state;
    for (uint8_t i = 0; i < g->peer_count; i++)
        g->peers[i].state = PEER_WAITING;
    reply = rig_request(&rig, 0, OP_SET, LEVEL_LINEAR, 1, bytes_from("value"));
    assert_int_equal(reply.kind, REPLY_REFUSED);
    assert_int_equal(reply.refusal, REFUSAL_BUSY);
    rig_settle(&rig);
    check_all_follow();
    rig_set(&rig, 1, bytes_from("value"));
    rig_kill(&rig, 1);
    rig_kill(&rig, 2);
    reply = rig_request(&rig, 0, OP_SET, LEVEL_LINEAR, 1, bytes_from("value"));
    assert_int_equal(reply.kind, REPLY_REFUSED);
    assert_int_equal(reply.refusal, REFUSAL_NOQUORUM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_full, start, finish),
        cmocka_unit_test_setup_teardown(test_too_much_waits, start, finish),
        cmocka_unit_test_setup_teardown(test_link_breaks, start, finish),
        cmocka_unit_test_setup_teardown(test_view_ends_meanwhile, start, finish),
        cmocka_unit_test_setup_teardown(test_late_gap_of_a_view_before, start, finish),
        cmocka_unit_test_setup_teardown(test_full_in_transfer, start, finish),
        cmocka_unit_test_setup_teardown(test_chunk_comes_too_late, start, finish),
        cmocka_unit_test_setup_teardown(test_refusals, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
