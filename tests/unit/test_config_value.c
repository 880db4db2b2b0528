/* Configuration: the values of settings, right and wrong, through assignments. */
#include "shared/address.h"
#include "tests/unit/config_rig.h"
#include <stdio.h>

static int set(struct fixture *f, const char *assignment)
{
    return config_set(&f->config, assignment, f->why, sizeof(f->why));
}

static void test_amounts(void **state)
{
    static const struct {
        const char *assignment;
        int64_t want;
    } good[] = {
        {"one.number=-5", -5},
        {"one.number=0", 0},
        {"one.number=0070", 70},
        {"one.size=0", 0},
        {"one.size=512", 512},
        {"one.size=512b", 512},
        {"one.size=2K", 2048},
        {"one.size=2kb", 2048},
        {"one.size=2KiB", 2048},
        {"one.size=3m", 3 << 20},
        {"one.size=1g", 1 << 30},
        {"one.size=16T", INT64_C(16) << 40},
        {"one.wait=0", 0},
        {"one.wait=1ms", 1},
        {"one.wait=5m", 300000},
        {"one.wait=5min", 300000},
        {"one.wait=24h", 86400000},
        {"one.size=9223372036854775807", INT64_MAX},
        {"one.size=8388607t", INT64_C(8388607) << 40},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct fixture f;
        const char *key = good[i].assignment + 4;

        begin(&f);
        if (set(&f, good[i].assignment))
            fail_msg("%s", f.why);
        assert_int_equal(*key == 'n'   ? f.sample.number
                         : *key == 's' ? f.sample.size
                                       : f.sample.wait_ms,
                         good[i].want);
        end(&f);
    }
}

static void test_refused_assignments(void **state)
{
    static const char *const bad[] = {"one.number=71",
                                      "one.number=-6",
                                      "one.number=",
                                      "one.number= 1",
                                      "one.number=1 ",
                                      "one.number=+1",
                                      "one.number=1e1",
                                      "one.number=0x1",
                                      "one.number=--1",
                                      "one.number=-",
                                      "one.number=99999999999999999999",
                                      "one.number=-9223372036854775809",
                                      "one.number=1k",
                                      "one.size=-1",
                                      "one.size=1x",
                                      "one.size=1.5g",
                                      "one.size=k",
                                      "one.size=1 k",
                                      "one.size=9223372036854775808",
                                      "one.size=8388608t",
                                      "one.size=9007199254740992k",
                                      "one.wait=300",
                                      "one.wait=1",
                                      "one.wait=ms",
                                      "one.wait=-1ms",
                                      "one.wait=25h",
                                      "one.wait=86400001ms",
                                      "one.wait=1d",
                                      "one.wait=9223372036854775807h",
                                      "two.flag=",
                                      "two.flag=1",
                                      "two.flag=maybe",
                                      "two.colour=",
                                      "two.colour=Red",
                                      "two.colour=re",
                                      "two.colour=3",
                                      "one.text=123456789012345678901",
                                      "one.text=a\nb",
                                      "one.text= a",
                                      "two.path=",
                                      "",
                                      "=",
                                      ".",
                                      ".=",
                                      "one",
                                      "one.text",
                                      "one=text",
                                      "one.=x",
                                      ".text=x",
                                      "one.txet=x",
                                      "one.colour=red",
                                      "too.colour=red",
                                      "text=x",
                                      "one.one.text=x"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture f;

        begin(&f);
        if (set(&f, bad[i]) != RK_INVALID)
            fail_msg("'%s' was taken", bad[i]);
        if (strncmp(f.why, "--set ", 6) != 0 || strchr(f.why, '\n'))
            fail_msg("%s: \"%s\"", bad[i], f.why);
        assert_int_equal(f.sample.number, -3);
        assert_int_equal(f.sample.size, 65536);
        assert_string_equal(f.sample.text, "");
        end(&f);
    }
}

static void test_messages_tell_what_is_right(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    set(&f, "one.number=71");
    assert_has(f.why, "from -5 to 70");
    set(&f, "one.wait=25h");
    assert_has(f.why, "from 0ms to 24h, such as 300ms");
    set(&f, "two.colour=pink");
    assert_has(f.why, "red, green or blue");
    set(&f, "one.txet=1");
    assert_string_equal(f.why,
                        "--set one.txet=1: unknown key 'txet' in section [one]; did you mean "
                        "'text'?");
    set(&f, "two.peers=a:1,b:0");
    assert_has(f.why, "'b:0'");
    end(&f);
}

static void test_addresses(void **state)
{
    static const char *const good[] = {"h:1",
                                       "h:65535",
                                       "127.0.0.1:7400",
                                       "a-b_c.example.org:1",
                                       "[::1]:7400",
                                       "*:7400",
                                       "[fe80::1%eth0]:7400",
                                       "0.0.0.0:7400",
                                       "[::ffff:10.0.0.1]:80",
                                       "1a:5"};
    static const char *const bad[] = {"",
                                      ":",
                                      "h",
                                      "h:",
                                      ":1",
                                      "h:0",
                                      "h:65536",
                                      "h:99999",
                                      "h:100000",
                                      "h:-1",
                                      "h:+1",
                                      "h: 1",
                                      "h:1x",
                                      "h :1",
                                      "h/x:1",
                                      "::1:7400",
                                      "[::1]",
                                      "[::1]:",
                                      "[::1]7400",
                                      "[]:1",
                                      "[:1",
                                      "::1]:1",
                                      "[::g]:1",
                                      "[127.0.0.1]:1",
                                      "[fe80::1%]:1",
                                      "[fe80::1%e/0]:1",
                                      "127.0.0:1",
                                      "1.2.3.4.5:1",
                                      "256.0.0.1:1",
                                      "999:1",
                                      "**:1",
                                      "*.*:1",
                                      "h:1,g:2",
                                      "[*]:1",
                                      "h\xff:1",
                                      "1111111111111111:1",
                                      "[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:1"};
    char assignment[400];
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(assignment, sizeof(assignment), "two.address=%s", good[i]);
        if (set(&f, assignment))
            fail_msg("%s", f.why);
        assert_string_equal(f.sample.address, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(assignment, sizeof(assignment), "two.address=%s", bad[i]);
        if (set(&f, assignment) != RK_INVALID)
            fail_msg("'%s' was taken", bad[i]);
    }
    end(&f);
}

static void test_address_host_length(void **state)
{
    char assignment[400] = "two.address=";
    struct fixture f;

    (void)state;
    begin(&f);
    memset(assignment + 12, 'h', 256);
    strcpy(assignment + 12 + 255, ":1");
    assert_int_equal(set(&f, assignment), 0);
    strcpy(assignment + 12 + 255, "h:1");
    assert_int_equal(set(&f, assignment), RK_INVALID);
    assert_has(f.why, "255");
    end(&f);
}

static void test_address_lists(void **state)
{
    static const char *const bad[] = {
        "two.peers=",         "two.peers=,",       "two.peers=a:1,", "two.peers=,a:1",
        "two.peers=a:1,,b:2", "two.peers=a:1 b:2", "two.peers=a:1;", "two.peers=a:1, a:1",
        "two.peers=*:1",      "two.peers=a:1,*:2", "two.peers=a",    "two.peers=a:1,b:70000"};
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (set(&f, bad[i]) != RK_INVALID)
            fail_msg("'%s' was taken", bad[i]);
    }
    assert_int_equal(set(&f, "two.peers=a:1,a:2 ,b:1"), 0);
    end(&f);
}

static void test_too_many_addresses(void **state)
{
    char *assignment = malloc(20000);
    struct fixture f;
    size_t used;

    (void)state;
    assert_non_null(assignment);
    begin(&f);
    used = (size_t)sprintf(assignment, "two.peers=h:1");
    for (int i = 2; i <= 1024; i++)
        used += (size_t)sprintf(assignment + used, ",h:%d", i);
    assert_int_equal(set(&f, assignment), 0);
    sprintf(assignment + used, ",h:1025");
    assert_int_equal(set(&f, assignment), RK_INVALID);
    end(&f);
    free(assignment);
}

static void test_split_and_next(void **state)
{
    const char *list = " a:1 ,[::1]:65535,*:3";
    static const char *const hosts[] = {"a", "::1", "*"};
    static const uint16_t ports[] = {1, 65535, 3};
    const char *broken = "a:1,,b:2";
    uint16_t port;
    char *host;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(address_next(&list, &host, &port), 0);
        assert_string_equal(host, hosts[i]);
        assert_int_equal(port, ports[i]);
        free(host);
    }
    assert_int_equal(address_next(&list, &host, &port), RK_NOTFOUND);
    assert_int_equal(address_next(&broken, &host, &port), 0);
    free(host);
    assert_int_equal(address_next(&broken, &host, &port), RK_INVALID);
    assert_int_equal(address_split("h", &host, &port), RK_INVALID);
    assert_int_equal(address_split("h:0", &host, &port), RK_INVALID);
}

static void test_address_text(void **state)
{
    char text[ADDRESS_TEXT_SIZE], longest[HOST_SIZE_MAX + 1] = "";

    (void)state;
    assert_string_equal(address_text("10.0.0.1", 7400, text), "10.0.0.1:7400");
    assert_string_equal(address_text("::1", 1, text), "[::1]:1");
    memset(longest, ':', HOST_SIZE_MAX);
    assert_int_equal(strlen(address_text(longest, 65535, text)), sizeof(text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_refused_assignments),
        cmocka_unit_test(test_messages_tell_what_is_right),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_address_host_length),
        cmocka_unit_test(test_address_lists),
        cmocka_unit_test(test_address_text),
        cmocka_unit_test(test_too_many_addresses),
        cmocka_unit_test(test_split_and_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
