/* Members as they are named on ringctl's command line, and the lines of a node's status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/status_lines.h"
#include "tools/member_spec.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct ring_member m;
static char why[256];

static int parse(const char *text)
{
    char *copy = strdup(text);
    int error;

    assert_non_null(copy);
    memset(why, 0, sizeof(why));
    error = member_spec_parse(copy, &m, why, sizeof(why));
    free(copy);
    return error;
}

static void check(const char *text, const char *name, const char *host, uint16_t port,
                  const char *zone, uint32_t weight)
{
    assert_int_equal(parse(text), 0);
    assert_string_equal(m.name, name);
    assert_string_equal(m.host, host);
    assert_int_equal(m.port, port);
    assert_string_equal(m.zone, zone);
    assert_int_equal(m.weight, weight);
}

static void check_refused(const char *text, const char *mentions)
{
    assert_int_equal(parse(text), RK_INVALID);
    if (!strstr(why, mentions))
        fail_msg("'%s' for %s does not mention '%s'", why, text, mentions);
}

static void test_good(void **state)
{
    (void)state;
    check("n1=10.0.0.1:7400", "n1", "10.0.0.1", 7400, "", 1);
    check("n1=10.0.0.1:7400:z-1", "n1", "10.0.0.1", 7400, "z-1", 1);
    check("n1=10.0.0.1:7400:z-1:10000", "n1", "10.0.0.1", 7400, "z-1", 10000);
    check("n1=10.0.0.1:7400::5", "n1", "10.0.0.1", 7400, "", 5);
    check("n1=10.0.0.1:65535:2:3", "n1", "10.0.0.1", 65535, "2", 3);
    check("a.B_c-9=host.example:1", "a.B_c-9", "host.example", 1, "", 1);
    check("n1=[::1]:7400", "n1", "::1", 7400, "", 1);
    check("n1=[fe80::1]:7400:z", "n1", "fe80::1", 7400, "z", 1);
    check("n1=[::1]:7400:z:7", "n1", "::1", 7400, "z", 7);
    check("n1=[::1]:7400::7", "n1", "::1", 7400, "", 7);
    check("12345678901234567890123456789012=h:1:12345678901234567890123456789012",
          "12345678901234567890123456789012", "h", 1, "12345678901234567890123456789012", 1);
}

static void test_bad_names(void **state)
{
    (void)state;
    check_refused("", "NAME=HOST:PORT");
    check_refused("=", "NAME=HOST:PORT");
    check_refused("n1", "NAME=HOST:PORT");
    check_refused("=10.0.0.1:7400", "NAME=HOST:PORT");
    check_refused("10.0.0.1:7400", "NAME=HOST:PORT");
    check_refused("n 1=10.0.0.1:7400", "NAME=HOST:PORT");
    check_refused("n\xc3\xa4=10.0.0.1:7400", "NAME=HOST:PORT");
    check_refused("123456789012345678901234567890123=h:1", "1 to 32");
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = {
        "n1=",           "n1=:",           "n1=host",       "n1=host:",
        "n1=:7400",      "n1=host:0",      "n1=host:65536", "n1=host:-1",
        "n1=host:+1",    "n1=host: 1",     "n1=host:1x",    "n1=::1:7400",
        "n1=[::1:7400",  "n1=[::1]",       "n1=[]:7400",    "n1=[zz]:7400",
        "n1=1.2.3:7400", "n1=256.1.1.1:1", "n1=ho st:7400", "n1=*:7400",
        "n1=h:1:z:1:1",  "n1=h:z:1",       "n1=a=b:1",      "n1=host:99999999999999999999",
    };
    char text[400] = "n1=";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_refused(bad[i], "n1");
    memset(text + 3, 'h', 256);
    strcpy(text + 3 + 256, ":1");
    check_refused(text, "hhhh");
    strcpy(text + 3 + 255, ":1");
    assert_int_equal(parse(text), 0);
    assert_int_equal(strlen(m.host), 255);
}

static void test_bad_zones_and_weights(void **state)
{
    (void)state;
    check_refused("n1=h:1:z z", "not a zone");
    check_refused("n1=h:1:123456789012345678901234567890123", "not a zone");
    check_refused("n1=h:1:z/1:1", "not a zone");
    check_refused("n1=h:1:z:", "weight of n1");
    check_refused("n1=h:1:z:0", "weight of n1");
    check_refused("n1=h:1:z:-1", "weight of n1");
    check_refused("n1=h:1:z:10001", "1 to 10000");
    check_refused("n1=h:1:z:1.5", "weight of n1");
    check_refused("n1=h:1:z:0x1", "weight of n1");
    check_refused("n1=h:1:z: 5", "weight of n1");
    check_refused("n1=h:1:z:+5", "weight of n1");
    check_refused("n1=h:1:z:99999999999999999999999", "weight of n1");
    check_refused("n1=h:1:z:4294967297", "weight of n1");
}

/* A text in which anything may be wrong never writes past the member's fields. */
static void test_long(void **state)
{
    char text[2000];

    (void)state;
    for (size_t size = 0; size < sizeof(text) - 1; size += 7) {
        memset(text, 'x', size);
        text[size] = '\0';
        assert_int_equal(parse(text), RK_INVALID);
        memcpy(text, "n=h:1:", size < 6 ? size : 6);
        assert_true(parse(text) == (size > 6 && size <= 38 ? 0 : RK_INVALID));
    }
}

/* --- status --------------------------------------------------------------------------------- */

/* From a block of exactly this size, so that a sanitizer sees one byte too many. */
static void check_status(const char *status, const char *name, const char *wanted, uint64_t number)
{
    size_t size = strlen(status);
    char *copy = malloc(size ? size : 1);
    struct bytes text;

    assert_non_null(copy);
    memcpy(copy, status, size);
    text = status_text(bytes_of(copy, size), name);
    assert_true(bytes_equal(text, bytes_from(wanted)));
    assert_true(status_number(bytes_of(copy, size), name) == number);
    free(copy);
}

static void test_status(void **state)
{
    static const char status[] = "version=1.0\nkeys=42\nkeys_max=7\nempty=\nname=a=b\n\n=x\nlone\n";

    (void)state;
    check_status(status, "version", "1.0", 1);
    check_status(status, "keys", "42", 42);
    check_status(status, "keys_max", "7", 7);
    check_status(status, "empty", "", 0);
    check_status(status, "name", "a=b", 0);
    check_status(status, "key", "", 0);
    check_status(status, "eys", "", 0);
    check_status(status, "lone", "", 0);
    check_status(status, "none", "", 0);
    check_status(status, "x", "", 0);
    check_status("", "keys", "", 0);
    check_status("keys=1", "keys", "", 0); /* a line that was cut is not believed */
    check_status("a=1\nkeys=2", "keys", "", 0);
    check_status("keys", "keys", "", 0);
    check_status("keys=18446744073709551615\n", "keys", "18446744073709551615", UINT64_MAX);
    assert_int_equal(status_text((struct bytes){0}, "keys").size, 0);
    assert_int_equal(status_number((struct bytes){0}, "keys"), 0);
}

/* More than a number holds is the largest one, not a small one. */
static void test_status_overflow(void **state)
{
    (void)state;
    check_status("n=18446744073709551616\n", "n", "18446744073709551616", UINT64_MAX);
    check_status("n=99999999999999999999999\n", "n", "99999999999999999999999", UINT64_MAX);
    check_status("n=-1\n", "n", "-1", 0);
    check_status("n=12abc\n", "n", "12abc", 12);
}

static void test_status_lines(void **state)
{
    struct bytes rest = bytes_from("version=1.0\nlone\n\nkeys=42\n=x\nempty=\ncut=1"), name, value;

    (void)state;
    assert_true(status_next(&rest, &name, &value));
    assert_true(bytes_equal(name, bytes_from("version")) && bytes_equal(value, bytes_from("1.0")));
    assert_false(status_is_number(value));
    assert_true(status_next(&rest, &name, &value));
    assert_true(bytes_equal(name, bytes_from("keys")) && status_is_number(value));
    assert_true(status_next(&rest, &name, &value));
    assert_true(name.size == 0 && bytes_equal(value, bytes_from("x")));
    assert_true(status_next(&rest, &name, &value));
    assert_true(bytes_equal(name, bytes_from("empty")) && !status_is_number(value));
    assert_false(status_next(&rest, &name, &value));
    assert_true(status_is_number(bytes_from("9999999999999999999")));
    assert_false(status_is_number(bytes_from("99999999999999999999")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_bad_zones_and_weights),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_status_overflow),
        cmocka_unit_test(test_status_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
