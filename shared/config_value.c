#include "shared/config_value.h"
#include "shared/address.h"
#include "shared/error.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit sizes[] = {
    {"", 1},          {"b", 1},         {"k", 1 << 10},    {"kb", 1 << 10},    {"kib", 1 << 10},
    {"m", 1 << 20},   {"mb", 1 << 20},  {"mib", 1 << 20},  {"g", 1 << 30},     {"gb", 1 << 30},
    {"gib", 1 << 30}, {"t", 1LL << 40}, {"tb", 1LL << 40}, {"tib", 1LL << 40}, {NULL, 0},
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {NULL, 0},
};

static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct {
    const char *name;
    bool value;
} booleans[] = {
    {"yes", true}, {"true", true}, {"on", true}, {"no", false}, {"false", false}, {"off", false},
};

static void *field(const struct config_setting *s, void *options)
{
    return (char *)options + s->offset;
}

bool config_value_is_text(const struct config_setting *s)
{
    return s->type == CONFIG_TEXT || s->type == CONFIG_ADDRESS || s->type == CONFIG_ADDRESSES;
}

void config_value_free(const struct config_setting *s, void *options)
{
    if (config_value_is_text(s)) {
        char **text = field(s, options);

        free(*text);
        *text = NULL;
    }
}

void config_quote(char quoted[CONFIG_QUOTE_SIZE], struct bytes text)
{
    size_t size = text.size, room = CONFIG_QUOTE_SIZE - sizeof("...");
    bool cut = size > room;

    if (cut)
        size = room;
    for (size_t i = 0; i < size; i++)
        quoted[i] = text.data[i] >= 0x20 && text.data[i] < 0x7f ? (char)text.data[i] : '?';
    strcpy(quoted + size, cut ? "..." : "");
}

/* Digits, perhaps after a '-', and a unit of the list. False when it is none or too large for 64
 * bits. */
static bool amount_parse(const char *text, const struct unit *units, int64_t *amount)
{
    bool negative = text[0] == '-';
    const char *at = text + negative;
    int64_t number = 0; /* gathered as a negative one: there is one more of them */

    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, *at - '0', &number))
            return false;
    }
    while (units->name && strcasecmp(units->name, at) != 0)
        units++;
    if (!units->name || __builtin_mul_overflow(number, units->factor, &number))
        return false;
    *amount = number;
    return negative || !__builtin_sub_overflow(0, number, amount);
}

/* The largest unit in which an amount is whole, as people write it: "64m", but "60s", since "1m"
 * among sizes reads as a mebibyte. */
static void amount_print(const struct config_setting *s, int64_t amount, char out[32])
{
    static const struct unit size_units[] = {
        {"t", 1LL << 40}, {"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}};
    static const struct unit duration_units[] = {{"h", 3600000}, {"s", 1000}, {"ms", 1}};
    const struct unit *unit = plain;

    if (s->type == CONFIG_SIZE && amount != 0)
        unit = size_units;
    else if (s->type == CONFIG_DURATION)
        unit = duration_units;
    while (amount % unit->factor != 0 || (amount == 0 && unit->factor != 1))
        unit++;
    snprintf(out, 32, "%" PRId64 "%s", amount / unit->factor, unit->name);
}

static void choices_print(const char *const *choices, char range[CONFIG_RANGE_SIZE])
{
    size_t used = 0;

    range[0] = 0;
    for (size_t i = 0; choices[i] && used < CONFIG_RANGE_SIZE; i++) {
        const char *between = i == 0 ? "" : choices[i + 1] ? ", " : " or ";

        used +=
            (size_t)snprintf(range + used, CONFIG_RANGE_SIZE - used, "%s%s", between, choices[i]);
    }
}

void config_value_range(const struct config_setting *s, char range[CONFIG_RANGE_SIZE])
{
    char low[32], high[32];
    const char *what = "a whole number";

    switch (s->type) {
    case CONFIG_CHOICE:
        choices_print(s->choices, range);
        return;
    case CONFIG_BOOL:
        snprintf(range, CONFIG_RANGE_SIZE, "yes or no");
        return;
    case CONFIG_ADDRESS:
        snprintf(range, CONFIG_RANGE_SIZE, "HOST:PORT, [IPV6]:PORT or *:PORT");
        return;
    case CONFIG_ADDRESSES:
        snprintf(range, CONFIG_RANGE_SIZE, "HOST:PORT, HOST:PORT, ...");
        return;
    case CONFIG_TEXT:
        snprintf(range, CONFIG_RANGE_SIZE, "text of %" PRId64 " to %" PRId64 " bytes", s->min,
                 s->max);
        return;
    case CONFIG_SIZE:
        what = "a size";
        break;
    case CONFIG_DURATION:
        what = "a duration with its unit (ms, s, m, h)";
        break;
    case CONFIG_NUMBER:
        break;
    }
    amount_print(s, s->min, low);
    amount_print(s, s->max, high);
    snprintf(range, CONFIG_RANGE_SIZE, "%s from %s to %s", what, low, high);
}

static int refuse(const struct config_setting *s, const char *text, const char *reason,
                  char problem[CONFIG_PROBLEM_SIZE])
{
    char quoted[CONFIG_QUOTE_SIZE], range[CONFIG_RANGE_SIZE];

    config_quote(quoted, bytes_from(text));
    config_value_range(s, range);
    if (reason)
        snprintf(problem, CONFIG_PROBLEM_SIZE, "%s: '%s': %s", s->key, quoted, reason);
    else
        snprintf(problem, CONFIG_PROBLEM_SIZE, "%s = '%s' is not possible; it must be %s%s%s",
                 s->key, quoted, range, s->initial && s->initial[0] ? ", such as " : "",
                 s->initial ? s->initial : "");
    return RK_INVALID;
}

static int amount_set(const struct config_setting *s, void *options, const char *text,
                      char problem[CONFIG_PROBLEM_SIZE])
{
    const struct unit *units = plain;
    int64_t amount;

    if (s->type == CONFIG_SIZE)
        units = sizes;
    else if (s->type == CONFIG_DURATION)
        units = durations;
    /* Zero is zero in any unit, so it may do without one. */
    if (strcmp(text, "0") == 0)
        amount = 0;
    else if (!amount_parse(text, units, &amount))
        return refuse(s, text, NULL, problem);
    if (amount < s->min || amount > s->max)
        return refuse(s, text, NULL, problem);
    *(int64_t *)field(s, options) = amount;
    return 0;
}

static int bool_set(const struct config_setting *s, void *options, const char *text,
                    char problem[CONFIG_PROBLEM_SIZE])
{
    for (size_t i = 0; i < sizeof(booleans) / sizeof(booleans[0]); i++) {
        if (strcasecmp(booleans[i].name, text) == 0) {
            *(bool *)field(s, options) = booleans[i].value;
            return 0;
        }
    }
    return refuse(s, text, NULL, problem);
}

static int choice_set(const struct config_setting *s, void *options, const char *text,
                      char problem[CONFIG_PROBLEM_SIZE])
{
    for (int i = 0; s->choices[i]; i++) {
        if (strcmp(s->choices[i], text) == 0) {
            *(int *)field(s, options) = i;
            return 0;
        }
    }
    return refuse(s, text, NULL, problem);
}

static int text_check(const struct config_setting *s, const char *text,
                      char problem[CONFIG_PROBLEM_SIZE])
{
    struct bytes entry = bytes_from(text);
    char quoted[CONFIG_QUOTE_SIZE];
    const char *wrong = NULL;
    uint16_t port;

    if (s->type == CONFIG_TEXT) {
        if (entry.size >= (size_t)s->min && entry.size <= (size_t)s->max)
            return 0;
        return refuse(s, text, NULL, problem);
    }
    if (s->type == CONFIG_ADDRESS)
        wrong = address_check(entry, NULL, &port);
    else
        wrong = address_list_check(bytes_from(text), &entry);
    if (!wrong)
        return 0;
    /* Of a long list only the entry that is wrong. */
    config_quote(quoted, entry);
    snprintf(problem, CONFIG_PROBLEM_SIZE, "%s: '%s': %s", s->key, quoted, wrong);
    return RK_INVALID;
}

static int text_set(const struct config_setting *s, void *options, const char *text,
                    char problem[CONFIG_PROBLEM_SIZE])
{
    char **at = field(s, options);
    char *copy;
    int failed = text_check(s, text, problem);

    if (failed)
        return failed;
    copy = strdup(text);
    if (!copy) {
        snprintf(problem, CONFIG_PROBLEM_SIZE, "%s: %s", s->key, rk_error_text(RK_NOMEM));
        return RK_NOMEM;
    }
    free(*at);
    *at = copy;
    return 0;
}

/* What is a mistake in a value of any type, though a text could hold it. */
static const char *mistake_in(const char *text)
{
    size_t size = strlen(text);

    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return "it has a control character; remove it";
        if (*at == '#' && at > text && (at[-1] == ' ' || at[-1] == '\t'))
            return "'#' begins a comment only at the beginning of a line; give the comment its own "
                   "line";
    }
    if (size >= 1 && (text[0] == '"' || text[0] == '\''))
        return "values are written without quotes";
    if (size >= 1 && (text[0] == ' ' || text[size - 1] == ' '))
        return "it begins or ends with a blank; remove it";
    return NULL;
}

int config_value_set(const struct config_setting *s, void *options, const char *text,
                     char problem[CONFIG_PROBLEM_SIZE])
{
    const char *mistake = mistake_in(text);

    if (mistake)
        return refuse(s, text, mistake, problem);
    switch (s->type) {
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        return amount_set(s, options, text, problem);
    case CONFIG_BOOL:
        return bool_set(s, options, text, problem);
    case CONFIG_CHOICE:
        return choice_set(s, options, text, problem);
    case CONFIG_TEXT:
    case CONFIG_ADDRESS:
    case CONFIG_ADDRESSES:
        return text_set(s, options, text, problem);
    }
    abort(); /* no type of the list */
}
