/* A thread of the proxy, with a node that closes at once and clients of the test's.
 *
 * A thread of the proxy that has no memory. For a ring: it keeps the one that it has, and nothing
 * of what it gave up, and takes the new one when there is memory. For a client's errand: the client
 * is told, or at worst closed. And errands whose outcome would be large. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proxy/client.h"
#include "proxy/errands.h"
#include "proxy/link.h"
#include "proxy/link_report.h"
#include "proxy/worker.h"
#include "shared/conn.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "tests/unit/lone_ring.h"
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BITS = 2, SHARDS = 3, REPLY_MAX = 4096, PATIENCE_MS = 20000 };

static unsigned allocations_until_failure = UINT32_MAX;
static bool one_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool allocation_fails(void)
{
    bool fails = --allocations_until_failure == 0;

    one_failed = one_failed || fails;
    errno = fails ? ENOMEM : errno;
    return fails;
}

void *__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

static void fail_allocation(unsigned n)
{
    allocations_until_failure = n;
    one_failed = false;
}

/* Of main.c. */
void proxy_worker_ended(void *proxy)
{
    (void)proxy;
}

static struct proxy_options options;
static struct proxy proxy = {.options = &options};
static struct worker *worker;

static int start(void **state)
{
    static char set[] = "cluster.nodes=127.0.0.1:1";
    char *sets[] = {set};
    char why[CONFIG_WHY_SIZE];

    (void)state;
    assert_int_equal(proxy_options_load(&options, NULL, sets, 1, why, sizeof(why)), 0);
    proxy.loop = loop_new();
    assert_non_null(proxy.loop);
    proxy.links = link_report_new(proxy.loop);
    assert_non_null(proxy.links);
    worker = worker_new(&proxy, "127.0.0.1", 0, why, sizeof(why));
    assert_non_null(worker);
    proxy.workers = &worker;
    proxy.worker_count = 1;
    proxy.tunables = (struct tunables){.max_clients = 100, .query_size = 1 << 20, .slow_us = -1};
    proxy.last_client_id = 0;
    proxy.errands = errands_new(&proxy);
    assert_non_null(proxy.errands);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    worker_free(worker);
    errands_free(proxy.errands);
    link_report_free(proxy.links);
    loop_free(proxy.loop);
    proxy_options_free(&options);
    return 0;
}

/* Of one member, at which nobody listens; it moves with each epoch, so that its links are new. */
static struct ring_ref *make_ring(uint64_t epoch)
{
    struct ring_ref *ref = lone_ring(epoch, BITS,
                                     &(struct ring_member){.identity = {1},
                                                           .number = 1,
                                                           .weight = 1,
                                                           .port = (uint16_t)epoch,
                                                           .shards = SHARDS,
                                                           .name = "n1",
                                                           .host = "127.0.0.1"});

    assert_non_null(ref);
    return ref;
}

static unsigned count_links(void)
{
    unsigned count = 0;

    for (const struct link *l = worker->links; l; l = l->next)
        count++;
    return count;
}

/* With every allocation failing once. */
static void take_ring(uint64_t epoch)
{
    struct ring_ref *before = worker->ring, *next = make_ring(epoch);
    unsigned links = count_links(), n;

    atomic_store(&worker->ring_next, next);
    for (n = 1; worker->ring != next; n++) {
        fail_allocation(n);
        worker_take_ring(worker);

        bool failed = one_failed;

        fail_allocation(UINT32_MAX);
        if (worker->ring == next)
            break;
        assert_true(failed);
        assert_ptr_equal(worker->ring, before);
        assert_ptr_equal(atomic_load(&worker->ring_next), next);
        assert_int_equal(count_links(), links);
    }
    assert_true(n > SHARDS);
    assert_null(atomic_load(&worker->ring_next));
    assert_int_equal(count_links(), links + SHARDS);
}

static void test_rings(void **state)
{
    (void)state;
    take_ring(1);
    take_ring(2);
}

/* One that came meanwhile takes the place of the one for which there was no memory. */
static void test_newer_ring(void **state)
{
    struct ring_ref *next = make_ring(3);

    (void)state;
    atomic_store(&worker->ring_next, next);
    fail_allocation(1);
    worker_take_ring(worker);
    fail_allocation(UINT32_MAX);
    assert_null(worker->ring);
    ring_ref_put(atomic_exchange(&worker->ring_next, make_ring(4)));
    worker_take_ring(worker);
    assert_int_equal(worker->ring->ring->epoch, 4);
}

/* --- a node that ends each link as soon as it is up ------------------------------------------- */

enum { SHORT_LIVES_MS = 400 };

static unsigned hellos;

static size_t on_hello(void *arg, struct conn *c, struct bytes in)
{
    const struct ring *ring = worker->ring->ring;
    struct welcome welcome = {.shards = SHARDS, .epoch = ring->epoch};
    struct frame f;

    (void)arg;
    if (frame_read(in, FRAME_BODY_MAX, &f) == RK_MORE)
        return 0;
    assert_int_equal(f.type, MESSAGE_HELLO);
    memcpy(welcome.cluster, ring->cluster, IDENTITY_SIZE);
    memcpy(welcome.identity, ring->members[0].identity, IDENTITY_SIZE);
    assert_int_equal(message_put_welcome(conn_out(c), &welcome), 0);
    conn_close_after_flush(c);
    hellos++;
    return in.size;
}

static void on_hello_end(void *arg, struct conn *c, int error)
{
    (void)arg;
    (void)error;
    conn_close(c);
}

static const struct conn_handler node_handler = {on_hello, on_hello_end, NULL, NULL};

static void accept_link(void *arg, int fd)
{
    (void)arg;
    assert_non_null(conn_new(worker->loop, fd, &node_handler, NULL));
}

static void stop_worker(void *arg)
{
    (void)arg;
    loop_stop(worker->loop);
}

/* As a node of another version may, that does not know the first request. */
static void test_short_lives(void **state)
{
    struct loop_timer *stop = loop_timer_new(worker->loop, stop_worker, NULL);
    struct listener *node;
    char why[200];

    (void)state;
    node = listener_new(worker->loop, "127.0.0.1", 0, false, accept_link, NULL, why, sizeof(why));
    assert_non_null(node);
    assert_non_null(stop);
    hellos = 0;
    atomic_store(&worker->ring_next, make_ring(listener_port(node)));
    worker_take_ring(worker);
    loop_timer_set(stop, SHORT_LIVES_MS);
    assert_int_equal(loop_run(worker->loop), 0);
    /* After 20, 40, 80, 160 ms, or a little less. */
    assert_in_range(hellos, 2 * SHARDS, 7 * SHARDS);
    listener_free(node);
    loop_timer_free(stop);
}

/* --- errands -------------------------------------------------------------------------------- */

/* A client's other side, and what it has heard. */
static struct {
    int fd;
    char heard[REPLY_MAX + 1];
    size_t size;
    bool closed;
    uint64_t until_ms;
} peer;

static void connect_client(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    client_accept(worker, fds[0]);
    peer.fd = fds[1];
    peer.size = 0;
    peer.closed = false;
}

/* Until the reply to a PING has come, or the end. */
static void listen_in(void *arg)
{
    ssize_t n = read(peer.fd, peer.heard + peer.size, REPLY_MAX - peer.size);

    (void)arg;
    peer.closed = n == 0;
    peer.size += n > 0 ? (size_t)n : 0;
    peer.heard[peer.size] = '\0';
    assert_true(loop_now_ms(worker->loop) < peer.until_ms);
    if (peer.closed || strstr(peer.heard, "+PONG"))
        loop_stop(worker->loop);
    loop_work(worker->loop)->again = 1;
}

static void ask(const char *commands, unsigned failing)
{
    assert_int_equal(loop_at_turn_end(worker->loop, listen_in, NULL), 0);
    assert_int_equal(write(peer.fd, commands, strlen(commands)), strlen(commands));
    peer.until_ms = loop_now_ms(worker->loop) + PATIENCE_MS;
    fail_allocation(failing);
    assert_int_equal(loop_run(worker->loop), 0);
}

static void test_errand_without_memory(void **state)
{
    bool failed = true;

    for (unsigned n = 1; failed; n++) {
        start(state);
        connect_client();
        ask("CLIENT LIST\r\nPING\r\n", n);
        failed = one_failed;
        fail_allocation(UINT32_MAX);
        if (!peer.closed && *peer.heard != '$')
            assert_memory_equal(peer.heard, "-ERR the proxy is out of memory", 31);
        close(peer.fd);
        finish(state);
    }
    assert_non_null(strstr(peer.heard, "id=1 addr="));
}

/* What the last of ten clients hears. */
static void ask_among_ten(void **state, const char *commands)
{
    int others[9];

    start(state);
    worker->router.reply_max = 1500;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        connect_client();
        others[i] = peer.fd;
    }
    connect_client();
    ask(commands, UINT32_MAX);
    finish(state);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        close(others[i]);
    close(peer.fd);
}

/* A list of many clients is refused, like other replies of that size. */
static void test_long_list(void **state)
{
    static const char refusal[] = "-ERR the reply would be more than half of client_output";

    ask_among_ten(state, "CLIENT LIST\r\nPING\r\n");
    assert_memory_equal(peer.heard, refusal, strlen(refusal));
    ask_among_ten(state, "CLIENT LIST ID 2 3\r\nPING\r\n");
    assert_non_null(strstr(peer.heard, "id=2 addr="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rings, start, finish),
        cmocka_unit_test_setup_teardown(test_newer_ring, start, finish),
        cmocka_unit_test_setup_teardown(test_short_lives, start, finish),
        cmocka_unit_test(test_errand_without_memory),
        cmocka_unit_test(test_long_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
