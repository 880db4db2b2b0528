/* Replies that wait at the primary for a majority: what waits behind them, and how many there may
 * be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/frame.h"
#include "shared/wire.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { OLD_KEY = 1, NEW_KEY = 2, LARGE = 1 << 20, READS = 100, TICKS = 400 };

static struct shard_rig rig;
static uint8_t large[LARGE];

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

/* The majority dies with a write under way, which nobody will ever know of: what was there before
 * the primary tells all the same to who asks it alone. */
static void test_primary_alone(void **state)
{
    struct reply reply;

    (void)state;
    rig_set(&rig, OLD_KEY, bytes_from("old"));
    rig_send_set(&rig, 0, NEW_KEY, bytes_from("new"));
    rig_kill(&rig, 1);
    rig_kill(&rig, 2);
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), 0);
    reply = rig_request(&rig, 0, OP_GET, LEVEL_PRIMARY, OLD_KEY, bytes_from(""));
    assert_int_equal(reply.kind, REPLY_BULK);
    assert_true(bytes_equal(reply.data, bytes_from("old")));
    /* Of what is not committed it does not. */
    rig_forget_replies(&rig, 0);
    rig_send(&rig, 0, OP_GET, LEVEL_PRIMARY, NEW_KEY, bytes_from(""), 0);
    rig_send(&rig, 0, OP_GET, LEVEL_LINEAR, OLD_KEY, bytes_from(""), 0);
    rig_settle(&rig);
    assert_int_equal(buf_len(&rig.nodes[0].replies), 0);
}

/* The key is to be gone in so many ms. */
static void send_expire(int key, int64_t in_ms)
{
    uint8_t args[3 * 4 + STORE_KEY_SIZE_MAX + 16], room[STORE_KEY_SIZE_MAX];
    struct shard *s = rig_shard(&rig, 0);
    struct bytes name = rig_key(key, room);
    struct request m = {.id = ++rig.requests,
                        .epoch = ring_changed(rig.ring, 0),
                        .view = s->groups[0].view,
                        .op = OP_EXPIRE,
                        .arg_count = 3};
    uint8_t *at = args;

    wire_put_u32(at, (uint32_t)name.size);
    memcpy(at + 4, name.data, name.size);
    at += 4 + name.size;
    wire_put_u32(at, 8);
    wire_put_u64(at + 4, (uint64_t)in_ms);
    wire_put_u32(at + 12, 8);
    wire_put_u64(at + 16, EXPIRE_RELATIVE);
    m.args = bytes_of(args, (size_t)(at + 24 - args));
    shard_request(s, RIG_CLIENT, &m);
}

/* What has expired goes without a trace. But when it expires is told by a write that may be under
 * way, and lost with the primary: the key is not told to be gone before. */
static void test_expiry_under_way(void **state)
{
    const struct group *g = &rig_shard(&rig, 0)->groups[0];
    uint64_t expired = rig_shard(&rig, 0)->counters.expired;

    (void)state;
    rig_set(&rig, OLD_KEY, bytes_from("old"));
    rig_set(&rig, NEW_KEY, bytes_from("new"));
    rig_forget_replies(&rig, 0);
    rig_set_full(&rig, 1, true);
    rig_set_full(&rig, 2, true);
    send_expire(OLD_KEY, 1);
    for (int i = 0; i < TICKS && rig_shard(&rig, 0)->counters.expired == expired; i++) {
        rig_tick(&rig);
        rig_deliver(&rig);
    }
    assert_int_equal(rig_shard(&rig, 0)->counters.expired, expired + 1);
    assert_true(g->committed < g->last.op);
    rig_forget_replies(&rig, 0);
    rig_send(&rig, 0, OP_GET, LEVEL_PRIMARY, OLD_KEY, bytes_from(""), 0);
    assert_int_equal(buf_len(&rig.nodes[0].replies), 0);
    /* Of others it says nothing. */
    rig_send(&rig, 0, OP_GET, LEVEL_PRIMARY, NEW_KEY, bytes_from(""), 0);
    assert_true(buf_len(&rig.nodes[0].replies) > 0);
}

/* Counts the replies that have come: of a kind, and all. */
static int count_replies(uint8_t kind, int *all)
{
    struct bytes rest = buf_bytes(&rig.nodes[0].replies);
    struct frame f;
    struct reply reply;
    int64_t size;
    int count = 0;

    for (*all = 0; (size = frame_read(rest, FRAME_BODY_MAX, &f)) > 0; ++*all) {
        assert_int_equal(message_get_reply(f.body, &reply), 0);
        count += reply.kind == kind;
        rest = bytes_of(rest.data + size, rest.size - (size_t)size);
    }
    return count;
}

/* Large values that wait for a round of confirmations do not fill the memory: some reads are
 * refused. */
static void test_bytes_are_bounded(void **state)
{
    const struct group *g;
    int refused, all;

    (void)state;
    rig_set(&rig, OLD_KEY, bytes_of(large, LARGE));
    g = &rig_shard(&rig, 0)->groups[0];
    rig_forget_replies(&rig, 0);
    for (int i = 0; i < READS; i++)
        rig_send(&rig, 0, OP_GET, LEVEL_LINEAR, OLD_KEY, bytes_from(""), 0);
    assert_true(g->pending_bytes >= GROUP_PENDING_BYTES);
    assert_true(g->pending_bytes < GROUP_PENDING_BYTES + 2 * LARGE);
    refused = count_replies(REPLY_REFUSED, &all);
    assert_int_equal(refused, all);
    assert_int_equal(refused + (int)g->pending_count, READS);
    rig_deliver(&rig);
    assert_int_equal(count_replies(REPLY_BULK, &all), READS - refused);
    assert_int_equal(all, READS);
    assert_int_equal(g->pending_bytes, 0);
}

/* A ring is taken in the middle of a turn, and what was to be asked by then is asked. Then the
 * process stands still; another one leads and writes. A read that comes behind that, in the same
 * turn, is not proven by the answers to what was asked before. */
static void test_ring_within_a_turn(void **state)
{
    int all;

    (void)state;
    rig_set(&rig, OLD_KEY, bytes_from("old"));
    rig_forget_replies(&rig, 0);
    rig_send(&rig, 0, OP_GET, LEVEL_LINEAR, OLD_KEY, bytes_from(""), 0);
    assert_int_equal(shard_set_ring(rig_shard(&rig, 0), rig.ring, 1), 0);
    rig.nodes[0].stopped = true;
    rig_deliver(&rig);
    group_lead(rig_shard(&rig, 1), &rig_shard(&rig, 1)->groups[0]);
    rig_deliver(&rig);
    assert_int_equal(rig_request(&rig, 1, OP_SET, LEVEL_LINEAR, OLD_KEY, bytes_from("new")).kind,
                     REPLY_OK);
    rig_send(&rig, 0, OP_GET, LEVEL_LINEAR, OLD_KEY, bytes_from(""), 0);
    rig.nodes[0].stopped = false;
    rig_deliver(&rig);
    assert_int_equal(count_replies(REPLY_BULK, &all), 1);
    assert_int_equal(all, 2);
}

static int start_alone(void **state)
{
    (void)state;
    rig_begin(&rig, 1, 64);
    return 0;
}

/* Where no other replica is a delete leaves no version behind: who finds nothing waits until the
 * delete is on disk. */
static void test_delete_without_a_trace(void **state)
{
    int all;

    (void)state;
    rig_set(&rig, OLD_KEY, bytes_from("old"));
    rig_forget_replies(&rig, 0);
    rig_send(&rig, 0, OP_DEL, LEVEL_LINEAR, OLD_KEY, bytes_from(""), 0);
    rig_send(&rig, 0, OP_GET, LEVEL_PRIMARY, OLD_KEY, bytes_from(""), 0);
    assert_int_equal(buf_len(&rig.nodes[0].replies), 0);
    rig_deliver(&rig);
    assert_int_equal(count_replies(REPLY_NIL, &all), 1);
    assert_int_equal(all, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_primary_alone, start, finish),
        cmocka_unit_test_setup_teardown(test_expiry_under_way, start, finish),
        cmocka_unit_test_setup_teardown(test_bytes_are_bounded, start, finish),
        cmocka_unit_test_setup_teardown(test_ring_within_a_turn, start, finish),
        cmocka_unit_test_setup_teardown(test_delete_without_a_trace, start_alone, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
