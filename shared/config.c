#include "shared/config.h"
#include "shared/config_names.h"
#include "shared/config_value.h"
#include "shared/error.h"
#include <stdio.h>
#include <stdlib.h>

static size_t setting_count(const struct config_setting *settings)
{
    size_t count = 0;

    while (settings[count].section)
        count++;
    return count;
}

/* Splits section.key=value. False when it is not of that form. */
static bool assignment_split(const char *assignment, struct bytes *section, struct bytes *key,
                             const char **value)
{
    const char *equals = strchr(assignment, '=');
    const char *dot = equals ? memchr(assignment, '.', (size_t)(equals - assignment)) : NULL;

    if (!dot || dot == assignment || dot + 1 == equals)
        return false;
    *section = bytes_of(assignment, (size_t)(dot - assignment));
    *key = bytes_of(dot + 1, (size_t)(equals - dot) - 1);
    *value = equals + 1;
    return true;
}

int config_set(struct config *c, const char *assignment, char *why, size_t why_size)
{
    char problem[CONFIG_PROBLEM_SIZE], quoted[CONFIG_QUOTE_SIZE];
    struct bytes section, key;
    const char *value;
    int i, failed = RK_INVALID;

    if (!assignment_split(assignment, &section, &key, &value)) {
        snprintf(problem, sizeof(problem), "not an assignment; write --set section.key=value");
    } else {
        i = config_find(c->settings, section, key);
        if (i < 0)
            config_key_problem(c->settings, section, key, problem);
        else
            failed = config_value_set(&c->settings[i], c->options, value, problem);
        if (!failed)
            c->seen[i] = true;
    }
    if (failed) {
        config_quote(quoted, bytes_from(assignment));
        snprintf(why, why_size, "--set %s: %s", quoted, problem);
    }
    return failed;
}

int config_init(struct config *c, const struct config_setting *settings, void *options, char *why,
                size_t why_size)
{
    size_t count = setting_count(settings);
    char problem[CONFIG_PROBLEM_SIZE];

    *c = (struct config){.settings = settings, .options = options};
    for (size_t i = 0; i < count; i++) {
        if (config_value_is_text(&settings[i]))
            *(char **)((char *)options + settings[i].offset) = NULL;
    }
    c->line = calloc(count + 1, sizeof(*c->line));
    c->seen = calloc(count + 1, sizeof(*c->seen));
    if (!c->line || !c->seen) {
        snprintf(why, why_size, "%s", rk_error_text(RK_NOMEM));
        return RK_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        int failed = 0;

        if (settings[i].initial)
            failed = config_value_set(&settings[i], options, settings[i].initial, problem);
        if (failed) {
            snprintf(why, why_size, "the default of [%s] %s", settings[i].section, problem);
            return failed;
        }
    }
    return 0;
}

int config_finish(struct config *c, char *why, size_t why_size)
{
    const struct config_setting *s = c->settings;

    for (size_t i = 0; s[i].section; i++) {
        if (s[i].initial || c->seen[i])
            continue;
        if (c->name)
            snprintf(why, why_size, "%s: key '%s' is missing; add it to section [%s] (%s)", c->name,
                     s[i].key, s[i].section, s[i].help);
        else
            snprintf(why, why_size, "%s.%s is not set; add --set %s.%s=VALUE (%s)", s[i].section,
                     s[i].key, s[i].section, s[i].key, s[i].help);
        return RK_INVALID;
    }
    return 0;
}

void config_close(struct config *c)
{
    free(c->line);
    free(c->seen);
    c->line = NULL;
    c->seen = NULL;
    c->name = NULL;
}

void config_free(struct config *c)
{
    for (size_t i = 0; c->settings[i].section; i++)
        config_value_free(&c->settings[i], c->options);
    config_close(c);
}
