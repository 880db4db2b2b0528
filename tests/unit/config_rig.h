/* A program's settings, one of each kind, and a configuration of them. */
#ifndef RINGKV_TESTS_UNIT_CONFIG_RIG_H
#define RINGKV_TESTS_UNIT_CONFIG_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/config.h"
#include "shared/error.h"
#include <cmocka.h>
#include <string.h>

struct sample {
    char *text;
    int64_t number;
    int64_t size;
    int64_t wait_ms;
    bool flag;
    int colour;
    char *address;
    char *peers;
    char *path;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

#define AT(field) offsetof(struct sample, field)

static const struct config_setting settings[] = {
    {"one", "text", CONFIG_TEXT, AT(text), "", 0, 20, NULL, "a text"},
    {"one", "number", CONFIG_NUMBER, AT(number), "-3", -5, 70, NULL, "a number"},
    {"one", "size", CONFIG_SIZE, AT(size), "64k", 0, INT64_MAX, NULL, "a size in bytes"},
    {"one", "wait", CONFIG_DURATION, AT(wait_ms), "300ms", 0, 86400000, NULL, "a duration"},
    {"two", "flag", CONFIG_BOOL, AT(flag), "no", 0, 0, NULL, "a flag"},
    {"two", "colour", CONFIG_CHOICE, AT(colour), "green", 0, 0, colours, "a choice"},
    {"two", "address", CONFIG_ADDRESS, AT(address), "localhost:7400", 0, 0, NULL, "an address"},
    {"two", "peers", CONFIG_ADDRESSES, AT(peers), "a:1, b:2", 0, 0, NULL, "some addresses"},
    {"two", "path", CONFIG_TEXT, AT(path), NULL, 1, 4000, NULL, "must be set"},
    {NULL, NULL, CONFIG_TEXT, 0, NULL, 0, 0, NULL, NULL},
};

struct fixture {
    struct config config;
    struct sample sample;
    char why[CONFIG_WHY_SIZE];
};

static inline void begin(struct fixture *f)
{
    memset(&f->sample, 0xa5, sizeof(f->sample)); /* config_init must not read it */
    f->why[0] = 0;
    assert_int_equal(config_init(&f->config, settings, &f->sample, f->why, sizeof(f->why)), 0);
}

static inline void end(struct fixture *f)
{
    config_free(&f->config);
}

static inline void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" has no \"%s\"", text, part);
}

#endif
