/* Connections: what goes through them, in both directions, and how they hold back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/conn_rig.h"

enum { STREAM = 3 << 20 };

static struct owner a, b;
static struct buf heard;
static size_t said;

static int start(void **state)
{
    (void)state;
    rig_start();
    rig_pair(&a);
    rig_pair(&b);
    heard = (struct buf){0};
    said = 0;
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

/* --- in ------------------------------------------------------------------------------------- */

/* Says the stream to `a` in pieces of any size, a little each turn. */
static bool say_stream(void)
{
    for (size_t size = 1 + said % 7919; said < STREAM; said += size) {
        uint8_t data[8000];
        ssize_t n;

        if (size > STREAM - said)
            size = STREAM - said;
        for (size_t i = 0; i < size; i++)
            data[i] = rig_byte(said + i);
        n = write(a.peer, data, size);
        if (n < 0)
            return false;
        size = (size_t)n;
        if (said % 3 == 0) {
            said += size;
            return false;
        }
    }
    return true;
}

static bool got_stream(void)
{
    return buf_len(&a.got) == STREAM - (a.record ? STREAM % a.record : 0);
}

static void check_in(size_t record)
{
    bool (*steps[])(void) = {say_stream, got_stream, NULL};

    a.record = record;
    rig_run(steps);
    rig_check_stream(&a.got, 0);
}

static void test_in_all(void **state)
{
    (void)state;
    check_in(0);
}

static void test_in_small_records(void **state)
{
    (void)state;
    check_in(10);
}

static void test_in_large_records(void **state)
{
    (void)state;
    check_in(700001);
    /* Nobody is called for every few bytes of a record that is on its way. */
    assert_true(a.calls < STREAM / 1000);
}

static bool say_two_bytes(void)
{
    rig_say(&a, "xy", 2);
    return true;
}

static bool got_all(void)
{
    return a.calls > 0;
}

static bool say_one_byte(void)
{
    rig_say(&a, "z", 1);
    return true;
}

static bool got_record(void)
{
    return buf_len(&a.got) == 3;
}

static void test_in_rest(void **state)
{
    bool (*steps[])(void) = {say_two_bytes, got_all, say_one_byte, got_record, NULL};

    (void)state;
    a.record = 3;
    rig_run(steps);
    assert_memory_equal(buf_head(&a.got), "xyz", 3);
    assert_int_equal(a.calls, 2);
}

/* --- out ------------------------------------------------------------------------------------ */

static bool hear_stream(void)
{
    rig_hear(&a, &heard, 100000);
    return buf_len(&heard) == STREAM;
}

static bool nothing_left(void)
{
    return conn_out_len(a.conn) == 0 && conn_stalled_ms(a.conn) == 0;
}

static void test_out(void **state)
{
    bool (*steps[])(void) = {hear_stream, nothing_left, NULL};

    (void)state;
    rig_append_stream(a.conn, 0, STREAM / 2);
    rig_append_stream(a.conn, STREAM / 2, STREAM - STREAM / 2);
    rig_run(steps);
    rig_check_stream(&heard, 0);
    assert_int_equal(a.ends, 0);
    assert_int_equal(a.drains, 1);
}

static bool fill_up(void)
{
    rig_append_stream(a.conn, 0, STREAM);
    return true;
}

static bool is_stuck(void)
{
    return conn_stalled_ms(a.conn) > 0;
}

static size_t stuck_at;

static bool say_while_stuck(void)
{
    stuck_at = conn_out_len(a.conn);
    assert_true(stuck_at > 1 << 20);
    rig_say(&a, "x", 1);
    rig_say(&b, "x", 1);
    return true;
}

static bool b_was_served(void)
{
    return b.calls == 1;
}

static bool a_was_not(void)
{
    assert_int_equal(a.calls, 0);
    assert_int_equal(a.drains, 0);
    assert_int_equal(conn_out_len(a.conn), stuck_at);
    return true;
}

/* Lets the peer take something until `a` is down to a little more than half of its bound. */
static bool hear_nearly_half(void)
{
    size_t left = conn_out_len(a.conn);

    if (left > (600 << 10))
        rig_hear(&a, &heard, left > (700 << 10) ? 65536 : 8192);
    return left <= (600 << 10);
}

static bool still_throttled(void)
{
    assert_true(conn_out_len(a.conn) > 512 << 10);
    assert_int_equal(a.calls, 0);
    assert_int_equal(a.drains, 0);
    return true;
}

static bool a_was_served(void)
{
    rig_hear(&a, &heard, 8192);
    return a.calls == 1 && a.drains == 1;
}

/* A peer that does not take its output is not read until it has; others are. */
static void test_back_pressure(void **state)
{
    bool (*steps[])(void) = {
        fill_up,         is_stuck,     say_while_stuck, b_was_served, a_was_not, hear_nearly_half,
        still_throttled, a_was_served, hear_stream,     nothing_left, NULL};

    (void)state;
    assert_int_equal(conn_throttles(rig.loop), 0);
    rig_run(steps);
    rig_check_stream(&heard, 0);
    assert_int_equal(a.drains, 1);
    assert_int_equal(conn_throttles(rig.loop), 1);
}

/* Whoever reads always is served while its own output is stuck: so two of them cannot wait for each
 * other. */
static void test_reads_always(void **state)
{
    bool (*steps[])(void) = {fill_up,      is_stuck,    say_while_stuck, b_was_served,
                             a_was_served, hear_stream, nothing_left,    NULL};

    (void)state;
    conn_read_always(a.conn);
    rig_run(steps);
    rig_check_stream(&heard, 0);
    assert_int_equal(a.drains, 1);
}

static bool drained(void)
{
    return a.drains > 0;
}

/* Who passed the bound is told that there is room again, even when all of it could leave at once:
 * its owner may have stopped for it. */
static void test_drain_at_once(void **state)
{
    bool (*steps[])(void) = {drained, NULL};

    (void)state;
    conn_set_out_max(a.conn, 1000);
    rig_append_stream(a.conn, 0, 1001);
    rig_run(steps);
    assert_int_equal(a.drains, 1);
    assert_int_equal(rig_hear(&a, &heard, STREAM), 1001);
}

static bool all_heard(void)
{
    rig_hear(&a, &heard, STREAM);
    return buf_len(&heard) == 1000;
}

static void test_no_drain_at_bound(void **state)
{
    bool (*steps[])(void) = {all_heard, nothing_left, NULL};

    (void)state;
    conn_set_out_max(a.conn, 1000);
    rig_append_stream(a.conn, 0, 1000);
    rig_run(steps);
    assert_int_equal(a.drains, 0);
}

/* An owner that answers each byte with many and stops when there is too much to send: what it left
 * is handed over once that has gone. */
static size_t answered;

static size_t answer_some(void *arg, struct conn *c, struct bytes in)
{
    size_t taken = 0;

    (void)arg;
    while (taken < in.size && conn_out_len(c) <= 1000) {
        rig_append_stream(c, answered, 400);
        answered += 400;
        taken++;
    }
    assert_true(conn_out_len(c) <= 1400);
    return taken;
}

static bool all_answered(void)
{
    rig_hear(&a, &heard, STREAM);
    return buf_len(&heard) == 400 * 100;
}

static void test_owner_stops_at_bound(void **state)
{
    static const struct conn_handler handler = {answer_some, rig_on_end, NULL, NULL};
    bool (*steps[])(void) = {all_answered, NULL};
    char hundred[100] = {0};
    int fds[2];

    (void)state;
    answered = 0;
    rig_drop(&a);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    a.peer = fds[1];
    a.conn = conn_new(rig.loop, fds[0], &handler, &a);
    conn_set_out_max(a.conn, 1000);
    rig_say(&a, hundred, sizeof(hundred));
    rig_run(steps);
    rig_check_stream(&heard, 0);
}

/* --- pause and resume ----------------------------------------------------------------------- */

static void pause_at_once(struct owner *o, struct bytes in)
{
    (void)in;
    conn_pause(o->conn);
}

static bool resume_a(void)
{
    conn_resume(a.conn);
    return true;
}

static bool say_ten(void)
{
    rig_say(&a, "0123456789", 10);
    return true;
}

static bool say_more(void)
{
    rig_say(&a, "abcdef", 6);
    return true;
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

static bool one_call_only(void)
{
    assert_int_equal(a.calls, 1);
    return true;
}

static bool got_second(void)
{
    return a.calls == 2;
}

/* What a paused owner left is kept, what comes meanwhile is not read, and both come in order. */
static void test_pause(void **state)
{
    bool (*steps[])(void) = {say_ten,       got_all,  say_more,      remember_turn, turns_went_by,
                             one_call_only, resume_a, remember_turn, got_second,    NULL};

    (void)state;
    a.record = 8;
    a.each_data = pause_at_once;
    rig_run(steps);
    assert_true(rig.turns <= turn_then + 2);
    assert_memory_equal(buf_head(&a.got), "01234567", 8);
    a.each_data = NULL;
}

static bool all_of_both(void)
{
    return buf_len(&a.got) == 16;
}

static void pause_and_resume(struct owner *o, struct bytes in)
{
    (void)in;
    conn_pause(o->conn);
    conn_resume(o->conn);
}

static void test_pause_and_resume_inside(void **state)
{
    bool (*steps[])(void) = {say_ten, say_more, all_of_both, NULL};

    (void)state;
    a.record = 8;
    a.each_data = pause_and_resume;
    rig_run(steps);
    assert_memory_equal(buf_head(&a.got), "0123456789abcdef", 16);
}

enum { RECORDS = 1000 };
static size_t turns_of_b;

/* Takes one byte a turn. */
static size_t take_one(void *arg, struct conn *c, struct bytes in)
{
    struct owner *o = arg;

    o->calls++;
    assert_int_equal(in.data[0], rig_byte(o->calls - 1));
    conn_pause(c);
    return 1;
}

static bool all_taken(void)
{
    /* The other connection has its turn in each of them. */
    if (a.calls % 10 == 5 && b.calls < a.calls / 10)
        turns_of_b++;
    if (b.calls <= a.calls / 10)
        rig_say(&b, "x", 1);
    conn_resume(a.conn);
    return a.calls == RECORDS;
}

static void test_resume_starves_nobody(void **state)
{
    static const struct conn_handler handler = {take_one, rig_on_end, NULL, NULL};
    bool (*steps[])(void) = {all_taken, NULL};
    uint8_t data[RECORDS];
    int fds[2];

    (void)state;
    rig_drop(&a);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    a.peer = fds[1];
    a.conn = conn_new(rig.loop, fds[0], &handler, &a);
    for (size_t i = 0; i < RECORDS; i++)
        data[i] = rig_byte(i);
    rig_say(&a, data, sizeof(data));
    turns_of_b = 0;
    rig_run(steps);
    assert_true(b.calls >= RECORDS / 10 - 2);
    assert_true(turns_of_b <= 5);
    /* And one turn for each is enough. */
    assert_true(rig.turns < RECORDS + RECORDS / 10);
}

/* Takes one record, and wants the next as soon as the others have had their turn. */
static size_t take_one_and_resume(void *arg, struct conn *c, struct bytes in)
{
    struct owner *o = arg;

    assert_true(in.size > 0);
    assert_int_equal(in.data[0], "0123456789"[o->calls]);
    o->calls++;
    conn_resume(c);
    return 1;
}

static bool ten_taken(void)
{
    return a.calls == 10;
}

static void test_resume_inside(void **state)
{
    static const struct conn_handler handler = {take_one_and_resume, rig_on_end, NULL, NULL};
    bool (*steps[])(void) = {say_ten, ten_taken, NULL};
    int fds[2];

    (void)state;
    rig_drop(&a);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    a.peer = fds[1];
    a.calls = 0;
    a.conn = conn_new(rig.loop, fds[0], &handler, &a);
    rig_run(steps);
}

static bool say_and_close(void)
{
    rig_say(&a, "0123456789", 10);
    shutdown(a.peer, SHUT_WR);
    return true;
}

static bool ended(void)
{
    return a.ends > 0;
}

static void pause_first(struct owner *o, struct bytes in)
{
    (void)in;
    if (o->calls == 1)
        conn_pause(o->conn);
}

static void check_got_before_end(struct owner *o)
{
    assert_int_equal(o->calls, 2);
}

/* The end of the input is told after all of the input. */
static void test_kept_before_end(void **state)
{
    bool (*steps[])(void) = {say_and_close, got_all, remember_turn, turns_went_by,
                             resume_a,      ended,   NULL};

    (void)state;
    a.record = 8;
    a.each_data = pause_first;
    a.each_end = check_got_before_end;
    rig_run(steps);
    assert_int_equal(a.ends, 1);
    assert_int_equal(a.end_error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_all, start, finish),
        cmocka_unit_test_setup_teardown(test_in_small_records, start, finish),
        cmocka_unit_test_setup_teardown(test_in_large_records, start, finish),
        cmocka_unit_test_setup_teardown(test_in_rest, start, finish),
        cmocka_unit_test_setup_teardown(test_out, start, finish),
        cmocka_unit_test_setup_teardown(test_back_pressure, start, finish),
        cmocka_unit_test_setup_teardown(test_reads_always, start, finish),
        cmocka_unit_test_setup_teardown(test_drain_at_once, start, finish),
        cmocka_unit_test_setup_teardown(test_no_drain_at_bound, start, finish),
        cmocka_unit_test_setup_teardown(test_owner_stops_at_bound, start, finish),
        cmocka_unit_test_setup_teardown(test_pause, start, finish),
        cmocka_unit_test_setup_teardown(test_pause_and_resume_inside, start, finish),
        cmocka_unit_test_setup_teardown(test_resume_starves_nobody, start, finish),
        cmocka_unit_test_setup_teardown(test_resume_inside, start, finish),
        cmocka_unit_test_setup_teardown(test_kept_before_end, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
