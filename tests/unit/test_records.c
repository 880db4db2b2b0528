/* The slow log and the latency samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/command_stats.h"
#include "proxy/counters.h"
#include "proxy/latency.h"
#include "proxy/slow_log.h"
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void expect(struct buf *out, const char *text)
{
    assert_int_equal(buf_len(out), strlen(text));
    assert_memory_equal(buf_head(out), text, strlen(text));
    buf_free(out);
}

static struct slow_command command_of(const struct bytes *args, uint32_t count)
{
    return (struct slow_command){.args = args,
                                 .arg_count = count,
                                 .args_all = count,
                                 .address = "1.2.3.4:5",
                                 .name = "me",
                                 .unix_s = 1700000000,
                                 .took_us = 12000};
}

static void test_entry(void **state)
{
    struct bytes args[] = {bytes_from("get"), bytes_of("a\0b", 3)};
    struct slow_command c = command_of(args, 2);
    struct slow_log l = {0};
    struct buf out = {0};

    (void)state;
    slow_log_add(&l, &c, 10);
    assert_int_equal(slow_log_put(&l, &out, 10), 0);
    assert_int_equal(buf_len(&out), 78);
    assert_memory_equal(
        buf_head(&out),
        "*1\r\n*6\r\n:0\r\n:1700000000\r\n:12000\r\n*2\r\n$3\r\nget\r\n$3\r\na\0b\r\n"
        "$9\r\n1.2.3.4:5\r\n$2\r\nme\r\n",
        78);
    buf_free(&out);
    slow_log_reset(&l);
    assert_int_equal(slow_log_put(&l, &out, 10), 0);
    expect(&out, "*0\r\n");
    slow_log_add(&l, &c, 10);
    assert_int_equal(slow_log_put(&l, &out, 10), 0);
    assert_memory_equal(buf_head(&out), "*1\r\n*6\r\n:1\r\n", 12); /* numbers go on */
    buf_free(&out);
    slow_log_reset(&l);
}

static void test_newest_first_and_bounded(void **state)
{
    struct bytes arg = bytes_from("ping");
    struct slow_command c = command_of(&arg, 1);
    struct slow_log l = {0};
    struct buf out = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        slow_log_add(&l, &c, 5);
    assert_int_equal(l.count, 5);
    assert_int_equal(slow_log_put(&l, &out, 2), 0);
    assert_memory_equal(buf_head(&out), "*2\r\n*6\r\n:99\r\n", 13);
    assert_non_null(memmem(buf_head(&out), buf_len(&out), ":98\r\n", 5));
    buf_free(&out);
    slow_log_add(&l, &c, 2); /* the bound fell meanwhile */
    assert_int_equal(l.count, 2);
    slow_log_add(&l, &c, 0);
    assert_int_equal(l.count, 0);
    slow_log_reset(&l);
}

static void test_long_commands(void **state)
{
    struct bytes args[SLOW_ARGS_MAX];
    char large[SLOW_ARG_SIZE_MAX + 72];
    struct slow_command c;
    struct slow_log l = {0};
    struct buf out = {0};

    (void)state;
    memset(large, 'x', sizeof(large));
    for (int i = 0; i < SLOW_ARGS_MAX; i++)
        args[i] = bytes_of(large, sizeof(large));
    c = command_of(args, SLOW_ARGS_MAX);
    slow_log_add(&l, &c, 1);
    assert_int_equal(slow_log_put(&l, &out, 1), 0);
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "*32\r\n$147\r\nxxx", 14));
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "xx... (72 more bytes)\r\n", 23));
    buf_free(&out);
    c.args_all = 1000;
    slow_log_add(&l, &c, 1);
    assert_int_equal(slow_log_put(&l, &out, 1), 0);
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "*32\r\n", 5));
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "... (969 more arguments)\r\n", 26));
    buf_free(&out);
    slow_log_reset(&l);
}

static void test_samples(void **state)
{
    struct latency *l = calloc(1, sizeof(*l));
    struct bytes event = bytes_from("command"), other = bytes_from("nonsense");
    struct buf out = {0};

    (void)state;
    assert_int_equal(latency_put_latest(l, &out), 0);
    expect(&out, "*0\r\n");
    latency_add(l, LATENCY_COMMAND, 100, 50);
    latency_add(l, LATENCY_COMMAND, 100, 70); /* the worst of a second */
    latency_add(l, LATENCY_COMMAND, 100, 60);
    latency_add(l, LATENCY_COMMAND, 103, 20);
    assert_int_equal(latency_put_latest(l, &out), 0);
    expect(&out, "*1\r\n*4\r\n$7\r\ncommand\r\n:103\r\n:20\r\n:70\r\n");
    assert_int_equal(latency_put_history(l, event, &out), 0);
    expect(&out, "*2\r\n*2\r\n:100\r\n:70\r\n*2\r\n:103\r\n:20\r\n");
    assert_int_equal(latency_put_history(l, other, &out), 0);
    expect(&out, "*0\r\n");
    assert_int_equal(latency_reset(l, &other), 0);
    assert_int_equal(latency_reset(l, &event), 1);
    assert_int_equal(latency_reset(l, &event), 0);
    latency_add(l, LATENCY_COMMAND, 100, 50);
    latency_add(l, LATENCY_FAST_COMMAND, 100, 50);
    assert_int_equal(latency_reset(l, NULL), 2);
    free(l);
}

static void test_samples_are_bounded(void **state)
{
    struct latency *l = calloc(1, sizeof(*l));
    struct buf out = {0};

    (void)state;
    for (uint64_t s = 1; s <= 1000; s++)
        latency_add(l, LATENCY_FAST_COMMAND, s, s);
    assert_int_equal(latency_put_history(l, bytes_from("fast-command"), &out), 0);
    assert_memory_equal(buf_head(&out), "*160\r\n*2\r\n:841\r\n:841\r\n", 22);
    buf_free(&out);
    free(l);
}

static void test_report(void **state)
{
    struct latency *l = calloc(1, sizeof(*l));
    struct buf out = {0};

    (void)state;
    assert_int_equal(latency_put_report(l, 0, &out), 0);
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "latency-monitor-threshold", 25));
    buf_free(&out);
    assert_int_equal(latency_put_report(l, 10, &out), 0);
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "No command", 10));
    buf_free(&out);
    latency_add(l, LATENCY_COMMAND, 100, 50);
    latency_add(l, LATENCY_COMMAND, 101, 100);
    assert_int_equal(latency_put_report(l, 10, &out), 0);
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "in 2 seconds", 12));
    assert_non_null(memmem(buf_head(&out), buf_len(&out), "took 100 ms", 11));
    assert_non_null(memmem(buf_head(&out), buf_len(&out), " 75 ms on the average", 21));
    buf_free(&out);
    free(l);
}

/* Every command and subcommand has a row of its own, and figures of threads add up. */
static void test_command_stats(void **state)
{
    struct command_stats *one = calloc(1, sizeof(*one)), *sum = calloc(1, sizeof(*sum));
    uint64_t number = 0;

    (void)state;
    for (int pass = 0; pass < 2; pass++)
        for (const struct command *const *family = command_families(); *family; family++)
            for (const struct command *c = *family; c->name; c++) {
                counter_add(&command_stats_row(one, c)->calls, ++number);
                command_stats_answered(command_stats_row(one, c), number);
                for (const struct command *sub = c->subcommands; sub && sub->name; sub++)
                    counter_add(&command_stats_row(one, sub)->failed, ++number);
            }
    assert_true(number / 2 < COMMAND_STATS_SIZE / 2);
    command_stats_add(sum, one);
    command_stats_add(sum, one);
    command_stats_subtract(sum, one);
    for (const struct command *const *family = command_families(); *family; family++)
        for (const struct command *c = *family; c->name; c++)
            assert_int_equal(counter_read(&command_stats_row(sum, c)->calls),
                             counter_read(&command_stats_row(one, c)->calls));
    command_stats_subtract(sum, one);
    for (const struct command *const *family = command_families(); *family; family++)
        for (const struct command *c = *family; c->name; c++) {
            assert_int_equal(counter_read(&command_stats_row(sum, c)->calls), 0);
            assert_int_equal(histogram_count(&command_stats_row(sum, c)->answered), 0);
        }
    free(one);
    free(sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_stats),
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_newest_first_and_bounded),
        cmocka_unit_test(test_long_commands),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_samples_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
