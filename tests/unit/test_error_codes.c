/* The codes of error replies, and how they are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/answer.h"
#include "proxy/counters.h"
#include "proxy/error_codes.h"
#include <cmocka.h>

static enum error_code code_of(const char *text)
{
    return error_code_of(bytes_from(text));
}

static void test_code_is_the_first_word(void **state)
{
    (void)state;
    assert_int_equal(code_of("NOAUTH Authentication required."), ERROR_NOAUTH);
    assert_int_equal(code_of("ERR unknown command 'BUSY'"), ERROR_ERR);
    assert_int_equal(code_of("BUSY"), ERROR_BUSY);
    assert_int_equal(code_of("BUSYKEY there is no such code here"), ERROR_ERR);
    assert_int_equal(code_of("busy"), ERROR_ERR);
    assert_int_equal(code_of(""), ERROR_ERR);
    assert_int_equal(error_code_of((struct bytes){0}), ERROR_ERR);
    assert_int_equal(error_code_of(bytes_of("BUSYBODY", 4)), ERROR_BUSY);
}

static void test_every_name_is_its_own_code(void **state)
{
    (void)state;
    for (int i = 0; i < ERROR_CODE_COUNT; i++)
        assert_int_equal(code_of(error_code_name((enum error_code)i)), i);
    for (int i = 1; i < ERROR_CODE_COUNT; i++)
        assert_true(strcmp(error_code_name((enum error_code)(i - 1)),
                           error_code_name((enum error_code)i)) < 0);
}

static void test_every_failure_has_a_code(void **state)
{
    (void)state;
    for (int why = FAILURE_NONE; why <= FAILURE_DOUBT_NODE; why++) {
        const char *text = failure_text((enum failure)why);
        const char *name = error_code_name(code_of(text));

        assert_memory_equal(text, name, strlen(name));
        assert_int_equal(text[strlen(name)], ' ');
    }
}

static void test_counts(void **state)
{
    struct counters counters = {0};

    (void)state;
    error_count(&counters, bytes_from("NOSPACE the disk is full"));
    error_count(&counters, bytes_from("ERR syntax error"));
    error_count(&counters, bytes_from("ERR syntax error"));
    assert_int_equal(counter_read(&counters.error_replies), 3);
    assert_int_equal(counter_read(&counters.errors[ERROR_NOSPACE]), 1);
    assert_int_equal(counter_read(&counters.errors[ERROR_ERR]), 2);
    assert_int_equal(counter_read(&counters.errors[ERROR_BUSY]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_is_the_first_word),
        cmocka_unit_test(test_every_name_is_its_own_code),
        cmocka_unit_test(test_every_failure_has_a_code),
        cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
