/* Fetching a ring: from who is of the cluster, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/ring_fetch.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/listener.h"
#include "shared/message.h"
#include "tests/unit/conn_rig.h"
#include "tests/unit/lone_ring.h"
#include <string.h>

static const uint8_t here[IDENTITY_SIZE] = {9};
static const struct bytes newer = {(const uint8_t *)"a ring", 6};
static struct secret secret;
static struct ring_fetch *fetch;
static struct listener *member;
static struct ring_ref *ring;
static bool greets; /* the member says WELCOME before it gives its ring */
static unsigned rings, ends;

static void take(void *arg, struct bytes got)
{
    assert_ptr_equal(arg, &rings);
    assert_true(bytes_equal(got, newer));
    rings++;
}

/* Answers a HELLO and a RING_GET; or gives its ring to whoever says hello. */
static size_t on_question(void *arg, struct conn *c, struct bytes in)
{
    struct welcome welcome = {.shards = 1, .epoch = 2, .identity = {1}};
    struct frame f;
    int64_t size = frame_read(in, FRAME_BODY_MAX, &f);

    (void)arg;
    if (size == RK_MORE)
        return 0;
    assert_true(size > 0);
    if (greets && f.type == MESSAGE_HELLO)
        assert_int_equal(message_put_welcome(conn_out(c), &welcome), 0);
    else
        assert_int_equal(message_put_ring(conn_out(c), 1, newer), 0);
    conn_flush_later(c);
    return (size_t)size;
}

static void on_end(void *arg, struct conn *c, int error)
{
    (void)arg;
    (void)error;
    ends++;
    conn_close(c);
}

static const struct conn_handler answers = {on_question, on_end, NULL, NULL};

static void on_accept(void *arg, int fd)
{
    (void)arg;
    assert_non_null(conn_new(rig.loop, fd, &answers, NULL));
}

static int start(void **state)
{
    struct ring_member m = {
        .number = 1, .shards = 1, .weight = 1, .identity = {1}, .name = "n1", .host = "127.0.0.1"};
    char why[200];

    (void)state;
    rig_start();
    member = listener_new(rig.loop, "127.0.0.1", 0, false, on_accept, NULL, why, sizeof(why));
    assert_non_null(member);
    m.port = listener_port(member);
    ring = lone_ring(1, 2, &m);
    assert_non_null(ring);
    secret = (struct secret){.set = false};
    fetch = ring_fetch_new(rig.loop, here, &secret, take, &rings);
    assert_non_null(fetch);
    ring_fetch_know(fetch, ring->ring);
    rings = ends = 0;
    greets = true;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    ring_fetch_free(fetch);
    ring_ref_put(ring);
    listener_free(member);
    rig_finish();
    return 0;
}

static bool hear(void)
{
    ring_fetch_hear(fetch, 2, 1);
    return true;
}

static bool ended(void)
{
    return ends > 0;
}

static void ask(void)
{
    bool (*steps[])(void) = {hear, ended, NULL};

    rig_run(steps);
}

static void test_ring(void **state)
{
    (void)state;
    ask();
    assert_int_equal(rings, 1);
}

/* With a secret, who does not know it cannot give a ring, */
static void test_stranger(void **state)
{
    (void)state;
    secret.set = true;
    ask();
    assert_int_equal(rings, 0);
}

/* nor by leaving the greeting out. */
static void test_no_greeting(void **state)
{
    (void)state;
    secret.set = true;
    greets = false;
    ask();
    assert_int_equal(rings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring, start, finish),
        cmocka_unit_test_setup_teardown(test_stranger, start, finish),
        cmocka_unit_test_setup_teardown(test_no_greeting, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
