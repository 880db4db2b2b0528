/* For the tests of connections: a loop that is taken through steps, an owner that writes down what
 * it is told, and the other side as a plain socket. To be included after cmocka.h. */
#ifndef RINGKV_TESTS_UNIT_CONN_RIG_H
#define RINGKV_TESTS_UNIT_CONN_RIG_H

#include "shared/buf.h"
#include "shared/conn.h"
#include "shared/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RIG_PATIENCE_MS = 20000, RIG_ENDS_MAX = 4 };

struct owner {
    struct conn *conn; /* NULL once it is closed */
    int peer;          /* the other end, non-blocking; -1 when closed */
    struct buf got;    /* what on_data took */
    size_t record;     /* takes whole records of this size only; 0: all there is */
    size_t calls;      /* of on_data */
    int opens, drains, ends;
    int end_error;
    bool close_on_end;
    void (*each_data)(struct owner *o, struct bytes in); /* NULL: nothing more */
    void (*each_drain)(struct owner *o);
    void (*each_end)(struct owner *o);
};

static struct {
    struct loop *loop;
    struct loop_timer *tick;
    bool (**step)(void);
    uint64_t until_ms;
    uint64_t turns;
} rig;

static inline void rig_close(struct owner *o)
{
    conn_close(o->conn);
    o->conn = NULL;
}

static inline size_t rig_on_data(void *arg, struct conn *c, struct bytes in)
{
    struct owner *o = arg;
    size_t take = o->record ? in.size - in.size % o->record : in.size;

    (void)c;
    assert_true(in.size > 0);
    o->calls++;
    assert_int_equal(buf_append(&o->got, in.data, take), 0);
    if (o->each_data)
        o->each_data(o, in);
    return take;
}

static inline void rig_on_end(void *arg, struct conn *c, int error)
{
    struct owner *o = arg;

    (void)c;
    o->ends++;
    o->end_error = error;
    if (o->each_end)
        o->each_end(o);
    if (o->close_on_end && o->conn)
        rig_close(o);
}

static inline void rig_on_open(void *arg, struct conn *c)
{
    struct owner *o = arg;

    (void)c;
    o->opens++;
}

static inline void rig_on_drain(void *arg, struct conn *c)
{
    struct owner *o = arg;

    (void)c;
    o->drains++;
    if (o->each_drain)
        o->each_drain(o);
}

static const struct conn_handler rig_handler = {rig_on_data, rig_on_end, rig_on_open, rig_on_drain};

static inline void rig_tick(void *arg)
{
    (void)arg;
    assert_true(loop_now_ms(rig.loop) < rig.until_ms);
    loop_timer_set(rig.tick, 1);
}

/* At the end of every turn: on to the first step that has something to wait for. */
static inline void rig_turn(void *arg)
{
    (void)arg;
    rig.turns++;
    while (*rig.step && (*rig.step)())
        rig.step++;
    if (!*rig.step)
        loop_stop(rig.loop);
}

static inline void rig_start(void)
{
    memset(&rig, 0, sizeof(rig));
    rig.loop = loop_new();
    assert_non_null(rig.loop);
    rig.tick = loop_timer_new(rig.loop, rig_tick, NULL);
    assert_non_null(rig.tick);
    assert_int_equal(loop_at_turn_end(rig.loop, rig_turn, NULL), 0);
}

/* Runs the steps, up to a NULL. A step that returns false is called again after the next turn. */
static inline void rig_run(bool (**steps)(void))
{
    rig.step = steps;
    rig.until_ms = loop_now_ms(rig.loop) + RIG_PATIENCE_MS;
    loop_timer_set(rig.tick, 0);
    assert_int_equal(loop_run(rig.loop), 0);
    assert_null(*rig.step);
}

static inline void rig_finish(void)
{
    loop_timer_free(rig.tick);
    loop_free(rig.loop);
}

static inline void rig_pair(struct owner *o)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    *o = (struct owner){.peer = fds[1]};
    o->conn = conn_new(rig.loop, fds[0], &rig_handler, o);
    assert_non_null(o->conn);
}

static inline void rig_peer_close(struct owner *o)
{
    if (o->peer >= 0)
        close(o->peer);
    o->peer = -1;
}

static inline void rig_drop(struct owner *o)
{
    if (o->conn)
        rig_close(o);
    rig_peer_close(o);
    buf_free(&o->got);
}

static inline void rig_say(struct owner *o, const void *data, size_t size)
{
    assert_int_equal(write(o->peer, data, size), size);
}

/* Everything the peer can read at this moment, at most `max` bytes, appended. Returns how much. */
static inline size_t rig_hear(struct owner *o, struct buf *to, size_t max)
{
    size_t all = 0;

    while (all < max) {
        uint8_t *at = buf_reserve(to, 65536);
        ssize_t n = read(o->peer, at, max - all < 65536 ? max - all : 65536);

        assert_non_null(at);
        if (n <= 0)
            break;
        buf_commit(to, (size_t)n);
        all += (size_t)n;
    }
    return all;
}

/* Byte i of every long stream that the tests send. */
static inline uint8_t rig_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static inline void rig_check_stream(const struct buf *b, size_t from)
{
    for (size_t i = 0; i < buf_len(b); i++)
        if (buf_head(b)[i] != rig_byte(from + i))
            fail_msg("byte %zu of the stream is wrong", from + i);
}

static inline void rig_append_stream(struct conn *c, size_t from, size_t size)
{
    uint8_t *at = buf_reserve(conn_out(c), size);

    assert_non_null(at);
    for (size_t i = 0; i < size; i++)
        at[i] = rig_byte(from + i);
    buf_commit(conn_out(c), size);
    conn_flush_later(c);
}

#endif
