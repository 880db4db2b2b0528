/* What waits for stable storage: in order, whole, and never before its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/held.h"
#include <cmocka.h>
#include <string.h>

static void add(struct held *h, uint64_t position, uint64_t to, struct bytes frame)
{
    struct held_item item = {.position = position, .to = to, .kind = HELD_REPLY};

    assert_int_equal(held_add(h, item, frame), 0);
}

static void test_empty(void **state)
{
    struct held h = {0};
    struct held_item item;
    struct bytes frame;

    (void)state;
    assert_false(held_peek(&h, UINT64_MAX, &item, &frame));
    held_free(&h);
}

static void test_fields(void **state)
{
    struct held_item in = {.position = UINT64_MAX,
                           .to = UINT64_MAX - 1,
                           .view = UINT64_MAX - 2,
                           .at = {UINT64_MAX - 3, UINT64_MAX - 4},
                           .partition = 65535,
                           .size = 12345, /* whatever the caller says, it is that of the frame */
                           .kind = HELD_SIGNAL,
                           .signal = 7,
                           .flags = 255};
    struct held_item item;
    struct held h = {0};
    struct bytes frame;

    (void)state;
    assert_int_equal(held_add(&h, in, bytes_from("frame")), 0);
    assert_false(held_peek(&h, UINT64_MAX - 1, &item, &frame));
    assert_true(held_peek(&h, UINT64_MAX, &item, &frame));
    assert_true(item.position == in.position && item.to == in.to && item.view == in.view);
    assert_true(item.at.view == in.at.view && item.at.op == in.at.op);
    assert_true(item.partition == 65535 && item.size == 5 && item.kind == HELD_SIGNAL);
    assert_true(item.signal == 7 && item.flags == 255);
    assert_true(bytes_equal(frame, bytes_from("frame")));
    held_free(&h);
}

/* An older position behind a newer one waits for the newer: the order in which things were said is
 * kept. */
static void test_order(void **state)
{
    struct held h = {0};
    struct held_item item;
    struct bytes frame;

    (void)state;
    add(&h, 5, 1, bytes_from("one"));
    add(&h, 3, 2, (struct bytes){0});
    add(&h, 5, 3, bytes_from("three"));
    add(&h, 0, 4, bytes_from("four"));
    add(&h, 9, 5, bytes_from("five"));
    assert_int_equal(h.count, 5);
    assert_false(held_peek(&h, 4, &item, &frame));
    for (uint64_t to = 1; to <= 4; to++) {
        assert_true(held_peek(&h, 5, &item, &frame));
        assert_int_equal(item.to, to);
        assert_int_equal(item.position, 5);
        assert_int_equal(frame.size, to == 1 ? 3 : to == 2 ? 0 : to == 3 ? 5 : 4);
        held_drop(&h);
    }
    assert_false(held_peek(&h, 8, &item, &frame));
    assert_true(held_peek(&h, 9, &item, &frame));
    assert_int_equal(item.to, 5);
    held_drop(&h);
    assert_int_equal(h.count, 0);
    /* Even once everything has left. */
    add(&h, 2, 6, (struct bytes){0});
    assert_false(held_peek(&h, 8, &item, &frame));
    assert_true(held_peek(&h, 9, &item, &frame));
    held_free(&h);
}

/* More is held while the oldest is being let go, through every growth and move of the queue. */
static void test_many(void **state)
{
    struct held h = {0};
    uint64_t added = 0, dropped = 0;
    uint8_t data[300];

    (void)state;
    while (dropped < 5000) {
        struct held_item item;
        struct bytes frame;

        for (int i = 0; i < 3 && added < 5000; i++, added++) {
            memset(data, (int)(added & 0xff), sizeof(data));
            add(&h, added / 2, added, bytes_of(data, added % sizeof(data)));
        }
        assert_true(held_peek(&h, UINT64_MAX, &item, &frame));
        assert_int_equal(item.to, dropped);
        assert_int_equal(frame.size, dropped % sizeof(data));
        for (size_t i = 0; i < frame.size; i++)
            assert_int_equal(frame.data[i], dropped & 0xff);
        held_drop(&h);
        dropped++;
        assert_int_equal(h.count, added - dropped);
    }
    assert_int_equal(h.count, 0);
    assert_int_equal(buf_len(&h.queue), 0);
    held_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
