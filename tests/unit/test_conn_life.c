/* Connections: how they begin, end, and go elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/conn_rig.h"

enum { LARGE = 3 << 20 };

static struct owner a, b;
static struct buf heard;

static int start(void **state)
{
    (void)state;
    rig_start();
    rig_pair(&a);
    rig_pair(&b);
    heard = (struct buf){0};
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_drop(&a);
    rig_drop(&b);
    buf_free(&heard);
    rig_finish();
    return 0;
}

static bool ended(void)
{
    return a.ends > 0;
}

static bool closed(void)
{
    return !a.conn;
}

static uint64_t turn_then;

static bool remember_turn(void)
{
    turn_then = rig.turns;
    return true;
}

static bool turns_went_by(void)
{
    return rig.turns > turn_then + 5;
}

/* --- ends ----------------------------------------------------------------------------------- */

static bool peer_shuts(void)
{
    rig_say(&a, "last", 4);
    shutdown(a.peer, SHUT_WR);
    return true;
}

static bool answer_late(void)
{
    rig_append_stream(a.conn, 0, LARGE);
    conn_close_after_flush(a.conn);
    assert_int_equal(a.ends, 1);
    return true;
}

static bool hear_all(void)
{
    rig_hear(&a, &heard, 1 << 20);
    return buf_len(&heard) == LARGE;
}

static bool ended_again(void)
{
    return a.ends == 2;
}

/* The peer that has said all it had to say still gets its answer. */
static void test_half_close(void **state)
{
    bool (*steps[])(void) = {peer_shuts, ended, answer_late, hear_all, ended_again, NULL};

    (void)state;
    rig_run(steps);
    assert_memory_equal(buf_head(&a.got), "last", 4);
    rig_check_stream(&heard, 0);
    assert_int_equal(a.end_error, 0);
}

static void part_once(struct owner *o)
{
    if (o->ends == 1)
        conn_part(o->conn);
}

static bool answer_and_part(void)
{
    a.each_end = part_once;
    rig_append_stream(a.conn, 0, 10);
    conn_close_after_flush(a.conn);
    return true;
}

static bool peer_says_more(void)
{
    rig_say(&a, "more", 4);
    return remember_turn();
}

/* It hears all of it and the end, and is not listened to. */
static bool peer_ends(void)
{
    char byte;

    if (!turns_went_by())
        return false;
    assert_int_equal(rig_hear(&a, &heard, 100), 10);
    assert_int_equal(read(a.peer, &byte, 1), 0);
    assert_int_equal(a.calls, 0);
    assert_int_equal(a.ends, 1);
    shutdown(a.peer, SHUT_WR);
    return true;
}

static void test_part(void **state)
{
    bool (*steps[])(void) = {answer_and_part, ended, peer_says_more, peer_ends, ended_again, NULL};

    (void)state;
    rig_run(steps);
    rig_check_stream(&heard, 0);
    assert_int_equal(a.end_error, 0);
    assert_int_equal(a.calls, 0);
}

static bool peer_goes(void)
{
    rig_peer_close(&a);
    return true;
}

static bool say_into_nothing(void)
{
    rig_append_stream(a.conn, 0, 10);
    return true;
}

static bool failed(void)
{
    return a.ends && a.end_error;
}

static void test_peer_gone(void **state)
{
    bool (*steps[])(void) = {peer_goes,     ended, say_into_nothing, failed, remember_turn,
                             turns_went_by, NULL};

    (void)state;
    rig_run(steps);
    assert_int_equal(a.ends, 2);
    assert_int_equal(a.end_error, EPIPE);
    assert_int_equal(conn_out_len(a.conn), 0);
}

static bool say_large(void)
{
    rig_append_stream(a.conn, 0, LARGE);
    return true;
}

static bool stalled(void)
{
    return conn_stalled_ms(a.conn) > 0;
}

/* The peer goes while output waits for it: the owner is told, though it is not read just then. */
static void test_peer_gone_while_throttled(void **state)
{
    bool (*steps[])(void) = {say_large, stalled, peer_goes, closed, NULL};

    (void)state;
    a.close_on_end = true;
    rig_run(steps);
    assert_int_equal(a.ends, 1);
    assert_int_not_equal(a.end_error, 0);
    assert_int_equal(a.calls, 0);
}

/* --- close_after_flush ---------------------------------------------------------------------- */

static bool close_after_flush(void)
{
    conn_close_after_flush(a.conn);
    assert_int_equal(a.ends, 0);
    return true;
}

static bool say_something(void)
{
    rig_say(&a, "x", 1);
    return true;
}

static bool hear_end(void)
{
    rig_hear(&a, &heard, 1 << 20);
    return !a.conn;
}

static void test_close_after_flush(void **state)
{
    bool (*steps[])(void) = {say_large, close_after_flush, say_something, hear_end, NULL};

    (void)state;
    a.close_on_end = true;
    rig_run(steps);
    while (rig_hear(&a, &heard, 1 << 20))
        ;
    assert_int_equal(buf_len(&heard), LARGE);
    rig_check_stream(&heard, 0);
    assert_int_equal(a.ends, 1);
    assert_int_equal(a.end_error, 0);
    /* What came meanwhile is not wanted any more. */
    assert_int_equal(a.calls, 0);
}

static void test_close_after_flush_of_nothing(void **state)
{
    bool (*steps[])(void) = {close_after_flush, closed, NULL};

    (void)state;
    a.close_on_end = true;
    rig_run(steps);
    assert_int_equal(a.ends, 1);
    assert_int_equal(a.end_error, 0);
}

static void close_inside(struct owner *o, struct bytes in)
{
    (void)in;
    conn_close_after_flush(o->conn);
    conn_resume(o->conn);
}

/* Nothing is handed over after it, not even what was kept. */
static void test_close_after_flush_inside(void **state)
{
    bool (*steps[])(void) = {say_something, closed, NULL};

    (void)state;
    a.record = 8;
    a.close_on_end = true;
    a.each_data = close_inside;
    rig_run(steps);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.ends, 1);
}

static uint64_t stalled_ms;

static bool stalls_longer(void)
{
    if (!stalled_ms)
        stalled_ms = conn_stalled_ms(a.conn);
    return conn_stalled_ms(a.conn) > stalled_ms + 50;
}

/* A peer that never reads: the owner sees it, and decides. */
static void test_peer_never_reads(void **state)
{
    bool (*steps[])(void) = {say_large, close_after_flush, stalled, stalls_longer, NULL};

    (void)state;
    stalled_ms = 0;
    rig_run(steps);
    assert_int_equal(a.ends, 0);
    assert_true(conn_out_len(a.conn) > 0);
    rig_close(&a);
}

static size_t left_before;

static bool take_a_little(void)
{
    left_before = conn_out_len(a.conn);
    rig_hear(&a, &heard, 300000);
    return true;
}

static bool took_some(void)
{
    return conn_out_len(a.conn) < left_before && conn_stalled_ms(a.conn) < 20;
}

/* Each byte taken counts. */
static void test_slow_peer(void **state)
{
    bool (*steps[])(void) = {say_large, stalled, stalls_longer, take_a_little, took_some, NULL};

    (void)state;
    stalled_ms = 0;
    rig_run(steps);
    assert_true(conn_out_len(a.conn) > 0);
}

/* --- close inside callbacks ----------------------------------------------------------------- */

static void close_in_data(struct owner *o, struct bytes in)
{
    assert_int_equal(in.size, 1);
    rig_append_stream(o->conn, 0, 10);
    conn_resume(o->conn);
    rig_close(o);
}

static void test_close_in_data(void **state)
{
    bool (*steps[])(void) = {say_something, closed, remember_turn, turns_went_by, NULL};

    (void)state;
    a.each_data = close_in_data;
    rig_run(steps);
    assert_int_equal(a.ends, 0);
    assert_int_equal(rig_hear(&a, &heard, 100), 0);
}

static void close_when_two(struct owner *o, struct bytes in)
{
    if (in.size == 2)
        rig_close(o);
}

/* Likewise while it is handed what was kept. */
static void test_close_in_kept_data(void **state)
{
    bool (*steps[])(void) = {say_something, remember_turn, turns_went_by,
                             say_something, closed,        NULL};

    (void)state;
    a.record = 2;
    a.each_data = close_when_two;
    rig_run(steps);
    assert_int_equal(a.calls, 2);
}

static void close_both(struct owner *o)
{
    (void)o;
    rig_close(&a);
    rig_close(&b);
}

static bool both_large(void)
{
    conn_set_out_max(a.conn, 100);
    conn_set_out_max(b.conn, 100);
    rig_append_stream(a.conn, 0, 1000);
    rig_append_stream(b.conn, 0, 1000);
    return true;
}

/* Whichever is flushed first closes the other, which stands on the same list. */
static void test_close_in_drain(void **state)
{
    bool (*steps[])(void) = {both_large, closed, remember_turn, turns_went_by, NULL};

    (void)state;
    a.each_drain = b.each_drain = close_both;
    rig_run(steps);
    assert_int_equal(a.drains + b.drains, 1);
}

static void resume_both(struct owner *o, struct bytes in)
{
    (void)o;
    (void)in;
    if (a.calls + b.calls < 3) {
        conn_resume(a.conn);
        conn_resume(b.conn);
    } else {
        rig_close(&a);
        rig_close(&b);
    }
}

static bool say_to_both(void)
{
    rig_say(&a, "x", 1);
    rig_say(&b, "x", 1);
    return true;
}

static void test_close_in_resume(void **state)
{
    bool (*steps[])(void) = {say_to_both, closed, remember_turn, turns_went_by, NULL};

    (void)state;
    a.record = b.record = 2;
    a.each_data = b.each_data = resume_both;
    rig_run(steps);
    assert_int_equal(a.calls + b.calls, 3);
}

/* A connection that is closed behind the loop's last turn leaves nothing behind. */
static void test_close_after_loop(void **state)
{
    bool (*steps[])(void) = {NULL};

    (void)state;
    rig_run(steps);
    conn_flush_later(a.conn);
    rig_say(&b, "x", 1);
    conn_flush_later(b.conn);
    rig_close(&a);
    rig_close(&b);
}

/* --- elsewhere ------------------------------------------------------------------------------ */

static struct owner other;

/* Takes the connection out in the middle of its input and goes on with it in another owner, with
 * what lies behind what was taken. */
static size_t hand_over(void *arg, struct conn *c, struct bytes in)
{
    struct owner *o = arg;
    int fd;

    if (in.size < 3)
        return 0;
    fd = conn_detach(c);
    assert_true(fd >= 0);
    o->conn = NULL;
    other = (struct owner){.peer = -1};
    other.conn =
        conn_attach(rig.loop, fd, bytes_of(in.data + 3, in.size - 3), &rig_handler, &other);
    assert_non_null(other.conn);
    return in.size;
}

static const struct conn_handler handing_over = {hand_over, rig_on_end, NULL, NULL};

static bool say_abc_def(void)
{
    rig_say(&a, "abcdef", 6);
    return true;
}

static bool other_has_three(void)
{
    return buf_len(&other.got) == 3;
}

static bool say_ghi(void)
{
    rig_say(&a, "ghi", 3);
    return true;
}

static bool other_has_six(void)
{
    return buf_len(&other.got) == 6;
}

static bool say_ab(void)
{
    rig_say(&a, "ab", 2);
    return true;
}

static bool say_cdef(void)
{
    rig_say(&a, "cdef", 4);
    return true;
}

static void check_hand_over(bool (**steps)(void))
{
    int fds[2];

    rig_drop(&a);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    a = (struct owner){.peer = fds[1]};
    a.conn = conn_new(rig.loop, fds[0], &handing_over, &a);
    other = (struct owner){.peer = -1};
    rig_run(steps);
    assert_memory_equal(buf_head(&other.got), "defghi", 6);
    rig_drop(&other);
}

static void test_detach(void **state)
{
    bool (*steps[])(void) = {say_abc_def, other_has_three, say_ghi, other_has_six, NULL};

    (void)state;
    check_hand_over(steps);
}

/* Likewise when a part of it had been kept. */
static void test_detach_kept(void **state)
{
    bool (*steps[])(void) = {say_ab,          remember_turn, turns_went_by, say_cdef,
                             other_has_three, say_ghi,       other_has_six, NULL};

    (void)state;
    check_hand_over(steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_half_close, start, finish),
        cmocka_unit_test_setup_teardown(test_part, start, finish),
        cmocka_unit_test_setup_teardown(test_peer_gone, start, finish),
        cmocka_unit_test_setup_teardown(test_peer_gone_while_throttled, start, finish),
        cmocka_unit_test_setup_teardown(test_close_after_flush, start, finish),
        cmocka_unit_test_setup_teardown(test_close_after_flush_of_nothing, start, finish),
        cmocka_unit_test_setup_teardown(test_close_after_flush_inside, start, finish),
        cmocka_unit_test_setup_teardown(test_peer_never_reads, start, finish),
        cmocka_unit_test_setup_teardown(test_slow_peer, start, finish),
        cmocka_unit_test_setup_teardown(test_close_in_data, start, finish),
        cmocka_unit_test_setup_teardown(test_close_in_kept_data, start, finish),
        cmocka_unit_test_setup_teardown(test_close_in_drain, start, finish),
        cmocka_unit_test_setup_teardown(test_close_in_resume, start, finish),
        cmocka_unit_test_setup_teardown(test_close_after_loop, start, finish),
        cmocka_unit_test_setup_teardown(test_detach, start, finish),
        cmocka_unit_test_setup_teardown(test_detach_kept, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
