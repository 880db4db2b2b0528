/* Two nodes' links in one loop: the first opens, the second adopts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/link.h"
#include "node/shard.h"
#include "node/store_memory.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/listener.h"
#include "shared/wire.h"
#include "tests/unit/conn_rig.h"
#include <string.h>

enum { TICK_MS = 2 };

static struct side {
    uint16_t number;
    struct store *store;
    struct shard *shard;
    struct links *links;
} sides[2];

static struct ring *ring;
static struct listener *listener;
static struct loop_timer *tick_timer;
static const struct secret no_secret;

/* --- hosts ---------------------------------------------------------------------------------- */

static struct buf *client_out(void *arg, uint64_t client)
{
    (void)arg;
    (void)client;
    return NULL;
}

static struct buf *peer_out(void *arg, uint16_t member, uint32_t partition)
{
    return links_out(((struct side *)arg)->links, member, partition);
}

static bool peer_has_room(void *arg, uint16_t member, uint32_t partition)
{
    return links_have_room(((struct side *)arg)->links, member, partition);
}

static bool peer_alive(void *arg, uint16_t member, uint32_t partition)
{
    return links_alive(((struct side *)arg)->links, member, partition);
}

static void peer_break(void *arg, uint16_t member, uint32_t partition)
{
    links_break(((struct side *)arg)->links, member, partition);
}

static void newer_epoch(void *arg, uint64_t epoch, uint16_t member)
{
    (void)arg;
    (void)epoch;
    (void)member;
}

static uint64_t durable(void *arg)
{
    (void)arg;
    return 0;
}

static void stale(void *arg, struct bytes what)
{
    (void)arg;
    (void)what;
    fail();
}

static int64_t wall_ms(void)
{
    return 1;
}

/* --- their life ----------------------------------------------------------------------------- */

static void make_ring(void)
{
    ring = ring_new(2, 0);
    assert_non_null(ring);
    ring->cluster[0] = 1;
    ring->epoch = 1;
    ring->hash = POSITION_MD5;
    ring->replicas = 2;
    ring->next_number = 3;
    for (int i = 0; i < 2; i++) {
        struct ring_member *m = &ring->members[i];

        m->identity[0] = (uint8_t)(i + 1);
        m->number = (uint16_t)(i + 1);
        m->port = listener_port(listener);
        m->shards = m->weight = 1;
        snprintf(m->name, sizeof(m->name), "n%d", i + 1);
        snprintf(m->host, sizeof(m->host), i ? "127.0.0.1" : "127.0.0.2");
    }
    assert_int_equal(ring_finish(ring, NULL, 0), 0);
}

static void side_start(int i)
{
    struct side *side = &sides[i];
    struct shard_options options = {.count = 1,
                                    .value_max = 1 << 20,
                                    .history_bytes = 1 << 20,
                                    .history_steps = 16,
                                    .held_max = 1 << 20,
                                    .candidate_ms = 600,
                                    .hand_back_ms = 2000};
    struct shard_host host = {client_out, peer_out,    peer_has_room, peer_alive,
                              peer_break, newer_epoch, side};
    struct links_options links = {.newer_epoch = newer_epoch,
                                  .durable = durable,
                                  .stale = stale,
                                  .arg = side,
                                  .wall_ms = wall_ms,
                                  .identity = ring->members[i].identity,
                                  .secret = &no_secret,
                                  .node_timeout_ms = 60000,
                                  .out_max = 1 << 20};

    side->number = (uint16_t)(i + 1);
    assert_int_equal(store_memory_new((uint64_t)i + 1, &side->store), 0);
    side->shard = shard_new(&options, &host, side->store);
    assert_non_null(side->shard);
    side->links = links_new(rig.loop, side->shard, &links);
    assert_non_null(side->links);
    assert_int_equal(shard_set_ring(side->shard, ring, side->number), 0);
    assert_int_equal(links_set_ring(side->links, ring, i), 0);
}

static void side_stop(int i)
{
    links_free(sides[i].links);
    shard_free(sides[i].shard);
    store_close(sides[i].store);
}

static void tick(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++)
        links_tick(sides[i].links);
    loop_timer_set(tick_timer, TICK_MS);
}

static unsigned hellos;
static bool announces_much; /* who answers begins with a frame of the largest size */
static uint8_t much[FRAME_HEADER_SIZE];
static struct conn *greeter; /* that has not been handed over */

/* What the front does: reads the HELLO, and hands over. */
static size_t on_hello(void *arg, struct conn *c, struct bytes in)
{
    struct welcome welcome = {.shards = 1, .epoch = 1};
    struct hello hello;
    struct frame f;
    int64_t size = frame_read(in, FRAME_BODY_MAX, &f);

    (void)arg;
    if (size == RK_MORE)
        return 0;
    hellos++;
    if (announces_much) {
        wire_put_u32(much, FRAME_BODY_MAX);
        much[8] = FRAME_VERSION;
        much[9] = MESSAGE_WELCOME;
        assert_int_equal(buf_append(conn_out(c), much, sizeof(much)), 0);
        conn_flush_later(c);
        return in.size;
    }
    assert_true(size > 0);
    assert_int_equal(message_get_hello(f.body, &hello), 0);
    memcpy(welcome.cluster, ring->cluster, IDENTITY_SIZE);
    memcpy(welcome.identity, ring->members[1].identity, IDENTITY_SIZE);
    greeter = NULL;
    links_adopt(sides[1].links, conn_detach(c), bytes_of(in.data + size, in.size - (size_t)size),
                &hello, &welcome);
    return in.size;
}

static void on_end(void *arg, struct conn *c, int error)
{
    (void)arg;
    (void)error;
    greeter = NULL;
    conn_close(c);
}

static const struct conn_handler greeting = {on_hello, on_end, NULL, NULL};

static void on_accept(void *arg, int fd)
{
    (void)arg;
    /* The other side has left the one before; its end may still be on the way. */
    if (greeter)
        conn_close(greeter);
    greeter = conn_new(rig.loop, fd, &greeting, NULL);
    assert_non_null(greeter);
}

static int start(void **state)
{
    char why[200];

    (void)state;
    rig_start();
    listener = listener_new(rig.loop, "127.0.0.1", 0, false, on_accept, NULL, why, sizeof(why));
    assert_non_null(listener);
    make_ring();
    side_start(0);
    side_start(1);
    tick_timer = loop_timer_new(rig.loop, tick, NULL);
    assert_non_null(tick_timer);
    loop_timer_set(tick_timer, TICK_MS);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    side_stop(0);
    side_stop(1);
    if (greeter)
        conn_close(greeter);
    greeter = NULL;
    listener_free(listener);
    loop_timer_free(tick_timer);
    ring_free(ring);
    rig_finish();
    return 0;
}

/* --- what they go through ------------------------------------------------------------------- */

static bool are_up(uint64_t times)
{
    for (int i = 0; i < 2; i++) {
        struct links_counters counters;

        links_counters(sides[i].links, &counters);
        if (counters.up != 1 || counters.opened != times)
            return false;
    }
    return true;
}

static bool are_up_first(void)
{
    return are_up(1);
}

static bool are_up_again(void)
{
    return are_up(2);
}

static bool break_one(void)
{
    assert_non_null(links_out(sides[0].links, 2, 0));
    assert_true(links_have_room(sides[0].links, 2, 0));
    links_break(sides[0].links, 2, 0);
    assert_null(links_out(sides[0].links, 2, 0));
    assert_false(links_have_room(sides[0].links, 2, 0));
    return true;
}

/* What was not said for want of memory is not waited for: both sides begin anew. */
static void test_broken(void **state)
{
    bool (*steps[])(void) = {are_up_first, break_one, are_up_again, NULL};

    (void)state;
    rig_run(steps);
    assert_non_null(links_out(sides[0].links, 2, 0));
}

/* --- links that do not last ----------------------------------------------------------------- */

enum { SHORT_LIVES = 6 };

static uint64_t lives, began_ms;

static bool end_again_and_again(void)
{
    if (!are_up(lives + 1))
        return false;
    if (++lives == SHORT_LIVES)
        return true;
    links_break(sides[0].links, 2, 0);
    return false;
}

/* Between versions that do not understand each other: each time it takes twice as long. */
static void test_short_lives(void **state)
{
    bool (*steps[])(void) = {end_again_and_again, NULL};

    (void)state;
    lives = 0;
    began_ms = loop_now_ms(rig.loop);
    rig_run(steps);
    assert_true(loop_now_ms(rig.loop) - began_ms >= 20 + 40 + 80 + 160 + 320);
}

static bool was_tried_again(void)
{
    return hellos > 2;
}

/* Who did not say who it is makes no large buffer. */
static void test_large_greeting(void **state)
{
    bool (*steps[])(void) = {was_tried_again, NULL};

    (void)state;
    announces_much = true;
    hellos = 0;
    rig_run(steps);
    announces_much = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_broken, start, finish),
        cmocka_unit_test_setup_teardown(test_short_lives, start, finish),
        cmocka_unit_test_setup_teardown(test_large_greeting, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
