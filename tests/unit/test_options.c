/* The settings of ringnode and ringproxy: their tables, the files in etc/, and what must fit what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/options.h"
#include "proxy/options.h"
#include "shared/error.h"
#include "shared/log.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static char why[CONFIG_WHY_SIZE];

static void etc_path(const char *name, char path[4096])
{
    const char *source = getenv("srcdir");

    snprintf(path, 4096, "%s/etc/%s", source ? source : ".", name);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" has no \"%s\"", text, part);
}

/* A value as bytes that two options structs can be compared by. */
static void assert_field_equal(const struct config_setting *s, const void *a, const void *b)
{
    const char *left = (const char *)a + s->offset, *right = (const char *)b + s->offset;

    switch (s->type) {
    case CONFIG_TEXT:
    case CONFIG_ADDRESS:
    case CONFIG_ADDRESSES:
        assert_string_equal(*(char *const *)left, *(char *const *)right);
        break;
    case CONFIG_BOOL:
        assert_int_equal(*(const bool *)left, *(const bool *)right);
        break;
    case CONFIG_CHOICE:
        assert_int_equal(*(const int *)left, *(const int *)right);
        break;
    default:
        assert_int_equal(*(const int64_t *)left, *(const int64_t *)right);
    }
}

/* The file sets every setting of the table, those that have a default to it, and tells the default
 * of each in its comments. */
static void check_file(const char *name, const struct config_setting *settings, void *from_file,
                       void *defaults)
{
    struct config file, bare;
    char path[4096];

    etc_path(name, path);
    assert_int_equal(config_init(&file, settings, from_file, why, sizeof(why)), 0);
    assert_int_equal(config_init(&bare, settings, defaults, why, sizeof(why)), 0);
    if (config_read(&file, path, why, sizeof(why)) || config_finish(&file, why, sizeof(why)))
        fail_msg("%s", why);
    for (const struct config_setting *s = settings; s->section; s++) {
        if (file.line[s - settings] == 0)
            fail_msg("%s does not have [%s] %s", path, s->section, s->key);
        if (s->initial)
            assert_field_equal(s, from_file, defaults);
    }
    config_free(&file);
    config_free(&bare);
}

static void test_node_file(void **state)
{
    struct node_options from_file, defaults;
    char path[4096];

    (void)state;
    check_file("ringnode.conf", node_settings, &from_file, &defaults);
    etc_path("ringnode.conf", path);
    if (node_options_load(&from_file, path, NULL, 0, why, sizeof(why)))
        fail_msg("%s", why);
    assert_string_equal(from_file.data, "/var/lib/ringkv");
    assert_int_equal(from_file.sync, NODE_SYNC_ALWAYS);
    assert_int_equal(from_file.log_level, LOG_INFO);
    assert_string_equal(from_file.listen, "127.0.0.1:7400");
    node_options_free(&from_file);
}

static void test_proxy_file(void **state)
{
    struct proxy_options from_file, defaults;
    char path[4096];

    (void)state;
    check_file("ringproxy.conf", proxy_settings, &from_file, &defaults);
    etc_path("ringproxy.conf", path);
    if (proxy_options_load(&from_file, path, NULL, 0, why, sizeof(why)))
        fail_msg("%s", why);
    assert_string_equal(from_file.nodes, "127.0.0.1:7400");
    assert_int_equal(from_file.client_idle_timeout_ms, 0);
    proxy_options_free(&from_file);
}

/* No name twice; sections in one piece; every default in its range (config_init sees to that). */
static void check_table(const struct config_setting *settings)
{
    for (const struct config_setting *s = settings; s->section; s++) {
        assert_true(s->help && s->help[0]);
        assert_true(s->min <= s->max);
        for (const struct config_setting *t = settings; t < s; t++) {
            assert_false(strcmp(s->section, t->section) == 0 && strcmp(s->key, t->key) == 0);
            assert_int_not_equal(s->offset, t->offset);
            if (strcmp(s->section, t->section) == 0)
                assert_string_equal(s->section, s[-1].section);
        }
    }
}

static void test_tables(void **state)
{
    (void)state;
    check_table(node_settings);
    check_table(proxy_settings);
}

/* The choices stand in the order of the enums. */
static void test_choices(void **state)
{
    static const char *const syncs[] = {"always", "interval", "never"};
    static const int sync_values[] = {NODE_SYNC_ALWAYS, NODE_SYNC_INTERVAL, NODE_SYNC_NEVER};
    struct node_options node;
    struct proxy_options proxy;
    char level[64], sync[64];
    char data[] = "node.data=/x", nodes[] = "cluster.nodes=a:1";
    char *node_sets[] = {data, level, sync};
    char *proxy_sets[] = {nodes, level};

    (void)state;
    for (int i = 0; i < 4; i++) {
        snprintf(level, sizeof(level), "log.level=%s", log_level_names[i]);
        snprintf(sync, sizeof(sync), "storage.sync=%s", syncs[i % 3]);
        assert_int_equal(node_options_load(&node, NULL, node_sets, 3, why, sizeof(why)), 0);
        assert_int_equal(node.log_level, i);
        assert_int_equal(node.sync, sync_values[i % 3]);
        node_options_free(&node);
        assert_int_equal(proxy_options_load(&proxy, NULL, proxy_sets, 2, why, sizeof(why)), 0);
        assert_int_equal(proxy.log_level, i);
        proxy_options_free(&proxy);
    }
}

static int node_load(const char *const *assignments, size_t count, struct node_options *o)
{
    char *sets[8];
    int result;

    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++)
        assert_non_null(sets[i] = strdup(assignments[i]));
    result = node_options_load(o, NULL, sets, count, why, sizeof(why));
    for (size_t i = 0; i < count; i++)
        free(sets[i]);
    return result;
}

static void test_node_must_fit(void **state)
{
    static const struct {
        const char *sets[3];
        size_t count;
        const char *part; /* of the refusal; NULL: it is good */
    } cases[] = {
        {{"log.level=info"}, 1, "node.data"},
        {{"node.data=/x"}, 1, NULL},
        {{"node.data=/x", "replication.request_timeout=299ms"}, 2, "node_timeout"},
        {{"node.data=/x", "replication.request_timeout=300ms"}, 2, NULL},
        {{"node.data=/x", "node.listen=*:7400"}, 2, NULL},
        {{"node.data=/x", "node.listen=0.0.0.0:7400"}, 2, NULL},
        {{"node.data=/x", "node.listen=[::]:7400"}, 2, NULL},
        {{"node.data=/x", "node.listen=h:0"}, 2, "1 to 65535"},
        {{"node.data=/x", "node.max_value=65m"}, 2, "from 1k to 64m"},
        {{"node.data=/x", "node.shards=65"}, 2, "from 0 to 64"},
        {{"node.data="}, 1, "node.data"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct node_options o;
        int failed = node_load(cases[i].sets, cases[i].count, &o);

        assert_int_equal(failed, cases[i].part ? RK_INVALID : 0);
        if (failed)
            assert_has(why, cases[i].part);
        else
            node_options_free(&o);
    }
}

static void test_proxy_must_fit(void **state)
{
    static const struct {
        char nodes[64];
        char other[64];
        const char *part;
    } cases[] = {
        {"cluster.nodes=a:7400", "log.level=info", NULL},
        {"log.level=info", "log.level=info", "cluster.nodes"},
        {"cluster.nodes=a:7400", "proxy.request_timeout=250ms", "node_timeout"},
        {"cluster.nodes=a:7400,127.0.0.1:7379", "log.level=info", "this proxy itself"},
        {"cluster.nodes=a:7400,127.0.0.1:7380", "log.level=info", NULL},
        {"cluster.nodes=a:7400,a:7400", "log.level=info", "twice"},
        {"cluster.nodes=*:7400", "log.level=info", "'*'"},
        {"cluster.nodes=a:7400", "proxy.client_idle_timeout=0", NULL},
        {"cluster.nodes=a:7400", "proxy.listen=h:65536", "1 to 65535"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_options o;
        char nodes[64], other[64];
        char *sets[] = {nodes, other};
        int failed;

        strcpy(nodes, cases[i].nodes);
        strcpy(other, cases[i].other);
        failed = proxy_options_load(&o, NULL, sets, 2, why, sizeof(why));
        assert_int_equal(failed, cases[i].part ? RK_INVALID : 0);
        if (failed)
            assert_has(why, cases[i].part);
        else
            proxy_options_free(&o);
    }
}

/* What does not fit is told with the file's name. */
static void test_names_the_file(void **state)
{
    char set[] = "replication.request_timeout=50ms";
    char *sets[] = {set};
    struct node_options o;
    char path[4096];

    (void)state;
    etc_path("ringnode.conf", path);
    assert_int_equal(node_options_load(&o, path, sets, 1, why, sizeof(why)), RK_INVALID);
    assert_int_equal(strncmp(why, path, strlen(path)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_file),      cmocka_unit_test(test_proxy_file),
        cmocka_unit_test(test_tables),         cmocka_unit_test(test_choices),
        cmocka_unit_test(test_node_must_fit),  cmocka_unit_test(test_proxy_must_fit),
        cmocka_unit_test(test_names_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
