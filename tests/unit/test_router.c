/* Client commands to requests and back: routing, order, splitting, gathering. */
#include "router_rig.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdio.h>

static struct rig rig;

static int start(void **state)
{
    (void)state;
    rig_start(&rig, 1);
    return 0;
}

static int start_three(void **state)
{
    (void)state;
    rig_start(&rig, 3);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    return 0;
}

/* --- one key -------------------------------------------------------------------------------- */

static void test_get(void **state)
{
    struct request m;
    struct bytes key;

    (void)state;
    for (unsigned lane = 0; lane < rig.members * RIG_SHARDS; lane++) {
        char name[16];

        rig_key(&rig, lane, name);
        rig_run_key(&rig, "GET %s", name);
        assert_true(rig_request(&rig, lane, &m));
        assert_int_equal(m.op, OP_GET);
        assert_int_equal(m.epoch, 1);
        assert_int_equal(m.level, LEVEL_VALUE); /* a majority of one */
        assert_int_equal(m.session, 0);
        assert_int_equal(m.number, 0);
        assert_int_equal(m.partition % 2, lane % 2);
        key = message_next_arg(&m.args, NULL);
        assert_int_equal(ring_partition(rig.ring, wire_get_position(key.data)), m.partition);
        assert_int_equal(key.size, POSITION_SIZE + strlen(name));
        assert_memory_equal(key.data + POSITION_SIZE, name, strlen(name));
        rig_expect(&rig, "");
        rig_bulk(&rig, lane, m.id, "hello");
        rig_expect(&rig, "$5\r\nhello\r\n");
    }
}

static void test_nil_and_versions(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "GET a");
    rig_run(&rig, "HELLO 3");
    rig_run(&rig, "GET a");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_reply(&rig, lane, &(struct reply){.id = m.id, .kind = REPLY_NIL});
    /* The first was asked in RESP2 and is answered in it. */
    rig_expect_prefix(&rig, "$-1\r\n%7\r\n");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_reply(&rig, lane, &(struct reply){.id = m.id, .kind = REPLY_NIL});
    rig_expect(&rig, "_\r\n");
}

static void test_writes_have_an_identity(void **state)
{
    struct request first, second;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "SET a 2");
    assert_true(rig_any_request(&rig, &first, &lane));
    assert_true(rig_request(&rig, lane, &second));
    assert_int_equal(first.session, 77);
    assert_true(second.number > first.number);
    assert_true(first.number > 0);
    rig_ok(&rig, lane, first.id);
    rig_expect(&rig, "+OK\r\n");
    rig_ok(&rig, lane, second.id);
    rig_expect(&rig, "+OK\r\n");
}

static void check_increment(const char *words, int64_t increment)
{
    struct request m;
    unsigned lane;

    rig_run(&rig, words);
    assert_true(rig_any_request(&rig, &m, &lane));
    assert_int_equal(m.op, OP_INCRBY);
    message_next_arg(&m.args, NULL);
    assert_int_equal(wire_get_i64(message_next_arg(&m.args, NULL).data), increment);
    rig_integer(&rig, lane, m.id, -7);
    rig_expect(&rig, ":-7\r\n");
}

static void test_increments(void **state)
{
    (void)state;
    check_increment("INCR a", 1);
    check_increment("DECR a", -1);
    check_increment("INCRBY a 41", 41);
    check_increment("INCRBY a -9223372036854775808", INT64_MIN);
    check_increment("DECRBY a 9223372036854775807", -INT64_MAX);
    rig_run(&rig, "DECRBY a -9223372036854775808");
    rig_expect(&rig, "-ERR decrement would overflow\r\n");
    rig_run(&rig, "INCRBY a 1x");
    rig_expect(&rig, "-ERR value is not an integer or out of range\r\n");
}

static void test_levelget(void **state)
{
    unsigned lane, used[RIG_LANES] = {0};
    struct rig_read read;
    struct request m;
    char key[16];

    (void)state;
    rig_key(&rig, 0, key);
    rig_run_key(&rig, "LEVELGET %s 0", key);
    assert_true(rig_request(&rig, 0, &m));
    assert_int_equal(m.level, LEVEL_PRIMARY);
    rig_bulk(&rig, 0, m.id, "x");
    rig_run_key(&rig, "LEVELGET %s 2", key);
    rig_read(&rig, &read);
    rig_agree(&rig, &read, "x");
    for (int i = 0; i < 12; i++) {
        rig_run_key(&rig, "LEVELGET %s 1", key);
        assert_true(rig_any_request(&rig, &m, &lane));
        assert_int_equal(m.level, LEVEL_ANY);
        rig_bulk(&rig, lane, m.id, "x");
        used[lane]++;
    }
    for (unsigned i = 0; i < RIG_LANES; i++) /* the same shard of each member */
        assert_int_equal(used[i], i < 6 && i % RIG_SHARDS == 0 ? 4 : 0);
    router_lane_failed(&rig.router, &rig.lanes[0]);
    router_lane_failed(&rig.router, &rig.lanes[4]);
    rig_run_key(&rig, "LEVELGET %s 1", key);
    assert_true(rig_request(&rig, 2, &m));
    rig_bulk(&rig, 2, m.id, "x");
    buf_consume(&rig.out, buf_len(&rig.out));
    rig_run_key(&rig, "LEVELGET %s 3", key);
    rig_expect_prefix(&rig, "-ERR level is out of range");
}

/* --- what is refused before it is sent ------------------------------------------------------- */

static void test_keys_and_values(void **state)
{
    char key[KEY_SIZE_MAX + 1];
    struct bytes args[] = {bytes_from("GET"), {(uint8_t *)key, 0}};
    struct request m;
    unsigned lane;

    (void)state;
    memset(key, 'k', sizeof(key));
    router_execute(&rig.router, &rig.session, args, 2);
    rig_expect(&rig, "-ERR key is empty; a key has 1 to 496 bytes\r\n");
    args[1].size = KEY_SIZE_MAX + 1;
    router_execute(&rig.router, &rig.session, args, 2);
    rig_expect(&rig, "-ERR key is too long: 497 bytes; a key has 1 to 496\r\n");
    assert_false(rig_any_request(&rig, &m, &lane));
    args[1].size = KEY_SIZE_MAX;
    router_execute(&rig.router, &rig.session, args, 2);
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_bulk(&rig, lane, m.id, "");
    rig_expect(&rig, "$0\r\n\r\n");
}

static void test_wrong_words(void **state)
{
    static const struct {
        const char *words, *reply;
    } cases[] = {
        {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"get a b", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"MSET a", "-ERR wrong number of arguments for 'mset' command\r\n"},
        {"MSET a b c", "-ERR wrong number of arguments for 'mset' command\r\n"},
        {"SET a b NX XX", "-ERR syntax error\r\n"},
        {"CLIENT", "-ERR wrong number of arguments for 'client' command\r\n"},
        {"CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command\r\n"},
        {"CLIENT x", "-ERR unknown subcommand 'x'. Try CLIENT HELP.\r\n"},
        {"NoSuch", "-ERR unknown command 'NoSuch', with args beginning with: \r\n"},
        {"x a b", "-ERR unknown command 'x', with args beginning with: 'a' 'b' \r\n"},
        {"x a\r\nb", "-ERR unknown command 'x', with args beginning with: 'a  b' \r\n"},
        {"SELECT 0", "+OK\r\n"},
        {"SELECT 1", "-ERR DB index is out of range\r\n"},
        {"SELECT x", "-ERR value is not an integer or out of range\r\n"},
        {"HELLO 4", "-NOPROTO unsupported protocol version\r\n"},
        {"HELLO 2 X", "-ERR Syntax error in HELLO option 'X'\r\n"},
        {"PING", "+PONG\r\n"},
        {"PING a", "$1\r\na\r\n"},
        {"ECHO ", "$0\r\n\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_run(&rig, cases[i].words);
        rig_expect(&rig, cases[i].reply);
    }
}

static void test_names(void **state)
{
    (void)state;
    rig_run(&rig, "CLIENT GETNAME");
    rig_expect(&rig, "$-1\r\n");
    rig_run(&rig, "CLIENT SETNAME me");
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "CLIENT SETNAME m\ne");
    rig_expect(&rig,
               "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    rig_run(&rig, "CLIENT GETNAME");
    rig_expect(&rig, "$2\r\nme\r\n");
    rig_run(&rig, "CLIENT SETINFO LIB-NAME lib");
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "CLIENT SETINFO X lib");
    rig_expect(&rig, "-ERR Unrecognized option 'X'\r\n");
    rig_run(&rig, "CLIENT ID");
    rig_expect(&rig, ":5\r\n");
    rig_run(&rig, "CLIENT SETNAME ");
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "CLIENT GETNAME");
    rig_expect(&rig, "$-1\r\n");
}

/* --- the client's order ----------------------------------------------------------------------- */

static void test_replies_keep_the_order(void **state)
{
    struct request first, second;
    char a[16], b[16];

    (void)state;
    rig_key(&rig, 0, a);
    rig_key(&rig, 3, b);
    rig_run_key(&rig, "GET %s", a);
    rig_run_key(&rig, "GET %s", b);
    rig_run(&rig, "PING");
    rig_run(&rig, "ECHO x");
    assert_true(rig_request(&rig, 0, &first));
    assert_true(rig_request(&rig, 3, &second));
    rig_bulk(&rig, 3, second.id, "second");
    rig_expect(&rig, "");
    assert_int_equal(rig.session.kept, 12 + 7 + 7);
    rig_bulk(&rig, 0, first.id, "first");
    rig_expect(&rig, "$5\r\nfirst\r\n$6\r\nsecond\r\n+PONG\r\n$1\r\nx\r\n");
    assert_int_equal(rig.session.kept, 0);
    assert_int_equal(rig.session.pending, 0);
    assert_int_equal(rig.session.sent_bytes, 0);
}

static void test_client_leaves(void **state)
{
    struct request first, second;
    unsigned lane;

    (void)state;
    rig_run(&rig, "SET a 1");
    rig_run(&rig, "GET a");
    rig_run(&rig, "PING");
    assert_true(rig_any_request(&rig, &first, &lane));
    assert_true(rig_request(&rig, lane, &second));
    rig_bulk(&rig, lane, second.id, "1");
    rig_leave(&rig);
    assert_null(rig.session.first);
    rig_ok(&rig, lane, first.id);
    rig_expect(&rig, "");
    assert_int_equal(rig.router.requests.slots.used, 0);
    assert_null(router_next_ready(&rig.router));
}

/* --- several keys ----------------------------------------------------------------------------- */

/* Answers an MGET with each key's own name, or nil for "none". */
static void answer_mget(unsigned lane, const struct request *m)
{
    struct buf out = {0};
    struct bytes rest = m->args;
    size_t begun = message_begin_array_reply(&out, m->id);
    struct reply reply;
    struct frame frame;

    for (uint16_t i = 0; i < m->arg_count; i++) {
        struct bytes key = message_next_arg(&rest, NULL);
        struct bytes name = {key.data + POSITION_SIZE, key.size - POSITION_SIZE};
        bool nil = bytes_equal(name, bytes_from("none"));

        assert_int_equal(message_add_value(&out, begun, nil ? NULL : &name), 0);
    }
    assert_int_equal(message_end_array_reply(&out, begun, (struct bytes){0}), 0);
    assert_true(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &frame) > 0);
    assert_int_equal(message_get_reply(frame.body, &reply), 0);
    assert_int_equal(router_reply(&rig.router, &rig.lanes[lane], frame.body), 0);
    buf_free(&out);
}

static void test_mget(void **state)
{
    struct request m;
    unsigned calls = 0;

    (void)state;
    rig_run(&rig, "MGET a b none c d e a f g h");
    /* From the last lane to the first: not the order of the keys. */
    for (unsigned lane = RIG_LANES; lane-- > 0;) {
        while (rig_request(&rig, lane, &m)) {
            rig_expect(&rig, "");
            answer_mget(lane, &m);
            calls++;
        }
    }
    assert_true(calls > 2);
    rig_expect(&rig, "*10\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n"
                     "$1\r\na\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n");
    assert_int_equal(rig.session.kept, 0);
    assert_int_equal(counter_read(&rig.counters.hits), 9);
    assert_int_equal(counter_read(&rig.counters.misses), 1);
}

static void test_mget_of_one_partition(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "MGET {x}1 {x}2 {x}1");
    assert_true(rig_any_request(&rig, &m, &lane));
    assert_int_equal(m.arg_count, 3);
    answer_mget(lane, &m);
    assert_false(rig_any_request(&rig, &m, &lane));
    rig_expect(&rig, "*3\r\n$4\r\n{x}1\r\n$4\r\n{x}2\r\n$4\r\n{x}1\r\n");
}

static void test_sums(void **state)
{
    struct request m;
    unsigned lane;
    int64_t sum = 0;

    (void)state;
    rig_run(&rig, "DEL a b c d e f g h a");
    while (rig_any_request(&rig, &m, &lane)) {
        rig_integer(&rig, lane, m.id, m.arg_count);
        sum += m.arg_count;
    }
    assert_int_equal(sum, 9);
    rig_expect(&rig, ":9\r\n");
}

static void test_mset(void **state)
{
    struct request m;
    unsigned lane, keys = 0, calls = 0;

    (void)state;
    rig_run(&rig, "MSET a 1 b 2 c 3 d 4 e 5");
    while (rig_any_request(&rig, &m, &lane)) {
        for (uint16_t i = 0; i < m.arg_count; i += 2, keys++) {
            struct bytes key = message_next_arg(&m.args, NULL);
            struct bytes value = message_next_arg(&m.args, NULL);

            assert_int_equal(value.data[0] - '1', key.data[POSITION_SIZE] - 'a');
        }
        calls++;
        rig_ok(&rig, lane, m.id);
    }
    assert_int_equal(keys, 5);
    assert_true(calls > 1);
    rig_expect(&rig, "+OK\r\n");
}

/* So many keys of one partition that they do not fit in a request. */
static void check_split(const char *name, unsigned count, unsigned with_values,
                        unsigned calls_wanted)
{
    struct bytes *args = calloc(1 + (size_t)count * (1 + with_values), sizeof(*args));
    struct request m;
    unsigned lane, calls = 0, found = 0, n = 0;

    assert_non_null(args);
    args[n++] = bytes_from(name);
    for (unsigned i = 0; i < count; i++) {
        args[n++] = bytes_from("{same}key");
        if (with_values)
            args[n++] = bytes_from("v");
    }
    router_execute(&rig.router, &rig.session, args, n);
    while (rig_any_request(&rig, &m, &lane)) {
        assert_true(m.arg_count <= MESSAGE_ARGS_MAX);
        found += m.arg_count;
        calls++;
        if (m.op == OP_MGET)
            answer_mget(lane, &m);
        else if (m.op == OP_MSET)
            rig_ok(&rig, lane, m.id);
        else
            rig_integer(&rig, lane, m.id, m.arg_count);
    }
    assert_int_equal(found, n - 1);
    assert_int_equal(calls, calls_wanted);
    free(args);
}

static void test_splits(void **state)
{
    (void)state;
    check_split("EXISTS", MESSAGE_ARGS_MAX, 0, 1);
    rig_expect(&rig, ":4096\r\n");
    check_split("EXISTS", MESSAGE_ARGS_MAX + 1, 0, 2);
    rig_expect(&rig, ":4097\r\n");
    check_split("MSET", MESSAGE_ARGS_MAX / 2, 1, 1);
    rig_expect(&rig, "+OK\r\n");
    check_split("MSET", MESSAGE_ARGS_MAX / 2 + 1, 1, 2);
    rig_expect(&rig, "+OK\r\n");
    check_split("MGET", CALL_VALUES_MAX + 1, 0, 2);
    rig_expect_prefix(&rig, "*257\r\n$9\r\n{same}key\r\n");
}

/* By size as well: two values of 600 kB do not share a request of at most 1 MiB, and a larger one
 * travels alone. */
static void test_splits_by_size(void **state)
{
    enum { SIZE = 600000 };
    char *value = calloc(1, SIZE * 2);
    struct bytes args[] = {bytes_from("MSET"),
                           bytes_from("{t}a"),
                           {(uint8_t *)value, SIZE},
                           bytes_from("{t}b"),
                           {(uint8_t *)value, SIZE}};
    struct request m;
    unsigned lane;

    (void)state;
    assert_non_null(value);
    rig_know_views(&rig);
    router_execute(&rig.router, &rig.session, args, 5);
    assert_true(rig_any_request(&rig, &m, &lane));
    assert_int_equal(m.arg_count, 2);
    rig_ok(&rig, lane, m.id);
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "+OK\r\n");
    args[2].size = SIZE * 2;
    rig.router.lane_output_max = SIZE * 8;
    router_execute(&rig.router, &rig.session, args, 3);
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(rig.router.requests.bytes, 0);
    free(value);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_nil_and_versions),
        TEST(test_writes_have_an_identity),
        TEST(test_increments),
        cmocka_unit_test_setup_teardown(test_levelget, start_three, finish),
        TEST(test_keys_and_values),
        TEST(test_wrong_words),
        TEST(test_names),
        TEST(test_replies_keep_the_order),
        TEST(test_client_leaves),
        TEST(test_mget),
        TEST(test_mget_of_one_partition),
        TEST(test_sums),
        TEST(test_mset),
        TEST(test_splits),
        TEST(test_splits_by_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
