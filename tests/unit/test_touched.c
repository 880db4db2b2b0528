/* What a shard tells of partitions whose replicas have come to another state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shard_rig.h"
#include "shared/error.h"
#include "shared/frame.h"
#include <cmocka.h>

enum { HISTORY_STEPS = 1000 };

static struct shard_rig rig;
static struct buf answer;

static int start(void **state)
{
    (void)state;
    answer = (struct buf){0};
    rig_begin(&rig, 3, HISTORY_STEPS);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    buf_free(&answer);
    rig_end(&rig);
    return 0;
}

/* Asks a node; points into `answer`. */
static struct touched ask(int node, uint64_t since)
{
    struct touched_get get = {.tag = 9, .since = since};
    struct touched m;
    struct frame f;

    rig_forget_replies(&rig, node);
    assert_int_equal(shard_tell_touched(rig_shard(&rig, node), RIG_CLIENT, &get), 0);
    buf_truncate(&answer, 0);
    assert_int_equal(
        buf_append(&answer, buf_head(&rig.nodes[node].replies), buf_len(&rig.nodes[node].replies)),
        0);
    assert_true(frame_read(buf_bytes(&answer), FRAME_BODY_MAX, &f) > 0);
    assert_int_equal(f.type, MESSAGE_TOUCHED);
    assert_int_equal(message_get_touched(f.body, &m), 0);
    assert_int_equal(m.tag, 9);
    rig_forget_replies(&rig, node);
    return m;
}

/* A write touches its partition at each replica; a read does not. */
static void test_writes(void **state)
{
    uint64_t before[3];

    (void)state;
    rig_set(&rig, 1, bytes_from("a"));
    rig_settle(&rig);
    for (int node = 0; node < 3; node++)
        before[node] = rig_shard(&rig, node)->touches;
    rig_request(&rig, rig_leader(&rig), OP_GET, LEVEL_LINEAR, 1, (struct bytes){0});
    for (int node = 0; node < 3; node++)
        assert_int_equal(ask(node, before[node]).count, 0);
    rig_set(&rig, 1, bytes_from("b"));
    rig_settle(&rig);
    for (int node = 0; node < 3; node++) {
        struct touched m = ask(node, before[node]);

        assert_false(m.any);
        assert_int_equal(m.count, 1);
        assert_int_equal(touched_partition(&m, 0), 0);
        assert_int_equal(m.touches, before[node] + 1);
        assert_int_equal(ask(node, m.touches).count, 0);
    }
}

/* So many are remembered, and no more. */
static void test_bound(void **state)
{
    struct shard *s = rig_shard(&rig, 0);
    uint64_t since = s->touches;

    (void)state;
    for (uint32_t i = 0; i < TOUCHED_MAX; i++)
        shard_touch(s, i);
    assert_false(ask(0, since).any);
    assert_int_equal(ask(0, since).count, TOUCHED_MAX);
    for (uint32_t i = 0; i < TOUCHED_MAX; i++) {
        struct touched m = ask(0, since + i);

        assert_int_equal(m.count, TOUCHED_MAX - i);
        assert_int_equal(touched_partition(&m, 0), i);
    }
    shard_touch(s, 0);
    assert_true(ask(0, since).any);
    assert_int_equal(ask(0, since).count, 0);
    since = s->touches;
    shard_touch_all(s);
    assert_true(ask(0, since).any);
    assert_true(ask(0, 0).any);
}

static void test_of_the_future(void **state)
{
    struct shard *s = rig_shard(&rig, 0);

    (void)state;
    for (uint64_t ahead = 1; ahead; ahead *= 2)
        if (s->touches + ahead > s->touches)
            assert_int_equal(shard_tell_touched(s, 0, &(struct touched_get){1, s->touches + ahead}),
                             RK_CORRUPT);
}

/* With a version comes where the replica stands, once that is on its disk. */
static void test_version(void **state)
{
    struct reply reply;
    int backup;

    (void)state;
    rig_set(&rig, 1, bytes_from("a"));
    rig_settle(&rig);
    backup = (rig_leader(&rig) + 1) % 3;
    reply = rig_request(&rig, backup, OP_GET, LEVEL_VERSION, 1, (struct bytes){0});
    assert_int_equal(reply.kind, REPLY_VERSION);
    assert_int_equal(reply.touches, rig_shard(&rig, backup)->touches);
    assert_int_equal(reply.op, shard_group(rig_shard(&rig, backup), 0)->last.op);
    rig_shard(&rig, backup)->synced = 0;
    reply = rig_request(&rig, backup, OP_GET, LEVEL_VERSION, 1, (struct bytes){0});
    assert_int_equal(reply.kind, REPLY_VERSION);
    assert_int_equal(reply.touches, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_writes),
        TEST(test_bound),
        TEST(test_of_the_future),
        TEST(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
