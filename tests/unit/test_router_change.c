/* Routing while the ring is changed: the third of three members is replaced by a fourth. */
#include "router_rig.h"
#include "shared/operation.h"
#include "shared/ring_change.h"
#include <stdio.h>

enum { JOINING = 3, LEAVING = 2 };

static struct rig rig;

/* Keys whose partitions are led by the first member, and by the one that leaves. */
static char first_key[16], leaving_key[16];

static void use_ring(int error, struct ring **next, const char *why)
{
    if (error)
        fail_msg("%s", why);
    rig_use_ring(&rig, *next);
}

/* Every partition is in this phase. */
static void use_phase(enum ring_phase phase)
{
    uint8_t phases[1 << RIG_BITS];
    struct ring *next = NULL;
    char why[256] = "";

    memset(phases, (int)phase, sizeof(phases));
    use_ring(ring_advance(rig.ring, phases, &next, why, sizeof(why)), &next, why);
}

static struct ring *target_of(const struct ring *now)
{
    struct ring *target = ring_copy(now);
    struct ring_member *m = &target->members[LEAVING];

    assert_non_null(target);
    m->identity[0] = JOINING + 1;
    m->number = RIG_FIRST_NUMBER + JOINING;
    m->port = 7001 + JOINING;
    snprintf(m->name, sizeof(m->name), "n%d", JOINING + 1);
    target->next_number = RIG_FIRST_NUMBER + JOINING + 1;
    assert_int_equal(ring_finish(target, NULL, 0), 0);
    return target;
}

static int start(void **state)
{
    struct ring_asked asked = {.what = "replace n3", .who = "a test"};
    struct ring *target, *next = NULL;
    char why[256] = "";

    (void)state;
    rig_start(&rig, 3);
    rig_know_views(&rig);
    for (unsigned lane = JOINING * RIG_SHARDS; lane < (JOINING + 1) * RIG_SHARDS; lane++)
        router_lane_up(&rig.router, &rig.lanes[lane], &rig.lane_out[lane]);
    rig_key(&rig, 0, first_key);
    rig_key(&rig, LEAVING * RIG_SHARDS, leaving_key);
    target = target_of(rig.ring);
    use_ring(ring_begin(rig.ring, target, &asked, &next, why, sizeof(why)), &next, why);
    ring_free(target);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    return 0;
}

static unsigned member_of(unsigned lane)
{
    return lane / RIG_SHARDS;
}

static struct request only_request(unsigned *lane)
{
    struct request m = {0};

    assert_true(rig_any_request(&rig, &m, lane));
    rig_nothing_sent(&rig);
    return m;
}

/* Learners are asked nothing. */
static void test_learning(void **state)
{
    (void)state;
    assert_int_equal(ring_phase(rig.ring, 0), RING_LEARNING);
    for (int i = 0; i < 8; i++) {
        struct request m;
        unsigned lane;

        rig_run_key(&rig, "GET %s", leaving_key);
        while (rig_any_request(&rig, &m, &lane)) {
            assert_int_not_equal(member_of(lane), JOINING);
            rig_refuse(&rig, lane, m.id, REFUSAL_DAMAGED);
        }
        rig_after(&rig, RIG_TIMEOUT_MS);
        buf_truncate(&rig.out, 0);
    }
}

/* Both majorities would have to agree: the primary decides. */
static void test_joint_read(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    use_phase(RING_JOINT);
    rig_run_key(&rig, "GET %s", first_key);
    m = only_request(&lane);
    assert_int_equal(m.level, LEVEL_LINEAR);
    assert_int_equal(member_of(lane), 0);
    assert_true(m.epoch == ring_changed(rig.ring, m.partition));
    rig_bulk(&rig, lane, m.id, "1");
    rig_expect(&rig, "$1\r\n1\r\n");
}

/* A read that began while one majority sufficed: sent again, it must not be content with the one of
 * the current set. */
static void test_read_becomes_joint(void **state)
{
    struct rig_read read;
    struct request m;
    unsigned lane, lost;

    (void)state;
    rig_run_key(&rig, "GET %s", first_key);
    rig_read(&rig, &read);
    use_phase(RING_JOINT);
    rig_nothing_sent(&rig);
    lost = member_of(read.value_lane) == 0 ? read.version_lane : read.value_lane;
    rig_lane_lost(&rig, lost);
    m = only_request(&lane);
    assert_int_equal(m.level, LEVEL_LINEAR);
    assert_int_equal(member_of(lane), 0);
    rig_bulk(&rig, lane, m.id, "1");
    rig_expect(&rig, "$1\r\n1\r\n");
    rig_lane_up(&rig, lost);
}

/* The primary that leaves is silent: one that stays, or joins, is asked to lead. */
static void test_joint_candidates(void **state)
{
    struct request m;
    unsigned lane, leader;

    (void)state;
    use_phase(RING_JOINT);
    rig_run_key(&rig, "SET %s 1", leaving_key);
    m = only_request(&lane);
    assert_int_equal(member_of(lane), LEAVING);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS);
    assert_true(rig_any_request(&rig, &m, &leader));
    assert_int_equal(m.flags, REQUEST_RETRY | REQUEST_LEAD);
    assert_int_equal(member_of(leader), rig.ring->change->sets[m.partition].member[0]);
    rig_ok(&rig, leader, m.id);
    rig_expect(&rig, "+OK\r\n");
}

/* The primary known votes no more: who should lead now is asked, in the view that is known. */
static void test_moved_primary(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    use_phase(RING_JOINT);
    use_phase(RING_MOVED);
    rig_run_key(&rig, "SET %s 1", leaving_key);
    assert_true(rig_raw(&rig, JOINING * RIG_SHARDS, &m) ||
                rig_raw(&rig, JOINING * RIG_SHARDS + 1, &m));
    assert_int_equal(view_number(m.view), RIG_VIEW_NUMBER);
    lane = JOINING * RIG_SHARDS + m.partition % RIG_SHARDS;
    rig_refuse_view(&rig, lane, m.id, REFUSAL_ELSEWHERE, rig_view(lane, RIG_VIEW_NUMBER + 1), 0);
    assert_true(rig_raw(&rig, lane, &m));
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "+OK\r\n");
}

/* A member that is in the ring no more may never answer. */
static void test_in_flight_to_one_that_left(void **state)
{
    struct ring *next = NULL;
    struct request m, again;
    unsigned lane;
    char why[256] = "";

    (void)state;
    use_phase(RING_JOINT);
    rig_run_key(&rig, "SET %s 1", leaving_key);
    m = only_request(&lane);
    assert_int_equal(member_of(lane), LEAVING);
    use_phase(RING_MOVED);
    rig_nothing_sent(&rig);
    use_ring(ring_finish_change(rig.ring, 1, &next, why, sizeof(why)), &next, why);
    lane = JOINING * RIG_SHARDS + m.partition % RIG_SHARDS;
    assert_true(rig_raw(&rig, lane, &again));
    assert_true(again.number == m.number);
    assert_true(again.flags & REQUEST_RETRY);
    rig_ok(&rig, lane, again.id);
    rig_expect(&rig, "+OK\r\n");
}

static int start_settled(void **state)
{
    (void)state;
    rig_start(&rig, 3);
    return 0;
}

/* A partition has as many replicas as before, or as many as after: WAIT counts on the fewer. */
static void test_wait_while_replicas_go(void **state)
{
    struct ring_asked asked = {.what = "set replicas=1", .who = "a test"};
    struct ring *target = ring_copy(rig.ring), *next = NULL;
    char why[256] = "";

    (void)state;
    assert_non_null(target);
    rig_run(&rig, "WAIT 1 0");
    rig_expect(&rig, ":1\r\n");
    target->replicas = 1;
    assert_int_equal(ring_finish(target, NULL, 0), 0);
    use_ring(ring_begin(rig.ring, target, &asked, &next, why, sizeof(why)), &next, why);
    ring_free(target);
    rig_run(&rig, "WAIT 1 0");
    rig_expect(&rig, ":0\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_learning),
        TEST(test_joint_read),
        TEST(test_read_becomes_joint),
        TEST(test_joint_candidates),
        TEST(test_moved_primary),
        TEST(test_in_flight_to_one_that_left),
        cmocka_unit_test_setup_teardown(test_wait_while_replicas_go, start_settled, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
