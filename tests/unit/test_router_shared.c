/* Majority reads whose proof is shared: where a replica stands is known, and one question for all
 * reads of a turn tells that it still stands there. */
#include "proxy/attempt.h"
#include "router_rig.h"
#include "shared/error.h"

enum { TOUCHES = 7, NONE = UINT32_MAX, ANY = UINT32_MAX - 1 };

static struct rig rig;
static uint32_t partition; /* of key a */
static uint64_t view;

/* The next leg of a read of key a, of whatever level: its lane. */
static unsigned next_leg(struct request *m)
{
    for (unsigned lane = 0; lane < RIG_LANES; lane++)
        if (rig_raw(&rig, lane, m))
            return lane;
    fail();
    return 0;
}

static void tell_value(unsigned lane, const struct request *m, const char *value, uint64_t op,
                       uint64_t version)
{
    struct rig_proof proof = rig_proof(view, version, 1);
    struct rig_read read = {.value = *m, .value_lane = lane};

    for (int i = 0; i < 8; i++)
        proof.data[8 + i] = (uint8_t)(op >> 8 * i);
    rig_value(&rig, &read, value, &proof);
}

/* Where each replica of the key stands is learned from whole reads. */
static int start(void **state)
{
    struct rig_proof proof;
    struct rig_read read;

    (void)state;
    rig_start(&rig, 3);
    rig_know_views(&rig);
    for (int i = 0; i < 3; i++) {
        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        partition = read.value.partition;
        view = rig.views[partition];
        proof = rig_proof(view, RIG_OP, 1);
        rig_value(&rig, &read, "x", &proof);
        rig_version_at(&rig, &read, &proof, RIG_OP, TOUCHES);
        rig_expect(&rig, "$1\r\nx\r\n");
    }
    rig_turn(&rig);
    for (unsigned lane = 0; lane < RIG_LANES; lane++)
        assert_int_equal(rig.lane_questions[lane], 0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    return 0;
}

/* Begins a read: the lane of its value, and the one that is asked no more than what was touched. */
static unsigned begin(struct request *value, unsigned *shared)
{
    unsigned lane, before[RIG_LANES];

    memcpy(before, rig.lane_questions, sizeof(before));
    rig_run(&rig, "GET a");
    lane = next_leg(value);
    assert_int_equal(value->level, LEVEL_VALUE);
    rig_nothing_sent(&rig);
    rig_turn(&rig);
    rig_nothing_sent(&rig);
    *shared = RIG_LANES;
    for (unsigned i = 0; i < RIG_LANES; i++)
        if (rig.lane_questions[i] != before[i]) {
            assert_int_equal(*shared, RIG_LANES);
            *shared = i;
        }
    assert_int_not_equal(*shared, RIG_LANES);
    assert_int_not_equal(*shared, lane);
    return lane;
}

static void test_shared(void **state)
{
    struct request value;
    unsigned lane, shared;

    (void)state;
    for (int value_first = 0; value_first <= 1; value_first++) {
        lane = begin(&value, &shared);
        assert_int_equal(rig.lane_question[shared].since, TOUCHES + value_first);
        if (value_first)
            tell_value(lane, &value, "x", RIG_OP, RIG_OP);
        else
            rig_touched(&rig, shared, TOUCHES + 1, NONE);
        rig_expect(&rig, "");
        if (value_first)
            rig_touched(&rig, shared, TOUCHES + 2, NONE);
        else
            tell_value(lane, &value, "x", RIG_OP, RIG_OP);
        rig_expect(&rig, "$1\r\nx\r\n");
        /* The same two again: each replica's lane tells for itself. */
        rig.router.spin += 2;
    }
    assert_int_equal(counter_read(&rig.counters.shared_proofs), 2);
    assert_int_equal(counter_read(&rig.counters.majority_reads), 5);
}

/* Many reads, one question; another turn's reads have another. */
static void test_one_question(void **state)
{
    struct request m[4];
    unsigned lane[4], shared = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        rig_run(&rig, "GET a");
        lane[i] = next_leg(&m[i]);
        rig.router.spin += 2;
        if (i % 2)
            rig_turn(&rig);
    }
    for (unsigned i = 0; i < RIG_LANES; i++)
        if (rig.lane_questions[i]) {
            assert_int_equal(rig.lane_questions[i], 2);
            shared = i;
        }
    for (int i = 0; i < 4; i++)
        tell_value(lane[i], &m[i], "x", RIG_OP, RIG_OP);
    rig_expect(&rig, "");
    rig.lane_question[shared].tag--;
    rig_touched(&rig, shared, TOUCHES, NONE);
    rig_expect(&rig, "$1\r\nx\r\n$1\r\nx\r\n");
    rig.lane_question[shared].tag++;
    rig_touched(&rig, shared, TOUCHES, NONE);
    rig_expect(&rig, "$1\r\nx\r\n$1\r\nx\r\n");
}

/* The replica stands somewhere else: it is asked for the version after all. */
static void test_touched(void **state)
{
    static const uint32_t told[] = {0, ANY};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int value_first = 0; value_first <= 1; value_first++) {
            struct rig_proof proof = rig_proof(view, RIG_OP + 1, 1);
            struct rig_read read;
            struct request value, version;
            unsigned lane = begin(&value, &read.version_lane);

            if (value_first)
                tell_value(lane, &value, "y", RIG_OP + 1, RIG_OP + 1);
            rig_touched(&rig, read.version_lane, 2 * TOUCHES, told[i] == ANY ? ANY : partition);
            rig_expect(&rig, "");
            if (!value_first) {
                rig_nothing_sent(&rig);
                tell_value(lane, &value, "y", RIG_OP + 1, RIG_OP + 1);
            }
            assert_true(rig_raw(&rig, read.version_lane, &version));
            assert_int_equal(version.level, LEVEL_VERSION);
            rig_nothing_sent(&rig);
            read.version = version;
            rig_version_at(&rig, &read, &proof, RIG_OP + 1, 2 * TOUCHES);
            rig_expect(&rig, "$1\r\ny\r\n");
            /* That told where it stands now; and the next read is the same one's. */
            rig.router.spin += 2;
        }
    assert_int_equal(counter_read(&rig.counters.shared_proofs), 0);
}

/* The value is newer than where the other one stands, or its replica has not come as far, or is of
 * another view: the primary decides. */
static void test_differs(void **state)
{
    static const struct {
        int view;
        uint64_t op, version;
    } told[] = {{0, RIG_OP + 1, RIG_OP + 1}, {0, RIG_OP - 1, RIG_OP - 1}, {1, RIG_OP, RIG_OP}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct request value, m;
        unsigned shared, lane = begin(&value, &shared);

        rig_touched(&rig, shared, TOUCHES, NONE);
        view += (uint64_t)told[i].view;
        tell_value(lane, &value, "z", told[i].op, told[i].version);
        rig_expect(&rig, "");
        assert_true(rig_raw(&rig, rig_replica(&rig, "a", 0), &m));
        assert_int_equal(m.level, LEVEL_LINEAR);
        rig_bulk(&rig, rig_replica(&rig, "a", 0), m.id, "p");
        rig_expect(&rig, "$1\r\np\r\n");
    }
}

/* A stand that comes behind the answer to a later question is worth nothing, nor is one of a state
 * that is not on disk. */
static void test_late(void **state)
{
    static const uint64_t touches[] = {TOUCHES + 4, 0};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig_proof proof = rig_proof(view, RIG_OP, 1);
        struct rig_read read;
        struct request value;
        unsigned lane = begin(&value, &read.version_lane);

        rig_touched(&rig, read.version_lane, TOUCHES + 5, partition);
        tell_value(lane, &value, "x", RIG_OP, RIG_OP);
        assert_true(rig_raw(&rig, read.version_lane, &read.version));
        rig_version_at(&rig, &read, &proof, RIG_OP, touches[i]);
        rig_expect(&rig, "$1\r\nx\r\n");
        /* The next one is asked for again. */
        rig.router.spin += 2;
        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        rig_value(&rig, &read, "x", &proof);
        rig_version_at(&rig, &read, &proof, RIG_OP, TOUCHES + 5);
        rig_expect(&rig, "$1\r\nx\r\n");
        rig.router.spin += 2;
    }
}

static void read_whole(void)
{
    struct rig_proof proof = rig_proof(view, RIG_OP, 1);
    struct rig_read read;

    for (int i = 0; i < 3; i++) {
        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        rig_value(&rig, &read, "x", &proof);
        rig_version_at(&rig, &read, &proof, RIG_OP, TOUCHES);
        rig_expect(&rig, "$1\r\nx\r\n");
    }
}

/* With its lane everything is gone that was known of a replica; with a ring, of all. */
static void test_forgotten(void **state)
{
    struct request value;
    unsigned shared, lane;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        rig_lane_lost(&rig, rig_replica(&rig, "a", i));
        rig_lane_up(&rig, rig_replica(&rig, "a", i));
    }
    read_whole();
    rig_next_ring(&rig, 2);
    read_whole();
    lane = begin(&value, &shared);
    assert_int_equal(rig.lane_question[shared].tag, 1);
    rig_touched(&rig, shared, TOUCHES, NONE);
    tell_value(lane, &value, "x", RIG_OP, RIG_OP);
    rig_expect(&rig, "$1\r\nx\r\n");
}

/* A ring that comes while a read waits for what is shared: it is sent again, by the new one. */
static void test_ring_between(void **state)
{
    struct rig_read read;
    struct request value;
    unsigned shared, lane = begin(&value, &shared);

    (void)state;
    tell_value(lane, &value, "x", RIG_OP, RIG_OP);
    rig_next_ring(&rig, 2);
    rig_touched(&rig, shared, TOUCHES, NONE);
    rig_read(&rig, &read);
    assert_int_equal(read.value.epoch, 2);
    rig_agree(&rig, &read, "y");
    rig_expect(&rig, "$1\r\ny\r\n");
}

/* A node that does not answer the question is as silent as any. */
static void test_silent(void **state)
{
    struct request value;
    struct rig_read read;
    unsigned shared, lane = begin(&value, &shared);

    (void)state;
    tell_value(lane, &value, "x", RIG_OP, RIG_OP);
    rig_after(&rig, (unsigned)attempt_late_ms(&rig.router));
    assert_int_equal(counter_read(&rig.counters.reads_moved), 1);
    rig_turn(&rig);
    for (unsigned i = 0; i < RIG_LANES; i++) {
        struct request m;

        while (rig_raw(&rig, i, &m)) {
            assert_int_not_equal(i, shared);
            assert_int_equal(m.level, LEVEL_VALUE);
            read.value = m;
            read.value_lane = i;
        }
    }
    tell_value(read.value_lane, &read.value, "y", RIG_OP, RIG_OP);
    rig_expect(&rig, "");
    for (unsigned i = 0; i < RIG_LANES; i++)
        if (i != shared && rig.lane_questions[i])
            rig_touched(&rig, i, TOUCHES, NONE);
    rig_expect(&rig, "$1\r\ny\r\n");
}

/* What answers no question, or the wrong one, or goes back: the lane cannot be trusted. */
static void test_nonsense(void **state)
{
    struct touched m = {.tag = 1, .touches = TOUCHES};
    struct request value;
    struct frame frame;
    unsigned shared, lane;

    (void)state;
    lane = begin(&value, &shared);
    for (int i = 0; i < 3; i++) {
        struct buf out = {0};

        m.tag = rig.lane_question[shared].tag + (i == 0);
        m.touches = TOUCHES - (i == 1);
        assert_int_equal(message_put_touched(&out, &m), 0);
        assert_true(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &frame) > 0);
        assert_int_equal(
            router_touched(&rig.router, &rig.lanes[i == 2 ? lane : shared], frame.body),
            RK_CORRUPT);
        assert_int_equal(router_touched(&rig.router, &rig.lanes[shared],
                                        bytes_of(frame.body.data, frame.body.size - 1)),
                         RK_CORRUPT);
        buf_free(&out);
    }
    rig_touched(&rig, shared, TOUCHES, NONE);
    tell_value(lane, &value, "x", RIG_OP, RIG_OP);
    rig_expect(&rig, "$1\r\nx\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_shared),  TEST(test_one_question), TEST(test_touched),
        TEST(test_differs), TEST(test_late),         TEST(test_forgotten),
        TEST(test_silent),  TEST(test_ring_between), TEST(test_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
