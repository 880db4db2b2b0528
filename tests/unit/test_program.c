/* The daemons' command line: what it gives, what it prints where, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/options.h"
#include "shared/error.h"
#include "shared/program.h"
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct program_description description = {
    "ringtest", "tests a command line", "Example:\n  ringtest -c x.conf\n", node_settings};

/* What a call printed. */
static char out_text[32768], err_text[8192];

/* Puts an unnamed file in the place of a descriptor and returns a copy of what was there. */
static int redirect(int fd, int *file)
{
    char path[] = "/tmp/ringkv-test-program-XXXXXX";
    int kept = dup(fd);

    *file = mkstemp(path);
    assert_true(kept >= 0 && *file >= 0);
    unlink(path);
    assert_true(dup2(*file, fd) == fd);
    return kept;
}

static void restore(int fd, int kept, int file, char *text, size_t size)
{
    ssize_t got = pread(file, text, size - 1, 0);

    assert_true(dup2(kept, fd) == fd);
    assert_true(got >= 0);
    text[got] = 0;
    close(kept);
    close(file);
}

static int parse(const char *const *words, struct program_arguments *a)
{
    char *argv[10];
    int argc = 0, out_file, err_file, kept_out, kept_err, result;

    while (words[argc]) {
        assert_true(argc < 9);
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    argv[argc] = NULL;
    fflush(stdout);
    kept_out = redirect(STDOUT_FILENO, &out_file);
    kept_err = redirect(STDERR_FILENO, &err_file);
    result = program_parse(argc, argv, &description, a);
    fflush(stdout);
    restore(STDERR_FILENO, kept_err, err_file, err_text, sizeof(err_text));
    restore(STDOUT_FILENO, kept_out, out_file, out_text, sizeof(out_text));
    return result;
}

#define WORDS(...) ((const char *const[]){"ringtest", __VA_ARGS__, NULL})

static void test_all_options(void **state)
{
    struct program_arguments a;

    (void)state;
    assert_int_equal(
        parse(WORDS("-n", "--set", "a.b=c", "-c", "x.conf", "--set=d.e=", "--check"), &a), 0);
    assert_string_equal(a.config, "x.conf");
    assert_true(a.check_only);
    assert_int_equal(a.set_count, 2);
    assert_string_equal(a.sets[0], "a.b=c");
    assert_string_equal(a.sets[1], "d.e=");
    assert_string_equal(out_text, "");
    assert_string_equal(err_text, "");
    program_arguments_free(&a);
}

static void test_only_sets(void **state)
{
    struct program_arguments a;

    (void)state;
    assert_int_equal(parse(WORDS("--set", "a.b=c"), &a), 0);
    assert_null(a.config);
    assert_false(a.check_only);
    assert_int_equal(a.set_count, 1);
    program_arguments_free(&a);
}

static void test_asked_for_text(void **state)
{
    static const struct {
        const char *option, *part;
    } cases[] = {
        {"-V", "ringtest (ringkv) " PACKAGE_VERSION "\n"},
        {"--version", PACKAGE_VERSION},
        {"-h", "ringtest -c x.conf"},
        {"--help", "Usage: ringtest"},
        {"--help-config", "[replication]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct program_arguments a;

        assert_int_equal(parse(WORDS(cases[i].option), &a), RK_CLOSED);
        assert_int_equal(a.exit_code, PROGRAM_DONE);
        assert_non_null(strstr(out_text, cases[i].part));
        assert_string_equal(err_text, "");
    }
}

static void test_wrong_usage(void **state)
{
    static const char *const cases[][5] = {
        {"-x"},     {"-c"}, {"--set"}, {"--nonsense"}, {"file.conf"}, {"-c", "a", "-c", "b"},
        {"-n", ""}, {NULL}, {"-n"},    {"--", "-n"},   {"-"},         {"--check=yes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *words[6] = {"ringtest"};
        struct program_arguments a;

        memcpy(words + 1, cases[i], sizeof(cases[i]));
        assert_int_equal(parse(words, &a), RK_INVALID);
        assert_int_equal(a.exit_code, PROGRAM_USAGE);
        assert_non_null(strstr(err_text, "Usage: ringtest"));
        assert_string_equal(out_text, "");
        assert_null(a.sets);
    }
}

/* A full disk behind standard output is not a success. */
static void test_output_that_fails(void **state)
{
    char name[] = "ringtest", option[] = "--help-config";
    char *argv[] = {name, option, NULL};
    int full = open("/dev/full", O_WRONLY), kept_out = dup(STDOUT_FILENO), kept_err, err_file;
    struct program_arguments a;
    int result;

    (void)state;
    assert_true(full >= 0 && kept_out >= 0);
    fflush(stdout);
    kept_err = redirect(STDERR_FILENO, &err_file);
    assert_int_equal(dup2(full, STDOUT_FILENO), STDOUT_FILENO);
    result = program_parse(2, argv, &description, &a);
    clearerr(stdout);
    assert_int_equal(dup2(kept_out, STDOUT_FILENO), STDOUT_FILENO);
    restore(STDERR_FILENO, kept_err, err_file, err_text, sizeof(err_text));
    close(full);
    close(kept_out);
    assert_int_equal(result, RK_IO);
    assert_int_equal(a.exit_code, PROGRAM_COULD_NOT);
    assert_non_null(strstr(err_text, "No space left"));
}

static void test_report(void **state)
{
    int out_file, err_file, kept_out, kept_err;

    (void)state;
    fflush(stdout);
    kept_out = redirect(STDOUT_FILENO, &out_file);
    kept_err = redirect(STDERR_FILENO, &err_file);
    assert_int_equal(program_report(&description, 0, ""), PROGRAM_DONE);
    assert_int_equal(program_report(&description, RK_INVALID, "f:3: wrong"), PROGRAM_COULD_NOT);
    restore(STDERR_FILENO, kept_err, err_file, err_text, sizeof(err_text));
    restore(STDOUT_FILENO, kept_out, out_file, out_text, sizeof(out_text));
    assert_string_equal(out_text, "ringtest: the configuration is good\n");
    assert_string_equal(err_text, "ringtest: f:3: wrong\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_options),       cmocka_unit_test(test_only_sets),
        cmocka_unit_test(test_asked_for_text),    cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_output_that_fails), cmocka_unit_test(test_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
