/* The options of SET, GETEX and EXPIRE, and the times: what goes with what, and what there can be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/expiry_options.h"
#include "shared/error.h"
#include "shared/operation.h"

enum { WORDS_MAX = 8, BAD = -1 };

static uint32_t split(const char *words, struct bytes args[WORDS_MAX])
{
    uint32_t count = 0;

    while (*words) {
        size_t size = strcspn(words, " ");

        assert_true(count < WORDS_MAX);
        args[count++] = bytes_of(words, size);
        words += size + (words[size] == ' ');
    }
    return count;
}

static void test_options(void **state)
{
    static const struct {
        const char *words;
        int set, getex; /* what is given, or BAD */
    } cases[] = {
        {"", 0, 0},
        {"NX", OPTION_NX, BAD},
        {"nx Xx", BAD, BAD},
        {"NX NX GET", OPTION_NX | OPTION_GET, BAD},
        {"XX KEEPTTL", OPTION_XX | OPTION_KEEPTTL, BAD},
        {"EX 10", OPTION_EX, OPTION_EX},
        {"eX 10 ex 20", OPTION_EX, OPTION_EX},
        {"EX", BAD, BAD},
        {"EX 10 PX", BAD, BAD},
        {"EX 10 PX 10", BAD, BAD},
        {"PX 10 EXAT 10", BAD, BAD},
        {"PXAT 10", OPTION_PXAT, OPTION_PXAT},
        {"EXAT 10 GET", OPTION_EXAT | OPTION_GET, BAD},
        {"EX 10 KEEPTTL", BAD, BAD},
        {"KEEPTTL EX 10", BAD, BAD},
        {"KEEPTTL KEEPTTL", OPTION_KEEPTTL, BAD},
        {"PERSIST", BAD, OPTION_PERSIST},
        {"PERSIST EX 10", BAD, BAD},
        {"EX 10 PERSIST", BAD, BAD},
        {"what", BAD, BAD},
        {"EX NX", OPTION_EX, OPTION_EX}, /* the time is looked at later */
    };
    struct bytes args[WORDS_MAX];
    struct expiry_options o;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t count = split(cases[i].words, args);
        int error = expiry_options_read(&o, args, count, OPTIONS_OF_SET);

        assert_int_equal(error ? BAD : (int)o.given, cases[i].set);
        error = expiry_options_read(&o, args, count, OPTIONS_OF_GETEX);
        assert_int_equal(error ? BAD : (int)o.given, cases[i].getex);
    }
    assert_int_equal(expiry_options_read(&o, args, split("EX 10 ex 20", args), OPTIONS_OF_SET), 0);
    assert_true(bytes_equal(o.time, bytes_from("20")));
}

static void test_forms(void **state)
{
    static const struct {
        enum expiry_option option;
        bool seconds, relative;
    } cases[] = {{OPTION_EX, true, true},
                 {OPTION_PX, false, true},
                 {OPTION_EXAT, true, false},
                 {OPTION_PXAT, false, false}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct time_form form =
            expiry_options_form(&(struct expiry_options){.given = cases[i].option | OPTION_GET});

        assert_true(form.seconds == cases[i].seconds && form.relative == cases[i].relative);
        assert_false(form.any);
    }
}

static int read_number(int64_t number, struct time_form form, int64_t *ms)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    return expiry_time_read(bytes_from(text), form, ms);
}

static void test_times(void **state)
{
    struct time_form ex = {.seconds = true, .relative = true}, px = {.relative = true},
                     exat = {.seconds = true}, pxat = {0},
                     expire = {.seconds = true, .relative = true, .any = true},
                     pexpireat = {.any = true};
    int64_t ms;

    (void)state;
    assert_int_equal(read_number(10, ex, &ms), 0);
    assert_int_equal(ms, 10000);
    assert_int_equal(read_number(10, px, &ms), 0);
    assert_int_equal(ms, 10);
    for (int64_t bad = 0; bad >= -1; bad--) {
        assert_int_equal(read_number(bad, ex, &ms), RK_TOOBIG);
        assert_int_equal(read_number(bad, pxat, &ms), RK_TOOBIG);
        assert_int_equal(read_number(bad, expire, &ms), 0);
        assert_int_equal(ms, bad * 1000);
    }
    assert_int_equal(read_number(INT64_MAX / 1000, exat, &ms), 0);
    assert_int_equal(read_number(INT64_MAX / 1000 + 1, exat, &ms), RK_TOOBIG);
    assert_int_equal(read_number(INT64_MAX / 1000, ex, &ms), RK_TOOBIG);
    assert_int_equal(read_number(INT64_MAX, pxat, &ms), 0);
    assert_int_equal(read_number(INT64_MAX, px, &ms), RK_TOOBIG);
    assert_int_equal(read_number(OPERATION_RELATIVE_MAX, px, &ms), 0);
    assert_int_equal(read_number(OPERATION_RELATIVE_MAX + 1, px, &ms), RK_TOOBIG);
    assert_int_equal(read_number(INT64_MIN / 1000, expire, &ms), 0);
    assert_int_equal(read_number(INT64_MIN / 1000 - 1, expire, &ms), RK_TOOBIG);
    assert_int_equal(read_number(INT64_MIN, pexpireat, &ms), 0);
    assert_int_equal(expiry_time_read(bytes_from("x"), ex, &ms), RK_INVALID);
    assert_int_equal(expiry_time_read(bytes_from(""), ex, &ms), RK_INVALID);
}

static void assert_flags(const char *words, int64_t wanted, const char *error,
                         const char *unsupported)
{
    struct bytes args[WORDS_MAX], left;
    int64_t flags;
    const char *found = expire_flags_read(args, split(words, args), &flags, &left);

    assert_true(bytes_equal(left, bytes_from(unsupported)));
    if (error)
        assert_string_equal(found, error);
    else
        assert_null(found);
    assert_true(error || flags == wanted);
}

static void test_expire_flags(void **state)
{
    static const char nx[] = "ERR NX and XX, GT or LT options at the same time are not compatible";
    static const char gt[] = "ERR GT and LT options at the same time are not compatible";

    (void)state;
    assert_flags("", 0, NULL, "");
    assert_flags("nX", EXPIRE_NX, NULL, "");
    assert_flags("XX gt", EXPIRE_XX | EXPIRE_GT, NULL, "");
    assert_flags("LT LT", EXPIRE_LT, NULL, "");
    assert_flags("NX XX", 0, nx, "");
    assert_flags("GT NX LT", 0, nx, "");
    assert_flags("GT LT", 0, gt, "");
    assert_flags("GT what LT", 0, "ERR Unsupported option ", "what");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_expire_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
