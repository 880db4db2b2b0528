/* Every allocation of the ring fails once: the call says so, and leaves nothing behind (which a
 * build with AddressSanitizer sees). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/nomem.h"

#include "shared/buf.c"
#include "shared/position.c"
#include "shared/ring.c"
#include "shared/ring_format.c"
#include "shared/ring_format_more.c"

#include "tests/unit/nomem_end.h"

#include <cmocka.h>

enum { ALLOCATIONS_OF_RING = 6, ALLOCATIONS_OF_POSITIONER = 1 };

static struct ring *make(void)
{
    struct ring *r = ring_new(1, 4);

    if (!r)
        return NULL;
    r->cluster[0] = 1;
    r->epoch = 1;
    r->hash = POSITION_MD5;
    r->replicas = 3;
    r->next_number = 2;
    r->members[0] = (struct ring_member){.identity = {1},
                                         .number = 1,
                                         .port = 7000,
                                         .shards = 1,
                                         .weight = 1,
                                         .name = "a",
                                         .host = "localhost"};
    return r;
}

static void test_new(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= ALLOCATIONS_OF_RING; n++) {
        fail_allocation(n);
        assert_null(make());
    }
    for (unsigned n = 1; n <= ALLOCATIONS_OF_POSITIONER; n++) {
        fail_allocation(n);
        assert_null(positioner_new(POSITION_MD5));
    }
    fail_allocation(UINT32_MAX);
}

static void test_encode_and_decode(void **state)
{
    struct ring *r = make(), *back;
    struct buf out = {0};
    char why[100];

    (void)state;
    assert_non_null(r);
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    fail_allocation(1);
    assert_int_equal(ring_encode(r, &out), RK_NOMEM);
    assert_int_equal(buf_len(&out), 0);
    fail_allocation(UINT32_MAX);
    assert_int_equal(ring_encode(r, &out), 0);
    for (unsigned n = 1; n <= ALLOCATIONS_OF_RING; n++) {
        why[0] = '\0';
        fail_allocation(n);
        assert_int_equal(ring_decode(buf_bytes(&out), &back, why, sizeof(why)), RK_NOMEM);
        assert_null(back);
        assert_true(why[0]);
    }
    fail_allocation(ALLOCATIONS_OF_RING + 1);
    assert_int_equal(ring_decode(buf_bytes(&out), &back, why, sizeof(why)), 0);
    assert_int_equal(allocations_until_failure, 1);
    fail_allocation(UINT32_MAX);
    ring_free(back);
    ring_free(r);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_encode_and_decode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
