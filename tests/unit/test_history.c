/* The recent steps: chains without holes, within their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/history.h"
#include <cmocka.h>
#include <string.h>

enum { SESSION = 77, LINES = 5, FRAME = 100, ENTRY = sizeof(struct history_entry) + FRAME };

static struct history h;
static struct history_line lines[LINES];

static int finish(void **state)
{
    (void)state;
    for (int i = 0; i < LINES; i++)
        history_clear(&h, &lines[i]);
    history_free(&h);
    assert_int_equal(h.bytes, 0);
    return 0;
}

/* The step op - 1 -> op of a view. */
static void add(int line, uint64_t view, uint64_t op)
{
    uint8_t frame[FRAME];

    memset(frame, (int)op, sizeof(frame));
    assert_int_equal(history_add(&h, &lines[line], (struct version){view, op - 1},
                                 (struct version){view, op}, SESSION, op,
                                 bytes_of(frame, sizeof(frame))),
                     0);
}

/* The line holds exactly the steps first..last of a view. */
static void check_line(int line, uint64_t view, uint64_t first, uint64_t last)
{
    uint64_t op = first;

    assert_int_equal(lines[line].count, last - first + 1);
    assert_int_equal(lines[line].from.view, view);
    assert_int_equal(lines[line].from.op, first - 1);
    assert_null(history_find(&lines[line], (struct version){view, first - 2}));
    assert_null(history_find(&lines[line], (struct version){view, last}));
    assert_null(history_find_request(&h, &lines[line], SESSION, first - 1));
    assert_null(history_find_request(&h, &lines[line], SESSION, last + 1));
    for (struct history_entry *e = history_find(&lines[line], (struct version){view, first - 1}); e;
         e = e->next, op++) {
        assert_ptr_equal(history_find_request(&h, &lines[line], SESSION, op), e);
        assert_int_equal(e->at.view, view);
        assert_int_equal(e->at.op, op);
        assert_int_equal(e->size, FRAME);
        assert_int_equal(e->frame[0], op & 0xff);
        assert_int_equal(e->frame[FRAME - 1], op & 0xff);
    }
    assert_int_equal(op, last + 1);
}

static void check_empty(int line)
{
    assert_int_equal(lines[line].count, 0);
    assert_null(lines[line].first);
    assert_null(lines[line].last);
}

static void test_find(void **state)
{
    (void)state;
    history_init(&h, 1 << 20, 100);
    check_empty(0);
    assert_null(history_find(&lines[0], (struct version){0, 0}));
    for (uint64_t op = 2; op <= 10; op++)
        add(0, 1, op);
    check_line(0, 1, 2, 10);
    assert_null(history_find(&lines[0], (struct version){2, 5}));
    assert_null(history_find(&lines[1], (struct version){1, 5}));
    assert_int_equal(h.bytes, 9 * ENTRY);
    assert_int_equal(h.dropped, 0);
}

/* A new view's start follows the old view's last step in the same line. */
static void test_views(void **state)
{
    struct history_entry *e;

    (void)state;
    history_init(&h, 1 << 20, 100);
    add(0, 1, 2);
    assert_int_equal(history_add(&h, &lines[0], (struct version){1, 2}, (struct version){9, 0}, 0,
                                 0, bytes_from("start")),
                     0);
    add(0, 9, 1);
    e = history_find(&lines[0], (struct version){1, 1});
    assert_non_null(e);
    e = e->next;
    assert_memory_equal(e->frame, "start", 5);
    assert_int_equal(e->next->at.op, 1);
    assert_null(e->next->next);
}

/* Requests are told apart by session, number and line; a step without one is not found as one. */
static void test_requests(void **state)
{
    (void)state;
    history_init(&h, 1 << 20, 100);
    assert_null(history_find_request(&h, &lines[0], SESSION, 1));
    assert_int_equal(history_add(&h, &lines[0], (struct version){1, 1}, (struct version){1, 2}, 0,
                                 0, bytes_from("x")),
                     0);
    assert_null(history_find_request(&h, &lines[0], 0, 0));
    add(0, 1, 3);
    add(1, 1, 3);
    assert_int_equal(history_find_request(&h, &lines[0], SESSION, 3)->at.op, 3);
    assert_ptr_equal(history_find_request(&h, &lines[1], SESSION, 3)->line, &lines[1]);
    assert_null(history_find_request(&h, &lines[2], SESSION, 3));
    assert_null(history_find_request(&h, &lines[0], SESSION + 1, 3));
    assert_null(history_find_request(&h, &lines[0], 3, SESSION));
}

static void test_hole(void **state)
{
    (void)state;
    history_init(&h, 1 << 20, 100);
    for (uint64_t op = 2; op <= 5; op++)
        add(0, 1, op);
    add(0, 1, 7);
    check_line(0, 1, 7, 7);
    assert_null(history_find(&lines[0], (struct version){1, 1}));
    /* The same step again begins anew as well. */
    add(0, 1, 7);
    check_line(0, 1, 7, 7);
    add(0, 2, 8);
    check_line(0, 2, 8, 8);
}

static void test_bytes(void **state)
{
    (void)state;
    history_init(&h, 10 * ENTRY, 100);
    for (uint64_t op = 2; op <= 6; op++)
        for (int line = 0; line < 2; line++)
            add(line, 1, op);
    check_line(0, 1, 2, 6);
    check_line(1, 1, 2, 6);
    /* The oldest of the shard goes first, whosever it is. */
    add(2, 1, 2);
    check_line(0, 1, 3, 6);
    check_line(1, 1, 2, 6);
    for (uint64_t op = 3; op <= 11; op++)
        add(2, 1, op);
    check_empty(0);
    check_empty(1);
    check_line(2, 1, 2, 11);
    assert_int_equal(h.bytes, 10 * ENTRY);
    assert_int_equal(h.dropped, 10);
    /* A line that lost everything begins anew. */
    add(0, 1, 7);
    check_line(0, 1, 7, 7);
    check_line(2, 1, 3, 11);
}

/* One that is larger than the whole bound is not kept, nor is anything else. */
static void test_too_large(void **state)
{
    static uint8_t frame[4096];

    (void)state;
    history_init(&h, 4096, 100);
    for (uint64_t op = 2; op <= 4; op++)
        add(0, 1, op);
    assert_int_equal(history_add(&h, &lines[0], (struct version){1, 4}, (struct version){1, 5},
                                 SESSION, 5, bytes_of(frame, sizeof(frame))),
                     0);
    check_empty(0);
    assert_int_equal(h.bytes, 0);
    add(0, 1, 6);
    check_line(0, 1, 6, 6);
}

static void test_line_max(void **state)
{
    (void)state;
    history_init(&h, 1 << 20, 4);
    for (uint64_t op = 2; op <= 100; op++) {
        add(0, 1, op);
        check_line(0, 1, op < 5 ? 2 : op - 3, op);
    }
    /* Together with the other bound. */
    finish(NULL);
    history_init(&h, 10 * ENTRY, 4);
    for (uint64_t op = 2; op <= 100; op++)
        for (int line = 0; line < LINES; line++) {
            add(line, 1, op);
            assert_true(h.bytes <= 10 * ENTRY);
        }
    for (int line = 0; line < LINES; line++)
        check_line(line, 1, 99, 100);
    finish(NULL);
    history_init(&h, 10 * ENTRY, 1);
    for (uint64_t op = 2; op <= 100; op++)
        add(0, 1, op);
    check_line(0, 1, 100, 100);
}

/* What a cleared line held is freed when its turn comes. */
static void test_clear(void **state)
{
    (void)state;
    history_init(&h, 10 * ENTRY, 100);
    for (uint64_t op = 2; op <= 6; op++)
        for (int line = 0; line < 2; line++)
            add(line, 1, op);
    history_clear(&h, &lines[0]);
    check_empty(0);
    for (uint64_t op = 2; op <= 6; op++)
        assert_null(history_find_request(&h, &lines[0], SESSION, op));
    check_line(1, 1, 2, 6);
    history_clear(&h, &lines[0]);
    for (uint64_t op = 2; op <= 100; op++) {
        add(0, 3, op);
        check_line(0, 3, op < 11 ? 2 : op - 9, op);
    }
    check_empty(1);
}

/* Random adds and clears against a count of what must be there. */
static void test_random(void **state)
{
    uint64_t next[LINES], x = 88172645463325252u;

    (void)state;
    history_init(&h, 40 * ENTRY, 12);
    for (int i = 0; i < LINES; i++)
        next[i] = 2;
    for (int i = 0; i < 20000; i++) {
        int line;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        line = (int)(x % LINES);
        if (x >> 32 & 1 && (x >> 40) % 50 == 0) {
            history_clear(&h, &lines[line]);
            check_empty(line);
            continue;
        }
        next[line] += (x >> 40) % 40 == 1; /* a hole */
        add(line, 1, next[line]++);
        assert_true(h.bytes <= 40 * ENTRY);
        for (int l = 0; l < LINES; l++)
            if (lines[l].count)
                check_line(l, 1, next[l] - lines[l].count, next[l] - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_find, finish),
        cmocka_unit_test_teardown(test_views, finish),
        cmocka_unit_test_teardown(test_requests, finish),
        cmocka_unit_test_teardown(test_hole, finish),
        cmocka_unit_test_teardown(test_bytes, finish),
        cmocka_unit_test_teardown(test_too_large, finish),
        cmocka_unit_test_teardown(test_line_max, finish),
        cmocka_unit_test_teardown(test_clear, finish),
        cmocka_unit_test_teardown(test_random, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
