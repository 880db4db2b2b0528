/* Requests that find no room at their primary: they wait in line, and each gets its turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/frame.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { HISTORY_STEPS = 1024, SETS = 100, WAIT_MS = 1000, TICK_MS = 25, LARGE = 1 << 20 };

static struct shard_rig rig;
static uint8_t large[LARGE];

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, 3, HISTORY_STEPS);
    rig.wait_ms = WAIT_MS;
    rig_forget_replies(&rig, 0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

static void pass_ms(int ms)
{
    for (; ms > 0; ms -= TICK_MS) {
        rig_tick(&rig);
        rig_deliver(&rig);
    }
}

/* The next of the frames that a node has sent its client: a REPLY's kind, or 0 for WAITS; -1: there
 * is none. */
static int next_answer(struct bytes *rest, struct reply *reply)
{
    struct frame f;
    int64_t size = frame_read(*rest, FRAME_BODY_MAX, &f);

    if (size <= 0)
        return -1;
    *rest = bytes_of(rest->data + size, rest->size - (size_t)size);
    *reply = (struct reply){0};
    if (f.type == MESSAGE_WAITS)
        assert_int_equal(message_get_tag(f.body, &reply->id), 0);
    else
        assert_int_equal(message_get_reply(f.body, reply), 0);
    return reply->kind;
}

/* Counts the answers of a kind; replies come in the order in which the requests were sent. */
static int count_in_order(int node, uint8_t kind, uint8_t refusal)
{
    struct bytes rest = buf_bytes(&rig.nodes[node].replies);
    struct reply reply;
    uint64_t last = 0;
    int count = 0, found;

    while ((found = next_answer(&rest, &reply)) >= 0) {
        if (found == 0)
            continue;
        assert_true(reply.id > last);
        last = reply.id;
        count += reply.kind == kind && reply.refusal == refusal;
    }
    return count;
}

/* While there is no room nothing is refused and nothing done; then all is, in order. */
static void test_turns(void **state)
{
    (void)state;
    rig_set_full(&rig, 0, true);
    for (int i = 0; i < SETS; i++)
        rig_send_set(&rig, 0, i % 7, bytes_of(large, (uint32_t)i));
    assert_int_equal(rig_shard(&rig, 0)->line.count, SETS);
    pass_ms(WAIT_MS / 2);
    assert_int_equal(count_in_order(0, REPLY_OK, 0), 0);
    rig_set_full(&rig, 0, false);
    pass_ms(TICK_MS);
    assert_int_equal(count_in_order(0, REPLY_OK, 0), SETS);
    assert_int_equal(rig_shard(&rig, 0)->line.count, 0);
    assert_int_equal(rig_shard(&rig, 0)->line.bytes, 0);
    assert_int_equal(rig_shard(&rig, 0)->groups[0].in_line, 0);
    assert_int_equal(rig_shard(&rig, 0)->counters.requests_waited, SETS);
    assert_int_equal(rig_shard(&rig, 0)->counters.refused_busy, 0);
    rig_check_equal(&rig);
}

/* Who comes when there is room again, but others have not had their turn, does not overtake them.
 */
static void test_no_overtaking(void **state)
{
    struct reply reply;

    (void)state;
    rig_set_full(&rig, 0, true);
    rig_send_set(&rig, 0, 1, bytes_from("first"));
    rig_set_full(&rig, 0, false);
    rig_send_set(&rig, 0, 1, bytes_from("second"));
    rig_send(&rig, 0, OP_GET, LEVEL_LINEAR, 1, bytes_from(""), 0);
    assert_int_equal(rig_shard(&rig, 0)->line.count, 3);
    rig_deliver(&rig);
    assert_int_equal(count_in_order(0, REPLY_OK, 0), 2);
    assert_int_equal(count_in_order(0, REPLY_BULK, 0), 1);
    reply = rig_request(&rig, 0, OP_GET, LEVEL_LINEAR, 1, bytes_from(""));
    assert_true(bytes_equal(reply.data, bytes_from("second")));
}

/* Reads of what nobody waits to write need no turn; those of any replica never do. */
static void test_reads(void **state)
{
    (void)state;
    rig_set_full(&rig, 0, true);
    assert_int_equal(rig_request(&rig, 0, OP_GET, LEVEL_LINEAR, 1, bytes_from("")).kind, REPLY_NIL);
    rig_send_set(&rig, 0, 1, bytes_from("value"));
    assert_int_equal(rig_request(&rig, 0, OP_GET, LEVEL_ANY, 1, bytes_from("")).kind, REPLY_NIL);
    assert_int_equal(rig_shard(&rig, 0)->line.count, 1);
    rig_set_full(&rig, 0, false);
    rig_deliver(&rig);
    assert_int_equal(rig_request(&rig, 0, OP_GET, LEVEL_LINEAR, 1, bytes_from("")).kind,
                     REPLY_BULK);
}

/* When a request's time is over it is refused, and was not done. One that may not wait is at once.
 */
static void test_waited_too_long(void **state)
{
    (void)state;
    rig_set_full(&rig, 0, true);
    for (int i = 0; i < SETS; i++)
        rig_send_set(&rig, 0, i, bytes_from("value"));
    pass_ms(WAIT_MS - TICK_MS);
    assert_int_equal(count_in_order(0, REPLY_REFUSED, REFUSAL_BUSY), 0);
    pass_ms(2 * TICK_MS);
    assert_int_equal(count_in_order(0, REPLY_REFUSED, REFUSAL_BUSY), SETS);
    assert_int_equal(rig_shard(&rig, 0)->counters.waited_too_long, SETS);
    assert_int_equal(rig_shard(&rig, 0)->line.count, 0);
    rig_forget_replies(&rig, 0);
    rig.wait_ms = 0;
    rig_send_set(&rig, 0, 1, bytes_from("value"));
    assert_int_equal(count_in_order(0, REPLY_REFUSED, REFUSAL_BUSY), 1);
    rig_set_full(&rig, 0, false);
    rig_settle(&rig);
    for (int i = 0; i < SETS; i++)
        assert_int_equal(rig_request(&rig, 0, OP_GET, LEVEL_LINEAR, i, bytes_from("")).kind,
                         REPLY_NIL);
}

/* The line is bounded: what does not fit is refused at once. */
static void test_line_full(void **state)
{
    int fit = LINE_BYTES_MAX / LARGE - 1;

    (void)state;
    rig_set_full(&rig, 0, true);
    for (int i = 0; i < fit + 3; i++)
        rig_send_set(&rig, 0, i, bytes_of(large, LARGE));
    assert_int_equal(rig_shard(&rig, 0)->line.count, fit);
    assert_int_equal(rig_shard(&rig, 0)->counters.line_full, 3);
    assert_int_equal(count_in_order(0, REPLY_REFUSED, REFUSAL_BUSY), 3);
    assert_true(rig_shard(&rig, 0)->line.bytes <= LINE_BYTES_MAX);
    rig_set_full(&rig, 0, false);
    pass_ms(20 * TICK_MS);
    assert_int_equal(rig_count_ok(&rig, 0), fit);
}

/* The clients are told all the while that they are not forgotten, also through who relays. */
static void test_told(void **state)
{
    struct bytes rest;
    struct reply reply;
    int told = 0, found;

    (void)state;
    rig_set_full(&rig, 0, true);
    /* The rig addresses a request to the view that the node asked has led. */
    rig_shard(&rig, 1)->groups[0].view = rig_shard(&rig, 0)->groups[0].view;
    rig_send(&rig, 1, OP_SET, LEVEL_LINEAR, 1, bytes_from("value"), REQUEST_LEAD);
    pass_ms(WAIT_MS / 2);
    rig_set_full(&rig, 0, false);
    pass_ms(TICK_MS);
    rest = buf_bytes(&rig.nodes[1].replies);
    while ((found = next_answer(&rest, &reply)) == 0) {
        told++;
        assert_int_equal(reply.id, rig.requests);
    }
    assert_int_equal(found, REPLY_OK);
    assert_true(told >= 3);
    assert_int_equal(next_answer(&rest, &reply), -1);
}

/* Passed on to a leader that is dead by then: whoever asked is told with the end of the link. */
static void test_leader_dies(void **state)
{
    static const struct {
        uint8_t op, refusal;
    } cases[] = {{OP_SET, REFUSAL_UNCERTAIN}, {OP_GET, REFUSAL_ELSEWHERE}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bytes rest;
        struct reply reply;

        rig_shard(&rig, 1)->groups[0].view = rig_shard(&rig, 0)->groups[0].view;
        rig_forget_replies(&rig, 1);
        rig_send(&rig, 1, cases[i].op, LEVEL_LINEAR, 1, bytes_from("value"), REQUEST_LEAD);
        assert_int_equal(buf_len(&rig.nodes[1].replies), 0);
        rig_kill(&rig, 0);
        rest = buf_bytes(&rig.nodes[1].replies);
        assert_int_equal(next_answer(&rest, &reply), REPLY_REFUSED);
        assert_int_equal(reply.refusal, cases[i].refusal);
        assert_int_equal(reply.id, rig.requests);
        assert_int_equal(next_answer(&rest, &reply), -1);
        rig_start(&rig, 0);
        rig_settle(&rig);
    }
}

/* A request that was carried out waits for replicas: told as long as those acknowledge anything. */
static void test_told_of_slow_replicas(void **state)
{
    struct bytes rest;
    struct reply reply;
    int told = 0;

    (void)state;
    rig_set(&rig, 1, bytes_from("value"));
    rig_forget_replies(&rig, 0);
    rig_set_full(&rig, 1, true);
    rig_set_full(&rig, 2, true);
    rig_send_set(&rig, 0, 1, bytes_from("value"));
    pass_ms(100 * TICK_MS);
    rest = buf_bytes(&rig.nodes[0].replies);
    while (next_answer(&rest, &reply) == 0)
        told++;
    /* After a while without any acknowledgement no more. */
    assert_true(told >= 1 && told <= 3);
    rig_set_full(&rig, 1, false);
    pass_ms(TICK_MS);
    assert_int_equal(rig_count_ok(&rig, 0), 1);
}

/* Who leads no more refuses what waits at once: another primary may have room. */
static void test_leads_no_more(void **state)
{
    (void)state;
    rig_set_full(&rig, 0, true);
    for (int i = 0; i < SETS; i++)
        rig_send_set(&rig, 0, i, bytes_from("value"));
    rig_shard(&rig, 0)->groups[0].role = GROUP_BACKUP;
    rig_tick(&rig);
    assert_int_equal(count_in_order(0, REPLY_REFUSED, REFUSAL_ELSEWHERE), SETS);
    assert_int_equal(rig_shard(&rig, 0)->line.count, 0);
    rig_set_full(&rig, 0, false);
    group_lead(rig_shard(&rig, 1), &rig_shard(&rig, 1)->groups[0]);
    rig_settle(&rig);
    rig_check_equal(&rig);
}

/* One of two retries of a write is carried out, the other answered with the same. */
static void test_twice_in_line(void **state)
{
    struct reply reply;

    (void)state;
    rig_set(&rig, 1, bytes_from("5"));
    rig_forget_replies(&rig, 0);
    rig_set_full(&rig, 0, true);
    rig_send(&rig, 0, OP_APPEND, LEVEL_LINEAR, 1, bytes_from("6"), 0);
    rig_set_full(&rig, 0, false);
    reply = rig_request_again(&rig, 0, OP_APPEND, 1, bytes_from("6"));
    assert_int_equal(reply.kind, REPLY_INTEGER);
    assert_int_equal(rig_shard(&rig, 0)->counters.answered_again, 1);
    reply = rig_request(&rig, 0, OP_GET, LEVEL_LINEAR, 1, bytes_from(""));
    assert_true(bytes_equal(reply.data, bytes_from("56")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_turns, start, finish),
        cmocka_unit_test_setup_teardown(test_no_overtaking, start, finish),
        cmocka_unit_test_setup_teardown(test_reads, start, finish),
        cmocka_unit_test_setup_teardown(test_waited_too_long, start, finish),
        cmocka_unit_test_setup_teardown(test_line_full, start, finish),
        cmocka_unit_test_setup_teardown(test_told, start, finish),
        cmocka_unit_test_setup_teardown(test_leader_dies, start, finish),
        cmocka_unit_test_setup_teardown(test_told_of_slow_replicas, start, finish),
        cmocka_unit_test_setup_teardown(test_leads_no_more, start, finish),
        cmocka_unit_test_setup_teardown(test_twice_in_line, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
