/* What replicas say to each other, said wrong: every message of a life with fail-overs, copies and
 * repairs is cut at every byte, has its fields set to their extremes, and is said again later. It
 * is refused or of no effect, and never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum {
    HISTORY_STEPS = 16,
    KEYS = 60,
    TYPES = 64,
    EACH_MAX = 40, /* frames of one type that are cut and spoilt; of one life there are thousands */
    FIELDS_END = 120, /* bytes of a body in which its fields lie */
};

static struct shard_rig rig;

/* Steps, gaps, a transfer with its past, signals of a fail-over, a request that is relayed, a
 * comparison that finds a difference. */
static void live(void)
{
    struct reply reply;

    rig.records = true;
    for (int i = 0; i < KEYS; i++)
        rig_set(&rig, i, bytes_from("before"));
    rig_kill(&rig, 2);
    for (int i = 0; i < KEYS; i += 2)
        rig_set(&rig, i, bytes_from("after"));
    rig_start(&rig, 2);
    rig_settle(&rig);
    rig_kill(&rig, 0);
    group_lead(rig.nodes[1].shard, &rig.nodes[1].shard->groups[0]);
    rig_deliver(&rig);
    rig_set(&rig, 1, bytes_from("led by another"));
    rig_start(&rig, 0);
    rig_settle(&rig);
    rig.nodes[1].shard->groups[0].view = rig.nodes[0].shard->groups[0].view;
    rig.requests++;
    reply = rig_request_again(&rig, 1, OP_SET, 2, bytes_from("relayed"));
    assert_int_equal(reply.kind, REPLY_OK);
    rig_write(&rig, 2,
              &(struct store_change){.kind = STORE_PUT,
                                     .key = rig_key(3, (uint8_t[STORE_KEY_SIZE_MAX]){0}),
                                     .record = {.version = {1, 1}, .value = bytes_from("odd")}});
    verify_begin(rig.nodes[0].shard, 1, true);
    rig_settle(&rig);
    rig.records = false;
    rig_check_equal(&rig);
}

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, 3, HISTORY_STEPS);
    live();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

/* The frame at *rest, which is moved on; false at the end. */
static bool next_frame(struct bytes *rest, int *from, int *to, struct frame *f)
{
    int64_t size;

    if (rest->size == 0)
        return false;
    *from = rest->data[0];
    *to = rest->data[1];
    size = frame_read(bytes_of(rest->data + 2, rest->size - 2), FRAME_BODY_MAX, f);
    assert_true(size > 0);
    *rest = bytes_of(rest->data + 2 + size, rest->size - 2 - (size_t)size);
    return true;
}

/* A body as frame_read gives it, its header before it, in a block of just that size. */
static int say(int from, int to, uint8_t type, struct bytes body)
{
    uint8_t *block = malloc(FRAME_HEADER_SIZE + body.size);
    int error;

    assert_non_null(block);
    memset(block, 0, FRAME_HEADER_SIZE);
    memcpy(block + FRAME_HEADER_SIZE, body.data, body.size);
    error = shard_peer_message(rig.nodes[to].shard, (uint16_t)(from + 1), type,
                               bytes_of(block + FRAME_HEADER_SIZE, body.size));
    free(block);
    return error;
}

/* All kinds are there, or the other tests tested nothing. */
static void test_all_kinds(void **state)
{
    static const uint8_t wanted[] = {MESSAGE_SIGNALS,    MESSAGE_STEP, MESSAGE_CHUNK,
                                     MESSAGE_DIFFERENCE, MESSAGE_PAST, MESSAGE_REQUEST,
                                     MESSAGE_REPLY};
    struct bytes rest = buf_bytes(&rig.record);
    int found[TYPES] = {0}, from, to;
    struct frame f;

    (void)state;
    while (next_frame(&rest, &from, &to, &f))
        found[f.type]++;
    for (size_t i = 0; i < sizeof(wanted); i++)
        if (!found[wanted[i]])
            fail_msg("no message of type %d", wanted[i]);
}

static void test_cut(void **state)
{
    struct bytes rest = buf_bytes(&rig.record);
    int tried[TYPES] = {0}, from, to;
    struct frame f;

    (void)state;
    while (next_frame(&rest, &from, &to, &f)) {
        if (tried[f.type] == EACH_MAX)
            continue;
        tried[f.type]++;
        for (size_t size = 0; size < f.body.size; size++) {
            /* Whole signals may be missing at the end: those are fewer, and old. */
            if (say(from, to, f.type, bytes_of(f.body.data, size)) != RK_CORRUPT)
                assert_int_equal(f.type, MESSAGE_SIGNALS);
        }
    }
    rig_settle(&rig);
    rig_check_equal(&rig);
}

/* In their order, backwards, and to another node than they were meant for. */
static void test_replayed(void **state)
{
    struct version before = rig.nodes[0].shard->groups[0].last, after;
    struct bytes rest;
    int from, to, shift;
    struct frame f;

    (void)state;
    for (shift = 0; shift < 2; shift++) {
        rest = buf_bytes(&rig.record);
        while (next_frame(&rest, &from, &to, &f)) {
            int other = shift ? 3 - from - to : to;

            assert_int_equal(say(from, other, f.type, f.body), 0);
        }
        rig_settle(&rig);
        rig_check_equal(&rig);
    }
    /* Old views and steps have no effect on the records: they are what they were. */
    after = rig.nodes[rig_leader(&rig)].shard->groups[0].last;
    assert_true(version_compare(after, before) >= 0);
    assert_int_equal(
        rig_request(&rig, rig_leader(&rig), OP_GET, LEVEL_LINEAR, 2, bytes_from("")).data.size,
        strlen("relayed"));
    assert_int_equal(
        rig_request(&rig, rig_leader(&rig), OP_GET, LEVEL_LINEAR, 1, bytes_from("")).data.size,
        strlen("led by another"));
}

/* Fields of 1 to 8 bytes at every place. What is still valid may be believed (a member of the
 * cluster has said it), what is not is refused. */
static void test_extremes(void **state)
{
    struct bytes rest = buf_bytes(&rig.record);
    int tried[TYPES] = {0}, from, to;
    struct frame f;

    (void)state;
    while (next_frame(&rest, &from, &to, &f)) {
        uint8_t *body;
        size_t end = f.body.size < FIELDS_END ? f.body.size : FIELDS_END;

        if (tried[f.type] == EACH_MAX)
            continue;
        tried[f.type]++;
        body = malloc(f.body.size);
        assert_non_null(body);
        for (size_t width = 1; width <= 8; width *= 2)
            for (size_t at = 0; at + width <= end; at++)
                for (int fill = 0; fill < 3; fill++) {
                    int error;

                    memcpy(body, f.body.data, f.body.size);
                    memset(body + at, fill ? 0xff : 0, width);
                    if (fill == 2)
                        body[at + width - 1] = 0x7f;
                    error = say(from, to, f.type, bytes_of(body, f.body.size));
                    assert_true(error == 0 || error == RK_CORRUPT);
                }
        free(body);
        for (int i = 0; i < 3; i++)
            rig_deliver_once(&rig);
    }
    for (int i = 0; i < 10; i++) {
        rig_tick(&rig);
        rig_deliver_once(&rig);
    }
}

/* Nobody is that member, and no such messages there are. */
static void test_strangers(void **state)
{
    struct bytes rest = buf_bytes(&rig.record);
    int from, to;
    struct frame f;

    (void)state;
    while (next_frame(&rest, &from, &to, &f))
        say(7, to, f.type, f.body);
    for (int type = 0; type < 256; type++)
        if (type != MESSAGE_REPLY)
            assert_int_equal(say(0, 1, (uint8_t)type, bytes_from("x")), RK_CORRUPT);
    rig_settle(&rig);
    rig_check_equal(&rig);
    assert_int_equal(rig_leader(&rig), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_all_kinds), TEST(test_cut),       TEST(test_replayed),
        TEST(test_extremes),  TEST(test_strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
