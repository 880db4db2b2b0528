/* When a thread says that it did not get to run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/stall.h"
#include <cmocka.h>

static void test_late(void **state)
{
    struct stall s = {0};

    (void)state;
    assert_int_equal(stall_look(&s, 1000000, "shard", 0),
                     0); /* the first time, whatever the clock says */
    stall_expect(&s, 1000025);
    assert_int_equal(stall_look(&s, 1000020, "shard", 0), 0);
    assert_int_equal(stall_look(&s, 1000025 + STALL_TOLD_MS - 1, "shard", 0), 0);
    assert_int_equal(stall_look(&s, 1000025 + STALL_TOLD_MS, "shard", 0), STALL_TOLD_MS);
    assert_int_equal(stall_look(&s, 1025025, "shard", 0), 25000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_late)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
