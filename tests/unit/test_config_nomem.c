/* Every allocation while a configuration is loaded fails once: it is said, and nothing leaks. The
 * modules are compiled into this file, with an allocator that can fail; before cmocka.h, which
 * makes macros of common words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static unsigned allocations_until_failure = UINT32_MAX;

static bool allocation_fails(void)
{
    return --allocations_until_failure == 0;
}

static void *malloc_or_fail(size_t size)
{
    return allocation_fails() ? NULL : malloc(size);
}

static void *calloc_or_fail(size_t count, size_t size)
{
    return allocation_fails() ? NULL : calloc(count, size);
}

static char *strdup_or_fail(const char *text)
{
    return allocation_fails() ? NULL : strdup(text);
}

static char *strndup_or_fail(const char *text, size_t size)
{
    return allocation_fails() ? NULL : strndup(text, size);
}

#undef strdup
#undef strndup
#define malloc  malloc_or_fail
#define calloc  calloc_or_fail
#define strdup  strdup_or_fail
#define strndup strndup_or_fail
#include "shared/address.c"
#include "shared/buf.c"
#include "shared/config.c"
#include "shared/config_file.c"
#include "shared/config_value.c"
#include "shared/file.c"
#undef malloc
#undef calloc
#undef strdup
#undef strndup

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

    allocations_until_failure = n;
    failed = config_load(settings, &sample, path, sets, 1, NULL, why, sizeof(why));
    allocations_until_failure = UINT32_MAX;
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
    allocations_until_failure = 1;
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
