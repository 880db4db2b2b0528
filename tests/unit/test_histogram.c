/* Times counted in steps: what is told of them, and what they come to in Redis's steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/command_stats.h"
#include "proxy/counters.h"
#include <string.h>

static struct histogram h;
static struct buf out;

static int start(void **state)
{
    (void)state;
    memset(&h, 0, sizeof(h));
    return 0;
}

static int finish(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

static void expect(const char *text)
{
    assert_int_equal(buf_len(&out), strlen(text));
    assert_memory_equal(buf_head(&out), text, strlen(text));
    buf_truncate(&out, 0);
}

/* Every time is told as no less than it is, and as an eighth more at most. */
static void test_exactness(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < UINT64_C(1) << HISTOGRAM_DOUBLINGS; us += us / 37 + 1) {
        uint64_t told;

        memset(&h, 0, sizeof(h));
        histogram_add(&h, us);
        told = histogram_quantile(&h, 500);
        assert_true(told >= us && told <= us + us / 8);
        assert_int_equal(histogram_count(&h), 1);
    }
}

/* Nothing is lost at the ends. */
static void test_ends(void **state)
{
    (void)state;
    assert_int_equal(histogram_quantile(&h, 999), 0);
    histogram_add(&h, 0);
    assert_int_equal(histogram_quantile(&h, 999), 1);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, UINT64_C(1) << HISTOGRAM_DOUBLINGS);
    assert_int_equal(histogram_count(&h), 3);
    assert_int_equal(histogram_quantile(&h, 1000), (1 << HISTOGRAM_DOUBLINGS) - 1);
}

static void test_quantiles(void **state)
{
    (void)state;
    for (int i = 0; i < 990; i++)
        histogram_add(&h, 5);
    for (int i = 0; i < 9; i++)
        histogram_add(&h, 1000);
    histogram_add(&h, 500000);
    assert_int_equal(histogram_quantile(&h, 0), 5);
    assert_int_equal(histogram_quantile(&h, 500), 5);
    assert_int_equal(histogram_quantile(&h, 990), 5);
    assert_int_equal(histogram_quantile(&h, 999), 1023);
    assert_int_equal(histogram_quantile(&h, 1000), 524287);
}

static void test_combine(void **state)
{
    struct histogram sum = {0};

    (void)state;
    histogram_add(&h, 7);
    histogram_add(&h, 70000);
    histogram_combine(&sum, &h, true);
    histogram_combine(&sum, &h, true);
    assert_int_equal(histogram_count(&sum), 4);
    histogram_combine(&sum, &h, false);
    assert_int_equal(histogram_count(&sum), 2);
    histogram_combine(&sum, &sum, false);
    assert_int_equal(histogram_count(&sum), 0);
}

/* Steps that double, named as Redis names them, and sums of them. */
static void test_levels(void **state)
{
    static const uint64_t us[] = {1, 1, 2, 3, 30, 31, 40, 1000, 1100, 1100, UINT64_MAX};
    struct command_stat row = {.command = NULL};

    (void)state;
    assert_int_equal(command_stats_put_histogram(&row, &out, 2), 0);
    expect("*4\r\n$5\r\ncalls\r\n:0\r\n$14\r\nhistogram_usec\r\n*0\r\n");
    for (size_t i = 0; i < sizeof(us) / sizeof(us[0]); i++)
        command_stats_answered(&row, us[i]);
    assert_int_equal(command_stats_put_histogram(&row, &out, 3), 0);
    expect("%2\r\n$5\r\ncalls\r\n:11\r\n$14\r\nhistogram_usec\r\n%8\r\n:1\r\n:2\r\n:2\r\n:3\r\n"
           ":4\r\n:4\r\n:33\r\n:6\r\n:66\r\n:7\r\n:1056\r\n:8\r\n:2113\r\n:10\r\n"
           ":138512695\r\n:11\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exactness), TEST(test_ends),   TEST(test_quantiles),
        TEST(test_combine),   TEST(test_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
