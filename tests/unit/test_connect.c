/* Connections that are made from here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/listener.h"
#include "tests/unit/conn_rig.h"
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct owner other;
static uint64_t turn_then;

static int start(void **state)
{
    (void)state;
    rig_start();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_finish();
    return 0;
}

static bool remember_turn(void)
{
    turn_then = rig.turns;
    return true;
}

static bool turns_went_by(void)
{
    return rig.turns > turn_then + 5;
}

static int accepted;

static void on_accept(void *arg, int fd)
{
    (void)arg;
    accepted = fd;
}

static bool opened(void)
{
    return other.opens == 1 && accepted >= 0;
}

static void test_connect(void **state)
{
    bool (*steps[])(void) = {opened, NULL};
    char why[200], wanted[40];
    struct listener *l =
        listener_new(rig.loop, "127.0.0.1", 0, false, on_accept, NULL, why, sizeof(why));

    (void)state;
    assert_non_null(l);
    accepted = -1;
    other = (struct owner){.peer = -1};
    other.conn = conn_connect(rig.loop, "127.0.0.1", listener_port(l), &rig_handler, &other);
    assert_non_null(other.conn);
    rig_run(steps);
    snprintf(wanted, sizeof(wanted), "127.0.0.1:%u", listener_port(l));
    assert_string_equal(conn_peer(other.conn), wanted);
    assert_int_equal(other.ends, 0);
    other.peer = accepted;
    rig_drop(&other);
    listener_free(l);
}

/* The name "two" stands for an address at which nobody listens, then for the real one; "slow" is
 * not found before it is let go. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static bool hangs;

static void set_hangs(bool how)
{
    pthread_mutex_lock(&lock);
    hangs = how;
    pthread_cond_broadcast(&let_go);
    pthread_mutex_unlock(&lock);
}

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found);

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **found)
{
    bool numeric = hints->ai_flags & AI_NUMERICHOST;

    if (!numeric && strcmp(host, "slow") == 0) {
        pthread_mutex_lock(&lock);
        while (hangs)
            pthread_cond_wait(&let_go, &lock);
        pthread_mutex_unlock(&lock);
        return __real_getaddrinfo("127.0.0.1", service, hints, found);
    }
    if (numeric || !host || strcmp(host, "two") != 0)
        return __real_getaddrinfo(host, service, hints, found);
    assert_int_equal(__real_getaddrinfo("127.0.0.2", service, hints, found), 0);
    return __real_getaddrinfo("127.0.0.1", service, hints, &(*found)->ai_next);
}

static void test_connect_to_the_second(void **state)
{
    bool (*steps[])(void) = {opened, NULL};
    char why[200];
    struct listener *l =
        listener_new(rig.loop, "127.0.0.1", 0, false, on_accept, NULL, why, sizeof(why));

    (void)state;
    assert_non_null(l);
    accepted = -1;
    other = (struct owner){.peer = -1};
    other.conn = conn_connect(rig.loop, "two", listener_port(l), &rig_handler, &other);
    assert_non_null(other.conn);
    rig_run(steps);
    assert_int_equal(other.ends, 0);
    rig_append_stream(other.conn, 0, 10);
    other.peer = accepted;
    rig_drop(&other);
    listener_free(l);
}

static bool other_ended(void)
{
    return other.ends > 0;
}

/* Nobody listens there: said at once or later. */
static void check_refused(const char *host)
{
    bool (*steps[])(void) = {other_ended, NULL};
    char why[200];
    struct listener *l =
        listener_new(rig.loop, "127.0.0.1", 0, false, on_accept, NULL, why, sizeof(why));
    uint16_t port;

    assert_non_null(l);
    port = listener_port(l);
    listener_free(l);
    other = (struct owner){.peer = -1};
    other.conn = conn_connect(rig.loop, host, port, &rig_handler, &other);
    if (other.conn) {
        rig_run(steps);
        assert_int_equal(other.end_error, ECONNREFUSED);
        assert_int_equal(other.opens, 0);
    } else {
        assert_int_equal(errno, ECONNREFUSED);
    }
    rig_drop(&other);
}

static void test_connect_refused(void **state)
{
    (void)state;
    check_refused("127.0.0.1");
}

/* Said at once when it was found out a moment ago, else later. */
static void test_connect_to_no_name(void **state)
{
    bool (*steps[])(void) = {other_ended, NULL};

    (void)state;
    other = (struct owner){.peer = -1};
    other.conn = conn_connect(rig.loop, "no such host", 1, &rig_handler, &other);
    if (other.conn) {
        assert_string_equal(conn_peer(other.conn), "");
        rig_run(steps);
        assert_int_equal(other.end_error, EHOSTUNREACH);
        rig_drop(&other);
        other.conn = conn_connect(rig.loop, "no such host", 1, &rig_handler, &other);
    }
    assert_null(other.conn);
    assert_int_equal(errno, EHOSTUNREACH);
}

static struct owner impatient;

static bool one_gives_up(void)
{
    assert_int_equal(other.opens + other.ends, 0);
    rig_drop(&impatient);
    set_hangs(false);
    return true;
}

/* A resolver that hangs holds up nothing but the connection that waits for it. */
static void test_connect_slowly(void **state)
{
    bool (*steps[])(void) = {remember_turn, turns_went_by, one_gives_up, opened, NULL};
    char why[200];
    struct listener *l =
        listener_new(rig.loop, "127.0.0.1", 0, false, on_accept, NULL, why, sizeof(why));

    (void)state;
    assert_non_null(l);
    set_hangs(true);
    accepted = -1;
    other = impatient = (struct owner){.peer = -1};
    other.conn = conn_connect(rig.loop, "slow", listener_port(l), &rig_handler, &other);
    impatient.conn = conn_connect(rig.loop, "slow", listener_port(l), &rig_handler, &impatient);
    assert_non_null(other.conn);
    assert_non_null(impatient.conn);
    rig_append_stream(other.conn, 0, 10);
    rig_append_stream(impatient.conn, 0, 10);
    rig_run(steps);
    assert_int_equal(other.ends, 0);
    assert_int_equal(impatient.opens + impatient.ends, 0);
    other.peer = accepted;
    rig_drop(&other);
    listener_free(l);
}

static void test_connect_refused_by_all(void **state)
{
    (void)state;
    check_refused("two");
}

/* Closed before it is through: nobody is told. */
static void test_connect_and_close(void **state)
{
    bool (*steps[])(void) = {remember_turn, turns_went_by, NULL};
    char why[200];
    struct listener *l =
        listener_new(rig.loop, "127.0.0.1", 0, false, on_accept, NULL, why, sizeof(why));

    (void)state;
    assert_non_null(l);
    accepted = -1;
    other = (struct owner){.peer = -1};
    other.conn = conn_connect(rig.loop, "127.0.0.1", listener_port(l), &rig_handler, &other);
    assert_non_null(other.conn);
    rig_append_stream(other.conn, 0, 10);
    rig_close(&other);
    rig_run(steps);
    assert_int_equal(other.opens + other.ends, 0);
    if (accepted >= 0)
        close(accepted);
    rig_drop(&other);
    listener_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connect, start, finish),
        cmocka_unit_test_setup_teardown(test_connect_to_the_second, start, finish),
        cmocka_unit_test_setup_teardown(test_connect_refused, start, finish),
        cmocka_unit_test_setup_teardown(test_connect_refused_by_all, start, finish),
        cmocka_unit_test_setup_teardown(test_connect_to_no_name, start, finish),
        cmocka_unit_test_setup_teardown(test_connect_slowly, start, finish),
        cmocka_unit_test_setup_teardown(test_connect_and_close, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
