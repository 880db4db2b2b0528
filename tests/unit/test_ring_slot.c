/* The acceptor of a ring: what it promises it keeps, what it writes down it reads back, and nothing
 * damaged is read. tests/unit/test_ring_propose has acceptors against proposers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ring_slot.h"
#include "shared/error.h"
#include <cmocka.h>

enum { EPOCH = 7 };

static struct ring_slot slot;

static int start(void **state)
{
    (void)state;
    slot = ring_slot_of(EPOCH);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    ring_slot_free(&slot);
    return 0;
}

static void take(struct ring_slot *next)
{
    ring_slot_free(&slot);
    slot = *next;
}

static int prepare(uint64_t epoch, uint64_t number)
{
    struct ring_prepare m = {.epoch = epoch, .ballot = {number, 1}};
    struct ring_slot next;
    int error = ring_slot_prepare(&slot, &m, &next);

    if (!error)
        take(&next);
    return error;
}

static int accept(uint64_t epoch, uint64_t number, const char *ring)
{
    struct ring_accept m = {.ballot = {number, 1}, .ring = bytes_from(ring)};
    struct ring_slot next;
    int error = ring_slot_accept(&slot, &m, epoch, &next);

    if (!error)
        take(&next);
    return error;
}

static void test_promises(void **state)
{
    (void)state;
    assert_int_equal(prepare(EPOCH, 5), 0);
    assert_int_equal(prepare(EPOCH, 4), RK_REFUSED);
    assert_int_equal(accept(EPOCH, 4, "low"), RK_REFUSED);
    assert_int_equal(slot.accepted.number, 0);
    assert_int_equal(accept(EPOCH, 5, "five"), 0);
    assert_int_equal(accept(EPOCH, 9, "nine"), 0);
    assert_int_equal(prepare(EPOCH, 8), RK_REFUSED);
    assert_int_equal(prepare(EPOCH, 10), 0);
    assert_int_equal(slot.accepted.number, 9);
    assert_true(bytes_equal(buf_bytes(&slot.ring), bytes_from("nine")));
}

static void test_other_epochs(void **state)
{
    (void)state;
    assert_int_equal(prepare(EPOCH - 1, 5), RK_EPOCH);
    assert_int_equal(prepare(EPOCH + 1, 5), RK_EPOCH);
    assert_int_equal(accept(EPOCH + 1, 5, "x"), RK_EPOCH);
    slot = ring_slot_of(0);
    assert_int_equal(prepare(0, 5), RK_EPOCH);
}

static void test_file(void **state)
{
    struct buf file = {0};
    struct ring_slot back;

    (void)state;
    assert_int_equal(accept(EPOCH, 9, "nine"), 0);
    assert_int_equal(prepare(EPOCH, 12), 0);
    assert_int_equal(ring_slot_encode(&slot, &file), 0);
    assert_int_equal(ring_slot_decode(buf_bytes(&file), &back), 0);
    assert_true(back.epoch == EPOCH && back.promised.number == 12 && back.accepted.number == 9);
    assert_true(bytes_equal(buf_bytes(&back.ring), bytes_from("nine")));
    ring_slot_free(&back);
    for (size_t i = 0; i < buf_len(&file); i++) {
        assert_int_not_equal(ring_slot_decode(bytes_of(buf_head(&file), i), &back), 0);
        buf_head(&file)[i] ^= 1;
        assert_int_not_equal(ring_slot_decode(buf_bytes(&file), &back), 0);
        buf_head(&file)[i] ^= 1;
    }
    buf_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_promises, start, finish),
        cmocka_unit_test_setup_teardown(test_other_epochs, start, finish),
        cmocka_unit_test_setup_teardown(test_file, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
