/* A client that sends commands without waiting finds them done in its order, whatever is refused,
 * lost or late; or is told that one was not done. */
#include "router_rig.h"
#include "shared/operation.h"
#include <stdio.h>

static struct rig rig;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, 1);
    rig_know_views(&rig);
    return 0;
}

static int start_three(void **state)
{
    (void)state;
    rig_start(&rig, 3);
    rig_know_views(&rig);
    return 0;
}

static int start_cold(void **state)
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
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_false(rig_request(&rig, lane, &first)); /* not while the second is under way */
    rig_ok(&rig, lane, second.id);
    rig_expect_prefix(&rig, "-BUSY the node has too much in flight; nothing was done\r\n+OK\r\n");
    rig_after(&rig, ROUTER_RETRY_MS);
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
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_false(rig_request(&rig, lane, &m[2]));
    rig_refuse(&rig, lane, m[1].id, REFUSAL_ELSEWHERE);
    rig_after(&rig, ROUTER_RETRY_MS);
    for (int i = 0; i < 3; i++)
        assert_true(rig_request(&rig, lane, &m[i]));
    assert_true(m[0].number < m[1].number);
    assert_int_equal(m[2].op, OP_GET);
    rig_ok(&rig, lane, m[0].id);
    rig_ok(&rig, lane, m[1].id);
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
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m[0]));
    assert_true(rig_request(&rig, lane, &m[1]));
    rig_refuse(&rig, lane, m[0].id, REFUSAL_BUSY);
    rig_refuse(&rig, lane, m[1].id, REFUSAL_BUSY);
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m[0]));
    assert_true(rig_request(&rig, lane, &m[1]));
    assert_true(m[0].number < m[1].number);
    rig_ok(&rig, lane, m[0].id);
    rig_ok(&rig, lane, m[1].id);
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
    assert_true(rig_request(&rig, lane, &m));
    rig_lane_lost(&rig, lane);
    rig_expect_prefix(&rig, "-NOQUORUM no answer");
    rig_lane_up(&rig, lane);
    assert_true(rig_request(&rig, lane, &m));
    assert_int_equal(m.op, OP_SET);
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "+OK\r\n");
}

/* Other partitions, and other clients, are not held up. */
static void test_independent(void **state)
{
    struct session other;
    struct buf other_out = {0};
    struct bytes args[] = {bytes_from("GET"), bytes_from("a")};
    struct request m;
    char key[16];
    unsigned lane, other_lane;

    (void)state;
    session_init(&other, 6, &other_out);
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    other_lane = (lane + 1) % 4;
    rig_key(&rig, other_lane, key);
    rig_run_key(&rig, "GET %s", key);
    rig_refuse(&rig, lane, m.id, REFUSAL_BUSY);
    router_execute(&rig.router, &other, args, 2);
    assert_true(rig_request(&rig, lane, &m));
    rig_bulk(&rig, lane, m.id, "x");
    assert_int_equal(buf_len(&other_out), 7);
    assert_true(rig_request(&rig, other_lane, &m));
    rig_bulk(&rig, other_lane, m.id, "y");
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m));
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "+OK\r\n$1\r\ny\r\n");
    router_leave(&rig.router, &other);
    session_destroy(&other);
    buf_free(&other_out);
}

/* --- with replicas ---------------------------------------------------------------------------- */

/* The next request on a key's primary must be this. */
static struct request at_primary(unsigned lane, uint8_t op)
{
    struct request m;

    assert_true(rig_raw(&rig, lane, &m));
    assert_int_equal(m.op, op);
    assert_int_equal(m.level, LEVEL_LINEAR);
    return m;
}

/* Two writes of a, both under way; the first is in doubt. */
static void begin_in_doubt(unsigned lane, struct request *second)
{
    struct request first;

    rig_run(&rig, "SET a 1");
    rig_run(&rig, "SET a 2");
    first = at_primary(lane, OP_SET);
    *second = at_primary(lane, OP_SET);
    rig_refuse(&rig, lane, first.id, REFUSAL_UNCERTAIN);
}

static void test_get_set_get(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0);
    struct request set, get;
    struct rig_read read;

    (void)state;
    rig_run(&rig, "GET a");
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    rig_read(&rig, &read);
    rig_nothing_sent(&rig); /* the read could see the write */
    rig_after(&rig, ROUTER_RETRY_MS);
    rig_nothing_sent(&rig);
    rig_agree(&rig, &read, "0");
    rig_expect(&rig, "$1\r\n0\r\n");
    set = at_primary(lane, OP_SET);
    get = at_primary(lane, OP_GET); /* a majority might not have the write yet */
    assert_true(get.view == set.view);
    rig_nothing_sent(&rig);
    rig_bulk(&rig, lane, get.id, "1");
    rig_expect(&rig, "");
    rig_ok(&rig, lane, set.id);
    rig_expect(&rig, "+OK\r\n$1\r\n1\r\n");
    /* Nothing of it lasts. */
    rig_run(&rig, "GET a");
    rig_read(&rig, &read);
    rig_agree(&rig, &read, "1");
    rig_expect(&rig, "$1\r\n1\r\n");
}

/* The first read needs the primary: what is behind it goes there behind it. */
static void test_get_set_get_that_differ(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1),
                     other = rig_proof(rig_view(0, 3), 5, 1);
    unsigned lane = rig_replica(&rig, "a", 0);
    struct request first, set, second;
    struct rig_read read;

    (void)state;
    rig_run(&rig, "GET a");
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    rig_read(&rig, &read);
    rig_version(&rig, &read, &other);
    rig_value(&rig, &read, "0", &proof);
    first = at_primary(lane, OP_GET);
    set = at_primary(lane, OP_SET);
    second = at_primary(lane, OP_GET);
    rig_nothing_sent(&rig);
    rig_bulk(&rig, lane, first.id, "0");
    rig_ok(&rig, lane, set.id);
    rig_bulk(&rig, lane, second.id, "1");
    rig_expect(&rig, "$1\r\n0\r\n+OK\r\n$1\r\n1\r\n");
}

/* All are refused by a node that leads no more: they go to the next one in their order. */
static void test_refused_to_another(void **state)
{
    static const uint8_t ops[] = {OP_SET, OP_GET, OP_SET, OP_GET};
    unsigned lane = rig_replica(&rig, "a", 0), next = rig_replica(&rig, "a", 1);
    struct request m[4];
    uint64_t last = 0;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    rig_run(&rig, "SET a 2");
    rig_run(&rig, "GET a");
    for (int i = 0; i < 4; i++)
        m[i] = at_primary(lane, ops[i]);
    rig_nothing_sent(&rig);
    for (int i = 0; i < 4; i++) {
        rig_nothing_sent(&rig); /* not while later ones are in flight */
        rig_refuse_view(&rig, lane, m[i].id, REFUSAL_ELSEWHERE, rig_view(next, 4), 0);
    }
    for (int i = 0; i < 4; i++) {
        m[i] = at_primary(next, ops[i]);
        assert_true(m[i].view == rig_view(next, 4));
        assert_true(!m[i].session || m[i].number > last);
        last = m[i].session ? m[i].number : last;
    }
    rig_nothing_sent(&rig);
    rig_ok(&rig, next, m[0].id);
    rig_bulk(&rig, next, m[1].id, "1");
    rig_ok(&rig, next, m[2].id);
    rig_bulk(&rig, next, m[3].id, "2");
    rig_expect(&rig, "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n");
}

/* The view was learned by another client's write: the second write waits until the first, which
 * named the view before, is answered; that one refused, both go in their order. */
static void test_view_learned_in_between(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0), next = rig_replica(&rig, "a", 1);
    struct bytes args[] = {bytes_from("SET"), bytes_from("a"), bytes_from("other")};
    struct request first, second, third;
    struct session other;
    struct buf other_out = {0};

    (void)state;
    session_init(&other, 6, &other_out);
    rig_run(&rig, "SET a 1");
    router_execute(&rig.router, &other, args, 3);
    first = at_primary(lane, OP_SET);
    third = at_primary(lane, OP_SET);
    rig_refuse_view(&rig, lane, third.id, REFUSAL_ELSEWHERE, rig_view(next, 4), 0);
    third = at_primary(next, OP_SET);
    rig_ok(&rig, next, third.id);
    rig_run(&rig, "SET a 2");
    for (int i = 0; i < 3; i++) {
        rig_nothing_sent(&rig);
        rig_after(&rig, ROUTER_RETRY_MS);
    }
    rig_refuse_view(&rig, lane, first.id, REFUSAL_ELSEWHERE, rig_view(next, 4), 0);
    rig_after(&rig, 0);
    first = at_primary(next, OP_SET);
    second = at_primary(next, OP_SET);
    assert_true(first.number < second.number);
    rig_ok(&rig, next, first.id);
    rig_ok(&rig, next, second.id);
    rig_expect(&rig, "+OK\r\n+OK\r\n");
    rig_nothing_sent(&rig);
    router_leave(&rig.router, &other);
    session_destroy(&other);
    buf_free(&other_out);
}

/* Nobody knows what the silent node has done: the writes are asked for again in their order, and
 * the read between them, which could see the second, is not. */
static void test_silent_primary(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0);
    struct request first, second, again, m;
    unsigned other;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    rig_run(&rig, "SET a 2");
    first = at_primary(lane, OP_SET);
    at_primary(lane, OP_GET);
    second = at_primary(lane, OP_SET);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS);
    assert_true(rig_any_request(&rig, &again, &other));
    assert_int_not_equal(other, lane);
    assert_int_equal(again.number, first.number);
    assert_int_equal(again.flags, REQUEST_RETRY | REQUEST_LEAD);
    assert_true(rig_raw(&rig, other, &m));
    assert_int_equal(m.number, second.number);
    assert_int_equal(m.flags, REQUEST_RETRY | REQUEST_LEAD);
    rig_nothing_sent(&rig);
    rig_ok(&rig, other, again.id);
    rig_ok(&rig, other, m.id);
    rig_expect(&rig, "+OK\r\n-NOQUORUM no answer within the request timeout; nothing was "
                     "changed, it is safe to retry\r\n+OK\r\n");
}

/* A write that was refused is not done after one behind it that may have been done. */
static void test_refused_before_doubt(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0), other;
    struct request first, second, again;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "SET a 2");
    first = at_primary(lane, OP_SET);
    second = at_primary(lane, OP_SET);
    rig_refuse(&rig, lane, first.id, REFUSAL_BUSY);
    rig_lane_lost(&rig, lane);
    rig_expect_prefix(&rig, "-BUSY the node");
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_true(rig_any_request(&rig, &again, &other));
    assert_int_equal(again.number, second.number);
    rig_ok(&rig, other, again.id);
    rig_expect(&rig, "+OK\r\n");
    rig_nothing_sent(&rig);
}

/* Nor is one that is in doubt itself, for an earlier attempt: the one that was refused was behind
 * that, and the second write perhaps done in its place. */
static void test_refused_in_doubt_before_doubt(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0);
    struct request first, second;

    (void)state;
    begin_in_doubt(lane, &second);
    rig_refuse(&rig, lane, second.id, REFUSAL_UNCERTAIN);
    rig_after(&rig, ROUTER_RETRY_MS);
    first = at_primary(lane, OP_SET);
    second = at_primary(lane, OP_SET);
    assert_true(first.flags & second.flags & REQUEST_RETRY);
    rig_refuse(&rig, lane, first.id, REFUSAL_BUSY);
    rig_refuse(&rig, lane, second.id, REFUSAL_UNCERTAIN);
    rig_expect_prefix(&rig, "-UNCERTAIN ");
    rig_after(&rig, ROUTER_RETRY_MS);
    first = at_primary(lane, OP_SET);
    assert_int_equal(first.number, second.number);
    rig_ok(&rig, lane, first.id);
    rig_expect(&rig, "+OK\r\n");
    rig_nothing_sent(&rig);
}

/* The refused read waits behind a write that was not refused; then that one may have been done, and
 * the read could see it. */
static void test_read_before_uncertain_write(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0);
    struct request before, read, write, again;

    (void)state;
    rig_run(&rig, "SET a 0");
    rig_run(&rig, "GET a");
    rig_run(&rig, "SET a 1");
    before = at_primary(lane, OP_SET);
    read = at_primary(lane, OP_GET);
    write = at_primary(lane, OP_SET);
    rig_ok(&rig, lane, before.id);
    rig_refuse(&rig, lane, read.id, REFUSAL_BUSY);
    rig_expect(&rig, "+OK\r\n");
    rig_refuse(&rig, lane, write.id, REFUSAL_UNCERTAIN);
    rig_expect_prefix(&rig, "-BUSY the node");
    again = at_primary(lane, OP_SET);
    assert_int_equal(again.flags, REQUEST_RETRY);
    rig_ok(&rig, lane, again.id);
    rig_expect(&rig, "+OK\r\n");
    rig_nothing_sent(&rig);
}

/* Straight to the primary, or by another replica: what one client asks goes one way at a time. */
static void test_ways_do_not_part(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0), other = rig_replica(&rig, "a", 1);
    struct request first, second, third;

    (void)state;
    rig_run(&rig, "SET a 1");
    first = at_primary(lane, OP_SET);
    rig_refuse(&rig, lane, first.id, REFUSAL_NOQUORUM);
    rig_after(&rig, ROUTER_RETRY_MS);
    first = at_primary(other, OP_SET);
    assert_int_equal(first.flags, REQUEST_LEAD);
    rig_run(&rig, "SET a 2");
    rig_run(&rig, "SET a 3");
    rig_nothing_sent(&rig);
    rig_ok(&rig, other, first.id);
    rig_expect(&rig, "+OK\r\n");
    rig_after(&rig, 0);
    second = at_primary(lane, OP_SET);
    third = at_primary(lane, OP_SET);
    assert_true(second.number < third.number);
    assert_int_equal(second.flags, 0);
    rig_ok(&rig, lane, second.id);
    rig_ok(&rig, lane, third.id);
    rig_expect(&rig, "+OK\r\n+OK\r\n");
    rig_nothing_sent(&rig);
}

/* Nor by two replicas. */
static void test_one_relay_at_a_time(void **state)
{
    struct request first, second;
    unsigned relay, other;
    char a[16], b[16];

    (void)state;
    rig_key(&rig, 0, a);
    rig_key(&rig, 1, b);
    rig_lane_lost(&rig, 0);
    rig_lane_lost(&rig, 1);
    rig_run_key(&rig, "SET %s 1", a);
    rig_run_key(&rig, "SET %s 1", b);
    assert_true(rig_any_request(&rig, &first, &relay));
    assert_int_equal(first.flags, REQUEST_LEAD);
    rig_after(&rig, ROUTER_RETRY_MS);
    rig_nothing_sent(&rig);
    rig_ok(&rig, relay, first.id);
    rig_after(&rig, 0);
    assert_true(rig_any_request(&rig, &second, &other));
    assert_int_equal(second.flags, REQUEST_LEAD);
    assert_int_not_equal(other, relay);
    rig_ok(&rig, other, second.id);
    rig_expect(&rig, "+OK\r\n+OK\r\n");
}

/* The write in doubt was not asked for again before the one behind it was done: too late. */
static void test_doubt_is_passed(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0);
    struct request first, second;

    (void)state;
    begin_in_doubt(lane, &second);
    rig_nothing_sent(&rig); /* not while the second is under way */
    rig_ok(&rig, lane, second.id);
    rig_expect(&rig, "-UNCERTAIN the node does not know whether it was done\r\n+OK\r\n");
    rig_after(&rig, ROUTER_RETRY_MS);
    rig_nothing_sent(&rig);
    /* Nobody waits any more. */
    rig_run(&rig, "SET a 3");
    first = at_primary(lane, OP_SET);
    rig_ok(&rig, lane, first.id);
    rig_expect(&rig, "+OK\r\n");
}

/* Its own partition's view is a new one; what is in flight to another does not hold it up. */
static void test_new_view_of_one_of_two(void **state)
{
    unsigned lane, next;
    struct request a, b;
    char other[16];

    (void)state;
    lane = rig_replica(&rig, "a", 0);
    next = rig_replica(&rig, "a", 1);
    rig_key(&rig, (lane + RIG_SHARDS) % (3 * RIG_SHARDS), other);
    rig_run_key(&rig, "SET %s 1", other);
    rig_run(&rig, "SET a 1");
    a = at_primary(lane, OP_SET);
    rig_refuse_view(&rig, lane, a.id, REFUSAL_ELSEWHERE, rig_view(next, 4), 0);
    assert_true(rig_any_request(&rig, &b, &lane));
    a = at_primary(next, OP_SET);
    rig_ok(&rig, next, a.id);
    rig_ok(&rig, lane, b.id);
    rig_expect(&rig, "+OK\r\n+OK\r\n");
}

/* It waited for the read from a majority only, not for the one from another primary. */
static void test_write_behind_two_reads(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0), other;
    struct request slow, m;
    struct rig_read read;
    char key[16];

    (void)state;
    rig_key(&rig, (lane + RIG_SHARDS) % (3 * RIG_SHARDS), key);
    rig_run(&rig, "GET a");
    rig_read(&rig, &read);
    rig_run_key(&rig, "LEVELGET %s 0", key);
    assert_true(rig_any_request(&rig, &slow, &other));
    rig_run(&rig, "SET a 1");
    rig_nothing_sent(&rig);
    rig_agree(&rig, &read, "1");
    rig_after(&rig, 0);
    m = at_primary(lane, OP_SET);
    rig_ok(&rig, lane, m.id);
    rig_bulk(&rig, other, slow.id, "2");
    rig_expect(&rig, "$1\r\n1\r\n$1\r\n2\r\n+OK\r\n");
}

/* A read of any replica may be old, but does not tell of what its client asked for later. */
static void test_write_behind_any_read(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0), any;
    struct request read, set;

    (void)state;
    rig_run(&rig, "LEVELGET a 1");
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &read, &any));
    assert_int_equal(read.level, LEVEL_ANY);
    rig_nothing_sent(&rig);
    rig_bulk(&rig, any, read.id, "0");
    rig_after(&rig, 0);
    set = at_primary(lane, OP_SET);
    rig_ok(&rig, lane, set.id);
    rig_expect(&rig, "$1\r\n0\r\n+OK\r\n");
}

/* What waits goes on without its client. */
static void test_client_leaves_what_waits(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_refuse(&rig, lane, m.id, REFUSAL_BUSY);
    rig_leave(&rig);
    rig_after(&rig, ROUTER_RETRY_MS);
    assert_true(rig_request(&rig, lane, &m));
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "");
}

/* --- with one replica ------------------------------------------------------------------------- */

/* One node does what comes in the order in which it comes. */
static void test_one_replica(void **state)
{
    unsigned lane = rig_replica(&rig, "a", 0);
    struct request m[3];

    (void)state;
    rig_run(&rig, "GET a");
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    for (int i = 0; i < 3; i++)
        assert_true(rig_raw(&rig, lane, &m[i]));
    assert_int_equal(m[0].op, OP_GET);
    assert_int_equal(m[1].op, OP_SET);
    assert_int_equal(m[2].op, OP_GET);
    assert_int_equal(rig.session.waiting, 0);
    rig_reply(&rig, lane, &(struct reply){.id = m[0].id, .kind = REPLY_NIL});
    rig_ok(&rig, lane, m[1].id);
    rig_bulk(&rig, lane, m[2].id, "1");
    rig_expect(&rig, "$-1\r\n+OK\r\n$1\r\n1\r\n");
}

/* The view is not known yet: the read behind the write is refused as the write is. */
static void test_one_replica_without_a_view(void **state)
{
    struct request m[2];
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &m[0], &lane));
    assert_true(rig_request(&rig, lane, &m[1]));
    assert_int_equal(m[0].op, OP_SET);
    assert_int_equal(m[1].op, OP_GET);
    rig_ok(&rig, lane, m[0].id);
    rig_bulk(&rig, lane, m[1].id, "1");
    rig_expect(&rig, "+OK\r\n$1\r\n1\r\n");
}

int main(void)
{
#define TEST(name)       cmocka_unit_test_setup_teardown(name, start, finish)
#define TEST_THREE(name) cmocka_unit_test_setup_teardown(name, start_three, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_overtaken),
        TEST(test_refused_together),
        TEST(test_refused_again),
        TEST(test_doubt_overtakes),
        TEST(test_independent),
        TEST_THREE(test_get_set_get),
        TEST_THREE(test_get_set_get_that_differ),
        TEST_THREE(test_refused_to_another),
        TEST_THREE(test_view_learned_in_between),
        TEST_THREE(test_silent_primary),
        TEST_THREE(test_refused_before_doubt),
        TEST_THREE(test_refused_in_doubt_before_doubt),
        TEST_THREE(test_read_before_uncertain_write),
        TEST_THREE(test_ways_do_not_part),
        TEST_THREE(test_one_relay_at_a_time),
        TEST_THREE(test_doubt_is_passed),
        TEST_THREE(test_new_view_of_one_of_two),
        TEST_THREE(test_write_behind_two_reads),
        TEST_THREE(test_write_behind_any_read),
        TEST(test_client_leaves_what_waits),
        TEST(test_one_replica),
        cmocka_unit_test_setup_teardown(test_one_replica_without_a_view, start_cold, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
