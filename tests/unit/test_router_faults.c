/* What clients are told when nodes refuse, are slow, or go away; and that no retry breaks the
 * client's order. */
#include "proxy/answer.h"
#include "router_rig.h"
#include "shared/error.h"
#include "shared/operation.h"
#include <stdio.h>

static struct rig rig;

static int start(void **state)
{
    (void)state;
    rig_start(&rig);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    return 0;
}

static void reply_ok(unsigned lane, uint64_t id)
{
    rig_reply(&rig, lane, &(struct reply){.id = id, .kind = REPLY_OK});
}

/* Lets time pass. */
static uint64_t after(uint64_t ms)
{
    return router_tick(&rig.router, rig.router.now_ms + ms);
}

/* --- refusals ----------------------------------------------------------------------------------
 */

static void test_final_refusals(void **state)
{
    static const struct {
        enum refusal refusal;
        const char *prefix;
    } cases[] = {
        {REFUSAL_NOQUORUM, "-NOQUORUM "},   {REFUSAL_NOSPACE, "-NOSPACE "},
        {REFUSAL_MALFORMED, "-ERR "},       {REFUSAL_DAMAGED, "-ERR the stored record is damaged"},
        {REFUSAL_UNCERTAIN, "-UNCERTAIN "},
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
    assert_int_equal(counter_read(&rig.counters.refused_noquorum), 1);
    assert_int_equal(counter_read(&rig.counters.refused_nospace), 1);
    assert_int_equal(counter_read(&rig.counters.uncertain), 1);
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

/* A node that does not have the ring, or the view, yet: the ring is fetched, and the same request
 * goes again. */
static void check_retry(enum refusal refusal)
{
    struct request first, second;
    unsigned lane, again;

    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &first, &lane));
    rig_refuse(&rig, lane, first.id, refusal);
    rig_expect(&rig, "");
    assert_false(rig_any_request(&rig, &second, &again));
    assert_int_equal(after(ROUTER_RETRY_MS - 1), 1);
    assert_false(rig_any_request(&rig, &second, &again));
    after(1);
    assert_true(rig_any_request(&rig, &second, &again));
    assert_int_equal(again, lane);
    assert_int_equal(second.number, first.number);
    assert_int_equal(second.session, first.session);
    assert_true(second.id != first.id);
    /* An answer to the abandoned attempt is nobody's. */
    reply_ok(lane, first.id);
    rig_expect(&rig, "");
    reply_ok(lane, second.id);
    rig_expect(&rig, "+OK\r\n");
}

static void test_retries(void **state)
{
    (void)state;
    check_retry(REFUSAL_EPOCH);
    assert_true(rig.router.ring_wanted);
    rig.router.ring_wanted = false;
    check_retry(REFUSAL_ELSEWHERE);
    assert_true(rig.router.ring_wanted);
    rig.router.ring_wanted = false;
    check_retry(REFUSAL_BUSY);
    assert_false(rig.router.ring_wanted);
    assert_int_equal(counter_read(&rig.counters.retries), 3);
    assert_int_equal(counter_read(&rig.counters.late_replies), 3);
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
    reply_ok(lane, m.id);
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
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t begun = rig.router.now_ms;
        struct request m;
        unsigned lane;

        rig_run(&rig, "SET a 1");
        while (rig.router.now_ms < begun + RIG_TIMEOUT_MS) {
            rig_expect(&rig, "");
            if (rig_any_request(&rig, &m, &lane))
                rig_refuse(&rig, lane, m.id, cases[i].refusal);
            after(ROUTER_RETRY_MS);
        }
        rig_expect_prefix(&rig, cases[i].prefix);
        while (rig_any_request(&rig, &m, &lane))
            ;
    }
    assert_int_equal(after(0), UINT64_MAX);
}

/* --- time and connections --------------------------------------------------------------------- */

static void test_timeouts(void **state)
{
    struct request write, read;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &write, &lane));
    assert_true(rig_request(&rig, lane, &read));
    assert_int_equal(router_next_ms(&rig.router), RIG_TIMEOUT_MS);
    after(RIG_TIMEOUT_MS - 1);
    rig_expect(&rig, "");
    after(1);
    rig_expect(&rig, "-UNCERTAIN no answer within the request timeout; it is not known whether it "
                     "was done\r\n-NOQUORUM no answer within the request timeout; nothing was "
                     "changed, it is safe to retry\r\n");
    assert_int_equal(rig.lanes[lane].in_flight, 0);
    assert_int_equal(rig.lanes[lane].unanswered, 2);
    /* The late answer is not taken for that of the next request, which is in the same place. */
    rig_run(&rig, "GET a");
    rig_bulk(&rig, lane, read.id, "late");
    reply_ok(lane, write.id);
    rig_expect(&rig, "");
    assert_int_equal(rig.lanes[lane].unanswered, 0);
    assert_int_equal(counter_read(&rig.counters.late_replies), 2);
    assert_int_equal(counter_read(&rig.counters.timeouts), 2);
    assert_true(rig_request(&rig, lane, &read));
    rig_bulk(&rig, lane, read.id, "now");
    rig_expect(&rig, "$3\r\nnow\r\n");
}

static void test_lost_lane(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &m, &lane));
    assert_true(rig_request(&rig, lane, &m));
    router_lane_lost(&rig.router, &rig.lanes[lane]);
    rig_expect(&rig, "-UNCERTAIN the connection to the node was lost; it is not known whether it "
                     "was done\r\n");
    assert_null(rig.router.dirty);
    buf_consume(&rig.lane_out[lane], buf_len(&rig.lane_out[lane]));
    rig.lane_read[lane] = 0;
    router_lane_up(&rig.router, &rig.lanes[lane], &rig.lane_out[lane]);
    assert_true(rig_request(&rig, lane, &m));
    assert_int_equal(m.op, OP_GET);
    rig_bulk(&rig, lane, m.id, "1");
    rig_expect(&rig, "$1\r\n1\r\n");
}

static void test_lane_down(void **state)
{
    struct request m;
    char key[16], words[32];

    (void)state;
    rig_key(&rig, 1, key);
    snprintf(words, sizeof(words), "SET %s 1", key);
    router_lane_lost(&rig.router, &rig.lanes[1]);
    rig_run(&rig, words);
    rig_expect(&rig, ""); /* it may come back at once */
    router_lane_failed(&rig.router, &rig.lanes[1]);
    after(ROUTER_RETRY_MS);
    rig_expect_prefix(&rig, "-NOQUORUM the node that leads");
    rig_run(&rig, words);
    rig_expect_prefix(&rig, "-NOQUORUM the node that leads");
    router_lane_up(&rig.router, &rig.lanes[1], &rig.lane_out[1]);
    rig_run(&rig, words);
    assert_true(rig_request(&rig, 1, &m));
    reply_ok(1, m.id);
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
    after(ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m));
    after(RIG_TIMEOUT_MS);
    assert_true(counter_read(&rig.counters.refused_busy) > 50);
    buf_consume(&rig.out, buf_len(&rig.out));
    assert_null(rig.session.first);
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
    mset_in_two(m);
    reply_ok(0, m[0].id);
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOSPACE);
    rig_expect_prefix(&rig, "-UNCERTAIN it was done for some of the keys; for others: NOSPACE ");
    mset_in_two(m);
    rig_refuse(&rig, 0, m[0].id, REFUSAL_NOSPACE);
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOQUORUM);
    rig_expect_prefix(&rig, "-NOSPACE ");
    mset_in_two(m);
    rig_refuse(&rig, 0, m[0].id, REFUSAL_UNCERTAIN);
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOSPACE);
    rig_expect_prefix(&rig, "-UNCERTAIN ");
    mset_in_two(m);
    rig_reply(
        &rig, 0,
        &(struct reply){.id = m[0].id, .kind = REPLY_ERROR, .data = bytes_from("ERR too large")});
    rig_refuse(&rig, 2, m[1].id, REFUSAL_NOSPACE);
    rig_expect(&rig, "-ERR too large\r\n");
    mset_in_two(m);
    reply_ok(0, m[0].id);
    after(RIG_TIMEOUT_MS);
    rig_expect_prefix(&rig, "-UNCERTAIN it was done for some of the keys; for others: UNCERTAIN ");
}

static void test_reading_parts_that_fail(void **state)
{
    struct request m;
    unsigned lane, calls = 0;

    (void)state;
    rig_run(&rig, "EXISTS a b c d e f");
    while (rig_any_request(&rig, &m, &lane)) {
        if (calls++ == 0)
            rig_refuse(&rig, lane, m.id, REFUSAL_NOQUORUM);
        else
            rig_integer(&rig, lane, m.id, 1);
    }
    assert_true(calls > 1);
    rig_expect_prefix(&rig, "-NOQUORUM ");
}

/* --- retries and the client's order ------------------------------------------------------------
 */

/* The second command was done before the first could be: too late for the first. */
static void test_overtaken(void **state)
{
    struct request first, second;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "SET a 2");
    assert_true(rig_any_request(&rig, &first, &lane));
    assert_true(rig_request(&rig, lane, &second));
    rig_refuse(&rig, lane, first.id, REFUSAL_BUSY);
    after(ROUTER_RETRY_MS);
    assert_false(rig_request(&rig, lane, &first)); /* not while the second is under way */
    reply_ok(lane, second.id);
    rig_expect_prefix(&rig, "-BUSY the node has too much in flight; nothing was done\r\n+OK\r\n");
    after(ROUTER_RETRY_MS);
    assert_false(rig_request(&rig, lane, &first));
}

static void test_refused_together(void **state)
{
    struct request m[3];
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "SET a 2");
    assert_true(rig_any_request(&rig, &m[0], &lane));
    assert_true(rig_request(&rig, lane, &m[1]));
    rig_refuse(&rig, lane, m[0].id, REFUSAL_ELSEWHERE);
    rig_run(&rig, "GET a"); /* behind those that wait */
    assert_false(rig_request(&rig, lane, &m[2]));
    after(ROUTER_RETRY_MS);
    assert_false(rig_request(&rig, lane, &m[2]));
    rig_refuse(&rig, lane, m[1].id, REFUSAL_ELSEWHERE);
    after(ROUTER_RETRY_MS);
    for (int i = 0; i < 3; i++)
        assert_true(rig_request(&rig, lane, &m[i]));
    assert_true(m[0].number < m[1].number);
    assert_int_equal(m[2].op, OP_GET);
    reply_ok(lane, m[0].id);
    reply_ok(lane, m[1].id);
    rig_bulk(&rig, lane, m[2].id, "2");
    rig_expect(&rig, "+OK\r\n+OK\r\n$1\r\n2\r\n");
    assert_int_equal(rig.session.waiting, 0);
    assert_int_equal(rig.session.sent, 0);
}

/* Refused once more in the middle: what came behind it stays behind it. */
static void test_refused_again(void **state)
{
    struct request m[2];
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m[0], &lane));
    rig_refuse(&rig, lane, m[0].id, REFUSAL_BUSY);
    rig_run(&rig, "SET a 2");
    after(ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m[0]));
    assert_true(rig_request(&rig, lane, &m[1]));
    rig_refuse(&rig, lane, m[0].id, REFUSAL_BUSY);
    rig_refuse(&rig, lane, m[1].id, REFUSAL_BUSY);
    after(ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m[0]));
    assert_true(rig_request(&rig, lane, &m[1]));
    assert_true(m[0].number < m[1].number);
    reply_ok(lane, m[0].id);
    reply_ok(lane, m[1].id);
    rig_expect(&rig, "+OK\r\n+OK\r\n");
}

/* The write in doubt may have been done: a read before it, sent again now, could see it. */
static void test_doubt_overtakes(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "GET a");
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    router_lane_lost(&rig.router, &rig.lanes[lane]);
    rig_expect_prefix(&rig, "-NOQUORUM no answer");
    assert_null(rig.session.first);
}

/* Other partitions, and other clients, are not held up. */
static void test_independent(void **state)
{
    struct session other;
    struct buf other_out = {0};
    struct bytes args[] = {bytes_from("GET"), bytes_from("a")};
    struct request m;
    char key[16], words[32];
    unsigned lane;

    (void)state;
    session_init(&other, 6, &other_out);
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_key(&rig, (lane + 1) % RIG_LANES, key);
    snprintf(words, sizeof(words), "GET %s", key);
    rig_run(&rig, words);
    rig_refuse(&rig, lane, m.id, REFUSAL_BUSY);
    router_execute(&rig.router, &other, args, 2);
    assert_true(rig_request(&rig, lane, &m));
    rig_bulk(&rig, lane, m.id, "x");
    assert_int_equal(buf_len(&other_out), 7);
    assert_true(rig_request(&rig, (lane + 1) % RIG_LANES, &m));
    rig_bulk(&rig, (lane + 1) % RIG_LANES, m.id, "y");
    after(ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m));
    reply_ok(lane, m.id);
    rig_expect(&rig, "+OK\r\n$1\r\ny\r\n");
    router_leave(&rig.router, &other);
    session_destroy(&other);
    buf_free(&other_out);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_final_refusals),
        TEST(test_error_of_the_node),
        TEST(test_retries),
        TEST(test_new_ring_retries_at_once),
        TEST(test_refused_until_the_end),
        TEST(test_timeouts),
        TEST(test_lost_lane),
        TEST(test_lane_down),
        TEST(test_full_lane),
        TEST(test_no_ring),
        TEST(test_misfits),
        TEST(test_answers_from_elsewhere),
        TEST(test_parts_that_fail),
        TEST(test_reading_parts_that_fail),
        TEST(test_overtaken),
        TEST(test_refused_together),
        TEST(test_refused_again),
        TEST(test_doubt_overtakes),
        TEST(test_independent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
