/* Commands over all partitions: which pieces are asked for, and what their answers come to. */
#include "proxy/walk.h"
#include "router_rig.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdio.h>

enum { PARTITIONS = 1 << RIG_BITS };

static struct rig rig;
static struct buf values;
static uint32_t value_count;
static struct request sent;
static unsigned at;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, 1);
    rig_know_views(&rig);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    buf_free(&values);
    return 0;
}

static bool take(enum operation op)
{
    if (!rig_any_request(&rig, &sent, &at))
        return false;
    assert_int_equal(sent.op, op);
    return true;
}

static void add(struct bytes value, bool nil)
{
    uint8_t size[4];

    wire_put_u32(size, nil ? UINT32_MAX : (uint32_t)value.size);
    assert_int_equal(buf_append(&values, size, 4), 0);
    assert_int_equal(buf_append(&values, value.data, value.size), 0);
    value_count++;
}

/* A store key of the partition that was asked for. */
static struct bytes key_there(const char *key)
{
    static uint8_t text[64];

    wire_put_position(text, ring_first_position(rig.ring, sent.partition) + 5);
    memcpy(text + POSITION_SIZE, key, strlen(key));
    return bytes_of(text, POSITION_SIZE + strlen(key));
}

static void answer(struct bytes next)
{
    add(next, next.size == 0);
    rig_reply(
        &rig, at,
        &(struct reply){
            .id = sent.id, .kind = REPLY_ARRAY, .count = value_count, .data = buf_bytes(&values)});
    buf_truncate(&values, 0);
    value_count = 0;
}

static void answer_count(int64_t n, struct bytes next)
{
    uint8_t number[8];

    wire_put_i64(number, n);
    add(bytes_of(number, 8), false);
    answer(next);
}

/* --- in any order --------------------------------------------------------------------------- */

/* A partition that takes two pieces is gone on with; no later command is begun meanwhile. */
static void test_dbsize(void **state)
{
    bool seen[PARTITIONS] = {0};
    int64_t sum = 0, n = 0;
    char wanted[32];

    (void)state;
    rig_run(&rig, "DBSIZE");
    assert_int_equal(rig.session.holding, 1);
    while (take(OP_COUNT)) {
        struct bytes from = message_next_arg(&sent.args, NULL);

        assert_int_equal(sent.level, LEVEL_LINEAR);
        if (!seen[sent.partition] && sent.partition % 3 == 0) {
            assert_int_equal(from.size, POSITION_SIZE);
            answer_count(100, key_there("x"));
            sum += 100;
        } else {
            if (seen[sent.partition])
                assert_true(bytes_equal(from, key_there("x")));
            answer_count(++n, (struct bytes){0});
            sum += n;
        }
        seen[sent.partition] = true;
    }
    for (int i = 0; i < PARTITIONS; i++)
        assert_true(seen[i]);
    snprintf(wanted, sizeof(wanted), ":%lld\r\n", (long long)sum);
    rig_expect(&rig, wanted);
    assert_int_equal(rig.session.holding, 0);
}

static void test_keys(void **state)
{
    (void)state;
    rig_run(&rig, "KEYS *a*");
    while (take(OP_SCAN)) {
        add(key_there(sent.partition == 3 ? "yay" : sent.partition == 5 ? "A" : "nope"), false);
        answer((struct bytes){0});
    }
    rig_expect(&rig, "*1\r\n$3\r\nyay\r\n");
}

static void test_keys_bound(void **state)
{
    (void)state;
    rig.router.reply_max = 20;
    rig_run(&rig, "KEYS *");
    while (take(OP_SCAN)) {
        add(key_there("0123456789"), false);
        answer((struct bytes){0});
    }
    rig_expect(&rig, "-ERR too many keys match for one reply: SCAN gives them in pieces\r\n");
}

static void test_flush(void **state)
{
    uint64_t last = 0;
    int pieces = 0;

    (void)state;
    rig_run(&rig, "FLUSHALL NOW");
    rig_expect(&rig, "-ERR syntax error\r\n");
    rig_run(&rig, "FLUSHALL async");
    for (; take(OP_FLUSH); pieces++) {
        struct bytes next = key_there("x");

        assert_true(sent.session && sent.number != last);
        last = sent.number;
        rig_reply(&rig, at,
                  pieces == 2 ? &(struct reply){.id = sent.id, .kind = REPLY_BULK, .data = next}
                              : &(struct reply){.id = sent.id, .kind = REPLY_NIL});
    }
    assert_int_equal(pieces, PARTITIONS + 1);
    rig_expect(&rig, "+OK\r\n");
}

/* --- in the order of positions -------------------------------------------------------------- */

static void test_scan(void **state)
{
    uint32_t partition = 0;

    (void)state;
    rig_run(&rig, "SCAN 0 COUNT 1000 MATCH [ab]*");
    while (take(OP_SCAN)) {
        add(key_there(sent.partition == 2 ? "a" : "c"), false);
        answer((struct bytes){0});
        partition = sent.partition > partition ? sent.partition : partition;
    }
    assert_int_equal(partition, PARTITIONS - 1);
    rig_expect(&rig, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
}

/* It ends when it has enough, with a cursor that leads behind that. */
static void test_scan_count(void **state)
{
    char wanted[96];
    uint64_t cursor;

    (void)state;
    rig_run(&rig, "SCAN 0 COUNT 2");
    assert_true(take(OP_SCAN));
    assert_int_equal(sent.partition, 0);
    add(key_there("a"), false);
    add(key_there("b"), false);
    answer((struct bytes){0});
    rig_nothing_sent(&rig);
    cursor = ring_first_position(rig.ring, 1) >> 18 << 6;
    snprintf(wanted, sizeof(wanted), "*2\r\n$%d\r\n%llu\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
             snprintf(NULL, 0, "%llu", (unsigned long long)cursor), (unsigned long long)cursor);
    rig_expect(&rig, wanted);
    snprintf(wanted, sizeof(wanted), "SCAN %llu COUNT 1", (unsigned long long)cursor);
    rig_run(&rig, wanted);
    assert_true(take(OP_SCAN));
    assert_int_equal(sent.partition, 1);
    add(key_there("c"), false);
    answer((struct bytes){0});
    rig_expect_prefix(&rig, "*2\r\n");
}

static void test_scan_wrong(void **state)
{
    static const char *const wrong[][2] = {
        {"SCAN x", "-ERR invalid cursor\r\n"},
        {"SCAN -", "-ERR invalid cursor\r\n"},
        {"SCAN -1", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"SCAN 18446744073709551616", "-ERR invalid cursor\r\n"},
        {"SCAN 0 COUNT", "-ERR syntax error\r\n"},
        {"SCAN 0 COUNT 0", "-ERR syntax error\r\n"},
        {"SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n"},
        {"SCAN 0 MATCH a TYPE", "-ERR syntax error\r\n"},
        {"SCAN 0 NONSENSE 1", "-ERR syntax error\r\n"},
        {"SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rig_run(&rig, wrong[i][0]);
        rig_expect(&rig, wrong[i][1]);
    }
    rig_nothing_sent(&rig);
}

/* All partitions, whichever is the first. */
static void test_randomkey(void **state)
{
    uint8_t key[POSITION_SIZE + 1] = {[POSITION_SIZE] = 'a'};
    int pieces = 0;

    (void)state;
    rig_run(&rig, "RANDOMKEY");
    for (; take(OP_SCAN); pieces++)
        answer((struct bytes){0});
    assert_int_equal(pieces, PARTITIONS + 1);
    rig_expect(&rig, "$-1\r\n");
    rig_run(&rig, "RANDOMKEY");
    assert_true(take(OP_SCAN));
    memcpy(key, message_next_arg(&sent.args, NULL).data, POSITION_SIZE);
    add(bytes_of(key, sizeof(key)), false);
    answer((struct bytes){0});
    rig_expect(&rig, "$1\r\na\r\n");
}

/* --- what can go wrong ---------------------------------------------------------------------- */

/* Time counts from the newest answer. */
static void test_time(void **state)
{
    (void)state;
    rig_run(&rig, "SCAN 0 COUNT 1000");
    for (int i = 0; i < 6; i++) {
        assert_true(take(OP_SCAN));
        rig_after(&rig, 250);
        answer((struct bytes){0});
    }
    rig_expect(&rig, "");
    rig.router.node_timeout_ms = 1 << 20;
    rig_after(&rig, RIG_TIMEOUT_MS);
    rig_expect_prefix(&rig, "-NOQUORUM");
    assert_int_equal(rig.session.holding, 0);
    while (take(OP_SCAN))
        ;
}

static void test_client_gone(void **state)
{
    (void)state;
    rig_run(&rig, "DBSIZE");
    assert_true(take(OP_COUNT));
    rig_leave(&rig);
    do
        answer_count(1, (struct bytes){0});
    while (take(OP_COUNT));
    rig_run(&rig, "SCAN 0");
    assert_true(take(OP_SCAN));
    rig_leave(&rig);
    answer((struct bytes){0});
    rig_nothing_sent(&rig);
}

static void test_misfits(void **state)
{
    (void)state;
    rig_run(&rig, "SCAN 0");
    assert_true(take(OP_SCAN));
    rig_reply(&rig, at, &(struct reply){.id = sent.id, .kind = REPLY_ARRAY});
    rig_expect_prefix(&rig, "-ERR");
    rig_run(&rig, "SCAN 0");
    assert_true(take(OP_SCAN));
    rig_reply(&rig, at,
              &(struct reply){.id = sent.id, .kind = REPLY_ERROR, .data = bytes_from("ERR x")});
    rig_expect_prefix(&rig, "-ERR");
}

/* Store keys and places of sizes that none has: from them the size of a user's key is computed. */
static void test_sizes_that_none_has(void **state)
{
    static const uint8_t bytes[STORE_KEY_SIZE_MAX + 2];
    const struct bytes good = bytes_of(bytes, POSITION_SIZE + 1);
    const size_t keys[] = {0, 1, POSITION_SIZE, STORE_KEY_SIZE_MAX + 1};
    const size_t places[] = {1, POSITION_SIZE - 1, STORE_KEY_SIZE_MAX + 2};
    /* Of another position, which is another call's. */
    const uint8_t behind[STORE_KEY_SIZE_MAX + 1] = {0, 0, 0, 1};

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        for (int nil = 0; nil < 2; nil++) {
            rig_run(&rig, "SCAN 0");
            assert_true(take(OP_SCAN));
            add(good, false);
            add(nil ? (struct bytes){0} : bytes_of(bytes, keys[i]), nil);
            answer((struct bytes){0});
            rig_expect_prefix(&rig, "-ERR the node's answer does not fit");
        }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        rig_run(&rig, "SCAN 0");
        assert_true(take(OP_SCAN));
        add(good, false);
        answer(bytes_of(bytes, places[i]));
        rig_expect_prefix(&rig, "-ERR the node's answer does not fit");
    }
    rig_run(&rig, "SCAN 0 COUNT 1");
    assert_true(take(OP_SCAN));
    add(good, false);
    answer(bytes_of(behind, sizeof(behind)));
    rig_expect_prefix(&rig, "*2");
}

/* A node that says again and again to go on at the same place, or leads back: the walk ends with
 * the second such answer, whichever command it is of. */
static void test_places_that_lead_nowhere(void **state)
{
    static const struct {
        const char *command;
        enum operation op;
    } walks[] = {{"DBSIZE", OP_COUNT}, {"KEYS *", OP_SCAN}, {"SCAN 0 COUNT 100", OP_SCAN}};
    int answers;

    (void)state;
    for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        rig_run(&rig, walks[i].command);
        for (answers = 0; take(walks[i].op); answers++) {
            assert_true(answers < 3 * PARTITIONS);
            if (sent.partition == 0 && walks[i].op == OP_COUNT)
                answer_count(1, key_there("x"));
            else
                answer(sent.partition == 0 ? key_there("x") : (struct bytes){0});
        }
        rig_expect(&rig, "-ERR the node's answer does not fit the command\r\n");
    }
    rig_run(&rig, "FLUSHALL");
    for (answers = 0; take(OP_FLUSH); answers++) {
        struct bytes next = key_there("x");

        assert_true(answers < 3 * PARTITIONS);
        rig_reply(&rig, at,
                  sent.partition == 0
                      ? &(struct reply){.id = sent.id, .kind = REPLY_BULK, .data = next}
                      : &(struct reply){.id = sent.id, .kind = REPLY_NIL});
    }
    rig_expect_prefix(&rig, "-UNCERTAIN it was done for some of the keys");
}

/* Keys that do not ascend, or a place in another partition: a cursor made of them could lead back.
 */
static void test_pieces_out_of_order(void **state)
{
    static const char *const keys[][3] = {{"b", "a", ""}, {"a", "a", ""}, {"a", "b", "b"}};
    uint8_t elsewhere[POSITION_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        rig_run(&rig, "SCAN 0 COUNT 1");
        assert_true(take(OP_SCAN));
        add(key_there(keys[i][0]), false);
        add(key_there(keys[i][1]), false);
        answer(*keys[i][2] ? key_there(keys[i][2]) : (struct bytes){0});
        rig_expect(&rig, "-ERR the node's answer does not fit the command\r\n");
    }
    wire_put_position(elsewhere, ring_first_position(rig.ring, 1));
    rig_run(&rig, "SCAN 0 COUNT 1");
    assert_true(take(OP_SCAN));
    answer(bytes_of(elsewhere, sizeof(elsewhere)));
    rig_expect(&rig, "-ERR the node's answer does not fit the command\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_dbsize),
        TEST(test_keys),
        TEST(test_keys_bound),
        TEST(test_flush),
        TEST(test_scan),
        TEST(test_scan_count),
        TEST(test_scan_wrong),
        TEST(test_randomkey),
        TEST(test_time),
        TEST(test_client_gone),
        TEST(test_misfits),
        TEST(test_sizes_that_none_has),
        TEST(test_places_that_lead_nowhere),
        TEST(test_pieces_out_of_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
