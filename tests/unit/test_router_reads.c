/* Reads from a majority: the value from one replica, proofs from others, the primary when they
 * differ. */
#include "proxy/attempt.h"
#include "router_rig.h"
#include "shared/operation.h"
#include "shared/proof.h"
#include <stdio.h>

static struct rig rig;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, 3);
    rig_know_views(&rig);
    return 0;
}

static int start_five(void **state)
{
    (void)state;
    rig_start(&rig, 5);
    rig_know_views(&rig);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    return 0;
}

/* The read has gone to the primary, which answers it. */
static void primary_decides(const char *key, const char *value)
{
    unsigned lane = rig_replica(&rig, key, 0);
    struct request m;

    rig_expect(&rig, "");
    assert_true(rig_raw(&rig, lane, &m));
    assert_int_equal(m.level, LEVEL_LINEAR);
    assert_true(m.view == rig.views[m.partition]);
    assert_int_equal(m.session, 0);
    assert_int_equal(m.number, 0);
    assert_int_equal(m.flags, 0);
    rig_nothing_sent(&rig);
    rig_bulk(&rig, lane, m.id, value);
}

/* --- equal proofs ----------------------------------------------------------------------------- */

static void test_two_that_agree(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(2, 9), 4, 1);
    struct rig_read read;

    (void)state;
    for (int value_first = 0; value_first <= 1; value_first++) {
        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        rig_nothing_sent(&rig);
        assert_int_not_equal(read.value_lane, read.version_lane);
        assert_int_equal(read.value.session, 0);
        assert_int_equal(read.version.op, OP_GET);
        if (value_first)
            rig_value(&rig, &read, "x", &proof);
        else
            rig_version(&rig, &read, &proof);
        rig_expect(&rig, "");
        if (value_first)
            rig_version(&rig, &read, &proof);
        else
            rig_value(&rig, &read, "x", &proof);
        rig_expect(&rig, "$1\r\nx\r\n");
        rig_nothing_sent(&rig);
    }
    assert_int_equal(counter_read(&rig.counters.majority_reads), 2);
    assert_int_equal(counter_read(&rig.counters.primary_reads), 0);
    assert_int_equal(counter_read(&rig.counters.hits), 2);
}

static void give_array(const struct rig_read *read, const struct rig_proof *proof)
{
    static const uint8_t values[] = "\1\0\0\0"
                                    "A"
                                    "\xff\xff\xff\xff";

    rig_reply(&rig, read->value_lane,
              &(struct reply){.id = read->value.id,
                              .kind = REPLY_ARRAY,
                              .count = 2,
                              .data = bytes_of(values, sizeof(values) - 1),
                              .proof = bytes_of(proof->data, proof->size)});
}

static void test_several_keys(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 2);
    struct rig_read read;

    (void)state;
    for (int value_first = 0; value_first <= 1; value_first++) {
        rig_run(&rig, "MGET {a}1 {a}2");
        rig_read(&rig, &read);
        assert_int_equal(read.value.op, OP_MGET);
        assert_int_equal(read.version.arg_count, 2);
        if (value_first)
            give_array(&read, &proof);
        else
            rig_version(&rig, &read, &proof);
        rig_expect(&rig, "");
        if (value_first)
            rig_version(&rig, &read, &proof);
        else
            give_array(&read, &proof);
        rig_expect(&rig, "*2\r\n$1\r\nA\r\n$-1\r\n");
    }
    assert_int_equal(counter_read(&rig.counters.majority_reads), 2);
}

/* Over partitions: each has a majority of its own, and one of them may need its primary. */
static void test_gathered(void **state)
{
    char a[16], b[16], words[64];
    struct rig_proof old, new;
    struct rig_read read[2];
    struct request m;

    (void)state;
    rig_key(&rig, 0, a);
    rig_key(&rig, 3, b);
    snprintf(words, sizeof(words), "EXISTS %s %s", a, b);
    rig_run(&rig, words);
    rig_read(&rig, &read[0]);
    rig_read(&rig, &read[1]);
    assert_int_not_equal(read[0].value.partition, read[1].value.partition);
    old = rig_proof(rig_view(0, 3), 4, 1);
    new = rig_proof(rig_view(0, 3), 5, 1);
    for (int i = 0; i < 2; i++) {
        rig_version(&rig, &read[i], &old);
        rig_reply(&rig, read[i].value_lane,
                  &(struct reply){.id = read[i].value.id,
                                  .kind = REPLY_INTEGER,
                                  .integer = 1,
                                  .proof = bytes_of(i ? new.data : old.data, old.size)});
    }
    rig_expect(&rig, "");
    assert_true(rig_raw(&rig, read[1].value.partition % 2 ? 3 : 0, &m));
    assert_int_equal(m.level, LEVEL_LINEAR);
    rig_integer(&rig, read[1].value.partition % 2 ? 3 : 0, m.id, 1);
    rig_expect(&rig, ":2\r\n");
}

/* Each takes its turn in giving the value. */
static void test_spread(void **state)
{
    unsigned values[RIG_LANES] = {0}, versions[RIG_LANES] = {0};
    struct rig_read read;

    (void)state;
    for (int i = 0; i < 9; i++) {
        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        rig_agree(&rig, &read, "x");
        values[read.value_lane]++;
        versions[read.version_lane]++;
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(values[rig_replica(&rig, "a", i)], 3);
        assert_int_equal(versions[rig_replica(&rig, "a", i)], 3);
    }
    buf_consume(&rig.out, buf_len(&rig.out));
}

/* Three of five: all three must show the same, whichever comes last. */
static void test_three_of_five(void **state)
{
    struct rig_proof same = rig_proof(rig_view(0, 3), 4, 1),
                     other = rig_proof(rig_view(0, 3), 5, 1);

    (void)state;
    for (unsigned odd = 0; odd <= 3; odd++) {
        unsigned lanes[3], legs = 0;
        struct request m[3];
        char key[16];

        rig_key(&rig, 4, key);
        rig_run_key(&rig, "GET %s", key);
        for (unsigned lane = 0; lane < RIG_LANES; lane++)
            if (rig_raw(&rig, lane, &m[legs]))
                lanes[legs++] = lane;
        assert_int_equal(legs, 3);
        for (unsigned i = 0; i < 3; i++) {
            const struct rig_proof *proof = i + 1 == odd ? &other : &same;
            uint8_t kind = m[i].level == LEVEL_VALUE ? REPLY_NIL : REPLY_VERSION;

            rig_expect(&rig, "");
            rig_reply(&rig, lanes[i],
                      &(struct reply){.id = m[i].id,
                                      .kind = kind,
                                      .proof = bytes_of(proof->data, proof->size)});
        }
        if (odd)
            primary_decides(key, "p");
        rig_expect(&rig, odd ? "$1\r\np\r\n" : "$-1\r\n");
    }
    assert_int_equal(counter_read(&rig.counters.majority_reads), 1);
    assert_int_equal(counter_read(&rig.counters.primary_reads), 3);
}

/* --- the primary decides -----------------------------------------------------------------------
 */

static void check_differ(const struct rig_proof *of_value, const struct rig_proof *of_version)
{
    struct rig_read read;

    for (int value_first = 0; value_first <= 1; value_first++) {
        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        if (value_first)
            rig_value(&rig, &read, "old", of_value);
        rig_version(&rig, &read, of_version);
        if (!value_first)
            rig_value(&rig, &read, "old", of_value);
        primary_decides("a", "new");
        rig_expect(&rig, "$3\r\nnew\r\n");
    }
}

static void test_two_that_differ(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1);
    struct rig_proof newer = rig_proof(rig_view(0, 3), 5, 1), view = proof, longer = proof, none;

    (void)state;
    check_differ(&proof, &newer);
    check_differ(&newer, &proof);
    /* The same version, but of states of different views. */
    view.data[2]++;
    check_differ(&proof, &view);
    longer.size += PROOF_VERSION_SIZE;
    check_differ(&proof, &longer);
    none = (struct rig_proof){.size = 0};
    check_differ(&none, &proof);
    assert_int_equal(counter_read(&rig.counters.majority_reads), 0);
    assert_int_equal(counter_read(&rig.counters.primary_reads), 10);
}

/* One has not looked for the version: the key has not changed there since operation 6. */
static void test_unchanged(void **state)
{
    static const struct {
        uint64_t at, version;
        bool agree;
    } rows[] = {{6, 4, true}, {6, 6, true}, {9, 6, true}, {9, 7, false}, {5, 4, false}};
    struct rig_proof unchanged = rig_proof(rig_view(0, 3), 6, 1);
    struct rig_read read;

    (void)state;
    proof_put_version(unchanged.data + PROOF_HEAD_SIZE, PROOF_UNCHANGED, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig_proof proof = rig_proof(rig_view(0, 3), rows[i].version, 1);

        proof_put_head(proof.data, rig_view(0, 3), rows[i].at);
        if (!rows[i].agree) {
            check_differ(&proof, &unchanged);
            continue;
        }
        for (int value_first = 0; value_first <= 1; value_first++) {
            rig_run(&rig, "GET a");
            rig_read(&rig, &read);
            if (value_first)
                rig_value(&rig, &read, "x", &proof);
            rig_version(&rig, &read, &unchanged);
            if (!value_first)
                rig_value(&rig, &read, "x", &proof);
            rig_expect(&rig, "$1\r\nx\r\n");
        }
    }
}

static void test_one_that_refuses(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1);
    static const enum refusal refusals[] = {REFUSAL_ELSEWHERE, REFUSAL_DAMAGED, REFUSAL_BUSY};
    uint64_t late = 0;

    (void)state;
    for (unsigned i = 0; i < 3 * 2 * 2; i++) {
        enum refusal why = refusals[i / 4];
        bool answer_first = i & 1;
        struct rig_read read;

        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        if (i & 2) {
            if (answer_first)
                rig_version(&rig, &read, &proof);
            rig_refuse(&rig, read.value_lane, read.value.id, why);
        } else {
            if (answer_first)
                rig_value(&rig, &read, "x", &proof);
            rig_refuse(&rig, read.version_lane, read.version.id, why);
        }
        primary_decides("a", "p");
        rig_expect(&rig, "$1\r\np\r\n");
        if (answer_first)
            continue;
        /* The other's answer is nobody's any more. */
        if (i & 2)
            rig_version(&rig, &read, &proof);
        else
            rig_value(&rig, &read, "x", &proof);
        rig_expect(&rig, "");
        assert_int_equal(counter_read(&rig.counters.late_replies), ++late);
    }
}

/* A value where a proof was asked for. */
static void test_wrong_kinds(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1);
    struct rig_read read, twisted;

    (void)state;
    rig_run(&rig, "GET a");
    rig_read(&rig, &read);
    rig_value(&rig, &read, "x", &proof);
    twisted = read;
    twisted.value = read.version;
    twisted.value_lane = read.version_lane;
    rig_value(&rig, &twisted, "x", &proof);
    primary_decides("a", "p");
    rig_expect(&rig, "$1\r\np\r\n");
    rig_run(&rig, "GET a");
    rig_read(&rig, &read);
    rig_version(&rig, &read, &proof);
    twisted = read;
    twisted.version = read.value;
    twisted.version_lane = read.value_lane;
    rig_version(&rig, &twisted, &proof);
    primary_decides("a", "p");
    rig_expect(&rig, "$1\r\np\r\n");
}

/* A read that went to the primary stays with it. */
static void test_primary_refuses(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1), newer = proof;
    unsigned next = rig_replica(&rig, "a", 1);
    struct rig_read read;
    struct request m;

    (void)state;
    newer.data[0]++;
    rig_run(&rig, "GET a");
    rig_read(&rig, &read);
    rig_value(&rig, &read, "x", &proof);
    rig_version(&rig, &read, &newer);
    assert_true(rig_raw(&rig, rig_replica(&rig, "a", 0), &m));
    rig.views[m.partition] = rig_view(next, 8);
    rig_refuse_view(&rig, rig_replica(&rig, "a", 0), m.id, REFUSAL_ELSEWHERE,
                    rig.views[m.partition], 0);
    assert_true(rig_raw(&rig, next, &m));
    assert_int_equal(m.level, LEVEL_LINEAR);
    assert_true(m.view == rig.views[m.partition]);
    rig_bulk(&rig, next, m.id, "p");
    rig_expect(&rig, "$1\r\np\r\n");
}

/* --- nodes that are gone -----------------------------------------------------------------------
 */

/* A read, one of whose replicas has answered, while nothing is heard from the other: that one's
 * lane. */
static unsigned read_of_a_silent_one(struct rig_read *read)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1);

    rig_run(&rig, "GET a");
    rig_read(&rig, read);
    rig_version(&rig, read, &proof);
    rig_heard(&rig, read->version_lane);
    return read->value_lane;
}

static void test_silent_replica(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1);
    struct rig_read first, second;
    unsigned silent = read_of_a_silent_one(&first);

    (void)state;
    rig_after(&rig, (unsigned)attempt_late_ms(&rig.router) - 1);
    rig_nothing_sent(&rig);
    rig_after(&rig, 1);
    rig_read(&rig, &second); /* of the other two */
    assert_int_not_equal(second.value_lane, silent);
    assert_int_not_equal(second.version_lane, silent);
    assert_int_equal(counter_read(&rig.counters.reads_moved), 1);
    assert_int_equal(counter_read(&rig.counters.node_timeouts), 0);
    rig_version(&rig, &second, &proof);
    rig_value(&rig, &first, "late", &proof);
    rig_expect(&rig, "");
    assert_int_equal(counter_read(&rig.counters.late_replies), 1);
    rig_value(&rig, &second, "x", &proof);
    rig_expect(&rig, "$1\r\nx\r\n");
}

/* One that answers others meanwhile has much to do, and would have more. */
static void test_slow_replica(void **state)
{
    struct rig_proof proof = rig_proof(rig_view(0, 3), 4, 1);
    struct rig_read read;
    unsigned slow = read_of_a_silent_one(&read);
    unsigned late_ms = (unsigned)attempt_late_ms(&rig.router);

    (void)state;
    for (unsigned waited = 0; waited < RIG_NODE_TIMEOUT_MS; waited += late_ms - 1) {
        rig_heard(&rig, slow);
        rig_after(&rig, late_ms - 1);
        rig_nothing_sent(&rig);
    }
    assert_int_equal(counter_read(&rig.counters.reads_moved), 0);
    rig_value(&rig, &read, "x", &proof);
    rig_expect(&rig, "$1\r\nx\r\n");
}

/* Where both that are left are needed, the read has its whole time. */
static void test_silent_and_needed(void **state)
{
    unsigned lost = rig_replica(&rig, "a", 1);
    struct rig_read read;

    (void)state;
    rig_lane_lost(&rig, lost);
    router_lane_failed(&rig.router, &rig.lanes[lost]);
    read_of_a_silent_one(&read);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS - 1);
    rig_nothing_sent(&rig);
    assert_int_equal(counter_read(&rig.counters.reads_moved), 0);
    rig_after(&rig, 1);
    assert_int_equal(counter_read(&rig.counters.node_timeouts), 1);
    rig_read(&rig, &read);
    rig_agree(&rig, &read, "x");
    rig_expect(&rig, "$1\r\nx\r\n");
}

/* What was moved away is owed: a node that stays silent counts as one that does not answer. */
static void test_silence_is_remembered(void **state)
{
    struct rig_read read;
    unsigned silent = read_of_a_silent_one(&read);

    (void)state;
    rig_after(&rig, (unsigned)attempt_late_ms(&rig.router));
    rig_read(&rig, &read);
    rig_agree(&rig, &read, "x");
    rig_expect(&rig, "$1\r\nx\r\n");
    rig_after(&rig, RIG_NODE_TIMEOUT_MS - 1);
    assert_int_equal(rig.lanes[silent].unanswered, 0);
    rig_after(&rig, 1);
    assert_int_equal(rig.lanes[silent].unanswered, 1);
    rig_after(&rig, RIG_NODE_TIMEOUT_MS);
    assert_int_equal(rig.lanes[silent].unanswered, 1);
    assert_int_equal(counter_read(&rig.counters.node_timeouts), 0);
}

/* Until something is heard. */
static void test_silence_ends(void **state)
{
    struct rig_read read;
    unsigned silent = read_of_a_silent_one(&read);
    bool asked = false;

    (void)state;
    rig_after(&rig, (unsigned)attempt_late_ms(&rig.router));
    rig_read(&rig, &read);
    rig_agree(&rig, &read, "x");
    rig_heard(&rig, silent);
    for (int i = 0; i < 3; i++) {
        rig_run(&rig, "GET a");
        rig_read(&rig, &read);
        rig_agree(&rig, &read, "x");
        asked = asked || read.value_lane == silent || read.version_lane == silent;
    }
    rig_expect(&rig, "$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n");
    assert_true(asked);
}

/* As long as it is silent it is not asked first. */
static void test_silent_is_avoided(void **state)
{
    struct rig_read read;
    unsigned silent = read_of_a_silent_one(&read);

    (void)state;
    rig_after(&rig, (unsigned)attempt_late_ms(&rig.router));
    for (int i = 0; i < 6; i++) {
        rig_read(&rig, &read);
        assert_int_not_equal(read.value_lane, silent);
        assert_int_not_equal(read.version_lane, silent);
        rig_agree(&rig, &read, "x");
        rig_expect(&rig, "$1\r\nx\r\n");
        rig_run(&rig, "GET a");
    }
    rig_read(&rig, &read);
    /* Until there is nobody else. */
    for (unsigned i = 0; i < 3; i++)
        if (rig_replica(&rig, "a", i) != silent) {
            rig_lane_lost(&rig, rig_replica(&rig, "a", i));
            break;
        }
    rig_after(&rig, ROUTER_RETRY_MS);
    rig_read(&rig, &read);
    assert_true(read.value_lane == silent || read.version_lane == silent);
    rig_agree(&rig, &read, "y");
    rig_expect(&rig, "$1\r\ny\r\n");
}

static void test_minority(void **state)
{
    struct rig_read read;
    struct request m;

    (void)state;
    rig_run(&rig, "GET a");
    for (unsigned i = 0; i < 2; i++) {
        rig_lane_lost(&rig, rig_replica(&rig, "a", i));
        router_lane_failed(&rig.router, &rig.lanes[rig_replica(&rig, "a", i)]);
    }
    rig_after(&rig, RIG_TIMEOUT_MS - 1);
    rig_expect(&rig, "");
    rig_after(&rig, 1);
    rig_expect(&rig, "-NOQUORUM no majority of the key's replicas can be reached; nothing was "
                     "done\r\n");
    while (rig_raw(&rig, rig_replica(&rig, "a", 2), &m))
        ;
    rig_run(&rig, "GET a");
    rig_expect(&rig, "");
    rig_lane_up(&rig, rig_replica(&rig, "a", 1));
    rig_read(&rig, &read);
    rig_agree(&rig, &read, "x");
    rig_expect(&rig, "$1\r\nx\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_two_that_agree),
        TEST(test_several_keys),
        TEST(test_gathered),
        TEST(test_spread),
        cmocka_unit_test_setup_teardown(test_three_of_five, start_five, finish),
        TEST(test_two_that_differ),
        TEST(test_unchanged),
        TEST(test_one_that_refuses),
        TEST(test_wrong_kinds),
        TEST(test_primary_refuses),
        TEST(test_silent_replica),
        TEST(test_slow_replica),
        TEST(test_silent_and_needed),
        TEST(test_silence_is_remembered),
        TEST(test_silence_ends),
        TEST(test_silent_is_avoided),
        TEST(test_minority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
