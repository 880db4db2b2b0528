/* CONFIG: the settings in Redis's terms. */
#include "proxy/commands.h"
#include "proxy/facts.h"
#include "proxy/glob.h"
#include "proxy/tunables.h"
#include "shared/limits.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* How a setting's value is written. */
enum form {
    FORM_NUMBER,
    FORM_SECONDS, /* of milliseconds */
    FORM_MEMORY,  /* to be set, also with a unit; shown in bytes */
    FORM_TEXT,
};

/* What Redis clients and tools ask for, and what is true of ringkv in those terms. */
struct setting {
    const char *name;
    const char *text;    /* what does not change; NULL: */
    ptrdiff_t fact;      /* in struct facts, -1: */
    ptrdiff_t tunable;   /* in struct tunables */
    enum form form;      /* of a fact or tunable */
    int64_t least, most; /* of a tunable */
};

_Static_assert(VALUE_SIZE_MAX == 67108864, "proto-max-bulk-len says so");

#define TEXT(name, text)                    \
    {                                       \
        name, text, -1, -1, FORM_TEXT, 0, 0 \
    }
#define FACT(name, fact, form)                                   \
    {                                                            \
        name, NULL, offsetof(struct facts, fact), -1, form, 0, 0 \
    }
#define TUNABLE(name, tunable, form, least, most)                             \
    {                                                                         \
        name, NULL, -1, offsetof(struct tunables, tunable), form, least, most \
    }

/* clang-format off */
static const struct setting settings[] = {
    TEXT("appendfsync", "always"),
    TEXT("appendonly", "yes"),
    FACT("bind", bind, FORM_TEXT),
    FACT("client-output-buffer-limit", output_limits, FORM_TEXT),
    TUNABLE("client-query-buffer-limit", query_size, FORM_MEMORY, 1 << 10, 1 << 30),
    TEXT("cluster-enabled", "no"),
    TEXT("databases", "1"),
    FACT("io-threads", threads, FORM_NUMBER),
    TUNABLE("latency-monitor-threshold", latency_ms, FORM_NUMBER, 0, INT64_MAX),
    TEXT("latency-tracking", "yes"),
    TEXT("latency-tracking-info-percentiles", "50 99 99.9"),
    TUNABLE("maxclients", max_clients, FORM_NUMBER, 1, 1000000),
    TEXT("maxmemory", "0"),
    TEXT("maxmemory-policy", "noeviction"),
    FACT("port", tcp_port, FORM_NUMBER),
    TEXT("proto-max-bulk-len", "67108864"),
    FACT("protected-mode", protected_mode, FORM_TEXT),
    TEXT("requirepass", ""),
    TEXT("save", ""),
    TUNABLE("slowlog-log-slower-than", slow_us, FORM_NUMBER, -1, INT64_MAX),
    TUNABLE("slowlog-max-len", slow_entries, FORM_NUMBER, 0, INT64_MAX),
    FACT("tcp-backlog", backlog, FORM_NUMBER),
    TUNABLE("timeout", idle_timeout_ms, FORM_SECONDS, 0, INT32_MAX),
};
/* clang-format on */

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

void run_config(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

static _Atomic int64_t *tunable_of(const struct execution *x, const struct setting *s)
{
    return (_Atomic int64_t *)((char *)x->router->tunables + s->tunable);
}

/* How much of the tunable's unit one of the setting's is. */
static int64_t unit_of(const struct setting *s)
{
    return s->form == FORM_SECONDS ? 1000 : 1;
}

/* --- GET ------------------------------------------------------------------------------------- */

static bool is_pattern(struct bytes word)
{
    for (size_t i = 0; i < word.size; i++)
        if (word.data[i] && strchr("[*?", word.data[i]))
            return true;
    return false;
}

/* Whether a word asks for the setting, and as what Redis shows its name then: as it is written in a
 * word that names it. */
static bool word_asks(struct bytes word, const struct setting *s, struct bytes *shown)
{
    bool pattern = is_pattern(word);

    *shown = pattern ? bytes_from(s->name) : word;
    return pattern ? glob_match(word, bytes_from(s->name), true) : resp_word_is(word, s->name);
}

static bool setting_asked(const struct execution *x, const struct setting *s, struct bytes *shown)
{
    for (uint32_t i = 2; i < x->count; i++)
        if (word_asks(x->args[i], s, shown))
            return true;
    return false;
}

static void reply_value(struct execution *x, const struct setting *s, const struct facts *facts)
{
    const char *fact = (const char *)facts + s->fact;
    char number[24];

    if (s->text)
        reply_text(x, s->text);
    else if (s->tunable >= 0)
        reply_bulk(x,
                   bytes_of(number, (size_t)sprintf(number, "%" PRId64,
                                                    tunable_read(tunable_of(x, s)) / unit_of(s))));
    else if (s->form == FORM_TEXT)
        reply_text(x, fact);
    else
        reply_bulk(x,
                   bytes_of(number, (size_t)sprintf(number, "%" PRIu64, *(const uint64_t *)fact)));
}

void run_config_get(struct execution *x)
{
    struct bytes shown[SETTINGS];
    bool asked[SETTINGS];
    struct facts facts;
    size_t count = 0;

    x->router->ports.facts(x->router->ports.arg, &facts);
    for (size_t i = 0; i < SETTINGS; i++) {
        asked[i] = setting_asked(x, &settings[i], &shown[i]);
        count += asked[i];
    }
    reply_map(x, count);
    for (size_t i = 0; i < SETTINGS; i++) {
        if (!asked[i])
            continue;
        reply_bulk(x, shown[i]);
        reply_value(x, &settings[i], &facts);
    }
}

/* --- SET ------------------------------------------------------------------------------------- */

static const struct setting *setting_named(struct bytes name)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (resp_word_is(name, settings[i].name))
            return &settings[i];
    return NULL;
}

/* As in Redis, a name that cannot be set is told as it was given, that of a bad value as the
 * setting is called. */
static void refuse(struct execution *x, struct bytes name, const char *why)
{
    reply_errorf(x, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                 shown_size(name, SHOWN_MAX), (const char *)name.data, why);
}

/* Whether the name that is argument `arg` is that of a setting that can be set, and is not there
 * before. */
static bool name_good(struct execution *x, uint32_t arg)
{
    const struct setting *s = setting_named(x->args[arg]);

    if (!s) {
        reply_errorf(x, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                     shown_size(x->args[arg], SHOWN_MAX), (const char *)x->args[arg].data);
        return false;
    }
    if (s->tunable < 0) {
        refuse(x, x->args[arg], "can't set immutable config");
        return false;
    }
    for (uint32_t i = 2; i < arg; i += 2) {
        if (setting_named(x->args[i]) == s) {
            refuse(x, x->args[arg], "duplicate parameter");
            return false;
        }
    }
    return true;
}

/* Digits, of which there may be none; more than fits is as much as fits. */
static int64_t read_digits(struct bytes digits)
{
    int64_t value = 0;

    for (size_t i = 0; i < digits.size; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digits.data[i] - '0', &value))
            return INT64_MAX;
    return value;
}

/* A number with one of Redis's units, which are powers of 1024 but for k, m and g. */
static bool read_memory(struct bytes text, int64_t *value)
{
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1 << 10},
                 {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30}};
    size_t digits = 0;

    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!resp_word_is(bytes_of(text.data + digits, text.size - digits), units[i].unit))
            continue;
        *value = read_digits(bytes_of(text.data, digits));
        if (__builtin_mul_overflow(*value, units[i].factor, value))
            *value = INT64_MAX;
        return true;
    }
    return false;
}

/* The value behind the name of a setting, which is argument `arg`. */
static bool read_value(struct execution *x, uint32_t arg, int64_t *value)
{
    const struct setting *s = setting_named(x->args[arg]);
    struct bytes text = x->args[arg + 1];
    char why[96];

    if (s->form == FORM_MEMORY && !read_memory(text, value)) {
        refuse(x, bytes_from(s->name), "argument must be a memory value");
    } else if (s->form != FORM_MEMORY && resp_read_integer(text, value) != 0) {
        refuse(x, bytes_from(s->name), "argument couldn't be parsed into an integer");
    } else if (*value < s->least || *value > s->most) {
        snprintf(why, sizeof(why), "argument must be between %" PRId64 " and %" PRId64 " inclusive",
                 s->least, s->most);
        refuse(x, bytes_from(s->name), why);
    } else {
        return true;
    }
    return false;
}

void run_config_set(struct execution *x)
{
    int64_t value;

    if (x->count % 2) {
        reply_error(x, "ERR syntax error");
        return;
    }
    for (uint32_t i = 2; i < x->count; i += 2)
        if (!name_good(x, i))
            return;
    /* All or none. */
    for (uint32_t i = 2; i < x->count; i += 2)
        if (!read_value(x, i, &value))
            return;
    for (uint32_t i = 2; i < x->count; i += 2) {
        const struct setting *s = setting_named(x->args[i]);

        if (read_value(x, i, &value))
            tunable_write(tunable_of(x, s), value * unit_of(s));
    }
    reply_simple(x, "OK");
}

void run_config_resetstat(struct execution *x)
{
    x->router->ports.reset_facts(x->router->ports.arg);
    reply_simple(x, "OK");
}
