#include "shared/config.h"
#include "shared/config_value.h"
#include "shared/error.h"
#include "shared/file.h"
#include <errno.h>
#include <string.h>

int config_read(struct config *c, const char *path, char *why, size_t why_size)
{
    struct buf text = {0};
    int failed = file_read(path, CONFIG_FILE_MAX, &text);

    switch (failed) {
    case 0:
        failed = config_parse(c, path, buf_bytes(&text), why, why_size);
        break;
    case RK_TOOBIG:
        snprintf(why, why_size, "%s:1: the file is larger than %d bytes; is it the right one?",
                 path, CONFIG_FILE_MAX);
        failed = RK_INVALID;
        break;
    case RK_NOTFOUND:
    case RK_IO:
        snprintf(why, why_size, "%s: cannot be read: %s; name a file of settings with -c", path,
                 failed == RK_IO ? strerror(errno) : "there is no such file");
        failed = RK_IO;
        break;
    default:
        snprintf(why, why_size, "%s: cannot be read: %s", path, rk_error_text(failed));
    }
    buf_free(&text);
    return failed;
}

static int load_into(struct config *c, const char *path, char *const *sets, size_t set_count,
                     char *why, size_t why_size)
{
    int failed = path ? config_read(c, path, why, why_size) : 0;

    for (size_t i = 0; !failed && i < set_count; i++)
        failed = config_set(c, sets[i], why, why_size);
    return failed ? failed : config_finish(c, why, why_size);
}

int config_load(const struct config_setting *settings, void *options, const char *path,
                char *const *sets, size_t set_count,
                int (*check)(const void *options, char *why, size_t why_size), char *why,
                size_t why_size)
{
    char problem[CONFIG_PROBLEM_SIZE];
    struct config c;
    int failed = config_init(&c, settings, options, why, why_size);

    if (!failed)
        failed = load_into(&c, path, sets, set_count, why, why_size);
    if (!failed && check) {
        failed = check(options, problem, sizeof(problem));
        if (failed)
            snprintf(why, why_size, "%s%s%s", path ? path : "", path ? ": " : "", problem);
    }
    if (failed)
        config_free(&c);
    else
        config_close(&c);
    return failed;
}

static void print_setting(const struct config_setting *s, FILE *to)
{
    char range[CONFIG_RANGE_SIZE];

    config_value_range(s, range);
    fprintf(to, "\n; %s\n; %s; ", s->help, range);
    if (!s->initial)
        fprintf(to, "must be set\n;%s =\n", s->key);
    else if (!s->initial[0])
        fprintf(to, "default: empty\n%s =\n", s->key);
    else
        fprintf(to, "default: %s\n%s = %s\n", s->initial, s->key, s->initial);
}

void config_print(const struct config_setting *settings, FILE *to)
{
    const char *section = "";

    for (const struct config_setting *s = settings; s->section; s++) {
        if (strcmp(section, s->section) != 0)
            fprintf(to, "%s[%s]\n", s == settings ? "" : "\n", s->section);
        section = s->section;
        print_setting(s, to);
    }
}
