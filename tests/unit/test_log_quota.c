/* How many lines others may put into the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/log_quota.h"
#include <cmocka.h>

static void test_quota(void **state)
{
    struct log_quota q = {0};
    uint64_t unsaid = 99, now_ms = 1000;

    (void)state;
    for (int i = 0; i < LOG_QUOTA_LINES; i++) {
        assert_true(log_quota_take(&q, now_ms + (uint64_t)i, &unsaid));
        assert_int_equal(unsaid, 0);
    }
    unsaid = 99;
    for (int i = 0; i < 7; i++)
        assert_false(log_quota_take(&q, now_ms + LOG_QUOTA_MS - 1, &unsaid));
    assert_int_equal(unsaid, 99);
    now_ms += LOG_QUOTA_MS;
    assert_true(log_quota_take(&q, now_ms, &unsaid));
    assert_int_equal(unsaid, 7);
    assert_true(log_quota_take(&q, now_ms, &unsaid));
    assert_int_equal(unsaid, 0);
    for (int i = 2; i < LOG_QUOTA_LINES; i++)
        assert_true(log_quota_take(&q, now_ms + LOG_QUOTA_MS - 1, &unsaid));
    assert_false(log_quota_take(&q, now_ms + LOG_QUOTA_MS - 1, &unsaid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quota)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
