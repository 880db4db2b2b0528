/* Patterns of CONFIG GET and COMMAND LIST. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/glob.h"
#include <cmocka.h>

static const struct {
    const char *pattern, *text;
    bool matches;
} cases[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"abc", "abc", true},
    {"ABC", "abc", true},
    {"abc", "ABC", true},
    {"abc", "abcd", false},
    {"*", "", true},
    {"*", "anything", true},
    {"max*", "maxmemory", true},
    {"*memory", "maxmemory", true},
    {"*m*y", "maxmemory", true},
    {"m*x*z", "maxmemory", false},
    {"**", "a", true},
    {"?", "a", true},
    {"?", "", false},
    {"a?c", "abc", true},
    {"[abc]x", "bx", true},
    {"[abc]x", "dx", false},
    {"[a-c]x", "bx", true},
    {"[c-a]x", "bx", true},
    {"[^a-c]x", "bx", false},
    {"[^a-c]x", "dx", true},
    {"[a", "a", true},
    {"[", "a", false},
    {"[\\]]", "]", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"a\\", "a\\", true},
    {"*[0-9]*", "abc5def", true},
    {"*[0-9]", "abc5def", false},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (glob_match(bytes_from(cases[i].pattern), bytes_from(cases[i].text), true) !=
            cases[i].matches)
            fail_msg("pattern '%s' text '%s'", cases[i].pattern, cases[i].text);
}

/* A matcher that tries every way of sharing out the stars would not come to an end. */
static void test_many_stars(void **state)
{
    char pattern[201], text[10001];

    (void)state;
    for (size_t i = 0; i < 200; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    memset(text, 'a', sizeof(text));
    text[10000] = 'b';
    assert_false(glob_match(bytes_of(pattern, 200), bytes_of(text, sizeof(text)), true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_many_stars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
