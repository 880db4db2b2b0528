/* Who leads, and what becomes of a request when nobody, somebody else, or somebody slow does. */
#include "router_rig.h"
#include "shared/operation.h"
#include "shared/wire.h"

static struct rig rig;
static unsigned lanes[3]; /* of the key "a": its primary, then the others */

static void find_lanes(void)
{
    for (unsigned i = 0; i < 3; i++)
        lanes[i] = rig_replica(&rig, "a", i);
}

static int start_cold(void **state)
{
    (void)state;
    rig_start(&rig, 3);
    find_lanes();
    return 0;
}

static int start(void **state)
{
    start_cold(state);
    rig_know_views(&rig);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    return 0;
}

/* The only request that was sent must be on this lane, with these flags. */
static struct request sent_on(unsigned lane, uint8_t flags)
{
    struct request m;

    if (!rig_raw(&rig, lane, &m))
        fail_msg("nothing was sent on lane %u", lane);
    assert_int_equal(m.flags, flags);
    rig_nothing_sent(&rig);
    return m;
}

/* A write's answer, with the operation that it became. */
static void done_as(unsigned lane, uint64_t id, uint64_t view, uint64_t op)
{
    uint8_t proof[PROOF_VERSION_SIZE];

    wire_put_u64(proof, view);
    wire_put_u64(proof + 8, op);
    rig_reply(&rig, lane,
              &(struct reply){.id = id, .kind = REPLY_OK, .proof = bytes_of(proof, sizeof(proof))});
}

static void same_request(const struct request *a, const struct request *b)
{
    assert_true(a->session == 77 && b->session == 77);
    assert_true(a->number != 0 && a->number == b->number);
    assert_true(a->id != b->id);
    assert_int_equal(a->op, b->op);
}

/* --- views -------------------------------------------------------------------------------------
 */

static void test_view_is_learned(void **state)
{
    uint64_t view = rig_view(lanes[0], 5);
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    assert_true(first.view == 0 && first.base_view == 0 && first.base_op == 0);
    rig_refuse_view(&rig, lanes[0], first.id, REFUSAL_ELSEWHERE, view, 9);
    second = sent_on(lanes[0], 0); /* at once */
    same_request(&first, &second);
    assert_true(second.view == view && second.base_view == view && second.base_op == 9);
    rig_ok(&rig, lanes[0], first.id); /* of the abandoned attempt */
    rig_expect(&rig, "");
    done_as(lanes[0], second.id, view, 10);
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "SET a 2");
    first = sent_on(lanes[0], 0);
    assert_true(first.view == view && first.base_view == view && first.base_op == 10);
    assert_true(first.number > second.number);
    done_as(lanes[0], first.id, view, 11);
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(counter_read(&rig.counters.retries), 1);
    assert_int_equal(counter_read(&rig.counters.leads), 0);
}

static void test_newer_view_elsewhere(void **state)
{
    uint64_t view = rig_view(lanes[2], 5);
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    rig_refuse_view(&rig, lanes[0], first.id, REFUSAL_ELSEWHERE, view, 0);
    second = sent_on(lanes[2], 0);
    same_request(&first, &second);
    assert_true(second.view == view);
    rig_ok(&rig, lanes[2], second.id);
    rig_expect(&rig, "+OK\r\n");
    /* The next one goes there at once. */
    rig_run(&rig, "SET a 2");
    first = sent_on(lanes[2], 0);
    assert_true(first.base_view == view && first.base_op == 0);
    rig_ok(&rig, lanes[2], first.id);
    rig_expect(&rig, "+OK\r\n");
}

/* Nobody that is known there, or an older view than is known, teaches nothing: a little later, by
 * another replica, and straight again. */
static void test_no_newer_view(void **state)
{
    uint64_t views[] = {0, rig_view(lanes[2], RIG_VIEW_NUMBER - 1)};
    struct request m;

    (void)state;
    rig_run(&rig, "SET a 1");
    for (int i = 0; i < 2; i++) {
        m = sent_on(lanes[i], i ? REQUEST_LEAD : 0);
        assert_true(m.view == rig_view(lanes[0], RIG_VIEW_NUMBER));
        rig_refuse_view(&rig, lanes[i], m.id, REFUSAL_ELSEWHERE, views[i], 0);
        rig_nothing_sent(&rig);
        rig_after(&rig, ROUTER_RETRY_MS);
    }
    m = sent_on(lanes[0], 0);
    assert_true(m.base_view == m.view && m.base_op == RIG_OP);
    rig_ok(&rig, lanes[0], m.id);
    rig_expect(&rig, "+OK\r\n");
}

/* The primary's history begins behind the base: with the base that it names, at once. */
static void test_base_too_old(void **state)
{
    uint64_t view = rig_view(lanes[0], RIG_VIEW_NUMBER);
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    rig_refuse_view(&rig, lanes[0], first.id, REFUSAL_ELSEWHERE, view, RIG_OP + 9);
    second = sent_on(lanes[0], 0);
    same_request(&first, &second);
    assert_true(second.view == view && second.base_view == view);
    assert_int_equal(second.base_op, RIG_OP + 9);
    rig_ok(&rig, lanes[0], second.id);
    rig_expect(&rig, "+OK\r\n");
}

/* A view of a member that the ring does not have (yet, or any more). */
static void test_view_of_a_stranger(void **state)
{
    uint64_t view = view_of(9, RIG_FIRST_NUMBER + 50);
    struct request m;

    (void)state;
    rig_run(&rig, "SET a 1");
    m = sent_on(lanes[0], 0);
    rig_refuse_view(&rig, lanes[0], m.id, REFUSAL_ELSEWHERE, view, 0);
    m = sent_on(lanes[0], 0);
    assert_true(m.view == view);
    rig_ok(&rig, lanes[0], m.id);
    rig_expect(&rig, "+OK\r\n");
}

/* Nodes that send a client around: some steps at once, then not more often than every so many
 * milliseconds. */
static void test_circle(void **state)
{
    struct request m;
    unsigned at_once = 0;

    (void)state;
    rig_run(&rig, "SET a 1");
    for (unsigned i = 0; i < 20; i++) {
        if (!rig_raw(&rig, lanes[i % 3], &m))
            break;
        at_once++;
        rig_refuse_view(&rig, lanes[i % 3], m.id, REFUSAL_ELSEWHERE,
                        rig_view(lanes[(i + 1) % 3], 10 + i), 0);
    }
    assert_true(at_once > 1 && at_once < 10);
    rig_nothing_sent(&rig);
    rig_after(&rig, ROUTER_RETRY_MS);
    m = sent_on(lanes[at_once % 3], 0);
    rig_ok(&rig, lanes[at_once % 3], m.id);
    rig_expect(&rig, "+OK\r\n");
}

/* --- retries -----------------------------------------------------------------------------------
 */

/* What was known when the request was first sent is what a later attempt tells. */
static void test_base_stays(void **state)
{
    uint64_t view = rig_view(lanes[0], RIG_VIEW_NUMBER);
    struct request first, second, again;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    assert_true(first.base_view == view && first.base_op == RIG_OP);
    rig_run(&rig, "SET a 2");
    second = sent_on(lanes[0], 0);
    done_as(lanes[0], second.id, view, RIG_OP + 7);
    rig_lane_lost(&rig, lanes[0]);
    again = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    same_request(&first, &again);
    assert_true(again.base_view == view && again.base_op == RIG_OP);
    done_as(lanes[1], again.id, view, RIG_OP + 6); /* it was done, before the other */
    rig_expect(&rig, "+OK\r\n+OK\r\n");
    rig_lane_up(&rig, lanes[0]);
    rig_run(&rig, "SET a 3");
    again = sent_on(lanes[0], 0);
    assert_true(again.base_view == view && again.base_op == RIG_OP + 7);
    rig_ok(&rig, lanes[0], again.id);
    rig_expect(&rig, "+OK\r\n");
}

/* The other replica relays, or leads; the write is answered once. */
static void test_lost_lane(void **state)
{
    uint64_t view = rig_view(lanes[1], 7);
    struct request first, second, third;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    rig_lane_lost(&rig, lanes[0]);
    rig_expect(&rig, "");
    second = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    same_request(&first, &second);
    assert_true(second.view == first.view);
    assert_int_equal(counter_read(&rig.counters.leads), 1);
    rig_refuse(&rig, lanes[1], second.id, REFUSAL_ELSEWHERE); /* it begins to lead */
    rig_nothing_sent(&rig);
    rig_after(&rig, ROUTER_RETRY_MS);
    third = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    rig_refuse_view(&rig, lanes[1], third.id, REFUSAL_ELSEWHERE, view, 2);
    third = sent_on(lanes[1], REQUEST_RETRY);
    same_request(&first, &third);
    assert_true(third.view == view && third.base_view == first.base_view);
    rig_lane_up(&rig, lanes[0]);
    rig_ok(&rig, lanes[0], first.id);
    rig_ok(&rig, lanes[1], second.id);
    rig_expect(&rig, "");
    rig_ok(&rig, lanes[1], third.id);
    rig_expect(&rig, "+OK\r\n");
    rig_ok(&rig, lanes[1], third.id);
    rig_expect(&rig, "");
    assert_int_equal(counter_read(&rig.counters.late_replies), 3);
}

static void test_silent_node(void **state)
{
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS - 1);
    rig_nothing_sent(&rig);
    assert_int_equal(rig.lane_pings[lanes[0]], 1); /* it was asked whether it lives */
    rig_after(&rig, 1);
    second = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    same_request(&first, &second);
    assert_true(second.view == first.view);
    assert_int_equal(counter_read(&rig.counters.node_timeouts), 1);
    /* The next write does not wait for the silent one at all, and is in no doubt. */
    rig_ok(&rig, lanes[1], second.id);
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "SET a 2");
    second = sent_on(lanes[1], REQUEST_LEAD);
    rig_ok(&rig, lanes[0], first.id);
    rig_expect(&rig, "");
    assert_int_equal(counter_read(&rig.counters.late_replies), 1);
    rig_ok(&rig, lanes[1], second.id);
    rig_expect(&rig, "+OK\r\n");
    /* It has answered, so it is asked again. */
    rig_run(&rig, "SET a 3");
    second = sent_on(lanes[0], 0);
    rig_ok(&rig, lanes[0], second.id);
    rig_expect(&rig, "+OK\r\n");
}

/* Reads that are for the primary go on in the same way; they are never in doubt. */
static void test_silent_to_a_read(void **state)
{
    struct request m;

    (void)state;
    rig_run(&rig, "LEVELGET a 0");
    m = sent_on(lanes[0], 0);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS);
    m = sent_on(lanes[1], REQUEST_LEAD);
    assert_int_equal(m.level, LEVEL_PRIMARY);
    rig_bulk(&rig, lanes[1], m.id, "x");
    rig_expect(&rig, "$1\r\nx\r\n");
}

/* Every ten milliseconds it says something: three times the patience. */
static void patience(void)
{
    for (int i = 0; i < 3 * RIG_NODE_TIMEOUT_MS / 10; i++) {
        rig_nothing_sent(&rig);
        rig_heard(&rig, lanes[0]);
        rig_after(&rig, 10);
    }
}

/* One that says of the request that it waits is left alone, as long as it goes on saying so; its
 * answer is the first attempt's. */
static void test_waiting_node(void **state)
{
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    for (int i = 0; i < 5; i++) {
        rig_after(&rig, RIG_NODE_TIMEOUT_MS - 10);
        rig_waits(&rig, lanes[0], first.id);
        rig_nothing_sent(&rig);
    }
    rig_ok(&rig, lanes[0], first.id);
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "SET a 2");
    first = sent_on(lanes[0], 0);
    rig_waits(&rig, lanes[0], first.id);
    patience();
    second = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    same_request(&first, &second);
    rig_ok(&rig, lanes[1], second.id);
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(counter_read(&rig.counters.waits), 6);
}

static void test_slow_node(void **state)
{
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    patience();
    second = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    same_request(&first, &second);
    assert_int_equal(rig.lanes[lanes[0]].unanswered, 0);
    assert_int_equal(counter_read(&rig.counters.node_timeouts), 1);
    /* Its answer is too late now, and other requests still go to it. */
    rig_ok(&rig, lanes[0], first.id);
    rig_expect(&rig, "");
    rig_ok(&rig, lanes[1], second.id);
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "SET a 2");
    first = sent_on(lanes[0], 0);
    rig_ok(&rig, lanes[0], first.id);
    rig_expect(&rig, "+OK\r\n");
}

/* Any reply is a sign of life, too. */
static void test_slow_but_answering(void **state)
{
    struct request first, other;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS - 1);
    rig_run(&rig, "SET a 2");
    other = sent_on(lanes[0], 0);
    rig_ok(&rig, lanes[0], other.id);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS - 1);
    rig_nothing_sent(&rig);
    rig_ok(&rig, lanes[0], first.id);
    rig_expect(&rig, "+OK\r\n+OK\r\n");
    assert_int_equal(counter_read(&rig.counters.node_timeouts), 0);
}

/* The one that was asked to lead in a slow one's place does: it is asked as the primary now. */
static void test_detour_ends_with_the_view(void **state)
{
    uint64_t view = rig_view(lanes[1], 7);
    struct request m;

    (void)state;
    rig_run(&rig, "SET a 1");
    sent_on(lanes[0], 0);
    patience();
    m = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    rig_refuse_view(&rig, lanes[1], m.id, REFUSAL_ELSEWHERE, view, 0);
    m = sent_on(lanes[1], REQUEST_RETRY);
    assert_true(m.view == view);
    rig_ok(&rig, lanes[1], m.id);
    rig_expect(&rig, "+OK\r\n");
}

/* --- refusals ----------------------------------------------------------------------------------
 */

static void test_uncertain(void **state)
{
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    rig_refuse_view(&rig, lanes[0], first.id, REFUSAL_UNCERTAIN, rig_view(lanes[2], 8), 0);
    second = sent_on(lanes[2], REQUEST_RETRY);
    same_request(&first, &second);
    assert_true(second.base_view == first.base_view && second.base_op == first.base_op);
    rig_expect(&rig, "");
    rig_ok(&rig, lanes[2], second.id);
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_UNCERTAIN]), 0);
}

static void test_forgotten(void **state)
{
    struct request m;

    (void)state;
    rig_run(&rig, "SET a 1");
    sent_on(lanes[0], 0);
    rig_lane_lost(&rig, lanes[0]);
    m = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    rig_refuse(&rig, lanes[1], m.id, REFUSAL_FORGOTTEN);
    rig_expect(&rig, "-UNCERTAIN the node does not know whether it was done\r\n");
    rig_nothing_sent(&rig);
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_UNCERTAIN]), 1);
}

/* What would be final is told as a doubt when an earlier attempt left one. */
static void test_final_refusal_in_doubt(void **state)
{
    struct request m;

    (void)state;
    rig_run(&rig, "SET a 1");
    sent_on(lanes[0], 0);
    rig_lane_lost(&rig, lanes[0]);
    m = sent_on(lanes[1], REQUEST_RETRY | REQUEST_LEAD);
    rig_refuse(&rig, lanes[1], m.id, REFUSAL_NOSPACE);
    rig_expect_prefix(&rig, "-UNCERTAIN the node that may have done it was lost");
}

/* Another replica may reach a majority; if it does not either, back again. */
static void test_detour(void **state)
{
    struct request first, second;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = sent_on(lanes[0], 0);
    rig_refuse(&rig, lanes[0], first.id, REFUSAL_NOQUORUM);
    rig_nothing_sent(&rig);
    rig_after(&rig, ROUTER_RETRY_MS);
    second = sent_on(lanes[1], REQUEST_LEAD); /* in no doubt */
    same_request(&first, &second);
    rig_refuse(&rig, lanes[1], second.id, REFUSAL_NOQUORUM);
    rig_after(&rig, ROUTER_RETRY_MS);
    second = sent_on(lanes[0], 0);
    rig_ok(&rig, lanes[0], second.id);
    rig_expect(&rig, "+OK\r\n");
}

/* --- when the time is over ---------------------------------------------------------------------
 */

static void fail_lanes(void)
{
    for (int i = 0; i < 3; i++) {
        rig_lane_lost(&rig, lanes[i]);
        router_lane_failed(&rig.router, &rig.lanes[lanes[i]]);
    }
}

static void test_nobody(void **state)
{
    (void)state;
    fail_lanes();
    rig_run(&rig, "SET a 1");
    rig_after(&rig, RIG_TIMEOUT_MS - 1);
    rig_expect(&rig, "");
    rig_after(&rig, 1);
    rig_expect(&rig, "-NOQUORUM the node that leads the key's partition cannot be reached; nothing "
                     "was done\r\n");
    assert_int_equal(counter_read(&rig.counters.timeouts), 1);
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_UNCERTAIN]), 0);
}

static void test_nobody_any_more(void **state)
{
    (void)state;
    rig_run(&rig, "SET a 1");
    sent_on(lanes[0], 0);
    fail_lanes();
    rig_after(&rig, RIG_TIMEOUT_MS);
    rig_expect_prefix(&rig, "-UNCERTAIN the node that may have done it was lost");
}

static void test_all_silent(void **state)
{
    unsigned asked[RIG_LANES] = {0}, lane, asked_count = 0;
    struct request m;

    (void)state;
    rig_run(&rig, "SET a 1");
    for (unsigned ms = 0; ms < RIG_TIMEOUT_MS; ms += 10) {
        rig_expect(&rig, "");
        for (lane = 0; lane < RIG_LANES; lane++)
            while (rig_raw(&rig, lane, &m))
                asked[lane]++;
        rig_after(&rig, 10);
    }
    rig_expect_prefix(&rig, "-UNCERTAIN no answer within the request timeout");
    for (lane = 0; lane < RIG_LANES; lane++)
        asked_count += asked[lane] > 0;
    assert_int_equal(asked_count, 3);
    for (int i = 0; i < 3; i++)
        assert_true(asked[lanes[i]] > 0);
}

/* Never taken by anybody, and told so. */
static void test_refused_by_all(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    for (unsigned ms = 0; ms < RIG_TIMEOUT_MS; ms += ROUTER_RETRY_MS) {
        rig_expect(&rig, "");
        if (rig_any_request(&rig, &m, &lane))
            rig_refuse(&rig, lane, m.id, REFUSAL_NOQUORUM);
        rig_after(&rig, ROUTER_RETRY_MS);
    }
    rig_expect(&rig, "-NOQUORUM no majority of the key's replicas can be reached; nothing was "
                     "done\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_view_is_learned, start_cold, finish),
        TEST(test_newer_view_elsewhere),
        TEST(test_no_newer_view),
        TEST(test_base_too_old),
        TEST(test_view_of_a_stranger),
        TEST(test_circle),
        TEST(test_base_stays),
        TEST(test_lost_lane),
        TEST(test_silent_node),
        TEST(test_silent_to_a_read),
        TEST(test_waiting_node),
        TEST(test_slow_node),
        TEST(test_slow_but_answering),
        TEST(test_detour_ends_with_the_view),
        TEST(test_uncertain),
        TEST(test_forgotten),
        TEST(test_final_refusal_in_doubt),
        TEST(test_detour),
        TEST(test_nobody),
        TEST(test_nobody_any_more),
        TEST(test_all_silent),
        TEST(test_refused_by_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
