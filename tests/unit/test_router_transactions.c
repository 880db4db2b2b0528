/* MULTI, EXEC, WATCH: what is queued becomes one operation, and its results each command's reply.
 */
#include "proxy/transaction.h"
#include "router_rig.h"
#include "shared/error.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdio.h>

static struct rig rig;
static struct buf results;
static uint32_t result_count;
static struct request sent;
static unsigned at; /* the lane on which it was */

static int start(void **state)
{
    (void)state;
    rig_start(&rig, 1);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    buf_free(&results);
    result_count = 0;
    return 0;
}

/* Runs commands, separated by newlines. */
static void run_all(const char *lines)
{
    char line[256];

    while (*lines) {
        size_t size = strcspn(lines, "\n");

        assert_true(size < sizeof(line));
        memcpy(line, lines, size);
        line[size] = 0;
        rig_run(&rig, line);
        lines += size + (lines[size] == '\n');
    }
}

/* A command on `count` keys. */
static void run_many(const char *name, uint32_t count)
{
    struct bytes *words = calloc(count + 1, sizeof(*words));
    char(*keys)[16] = calloc(count, sizeof(*keys));

    assert_non_null(words);
    assert_non_null(keys);
    words[0] = bytes_from(name);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof(keys[i]), "{t}%u", i);
        words[i + 1] = bytes_from(keys[i]);
    }
    router_execute(&rig.router, &rig.session, words, count + 1);
    free(words);
    free(keys);
}

/* --- the nodes' side ------------------------------------------------------------------------ */

static void take(enum operation op)
{
    assert_true(rig_any_request(&rig, &sent, &at));
    assert_int_equal(sent.op, op);
    rig_nothing_sent(&rig);
}

/* The next part of the EXEC that was sent. */
static struct transaction_item next_part(void)
{
    struct transaction_item item;

    assert_int_equal(transaction_get_item(message_next_arg(&sent.args, NULL), &item), 0);
    return item;
}

static void result(const struct reply *reply)
{
    assert_int_equal(transaction_put_result(&results, reply), 0);
    result_count++;
}

static void result_ok(void)
{
    result(&(struct reply){.kind = REPLY_OK});
}

static void result_integer(int64_t n)
{
    result(&(struct reply){.kind = REPLY_INTEGER, .integer = n});
}

static void result_bulk(const char *text)
{
    result(&(struct reply){.kind = REPLY_BULK, .data = bytes_from(text)});
}

static void send_results(void)
{
    rig_reply(&rig, at,
              &(struct reply){.id = sent.id,
                              .kind = REPLY_RESULTS,
                              .count = result_count,
                              .data = buf_bytes(&results)});
    buf_truncate(&results, 0);
    result_count = 0;
}

static void send_nil(void)
{
    rig_reply(&rig, at, &(struct reply){.id = sent.id, .kind = REPLY_NIL});
}

/* Answers a WATCH with a token for each key, made of `tag`. */
static void send_tokens(uint8_t tag)
{
    struct buf values = {0};
    uint8_t value[4 + WATCH_TOKEN_SIZE] = {WATCH_TOKEN_SIZE, 0, 0, 0, 1, tag};

    for (uint16_t i = 0; i < sent.arg_count; i++)
        assert_int_equal(buf_append(&values, value, sizeof(value)), 0);
    rig_reply(&rig, at,
              &(struct reply){.id = sent.id,
                              .kind = REPLY_ARRAY,
                              .count = sent.arg_count,
                              .data = buf_bytes(&values),
                              .proof = bytes_of(rig_proof(5, 6, sent.arg_count).data, 0)});
    buf_free(&values);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void test_exec(void **state)
{
    struct transaction_item item;

    (void)state;
    run_all("MULTI\nSET {t}a 1\nINCR {t}a\nMGET {t}a {t}b\nPING\nDEL {t}a {t}b\nINCRBY {t}a x");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    rig_nothing_sent(&rig);
    rig_run(&rig, "EXEC");
    take(OP_EXEC);
    assert_int_equal(sent.arg_count, 4);
    assert_true(sent.session && sent.number);
    item = next_part();
    assert_int_equal(item.op, OP_SET);
    assert_int_equal(item.arg_count, 2);
    assert_int_equal(next_part().op, OP_INCRBY);
    assert_int_equal(next_part().op, OP_MGET);
    assert_int_equal(next_part().op, OP_DEL);
    result_ok();
    result_integer(2);
    result(&(struct reply){.kind = REPLY_ARRAY,
                           .count = 2,
                           .data = bytes_of("\1\0\0\0"
                                            "2"
                                            "\xff\xff\xff\xff",
                                            9)});
    result_integer(1);
    send_results();
    rig_expect(&rig, "*6\r\n+OK\r\n:2\r\n*2\r\n$1\r\n2\r\n$-1\r\n+PONG\r\n:1\r\n"
                     "-ERR value is not an integer or out of range\r\n");
    /* The next one is not queued. */
    rig_run(&rig, "PING");
    rig_expect(&rig, "+PONG\r\n");
}

static void test_without_nodes(void **state)
{
    (void)state;
    run_all("MULTI\nEXEC");
    rig_expect(&rig, "+OK\r\n*0\r\n");
    run_all("MULTI\nPING\nECHO x\nEXEC");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+PONG\r\n$1\r\nx\r\n");
    run_all("MULTI\nSET {t}a 1\nDISCARD\nEXEC\nDISCARD");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n+OK\r\n-ERR EXEC without MULTI\r\n"
                     "-ERR DISCARD without MULTI\r\n");
    assert_int_equal(rig.router.queued_bytes, 0);
}

static void test_aborted(void **state)
{
    static const char *const wrong[][2] = {
        {"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"},
        {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n"},
        {"GET a", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"},
        {"HELLO 3", "-ERR Command not allowed inside a transaction\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        run_all("MULTI\nGET {t}a");
        rig_expect(&rig, "+OK\r\n+QUEUED\r\n");
        rig_run(&rig, wrong[i][0]);
        rig_expect(&rig, wrong[i][1]);
        rig_run(&rig, "EXEC");
        rig_expect(&rig, "-EXECABORT Transaction discarded because of previous errors.\r\n");
        rig_nothing_sent(&rig);
    }
    /* These two do no harm. */
    run_all("MULTI\nMULTI\nWATCH a\nEXEC");
    rig_expect(&rig, "+OK\r\n-ERR MULTI calls can not be nested\r\n"
                     "-ERR WATCH inside MULTI is not allowed\r\n*0\r\n");
}

static void test_watch(void **state)
{
    struct transaction_item item;

    (void)state;
    rig_run(&rig, "WATCH {t}a {t}b");
    assert_int_equal(rig.session.holding, 1);
    take(OP_WATCH);
    assert_int_equal(sent.arg_count, 2);
    send_tokens(7);
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(rig.session.holding, 0);
    /* What is watched is not asked for again. */
    rig_run(&rig, "WATCH {t}b");
    rig_expect(&rig, "+OK\r\n");
    rig_nothing_sent(&rig);
    rig_run(&rig, "WATCH a");
    rig_expect(&rig, "-CROSSSLOT Keys in request don't hash to the same slot\r\n");

    run_all("MULTI\nGET {t}c\nEXEC");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n");
    take(OP_EXEC);
    assert_int_equal(sent.arg_count, 3);
    for (int i = 0; i < 2; i++) {
        item = next_part();
        assert_int_equal(item.op, 0);
        assert_int_equal(item.token.data[1], 7);
        assert_int_equal(item.key.size, POSITION_SIZE + 4);
        assert_memory_equal(item.key.data + POSITION_SIZE, i ? "{t}a" : "{t}b", 4);
    }
    assert_int_equal(next_part().op, OP_GET);
    send_nil();
    rig_expect(&rig, "*-1\r\n");
    /* They are not watched any more. */
    run_all("MULTI\nGET {t}c\nEXEC");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n");
    take(OP_EXEC);
    assert_int_equal(sent.arg_count, 1);
    result_bulk("x");
    send_results();
    rig_expect(&rig, "*1\r\n$1\r\nx\r\n");
    assert_int_equal(counter_read(&rig.counters.transactions), 2);
    assert_int_equal(counter_read(&rig.counters.transactions_unequal), 1);
}

/* What is watched and what is done must lie in one partition. */
static void test_watched_elsewhere(void **state)
{
    char key[16];

    (void)state;
    rig_run(&rig, "WATCH {t}a");
    take(OP_WATCH);
    send_tokens(1);
    rig_key(&rig, (rig_replica(&rig, "{t}a", 0) + 1) % RIG_SHARDS, key); /* of another shard */
    rig_run(&rig, "MULTI");
    rig_run_key(&rig, "SET %s 1", key);
    rig_run(&rig, "EXEC");
    rig_expect(&rig, "+OK\r\n+OK\r\n+QUEUED\r\n"
                     "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    rig_nothing_sent(&rig);
    /* Neither the commands nor what was watched are left. */
    run_all("MULTI\nGET {t}a\nEXEC");
    take(OP_EXEC);
    assert_int_equal(sent.arg_count, 1);
    result_bulk("x");
    send_results();
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nx\r\n");
}

/* A watched key counts even when there is nothing to do, and in RESP3 the nil is a null. */
static void test_watch_alone(void **state)
{
    (void)state;
    rig_run(&rig, "HELLO 3");
    rig_expect_prefix(&rig, "%7");
    rig_run(&rig, "WATCH {t}a");
    take(OP_WATCH);
    send_tokens(1);
    run_all("MULTI\nEXEC");
    rig_expect(&rig, "+OK\r\n+OK\r\n");
    take(OP_EXEC);
    send_nil();
    rig_expect(&rig, "_\r\n");
    rig_run(&rig, "WATCH {t}a");
    take(OP_WATCH);
    send_tokens(1);
    run_all("UNWATCH\nMULTI\nEXEC");
    rig_expect(&rig, "+OK\r\n+OK\r\n+OK\r\n*0\r\n");
}

/* What the proxy does itself is done in its place, when the rest is: not when it is not. */
static void test_local(void **state)
{
    (void)state;
    run_all("MULTI\nGET {t}a\nCLIENT SETNAME one\nEXEC");
    assert_int_equal(rig.session.holding, 1);
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    assert_string_equal(session_text(&rig.session, SESSION_NAME), "");
    take(OP_EXEC);
    send_nil();
    rig_expect(&rig, "*-1\r\n");
    assert_int_equal(rig.session.holding, 0);
    assert_string_equal(session_text(&rig.session, SESSION_NAME), "");
    run_all("MULTI\nGET {t}a\nCLIENT SETNAME one\nEXEC");
    take(OP_EXEC);
    result(&(struct reply){.kind = REPLY_NIL});
    send_results();
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n+OK\r\n");
    assert_string_equal(session_text(&rig.session, SESSION_NAME), "one");
}

/* Its replies have their turn among those of other commands. */
static void test_order(void **state)
{
    struct request get;
    unsigned get_at;

    (void)state;
    rig_know_views(&rig);
    rig_run(&rig, "SET a 1");
    assert_true(rig_any_request(&rig, &get, &get_at));
    run_all("MULTI\nINCR {t}a\nEXEC\nPING");
    take(OP_EXEC);
    result_integer(1);
    send_results();
    rig_expect(&rig, "");
    rig_ok(&rig, get_at, get.id);
    rig_expect(&rig, "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:1\r\n+PONG\r\n");
}

/* A command that becomes several operations has one reply. */
static void test_split(void **state)
{
    enum { KEYS = CALL_VALUES_MAX + 10 };
    char wanted[64];

    (void)state;
    rig_run(&rig, "MULTI");
    run_many("MGET", KEYS);
    rig_run(&rig, "EXEC");
    take(OP_EXEC);
    assert_int_equal(sent.arg_count, 2);
    for (int i = 0; i < 2; i++) {
        uint16_t count = next_part().arg_count;
        uint8_t *nil = malloc((size_t)count * 4);

        assert_non_null(nil);
        memset(nil, 0xff, (size_t)count * 4);
        result(&(struct reply){
            .kind = REPLY_ARRAY, .count = count, .data = bytes_of(nil, (size_t)count * 4)});
        free(nil);
    }
    send_results();
    snprintf(wanted, sizeof(wanted), "+OK\r\n+QUEUED\r\n*1\r\n*%d\r\n$-1\r\n", KEYS);
    rig_expect_prefix(&rig, wanted);
}

static void test_bounds(void **state)
{
    (void)state;
    rig_run(&rig, "MULTI");
    for (int i = 0; i < MULTI_COMMANDS_MAX; i++)
        rig_run(&rig, "GET {t}a");
    buf_truncate(&rig.out, 0);
    rig_run(&rig, "GET {t}a");
    rig_expect_prefix(&rig, "-ERR transaction is too large: it can have 2048 commands");
    rig_run(&rig, "EXEC");
    rig_expect(&rig, "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_int_equal(rig.router.queued_bytes, 0);
    run_many("WATCH", WATCH_KEYS_MAX + 1);
    rig_expect(&rig, "-ERR too many keys to watch: a client can watch 1024\r\n");
    assert_int_equal(counter_read(&rig.counters.transactions_refused), 2);
}

/* A lost connection: it is asked again, with the same number. */
static void test_again(void **state)
{
    uint64_t number;

    (void)state;
    run_all("MULTI\nINCR {t}a\nEXEC");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n");
    take(OP_EXEC);
    number = sent.number;
    rig_lane_lost(&rig, at);
    rig_lane_up(&rig, at);
    rig_after(&rig, ROUTER_RETRY_MS);
    take(OP_EXEC);
    assert_int_equal(sent.number, number);
    assert_true(sent.flags & REQUEST_RETRY);
    result_integer(1);
    send_results();
    rig_expect(&rig, "*1\r\n:1\r\n");
}

/* Wrong answers are told from right ones. */
static void test_misfits(void **state)
{
    (void)state;
    run_all("MULTI\nINCR {t}a\nEXEC");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n");
    take(OP_EXEC);
    send_results();
    rig_expect_prefix(&rig, "-UNCERTAIN");
    run_all("MULTI\nINCR {t}a\nEXEC");
    take(OP_EXEC);
    result_ok();
    send_results();
    rig_expect_prefix(&rig, "+OK\r\n+QUEUED\r\n*1\r\n-ERR");
}

/* The client goes while its transaction is queued, watched, on its way. */
static void test_client_gone(void **state)
{
    (void)state;
    rig_run(&rig, "WATCH {t}a");
    take(OP_WATCH);
    send_tokens(1);
    run_all("MULTI\nINCR {t}a\nPING\nEXEC");
    take(OP_EXEC);
    run_all("MULTI\nINCR {t}b");
    rig_leave(&rig);
    result_integer(1);
    send_results();
    assert_int_equal(rig.router.queued_bytes, 0);
    buf_truncate(&rig.out, 0);
}

/* More operations than one request takes: nothing is sent, and what was queued is gone. */
static void test_too_large(void **state)
{
    enum { CALLS = 1024, COMMANDS = 5 };
    char wanted[200];

    (void)state;
    run_all("MULTI");
    rig_expect(&rig, "+OK\r\n");
    for (int i = 0; i < COMMANDS; i++) {
        run_many("MGET", CALLS * CALL_VALUES_MAX);
        rig_expect(&rig, "+QUEUED\r\n");
    }
    run_all("EXEC");
    snprintf(wanted, sizeof(wanted),
             "-EXECABORT Transaction discarded because it is too large: its commands are %d "
             "operations on a node, which takes %d\r\n",
             CALLS * COMMANDS, MESSAGE_ARGS_MAX);
    rig_expect(&rig, wanted);
    rig_nothing_sent(&rig);
    assert_int_equal(counter_read(&rig.counters.transactions_refused), 1);
    run_all("EXEC");
    rig_expect(&rig, "-ERR EXEC without MULTI\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exec),        TEST(test_without_nodes),     TEST(test_aborted), TEST(test_watch),
        TEST(test_watch_alone), TEST(test_watched_elsewhere), TEST(test_local),   TEST(test_order),
        TEST(test_split),       TEST(test_too_large),         TEST(test_bounds),  TEST(test_again),
        TEST(test_misfits),     TEST(test_client_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
