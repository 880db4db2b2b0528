/* Every allocation while a configuration is loaded fails once: it is said, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/nomem.h"

#include "shared/address.c"
#include "shared/buf.c"
#include "shared/config.c"
#include "shared/config_file.c"
#include "shared/config_value.c"
#include "shared/file.c"

#include "tests/unit/nomem_end.h"

#include <cmocka.h>

struct sample {
    char *text;
    char *address;
    char *path;
};

static const struct config_setting settings[] = {
    {"one", "text", CONFIG_TEXT, offsetof(struct sample, text), "x", 0, 20, NULL, ""},
    {"one", "address", CONFIG_ADDRESS, offsetof(struct sample, address), "a:1", 0, 0, NULL, ""},
    {"one", "path", CONFIG_TEXT, offsetof(struct sample, path), NULL, 1, 20, NULL, ""},
    {NULL, NULL, CONFIG_TEXT, 0, NULL, 0, 0, NULL, NULL},
};

/* Returns whether it failed, and checks that it failed as it should. */
static bool load_failing(const char *path, unsigned n)
{
    char set[] = "one.text=set";
    char *sets[] = {set};
    struct sample sample;
    char why[CONFIG_WHY_SIZE] = "";
    int failed;

    fail_allocation(n);
    failed = config_load(settings, &sample, path, sets, 1, NULL, why, sizeof(why));
    fail_allocation(UINT32_MAX);
    if (failed) {
        assert_int_equal(failed, RK_NOMEM);
        assert_non_null(strstr(why, "memory"));
        return true;
    }
    assert_string_equal(sample.text, "set");
    assert_string_equal(sample.path, "/x");
    config_free(&(struct config){.settings = settings, .options = &sample});
    return false;
}

static void test_load(void **state)
{
    char path[] = "/tmp/ringkv-test-config-XXXXXX";
    int fd = mkstemp(path);
    unsigned n = 1;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[one]\naddress = b:2\npath = /x\n", 30), 30);
    while (load_failing(path, n))
        n++;
    /* Two tables, two defaults, at least one for the file's bytes, its two values, the assignment.
     */
    assert_true(n > 2 + 2 + 1 + 2 + 1);
    close(fd);
    unlink(path);
}

static void test_addresses(void **state)
{
    const char *list = "a:1,b:2";
    uint16_t port;
    char *host;

    (void)state;
    fail_allocation(1);
    assert_int_equal(address_next(&list, &host, &port), RK_NOMEM);
    assert_string_equal(list, "a:1,b:2");
    assert_int_equal(address_next(&list, &host, &port), 0);
    assert_string_equal(list, "b:2");
    free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
