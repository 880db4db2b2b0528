/* What clients are told when nodes refuse, are slow, or go away: with one replica, so that there is
 * nobody else to ask. */
#include "proxy/answer.h"
#include "router_rig.h"
#include "shared/error.h"
#include "shared/operation.h"
#include <stdio.h>

static struct rig rig;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, 1);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    return 0;
}

/* --- what waits at a node ----------------------------------------------------------------------
 */

/* A request may wait there for as long as an answer still comes in time; one that is sent again
 * when that is over may not. */
static void test_wait_ms(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    assert_int_equal(m.wait_ms, RIG_TIMEOUT_MS - RIG_TIMEOUT_MS / 10);
    for (int waited = 0; waited < RIG_TIMEOUT_MS - 50; waited += 50) {
        rig_waits(&rig, lane, m.id);
        rig_after(&rig, 50);
    }
    rig_refuse(&rig, lane, m.id, REFUSAL_BUSY);
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_true(rig_any_request(&rig, &m, &lane));
    assert_int_equal(m.wait_ms, 0);
    rig_refuse(&rig, lane, m.id, REFUSAL_BUSY);
    rig_after(&rig, 50);
    rig_expect_prefix(&rig, "-BUSY ");
}

/* What a node says of what nobody waits for any more is nothing; what is no WAITS ends the lane. */
static void test_waits_for_nobody(void **state)
{
    struct bytes body = bytes_from("1234567");

    (void)state;
    rig_waits(&rig, 0, 12345);
    assert_int_equal(router_waits(&rig.router, &rig.lanes[0], body), RK_CORRUPT);
}

/* --- refusals ----------------------------------------------------------------------------------
 */

static void test_final_refusals(void **state)
{
    static const struct {
        enum refusal refusal;
        const char *prefix;
    } cases[] = {
        {REFUSAL_NOSPACE, "-NOSPACE "},
        {REFUSAL_MALFORMED, "-ERR "},
        {REFUSAL_DAMAGED, "-ERR the stored record is damaged"},
        {REFUSAL_FORGOTTEN, "-UNCERTAIN the node does not know"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request m;
        unsigned lane;

        rig_run(&rig, "SET a 1");
        assert_true(rig_any_request(&rig, &m, &lane));
        rig_refuse(&rig, lane, m.id, cases[i].refusal);
        rig_expect_prefix(&rig, cases[i].prefix);
        assert_false(rig_any_request(&rig, &m, &lane));
    }
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_NOSPACE]), 1);
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_UNCERTAIN]), 1);
}

static void test_error_of_the_node(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "INCR a");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_reply(
        &rig, lane,
        &(struct reply){.id = m.id, .kind = REPLY_ERROR, .data = bytes_from("ERR not\r\n+good")});
    rig_expect(&rig, "-ERR not  +good\r\n");
}

/* A node that cannot do it now, and names nobody who can: the same request goes again a little
 * later. */
static void check_retry(enum refusal refusal)
{
    struct request first, second;
    unsigned lane, again;

    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &first, &lane));
    rig_refuse(&rig, lane, first.id, refusal);
    rig_expect(&rig, "");
    assert_false(rig_any_request(&rig, &second, &again));
    assert_int_equal(rig_after(&rig, ROUTER_RETRY_MS - 1), 1);
    assert_false(rig_any_request(&rig, &second, &again));
    rig_after(&rig, 1);
    assert_true(rig_any_request(&rig, &second, &again));
    assert_int_equal(again, lane);
    assert_int_equal(second.number, first.number);
    assert_int_equal(second.session, first.session);
    assert_true(second.id != first.id);
    /* An answer to the abandoned attempt is nobody's. */
    rig_ok(&rig, lane, first.id);
    rig_expect(&rig, "");
    rig_ok(&rig, lane, second.id);
    rig_expect(&rig, "+OK\r\n");
}

static void test_retries(void **state)
{
    (void)state;
    rig_know_views(&rig);
    check_retry(REFUSAL_EPOCH);
    assert_true(rig.router.ring_wanted);
    rig.router.ring_wanted = false;
    check_retry(REFUSAL_ELSEWHERE);
    check_retry(REFUSAL_BUSY);
    check_retry(REFUSAL_NOQUORUM);
    assert_false(rig.router.ring_wanted);
    assert_int_equal(counter_read(&rig.counters.retries), 4);
    assert_int_equal(counter_read(&rig.counters.late_replies), 4);
}

/* Of a client that sends several commands without waiting, refused ones go again as fast as answers
 * come, but not for ever: then they wait no less than others. */
static void test_refused_ones_wait_together(void **state)
{
    enum { IN_HURRY = 64 };
    struct request m[3];
    unsigned lane;

    (void)state;
    rig_know_views(&rig);
    for (int i = 0; i < 3; i++)
        rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m[0], &lane));
    assert_true(rig_request(&rig, lane, &m[1]));
    assert_true(rig_request(&rig, lane, &m[2]));
    for (int round = 1; round < IN_HURRY + 8; round++) {
        for (int i = 0; i < 3; i++)
            rig_refuse(&rig, lane, m[i].id, REFUSAL_BUSY);
        rig_after(&rig, 0);
        if (round >= IN_HURRY) {
            assert_false(rig_request(&rig, lane, &m[0]));
            rig_after(&rig, ROUTER_RETRY_MS - 1);
            assert_false(rig_request(&rig, lane, &m[0]));
            assert_int_equal(counter_read(&rig.counters.retries), 3 * (round - 1));
            rig_after(&rig, 1);
        }
        for (int i = 0; i < 3; i++)
            assert_true(rig_request(&rig, lane, &m[i]));
    }
    for (int i = 0; i < 3; i++)
        rig_ok(&rig, lane, m[i].id);
    rig_expect(&rig, "+OK\r\n+OK\r\n+OK\r\n");
}

static void test_new_ring_retries_at_once(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_refuse(&rig, lane, m.id, REFUSAL_EPOCH);
    rig_next_ring(&rig, 2);
    assert_true(rig_any_request(&rig, &m, &lane));
    assert_int_equal(m.epoch, 2);
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "+OK\r\n");
}

static void test_refused_until_the_end(void **state)
{
    static const struct {
        enum refusal refusal;
        const char *prefix;
    } cases[] = {
        {REFUSAL_EPOCH, "-NOQUORUM no node took the request"},
        {REFUSAL_BUSY, "-BUSY the node"},
        {REFUSAL_NOQUORUM, "-NOQUORUM no majority"},
        {REFUSAL_ELSEWHERE, "-NOQUORUM no majority"},
        {REFUSAL_UNCERTAIN, "-UNCERTAIN the node does not know"},
    };

    (void)state;
    rig_know_views(&rig);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t begun = rig.router.now_ms;
        struct request m;
        unsigned lane;

        rig_run(&rig, "SET a 1");
        while (rig.router.now_ms < begun + RIG_TIMEOUT_MS) {
            rig_expect(&rig, "");
            if (rig_any_request(&rig, &m, &lane))
                rig_refuse(&rig, lane, m.id, cases[i].refusal);
            rig_after(&rig, ROUTER_RETRY_MS);
        }
        rig_expect_prefix(&rig, cases[i].prefix);
        while (rig_any_request(&rig, &m, &lane))
            ;
    }
    assert_int_equal(rig_after(&rig, 0), UINT64_MAX);
}

/* --- time and connections --------------------------------------------------------------------- */

static void test_timeouts(void **state)
{
    struct request write[2], read[2];
    unsigned lane;

    (void)state;
    rig_know_views(&rig);
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &write[0], &lane));
    assert_true(rig_request(&rig, lane, &read[0]));
    rig_after(&rig, RIG_TIMEOUT_MS - 1);
    rig_expect(&rig, "");
    /* There is nobody else to ask. */
    assert_int_equal(counter_read(&rig.counters.node_timeouts), 2);
    assert_true(rig_request(&rig, lane, &write[1]));
    assert_true(rig_request(&rig, lane, &read[1]));
    assert_int_equal(write[1].number, write[0].number);
    rig_after(&rig, 1);
    rig_expect(&rig, "-UNCERTAIN no answer within the request timeout; it is not known whether it "
                     "was done\r\n-NOQUORUM no answer within the request timeout; nothing was "
                     "changed, it is safe to retry\r\n");
    assert_int_equal(rig.lanes[lane].in_flight, 0);
    assert_true(rig.lanes[lane].unanswered > 0);
    /* The late answers are not taken for that of the next request, which is in the same place. */
    rig_run(&rig, "GET a");
    for (int i = 0; i < 2; i++) {
        rig_bulk(&rig, lane, read[i].id, "late");
        rig_ok(&rig, lane, write[i].id);
    }
    rig_expect(&rig, "");
    assert_int_equal(rig.lanes[lane].unanswered, 0);
    assert_int_equal(counter_read(&rig.counters.late_replies), 4);
    assert_int_equal(counter_read(&rig.counters.timeouts), 2);
    assert_true(rig_request(&rig, lane, &read[0]));
    rig_bulk(&rig, lane, read[0].id, "now");
    rig_expect(&rig, "$3\r\nnow\r\n");
}

/* Nothing was in flight when the time was over: what is told depends on whether it ever was. */
static void test_timeouts_of_what_waits(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_know_views(&rig);
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_lane_lost(&rig, lane);
    router_lane_failed(&rig.router, &rig.lanes[lane]);
    rig_run(&rig, "SET a 2");
    rig_run(&rig, "GET a");
    rig_after(&rig, RIG_TIMEOUT_MS - 1);
    rig_expect(&rig, "");
    rig_after(&rig, 1);
    rig_expect(&rig, "-UNCERTAIN the node that may have done it was lost; it is not known whether "
                     "it was done\r\n"
                     "-NOQUORUM the node that leads the key's partition cannot be reached; nothing "
                     "was done\r\n"
                     "-NOQUORUM the node that leads the key's partition cannot be reached; nothing "
                     "was done\r\n");
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_UNCERTAIN]), 1);
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_NOQUORUM]), 2);
}

static void test_lost_lane(void **state)
{
    struct request write[2], m;
    unsigned lane;

    (void)state;
    rig_know_views(&rig);
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &write[0], &lane));
    assert_true(rig_request(&rig, lane, &m));
    rig_lane_lost(&rig, lane);
    rig_expect(&rig, "");
    assert_null(rig.router.dirty);
    rig_lane_up(&rig, lane);
    assert_true(rig_request(&rig, lane, &write[1]));
    assert_int_equal(write[1].number, write[0].number);
    assert_int_equal(write[1].flags, REQUEST_RETRY);
    assert_true(rig_request(&rig, lane, &m));
    assert_int_equal(m.op, OP_GET);
    assert_int_equal(m.flags, 0);
    rig_ok(&rig, lane, write[1].id);
    rig_bulk(&rig, lane, m.id, "1");
    rig_expect(&rig, "+OK\r\n$1\r\n1\r\n");
}

static void test_lane_down(void **state)
{
    struct request m;
    char key[16];

    (void)state;
    rig_key(&rig, 1, key);
    rig_lane_lost(&rig, 1);
    rig_run_key(&rig, "SET %s 1", key);
    router_lane_failed(&rig.router, &rig.lanes[1]);
    rig_after(&rig, RIG_TIMEOUT_MS);
    rig_expect_prefix(&rig, "-NOQUORUM no node took the request"); /* the last that was known */
    rig_run_key(&rig, "SET %s 1", key);
    rig_after(&rig, ROUTER_RETRY_MS);
    rig_expect(&rig, "");
    rig_lane_up(&rig, 1);
    assert_true(rig_request(&rig, 1, &m));
    rig_ok(&rig, 1, m.id);
    rig_expect(&rig, "+OK\r\n");
}

static void test_full_lane(void **state)
{
    struct request m;
    unsigned found, lane = 0;
    uint32_t sent = 0;

    (void)state;
    rig.router.lane_output_max = 1000;
    for (int i = 0; i < 100; i++)
        rig_run(&rig, "GET a");
    while (rig_any_request(&rig, &m, &found)) {
        lane = found;
        rig_bulk(&rig, lane, m.id, "");
        sent++;
    }
    assert_true(sent > 5 && sent < 20);
    buf_consume(&rig.lane_out[lane], rig.lane_read[lane]);
    rig.lane_read[lane] = 0;
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m));
    rig_after(&rig, RIG_TIMEOUT_MS);
    assert_true(counter_read(&rig.counters.errors[ERROR_BUSY]) > 50);
    buf_consume(&rig.out, buf_len(&rig.out));
    assert_null(rig.session.first);
}

/* Commands beyond the bound get their error, and what needs no node its reply, in their turn. */
static void test_too_many_commands(void **state)
{
    enum { TAKEN = POOL_CHUNK_ITEMS, GIVEN = 3 * POOL_CHUNK_ITEMS };

    (void)state;
    rig.router.requests.slots.max = 2 * TAKEN;
    for (int i = 0; i < GIVEN; i++) {
        rig_run(&rig, "GET a");
        assert_false(rig.session.broken);
    }
    rig_run(&rig, "PING");
    assert_false(rig.session.broken);
    assert_int_equal(counter_read(&rig.counters.errors[ERROR_BUSY]), GIVEN - TAKEN);
    rig_expect(&rig, "");
    rig_after(&rig, RIG_TIMEOUT_MS);
    assert_int_equal(rig.session.pending, 0);
    assert_int_equal(counter_read(&rig.counters.error_replies), GIVEN);
}

static void test_no_ring(void **state)
{
    const struct ring *ring = rig.router.ring;

    (void)state;
    rig.router.ring = NULL;
    rig_run(&rig, "GET a");
    rig_expect(&rig, "-NOQUORUM no ring yet: none of the configured nodes has given one\r\n");
    rig_run(&rig, "MSET a 1 b 2");
    rig_expect_prefix(&rig, "-NOQUORUM no ring yet");
    rig_run(&rig, "PING");
    rig_expect(&rig, "+PONG\r\n");
    rig.router.ring = ring;
}

/* --- answers that cannot be ------------------------------------------------------------------- */

static void test_misfits(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_integer(&rig, lane, m.id, 1);
    rig_expect_prefix(&rig, "-ERR the node's answer does not fit");
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_bulk(&rig, lane, m.id, "1");
    rig_expect_prefix(&rig, "-UNCERTAIN ");
    rig_run(&rig, "MGET {a}1 {a}2");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_reply(&rig, lane, &(struct reply){.id = m.id, .kind = REPLY_ARRAY});
    rig_expect_prefix(&rig, "-ERR the node's answer does not fit");
}

static void test_answers_from_elsewhere(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_bulk(&rig, (lane + 1) % RIG_LANES, m.id, "wrong lane");
    rig_bulk(&rig, lane, m.id + 1, "wrong call");
    rig_bulk(&rig, lane, m.id + (1ull << 32), "wrong generation");
    rig_bulk(&rig, lane, UINT64_MAX, "no call");
    rig_expect(&rig, "");
    assert_int_equal(router_reply(&rig.router, &rig.lanes[lane], bytes_from("x")), RK_CORRUPT);
    rig_bulk(&rig, lane, m.id, "right");
    rig_expect(&rig, "$5\r\nright\r\n");
    rig_bulk(&rig, lane, m.id, "twice");
    rig_expect(&rig, "");
    assert_int_equal(counter_read(&rig.counters.late_replies), 5);
}

/* --- commands in several parts -----------------------------------------------------------------
 */

/* Two keys on different lanes; their requests. */
static void mset_in_two(struct request m[2])
{
    char a[16], b[16], words[64];

    rig_key(&rig, 0, a);
    rig_key(&rig, 2, b);
    snprintf(words, sizeof(words), "MSET %s 1 %s 2", a, b);
    rig_run(&rig, words);
    assert_true(rig_request(&rig, 0, &m[0]));
    assert_true(rig_request(&rig, 2, &m[1]));
}

static void test_parts_that_fail(void **state)
{
    struct request m[2];

    (void)state;
    rig_know_views(&rig);
    mset_in_two(m);
    rig_ok(&rig, 0, m[0].id);
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOSPACE);
    rig_expect_prefix(&rig, "-UNCERTAIN it was done for some of the keys; for others: NOSPACE ");
    mset_in_two(m);
    rig_refuse(&rig, 0, m[0].id, REFUSAL_DAMAGED);
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOSPACE);
    rig_expect_prefix(&rig, "-ERR the stored record is damaged");
    mset_in_two(m);
    rig_refuse(&rig, 0, m[0].id, REFUSAL_FORGOTTEN);
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOSPACE);
    rig_expect_prefix(&rig, "-UNCERTAIN the node does not know");
    mset_in_two(m);
    rig_reply(
        &rig, 0,
        &(struct reply){.id = m[0].id, .kind = REPLY_ERROR, .data = bytes_from("ERR too large")});
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOSPACE);
    rig_expect(&rig, "-ERR too large\r\n");
    mset_in_two(m);
    rig_ok(&rig, 0, m[0].id);
    rig_after(&rig, RIG_TIMEOUT_MS);
    rig_expect_prefix(&rig, "-UNCERTAIN it was done for some of the keys; for others: UNCERTAIN ");
}

static void test_reading_parts_that_fail(void **state)
{
    struct request m;
    unsigned lane, calls = 0;
    uint32_t damaged = UINT32_MAX;

    (void)state;
    rig_know_views(&rig);
    rig_run(&rig, "EXISTS a b c d e f");
    while (rig_any_request(&rig, &m, &lane)) {
        if (calls++ == 0)
            damaged = m.partition;
        if (m.partition == damaged)
            rig_refuse(&rig, lane, m.id, REFUSAL_DAMAGED);
        else
            rig_integer(&rig, lane, m.id, 1);
    }
    assert_true(calls > 2);
    rig_expect_prefix(&rig, "-ERR the stored record is damaged");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_wait_ms),
        TEST(test_waits_for_nobody),
        TEST(test_final_refusals),
        TEST(test_error_of_the_node),
        TEST(test_retries),
        TEST(test_refused_ones_wait_together),
        TEST(test_new_ring_retries_at_once),
        TEST(test_refused_until_the_end),
        TEST(test_timeouts),
        TEST(test_timeouts_of_what_waits),
        TEST(test_lost_lane),
        TEST(test_lane_down),
        TEST(test_full_lane),
        TEST(test_too_many_commands),
        TEST(test_no_ring),
        TEST(test_misfits),
        TEST(test_answers_from_elsewhere),
        TEST(test_parts_that_fail),
        TEST(test_reading_parts_that_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
