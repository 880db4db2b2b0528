/* AUTH and HELLO with errands, silent replies, and slow commands, through a router. */
#include "proxy/client_line.h"
#include "proxy/errand.h"
#include "proxy/login.h"
#include "proxy/records.h"
#include "proxy/tunables.h"
#include "router_rig.h"
#include "shared/config.h"
#include "shared/error.h"
#include <stdio.h>

/* Of "secret". */
#define WORD                                               \
    "pbkdf2-sha256:1000:30313233343536373839616263646566:" \
    "b622961f2e0500609613c827e86b4a85ac43d8e79e0145165c54ffa7569a365f"

#define NOAUTH    "-NOAUTH Authentication required.\r\n"
#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

static struct rig rig;
static struct users users;
static struct logins logins;
static struct tunables tunables;
static struct records records;
static struct errand asked;
static char asked_password[PASSWORD_SIZE_MAX + 1];
static int refusal; /* of the next errand */
static uint32_t errands;

static int take_errand(void *arg, struct session *s, const struct errand *errand)
{
    (void)arg;
    assert_ptr_equal(s, &rig.session);
    if (refusal)
        return refusal;
    errands++;
    asked = *errand;
    snprintf(asked_password, sizeof(asked_password), "%.*s", (int)errand->password.size,
             (const char *)errand->password.data);
    return 0;
}

/* The errand comes back: the same command again. */
static void come_back(const char *words, bool matches)
{
    assert_true(rig.session.suspended);
    rig_expect(&rig, "");
    asked.matches = matches;
    rig.session.suspended = false;
    rig.session.errand = &asked;
    rig_run(&rig, words);
    rig.session.errand = NULL;
}

static struct records *take_records(void *arg)
{
    (void)arg;
    return &records;
}

static void give_records(void *arg)
{
    (void)arg;
}

static void start_with(const char *requirepass, const char *file)
{
    char why[CONFIG_WHY_SIZE];

    rig_start(&rig, 1);
    assert_int_equal(users_read(&users, requirepass, "users", bytes_from(file), why, sizeof(why)),
                     0);
    assert_int_equal(logins_init(&logins, &users), 0);
    memset(logins.key, 1, sizeof(logins.key));
    rig.router.logins = &logins;
    rig.router.tunables = &tunables;
    rig.router.ports.errand = take_errand;
    rig.router.ports.records = take_records;
    rig.router.ports.records_done = give_records;
    tunables = (struct tunables){.slow_us = -1, .slow_entries = 10};
    login_reset(&logins, &rig.session);
    refusal = 0;
    errands = 0;
}

static int start_guarded(void **state)
{
    (void)state;
    start_with(WORD, "");
    return 0;
}

static int start_named(void **state)
{
    (void)state;
    start_with("", "alice " WORD "\n");
    return 0;
}

static int start_open(void **state)
{
    (void)state;
    start_with("", "");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish(&rig);
    logins_destroy(&logins);
    users_free(&users);
    slow_log_reset(&records.slow);
    return 0;
}

static void test_stranger(void **state)
{
    (void)state;
    rig_run(&rig, "GET a");
    rig_expect(&rig, NOAUTH);
    rig_run(&rig, "CLIENT LIST");
    rig_expect(&rig, NOAUTH);
    rig_run(&rig, "NONSENSE a");
    rig_expect_prefix(&rig, "-ERR unknown command");
    buf_truncate(&rig.out, 0);
    rig_run(&rig, "HELLO 3");
    rig_expect_prefix(&rig, "-NOAUTH HELLO must");
    buf_truncate(&rig.out, 0);
    assert_int_equal(rig.session.resp, 2);
    assert_int_equal(errands, 0);
    rig_nothing_sent(&rig);
}

static void test_auth(void **state)
{
    (void)state;
    rig_run(&rig, "AUTH secret");
    assert_ptr_equal(asked.hash, &users.list[USER_DEFAULT].password);
    assert_string_equal(asked_password, "secret");
    come_back("AUTH secret", true);
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "PING");
    rig_expect(&rig, "+PONG\r\n");
    assert_int_equal(counter_read(&rig.counters.commands), 2); /* AUTH only once */
}

/* A password that was right is known from then on, in this thread. */
static void test_remembered(void **state)
{
    (void)state;
    rig_run(&rig, "AUTH secret");
    come_back("AUTH secret", true);
    rig_expect(&rig, "+OK\r\n");
    login_reset(&logins, &rig.session);
    rig_run(&rig, "AUTH default secret");
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(errands, 1);
    rig_run(&rig, "AUTH secreT");
    assert_int_equal(errands, 2);
    come_back("AUTH secreT", false);
    rig_expect(&rig, WRONGPASS);
    assert_false(rig.session.stranger); /* who was in stays in */
}

static void test_wrong_passwords_end_it(void **state)
{
    (void)state;
    for (int i = 1; i <= LOGIN_FAILURES_MAX; i++) {
        assert_false(rig.session.ending);
        rig_run(&rig, "AUTH wrong");
        come_back("AUTH wrong", false);
        rig_expect(&rig, WRONGPASS);
    }
    assert_true(rig.session.ending);
    assert_int_equal(counter_read(&rig.counters.login_failures), LOGIN_FAILURES_MAX);
    assert_int_equal(counter_read(&rig.counters.closed_for_logins), 1);
}

/* A name that there is not takes as long as one that there is, whatever comes back. */
static void test_unknown_user(void **state)
{
    (void)state;
    rig_run(&rig, "AUTH nobody secret");
    assert_int_equal(asked.hash->iterations, PASSWORD_ITERATIONS);
    come_back("AUTH nobody secret", true);
    rig_expect(&rig, WRONGPASS);
    assert_true(rig.session.stranger);
}

static void test_default_user_is_off(void **state)
{
    (void)state;
    rig_run(&rig, "AUTH secret");
    come_back("AUTH secret", true);
    rig_expect(&rig, WRONGPASS);
    rig_run(&rig, "HELLO 3 AUTH alice secret SETNAME me");
    come_back("HELLO 3 AUTH alice secret SETNAME me", true);
    rig_expect_prefix(&rig, "%7\r\n");
    buf_truncate(&rig.out, 0);
    assert_int_equal(rig.session.user, 1);
    rig_run(&rig, "ACL WHOAMI");
    rig_expect(&rig, "$5\r\nalice\r\n");
    rig_run(&rig, "CLIENT GETNAME");
    rig_expect(&rig, "$2\r\nme\r\n");
    rig_run(&rig, "RESET");
    rig_expect(&rig, "+RESET\r\n");
    rig_run(&rig, "PING");
    rig_expect(&rig, NOAUTH);
}

static void run_hello_and_expect(const char *words, const char *prefix, const char *name)
{
    char shown[32];

    rig_run(&rig, words);
    if (rig.session.suspended)
        come_back(words, false);
    rig_expect_prefix(&rig, prefix);
    buf_truncate(&rig.out, 0);
    rig_run(&rig, "CLIENT GETNAME");
    snprintf(shown, sizeof(shown), "$%zu\r\n%s\r\n", strlen(name), name);
    rig_expect(&rig, shown);
}

/* As in Redis: what stands before the wrong option has been done, and the first error is told. */
static void test_hello_in_its_order(void **state)
{
    (void)state;
    run_hello_and_expect("HELLO 2 SETNAME a NONSENSE SETNAME b",
                         "-ERR Syntax error in HELLO option 'NONSENSE'", "a");
    run_hello_and_expect("HELLO 2 SETNAME b SETNAME \x7f NONSENSE",
                         "-ERR Client names cannot contain", "b");
    run_hello_and_expect("HELLO 2 SETNAME c AUTH nobody x SETNAME d", "-WRONGPASS", "c");
    run_hello_and_expect("HELLO 2 AUTH nobody x NONSENSE", "-WRONGPASS", "c");
    run_hello_and_expect("HELLO 3 SETNAME e SETNAME f", "%7", "f");
}

/* One check's outcome must not let a second user in. */
static void test_hello_with_two_passwords(void **state)
{
    static const char words[] = "HELLO 3 AUTH alice secret AUTH default guess";

    (void)state;
    rig_run(&rig, words);
    come_back(words, true);
    rig_expect(&rig, "-ERR Syntax error in HELLO option 'AUTH'\r\n");
    assert_int_equal(errands, 1);
    assert_int_equal(rig.session.user, 1);
    assert_int_equal(rig.session.resp, 2);
}

static void test_too_many_checks(void **state)
{
    (void)state;
    refusal = RK_FULL;
    rig_run(&rig, "AUTH secret");
    rig_expect_prefix(&rig, "-BUSY too many passwords");
    buf_truncate(&rig.out, 0);
    assert_false(rig.session.suspended);
    assert_int_equal(rig.session.login_failures, 0);
}

static void test_no_memory_for_a_check(void **state)
{
    (void)state;
    refusal = RK_NOMEM;
    rig_run(&rig, "AUTH secret");
    rig_expect_prefix(&rig, "-ERR the proxy is out of memory; nothing was done");
    buf_truncate(&rig.out, 0);
    assert_false(rig.session.suspended);
    assert_int_equal(rig.session.login_failures, 0);
}

static void test_without_passwords(void **state)
{
    (void)state;
    rig_run(&rig, "AUTH any");
    rig_expect_prefix(&rig, "-ERR AUTH <password> called without any password configured");
    buf_truncate(&rig.out, 0);
    rig_run(&rig, "AUTH default any");
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "AUTH alice any");
    rig_expect(&rig, WRONGPASS);
    assert_int_equal(errands, 0);
}

/* What is longer than any password is wrong without being looked at. */
static void test_long_passwords(void **state)
{
    char words[PASSWORD_SIZE_MAX + 8] = "AUTH ";

    (void)state;
    memset(words + 5, 'x', PASSWORD_SIZE_MAX + 1);
    rig_run(&rig, words);
    rig_expect(&rig, WRONGPASS);
    assert_int_equal(errands, 0);
    words[5 + PASSWORD_SIZE_MAX] = '\0';
    rig_run(&rig, words);
    assert_int_equal(errands, 1);
    assert_int_equal(strlen(asked_password), PASSWORD_SIZE_MAX);
    come_back(words, false);
    rig_expect(&rig, WRONGPASS);
}

/* A router without users knows the default user only. */
static void test_without_users(void **state)
{
    (void)state;
    rig.router.logins = NULL;
    rig.session.user = 7;
    login_reset(NULL, &rig.session);
    assert_int_equal(rig.session.user, USER_DEFAULT);
    assert_false(rig.session.stranger);
    rig_run(&rig, "AUTH default any");
    rig_expect(&rig, "+OK\r\n");
    rig_run(&rig, "AUTH alice any");
    rig_expect(&rig, WRONGPASS);
    assert_int_equal(errands, 0);
}

static void test_silent_replies(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    rig_run(&rig, "CLIENT REPLY SKIP");
    rig_run(&rig, "GET a");
    rig_run(&rig, "PING");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_bulk(&rig, lane, m.id, "never");
    rig_expect(&rig, "+PONG\r\n");
    rig_run(&rig, "CLIENT REPLY OFF");
    rig_run(&rig, "NONSENSE");
    rig_run(&rig, "GET a");
    rig_run(&rig, "PING");
    rig_run(&rig, "CLIENT REPLY ON");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_bulk(&rig, lane, m.id, "never");
    rig_expect(&rig, "+OK\r\n");
}

static uint64_t slow_entries(const char *part)
{
    struct buf out = {0};
    bool found;

    assert_int_equal(slow_log_put(&records.slow, &out, 100), 0);
    found = memmem(buf_head(&out), buf_len(&out), part, strlen(part)) != NULL;
    buf_free(&out);
    return found ? records.slow.count : 0;
}

/* Short arguments that ask for long pieces: there is an end to the reply. */
static void test_large_replies(void **state)
{
    static const char *const commands[] = {"COMMAND INFO client client client client",
                                           "COMMAND DOCS client client client client"};

    (void)state;
    rig.router.reply_max = 4000;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        rig_run(&rig, commands[i]);
        rig_expect(&rig, "-ERR the reply would be more than half of client_output; ask for less at "
                         "once\r\n");
        rig_run(&rig, "MULTI");
        rig_run(&rig, "PING");
        rig_run(&rig, commands[i]);
        rig_run(&rig, "PING");
        rig_run(&rig, "EXEC");
        rig_expect(&rig, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+PONG\r\n"
                         "-ERR the reply would be more than half of client_output; ask for less at "
                         "once\r\n+PONG\r\n");
    }
    rig_run(&rig, "COMMAND INFO get");
    rig_expect_prefix(&rig, "*1\r\n*10\r\n$3\r\nget");
    rig_run(&rig, "COMMAND");
    rig_expect_prefix(&rig, "*");
    rig_run(&rig, "MULTI");
    rig_run(&rig, "COMMAND DOCS");
    rig_run(&rig, "COMMAND");
    rig_expect(&rig, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    rig_run(&rig, "EXEC");
    assert_non_null(memmem(buf_head(&rig.out), buf_len(&rig.out), "\r\n-ERR the reply would", 22));
    rig_expect_prefix(&rig, "*2\r\n*");
}

#define TOO_LARGE \
    "-ERR the reply would be more than half of client_output; ask for less at once\r\n"

/* Likewise for the entries of the slow log, of which there may be a hundred thousand. */
static void test_large_slowlog(void **state)
{
    (void)state;
    tunables.slow_us = 0;
    for (int i = 0; i < 10; i++)
        rig_run(&rig,
                "PING aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    tunables.slow_us = -1;
    buf_truncate(&rig.out, 0);
    assert_true(slow_log_size(&records.slow, 4) > 500);
    assert_true(slow_log_size(&records.slow, 5) < 1000);
    rig.router.reply_max = 1000;
    rig_run(&rig, "SLOWLOG GET -1");
    rig_expect(&rig, TOO_LARGE);
    rig_run(&rig, "SLOWLOG GET 5");
    rig_expect_prefix(&rig, "*5\r\n");
    rig_run(&rig, "MULTI");
    for (int i = 0; i < 4; i++)
        rig_run(&rig, "SLOWLOG GET 4");
    buf_truncate(&rig.out, 0);
    rig_run(&rig, "EXEC");
    assert_in_range(buf_len(&rig.out), 2 * slow_log_size(&records.slow, 4), 2000);
    assert_memory_equal(buf_head(&rig.out) + buf_len(&rig.out) - strlen(TOO_LARGE TOO_LARGE),
                        TOO_LARGE TOO_LARGE, strlen(TOO_LARGE TOO_LARGE));
    rig_expect_prefix(&rig, "*4\r\n*4\r\n");
}

static void test_many_users(void **state)
{
    static const char *const commands[] = {"ACL USERS", "ACL LIST"};

    (void)state;
    rig.router.reply_max = 3;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        rig_run(&rig, "MULTI");
        rig_run(&rig, commands[i]);
        rig_run(&rig, commands[i]);
        buf_truncate(&rig.out, 0);
        rig_run(&rig, "EXEC");
        rig_expect(&rig, "*2\r\n" TOO_LARGE TOO_LARGE);
    }
}

/* A walk over all partitions whose pieces are quick, all together are not. */
static void slow_walk(void)
{
    static const uint8_t nil[4] = {0xff, 0xff, 0xff, 0xff}; /* the partition has ended */
    struct request m;
    unsigned lane;

    rig_run(&rig, "SCAN 0 COUNT 100000");
    rig_after(&rig, 4);
    while (rig_any_request(&rig, &m, &lane)) {
        rig_after(&rig, 4);
        rig_reply(
            &rig, lane,
            &(struct reply){
                .id = m.id, .kind = REPLY_ARRAY, .count = 1, .data = bytes_of(nil, sizeof(nil))});
    }
    rig_expect(&rig, "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_int_equal(slow_entries("*1\r\n$4\r\nscan\r\n"), 2);
}

static void test_slow_commands(void **state)
{
    struct request m;
    unsigned lane;

    (void)state;
    tunables.slow_us = 20000;
    tunables.latency_ms = 50;
    rig_run(&rig, "SET a value");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_after(&rig, 19);
    rig_ok(&rig, lane, m.id);
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(records.slow.count, 0);
    rig_run(&rig, "INCRBY a 5");
    assert_true(rig_any_request(&rig, &m, &lane));
    rig_after(&rig, 60);
    rig_integer(&rig, lane, m.id, 5);
    rig_expect(&rig, ":5\r\n");
    assert_int_equal(
        slow_entries(":60000\r\n*3\r\n$6\r\nincrby\r\n$1\r\na\r\n$1\r\n5\r\n$11\r\n127.0.0.1:2"),
        1);
    assert_int_equal(records.latency.series[LATENCY_FAST_COMMAND].count, 1);
    assert_int_equal(records.latency.series[LATENCY_COMMAND].count, 0);
    slow_walk();
    tunables.slow_us = 0;
    rig_run(&rig, "PING hello");
    rig_expect(&rig, "$5\r\nhello\r\n");
    assert_int_equal(slow_entries("*2\r\n$4\r\nPING\r\n$5\r\nhello\r\n"), 3);
    rig_run(&rig, "AUTH default password");
    rig_expect(&rig, "+OK\r\n");
    assert_int_equal(slow_entries("password"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stranger, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_auth, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_remembered, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_wrong_passwords_end_it, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_unknown_user, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_default_user_is_off, start_named, finish),
        cmocka_unit_test_setup_teardown(test_hello_in_its_order, start_open, finish),
        cmocka_unit_test_setup_teardown(test_hello_with_two_passwords, start_named, finish),
        cmocka_unit_test_setup_teardown(test_too_many_checks, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_no_memory_for_a_check, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_without_passwords, start_open, finish),
        cmocka_unit_test_setup_teardown(test_long_passwords, start_guarded, finish),
        cmocka_unit_test_setup_teardown(test_without_users, start_open, finish),
        cmocka_unit_test_setup_teardown(test_silent_replies, start_open, finish),
        cmocka_unit_test_setup_teardown(test_slow_commands, start_open, finish),
        cmocka_unit_test_setup_teardown(test_large_replies, start_open, finish),
        cmocka_unit_test_setup_teardown(test_large_slowlog, start_open, finish),
        cmocka_unit_test_setup_teardown(test_many_users, start_open, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
