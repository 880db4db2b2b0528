/* Listening sockets: where they listen, what they say when they cannot, and what they do when
 * descriptors run out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/listener.h"
#include "tests/unit/conn_rig.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

enum { MANY = 200 };

static char why[300];
static int accepted[MANY], accept_count;

static void on_accept(void *arg, int fd)
{
    assert_ptr_equal(arg, accepted);
    assert_true(accept_count < MANY);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    accepted[accept_count++] = fd;
}

static int start(void **state)
{
    (void)state;
    rig_start();
    accept_count = 0;
    memset(why, 0, sizeof(why));
    return 0;
}

static int finish(void **state)
{
    (void)state;
    for (int i = 0; i < accept_count; i++)
        close(accepted[i]);
    rig_finish();
    return 0;
}

static struct listener *listen_at(const char *host, uint16_t port, bool reuse_port)
{
    return listener_new(rig.loop, host, port, reuse_port, on_accept, accepted, why, sizeof(why));
}

/* A blocking connection; -1 and errno when there is none. */
static int connect_to(const char *address, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!is_v4)
        assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    if (fd < 0)
        return -1;
    if (connect(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
                is_v4 ? sizeof(v4) : sizeof(v6)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool has_v6(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool there = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

    if (fd >= 0)
        close(fd);
    return there;
}

static int wanted_count;

static bool wanted_accepted(void)
{
    return accept_count == wanted_count;
}

static void run_until_accepted(int count)
{
    bool (*steps[])(void) = {wanted_accepted, NULL};

    wanted_count = count;
    rig_run(steps);
}

static void test_accepts(void **state)
{
    struct listener *l = listen_at("127.0.0.1", 0, false);
    int fds[MANY / 2];

    (void)state;
    assert_non_null(l);
    assert_int_not_equal(listener_port(l), 0);
    for (int i = 0; i < MANY / 2; i++) {
        fds[i] = connect_to("127.0.0.1", listener_port(l));
        assert_true(fds[i] >= 0);
    }
    run_until_accepted(MANY / 2);
    assert_int_equal(listener_pauses(l), 0);
    for (int i = 0; i < MANY / 2; i++)
        close(fds[i]);
    listener_free(l);
    listener_free(NULL);
}

/* "*" and "" are all addresses, of both families where there are both. */
static void test_all_addresses(void **state)
{
    static const char *const names[] = {"*", ""};
    int count = 0, fds[4];

    (void)state;
    struct listener *l[2];

    for (int i = 0; i < 2; i++) {
        l[i] = listen_at(names[i], 0, false);
        assert_non_null(l[i]);
        fds[count] = connect_to("127.0.0.1", listener_port(l[i]));
        assert_true(fds[count++] >= 0);
        if (has_v6()) {
            fds[count] = connect_to("::1", listener_port(l[i]));
            assert_true(fds[count++] >= 0);
        }
    }
    run_until_accepted(count);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    listener_free(l[0]);
    listener_free(l[1]);
}

static void test_v6(void **state)
{
    struct listener *l;
    int fd;

    (void)state;
    if (!has_v6()) {
        skip();
        return;
    }
    l = listen_at("::1", 0, false);
    assert_non_null(l);
    fd = connect_to("::1", listener_port(l));
    assert_true(fd >= 0);
    assert_int_equal(connect_to("127.0.0.1", listener_port(l)), -1);
    run_until_accepted(1);
    close(fd);
    listener_free(l);
}

static void test_in_use(void **state)
{
    static const char *const names[] = {"127.0.0.1", "*"};
    char wanted[100];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct listener *l = listen_at(names[i], 0, false);

        assert_non_null(l);
        assert_null(listen_at(names[i], listener_port(l), false));
        snprintf(wanted, sizeof(wanted), "%s:%u: Address already in use; another process", names[i],
                 listener_port(l));
        assert_memory_equal(why, wanted, strlen(wanted));
        listener_free(l);
    }
}

static void test_bad_hosts(void **state)
{
    (void)state;
    assert_null(listen_at("no such host", 1, false));
    assert_non_null(strstr(why, "no such host:1: "));
    /* An address of nobody here. */
    assert_null(listen_at("192.0.2.1", 0, false));
    assert_non_null(strstr(why, "this machine has no such address"));
    assert_non_null(strstr(why, "192.0.2.1:0: "));
}

static void test_reuse_port(void **state)
{
    struct listener *one = listen_at("127.0.0.1", 0, true), *two;
    int fds[20];

    (void)state;
    assert_non_null(one);
    two = listen_at("127.0.0.1", listener_port(one), true);
    assert_non_null(two);
    assert_int_equal(listener_port(one), listener_port(two));
    for (int i = 0; i < 20; i++) {
        fds[i] = connect_to("127.0.0.1", listener_port(one));
        assert_true(fds[i] >= 0);
    }
    run_until_accepted(20);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    listener_free(one);
    listener_free(two);
}

/* Who asks for a port takes it from nobody, and learns of a listener that would share it. */
static void test_ask(void **state)
{
    uint16_t port = listener_ask("127.0.0.1", 0, why, sizeof(why));
    struct listener *l;

    (void)state;
    assert_int_not_equal(port, 0);
    assert_int_equal(listener_ask("127.0.0.1", port, why, sizeof(why)), port);
    l = listen_at("127.0.0.1", port, true);
    assert_non_null(l);
    assert_int_equal(listener_ask("127.0.0.1", port, why, sizeof(why)), 0);
    assert_non_null(strstr(why, "Address already in use; another process"));
    assert_int_equal(listener_ask("*", port, why, sizeof(why)), 0);
    listener_free(l);
    assert_int_equal(listener_ask("*", port, why, sizeof(why)), port);
}

static struct listener *starving;
static struct rlimit limit_before;

static bool paused(void)
{
    return listener_pauses(starving) > 0;
}

static uint64_t paused_ms;

static bool room_again(void)
{
    paused_ms = loop_now_ms(rig.loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
    return true;
}

/* Out of descriptors it waits a while instead of spinning, and takes the connection later. */
static void test_out_of_descriptors(void **state)
{
    bool (*steps[])(void) = {paused, room_again, wanted_accepted, NULL};
    struct rlimit limit;
    int fd;

    (void)state;
    starving = listen_at("127.0.0.1", 0, false);
    assert_non_null(starving);
    fd = connect_to("127.0.0.1", listener_port(starving));
    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
    limit = limit_before;
    limit.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    wanted_count = 1;
    rig_run(steps);
    assert_int_equal(listener_pauses(starving), 1);
    assert_true(loop_now_ms(rig.loop) - paused_ms >= 50);
    close(fd);
    listener_free(starving);
}

/* --- signs of life ---------------------------------------------------------------------------- */

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static void expect_signs_of_life(int fd)
{
    assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), CONN_ALIVE_IDLE_S);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), CONN_ALIVE_AGAIN_S);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), CONN_ALIVE_TIMES);
}

static bool accepted_one(void)
{
    return accept_count == 1;
}

/* On both sides: neither goes on with one that vanished. */
static void test_signs_of_life(void **state)
{
    bool (*steps[])(void) = {accepted_one, NULL};
    struct owner here = {.peer = -1}, there = {.peer = -1};
    struct listener *l = listen_at("127.0.0.1", 0, false);
    int fd;

    (void)state;
    assert_non_null(l);
    there.conn = conn_connect(rig.loop, "127.0.0.1", listener_port(l), &rig_handler, &there);
    assert_non_null(there.conn);
    rig_run(steps);
    fd = accepted[--accept_count];
    here.conn = conn_new(rig.loop, fd, &rig_handler, &here);
    assert_non_null(here.conn);
    expect_signs_of_life(fd);
    fd = conn_detach(there.conn);
    expect_signs_of_life(fd);
    close(fd);
    there.conn = NULL;
    rig_drop(&here);
    listener_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepts, start, finish),
        cmocka_unit_test_setup_teardown(test_all_addresses, start, finish),
        cmocka_unit_test_setup_teardown(test_v6, start, finish),
        cmocka_unit_test_setup_teardown(test_in_use, start, finish),
        cmocka_unit_test_setup_teardown(test_bad_hosts, start, finish),
        cmocka_unit_test_setup_teardown(test_reuse_port, start, finish),
        cmocka_unit_test_setup_teardown(test_ask, start, finish),
        cmocka_unit_test_setup_teardown(test_out_of_descriptors, start, finish),
        cmocka_unit_test_setup_teardown(test_signs_of_life, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
