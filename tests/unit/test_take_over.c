/* Another replica leads as soon as it is asked to when the leader has died, however shortly before
 * it came to lead; nobody waits any longer for what it passed on to a leader that is silent; and
 * the preferred one leads again without a pause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/frame.h"
#include "shared/wire.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { KEY = 1, TICKS = 100 };

static struct shard_rig rig;

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, 3, 64);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

/* A proxy that cannot reach the leader asks the second node. It is refused until that leads. */
static void ask_second(void)
{
    struct reply reply = rig_request_again(&rig, 1, OP_SET, KEY, bytes_from("x"));

    assert_int_equal(reply.kind, REPLY_REFUSED);
}

static void test_leader_of_long_ago(void **state)
{
    (void)state;
    rig_kill(&rig, 0);
    ask_second();
    assert_int_equal(rig_leader(&rig), 1);
}

static void test_leader_of_a_moment_ago(void **state)
{
    (void)state;
    rig_kill(&rig, 0);
    ask_second();
    rig_start(&rig, 0);
    for (int i = 0; i < TICKS && rig_leader(&rig) != 0; i++) {
        rig_tick(&rig);
        rig_deliver(&rig);
    }
    assert_int_equal(rig_leader(&rig), 0);
    rig_kill(&rig, 0);
    ask_second();
    assert_int_equal(rig_leader(&rig), 1);
}

/* Asks the second node, by a view of the leader's, to pass a request on. */
static void send_to_be_relayed(enum operation op, uint64_t id)
{
    struct shard *s = rig_shard(&rig, 1);
    uint8_t args[2 * (4 + STORE_KEY_SIZE_MAX)], room[STORE_KEY_SIZE_MAX];
    struct bytes key = rig_key(KEY, room);
    struct request m = {.id = id,
                        .epoch = ring_changed(rig.ring, 0),
                        .view = s->groups[0].leader,
                        .session = op == OP_DEL ? 7 : 0,
                        .number = op == OP_DEL ? id : 0,
                        .op = op,
                        .level = LEVEL_LINEAR,
                        .flags = REQUEST_LEAD,
                        .arg_count = 1};

    wire_put_u32(args, (uint32_t)key.size);
    memcpy(args + 4, key.data, key.size);
    m.args = bytes_of(args, 4 + key.size);
    shard_request(s, RIG_CLIENT, &m);
}

static struct reply next_reply(struct bytes *rest)
{
    struct reply reply;
    struct frame f;
    int64_t size = frame_read(*rest, FRAME_BODY_MAX, &f);

    assert_true(size > 0);
    assert_int_equal(message_get_reply(f.body, &reply), 0);
    *rest = bytes_of(rest->data + size, rest->size - (size_t)size);
    return reply;
}

/* The leader hangs with what was passed on to it; another proxy finds that out, and the second node
 * leads. */
static void test_relayed_to_a_silent_leader(void **state)
{
    struct reply read, write;
    struct bytes replies;

    (void)state;
    rig_forget_replies(&rig, 1);
    send_to_be_relayed(OP_GET, 100);
    send_to_be_relayed(OP_DEL, 101);
    assert_int_equal(rig_shard(&rig, 1)->counters.relayed, 2);
    assert_int_equal(buf_len(&rig.nodes[1].replies), 0);
    rig.nodes[0].stopped = true;
    group_lead(rig_shard(&rig, 1), &rig_shard(&rig, 1)->groups[0]);
    replies = buf_bytes(&rig.nodes[1].replies);
    read = next_reply(&replies);
    write = next_reply(&replies);
    assert_int_equal(replies.size, 0);
    assert_int_equal(read.id, 100);
    assert_int_equal(read.refusal, REFUSAL_ELSEWHERE);
    assert_int_equal(write.id, 101);
    assert_int_equal(write.refusal, REFUSAL_UNCERTAIN);
    /* The leader's own answers come too late. */
    rig.nodes[0].stopped = false;
    rig_deliver(&rig);
    assert_int_equal(buf_len(&rig.nodes[1].replies), 2 * (FRAME_HEADER_SIZE + 36));
}

/* The leader lives, and has done what was passed on to it: nobody is left in doubt. */
static void test_relayed_to_a_living_leader(void **state)
{
    struct reply reply;
    struct bytes replies;

    (void)state;
    rig_forget_replies(&rig, 1);
    send_to_be_relayed(OP_DEL, 100);
    for (int i = 0; i < 3; i++) /* there, to the others, acknowledged */
        rig_deliver_once(&rig);
    group_lead(rig_shard(&rig, 1), &rig_shard(&rig, 1)->groups[0]);
    assert_int_equal(buf_len(&rig.nodes[1].replies), 0);
    rig_deliver(&rig);
    replies = buf_bytes(&rig.nodes[1].replies);
    reply = next_reply(&replies);
    assert_int_equal(replies.size, 0);
    assert_int_equal(reply.id, 100);
    assert_int_equal(reply.kind, REPLY_INTEGER);
}

/* A partition that is written to all the time is handed back with the commit of its last write, and
 * takes writes again before the next tick. */
static void test_handed_back_at_once(void **state)
{
    const struct group *g;
    bool handing = false;

    (void)state;
    rig_kill(&rig, 0);
    ask_second();
    rig_start(&rig, 0);
    g = &rig_shard(&rig, 1)->groups[0];
    for (int i = 0; i < TICKS && !handing; i++) {
        assert_int_equal(rig_leader(&rig), 1);
        rig_send_set(&rig, 1, KEY, bytes_from("x"));
        rig_tick(&rig);
        handing = g->handing_ms != 0;
        assert_false(handing && g->handed);
        rig_deliver(&rig);
    }
    assert_true(handing);
    assert_int_equal(rig_leader(&rig), 0);
    rig_set(&rig, KEY, bytes_from("y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_leader_of_long_ago, start, finish),
        cmocka_unit_test_setup_teardown(test_leader_of_a_moment_ago, start, finish),
        cmocka_unit_test_setup_teardown(test_relayed_to_a_silent_leader, start, finish),
        cmocka_unit_test_setup_teardown(test_relayed_to_a_living_leader, start, finish),
        cmocka_unit_test_setup_teardown(test_handed_back_at_once, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
