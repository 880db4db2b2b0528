#include "shared/config.h"
#include "shared/config_names.h"
#include "shared/config_value.h"
#include "shared/error.h"
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>

/* One pass over a file. inih asks for a line at a time and calls back for a setting before it asks
 * for the next, so `line` is always the number of the line that is being looked at. */
struct reading {
    struct config *config;
    const char *name;
    struct bytes rest; /* what follows the current line */
    unsigned line;
    int failed; /* the first error; nothing is read after it */
    char *why;
    size_t why_size;
};

__attribute__((format(printf, 3, 4))) static int reading_fail(struct reading *r, int error,
                                                              const char *format, ...)
{
    char problem[CONFIG_PROBLEM_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, sizeof(problem), format, arguments);
    va_end(arguments);
    r->failed = error;
    snprintf(r->why, r->why_size, "%s:%u: %s", r->name, r->line, problem);
    return error;
}

/* inih ignores what stands after the bracket, and does not tell of a section without keys. */
static int section_line_check(struct reading *r, struct bytes line)
{
    const uint8_t *end = memchr(line.data, ']', line.size);
    char problem[CONFIG_PROBLEM_SIZE];
    struct bytes section;
    size_t at;

    if (!end)
        return reading_fail(r, RK_INVALID, "a section without its ']'; write [name]");
    section = bytes_of(line.data + 1, (size_t)(end - line.data) - 1);
    for (at = section.size + 2; at < line.size; at++) {
        if (line.data[at] == ';')
            break;
        if (line.data[at] != ' ' && line.data[at] != '\t')
            return reading_fail(r, RK_INVALID,
                                "text after the section's ']'; put it on a line of its own");
    }
    if (config_section_known(r->config->settings, section))
        return 0;
    config_section_problem(r->config->settings, section, problem);
    return reading_fail(r, RK_INVALID, "%s", problem);
}

/* inih also takes ':' for '=', so "listen 127.0.0.1:7400" would be a key "listen 127.0.0.1". */
static int setting_line_check(struct reading *r, struct bytes line)
{
    size_t at = 0;

    while (at < line.size && !strchr("=:;", line.data[at]))
        at++;
    if (at == line.size || line.data[at] != '=')
        return reading_fail(r, RK_INVALID, "no '=' after the key; write key = value");
    if (at == 0)
        return reading_fail(r, RK_INVALID, "no key before the '='; write key = value");
    return 0;
}

static int bytes_check(struct reading *r, struct bytes line)
{
    for (size_t i = 0; i < line.size; i++) {
        uint8_t byte = line.data[i];

        if (byte == 0)
            return reading_fail(r, RK_INVALID,
                                "a NUL byte; the file must be plain text, ASCII or UTF-8");
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return reading_fail(r, RK_INVALID, "a control character (byte 0x%02x); remove it",
                                byte);
    }
    return 0;
}

/* Everything in which INI dialects differ, or which inih would pass over in silence, is refused
 * here. A blank line or comment leaves as an empty line: inih would take the end of a long one for
 * a setting. */
static int line_check(struct reading *r, struct bytes *line, size_t room)
{
    size_t at = 0;

    if (bytes_check(r, *line))
        return r->failed;
    while (at < line->size && (line->data[at] == ' ' || line->data[at] == '\t'))
        at++;
    if (at == line->size || line->data[at] == ';' || line->data[at] == '#') {
        line->size = 0;
        return 0;
    }
    if (at > 0)
        return reading_fail(r, RK_INVALID,
                            "an indented line; a setting is one line that begins at the margin");
    if (line->size > CONFIG_LINE_MAX || line->size >= room)
        return reading_fail(
            r, RK_INVALID,
            "the line has %zu bytes; at most %d are possible in a file (--set takes "
            "longer values)",
            line->size, CONFIG_LINE_MAX);
    return line->data[0] == '[' ? section_line_check(r, *line) : setting_line_check(r, *line);
}

static char *reading_line(char *to, int room, void *arg)
{
    struct reading *r = arg;
    struct bytes line = r->rest;
    const uint8_t *end;

    if (r->failed || line.size == 0)
        return NULL;
    r->line++;
    end = memchr(line.data, '\n', line.size);
    if (!end) {
        reading_fail(
            r, RK_INVALID,
            "the last line has no newline at its end, so the file may have been cut short; "
            "add what is missing, or the newline");
        return NULL;
    }
    line.size = (size_t)(end - line.data);
    r->rest = bytes_of(end + 1, r->rest.size - line.size - 1);
    if (line.size && line.data[line.size - 1] == '\r')
        line.size--;
    if (line_check(r, &line, (size_t)room))
        return NULL;
    memcpy(to, line.data, line.size);
    to[line.size] = 0;
    return to;
}

/* inih's convention: nonzero is success. */
static int reading_setting(void *arg, const char *section, const char *key, const char *value)
{
    struct reading *r = arg;
    struct config *c = r->config;
    char problem[CONFIG_PROBLEM_SIZE];
    int i = config_find(c->settings, bytes_from(section), bytes_from(key));
    int failed;

    if (i < 0) {
        config_key_problem(c->settings, bytes_from(section), bytes_from(key), problem);
        return !reading_fail(r, RK_INVALID, "%s", problem);
    }
    if (c->line[i])
        return !reading_fail(
            r, RK_INVALID,
            "key '%s' stands in section [%s] a second time; line %u has it already, "
            "remove one",
            key, section, c->line[i]);
    failed = config_value_set(&c->settings[i], c->options, value, problem);
    if (failed)
        return !reading_fail(r, failed, "%s", problem);
    c->line[i] = r->line;
    c->seen[i] = true;
    return 1;
}

static bool is_blank(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!memchr(" \t\r\n", text.data[i], 4))
            return false;
    }
    return true;
}

int config_parse(struct config *c, const char *name, struct bytes text, char *why, size_t why_size)
{
    struct reading r = {.config = c, .name = name, .rest = text, .why = why, .why_size = why_size};
    int at;

    c->name = name;
    if (text.size > CONFIG_FILE_MAX) {
        r.line = 1;
        return reading_fail(&r, RK_INVALID,
                            "the file is larger than %d bytes; is it the right one?",
                            CONFIG_FILE_MAX);
    }
    if (r.rest.size >= 3 && memcmp(r.rest.data, "\xef\xbb\xbf", 3) == 0)
        r.rest = bytes_of(r.rest.data + 3, r.rest.size - 3);
    if (is_blank(r.rest)) {
        r.line = 1;
        return reading_fail(&r, RK_INVALID,
                            "the file is empty; --help-config prints one with every setting");
    }
    at = ini_parse_stream(reading_line, &r, reading_setting, &r);
    if (at && !r.failed)
        reading_fail(&r, RK_INVALID, "the line is not understood; write key = value");
    return r.failed;
}
