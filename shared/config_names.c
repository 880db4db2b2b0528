#include "shared/config_names.h"
#include "shared/error.h"
#include <stdio.h>

enum { NAME_MAX_COMPARED = 32 }; /* bytes; for longer names nothing is suggested */

int config_find(const struct config_setting *settings, struct bytes section, struct bytes key)
{
    for (int i = 0; settings[i].section; i++) {
        if (bytes_equal(bytes_from(settings[i].section), section) &&
            bytes_equal(bytes_from(settings[i].key), key))
            return i;
    }
    return RK_NOTFOUND;
}

/* The section in which a key is known, NULL for none. */
static const char *section_of(const struct config_setting *settings, struct bytes key)
{
    for (; settings->section; settings++) {
        if (bytes_equal(bytes_from(settings->key), key))
            return settings->section;
    }
    return NULL;
}

bool config_section_known(const struct config_setting *settings, struct bytes section)
{
    for (; settings->section; settings++) {
        if (bytes_equal(bytes_from(settings->section), section))
            return true;
    }
    return false;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many bytes must be inserted, removed, replaced, or swapped with their neighbour, to turn one
 * word into the other (optimal string alignment, three rows at a time). */
static unsigned distance(struct bytes a, struct bytes b)
{
    unsigned rows[3][NAME_MAX_COMPARED + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (unsigned j = 0; j <= b.size; j++)
        above[j] = before[j] = j;
    for (unsigned i = 1; i <= a.size; i++) {
        unsigned *oldest = before;

        row[0] = i;
        for (unsigned j = 1; j <= b.size; j++) {
            row[j] = least(above[j], row[j - 1]) + 1;
            row[j] = least(row[j], above[j - 1] + (a.data[i - 1] != b.data[j - 1]));
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.size];
}

/* One slip, and one more for every four bytes: "lisen" may be two away, "no" only one. */
static bool is_nearer(struct bytes word, const char *name, unsigned *nearest)
{
    struct bytes candidate = bytes_from(name);
    unsigned away;

    if (word.size > NAME_MAX_COMPARED || candidate.size > NAME_MAX_COMPARED)
        return false;
    away = distance(word, candidate);
    if (away > 1 + word.size / 4 || away >= *nearest)
        return false;
    *nearest = away;
    return true;
}

static const char *suggest_section(const struct config_setting *settings, struct bytes section)
{
    const char *best = NULL;
    unsigned nearest = NAME_MAX_COMPARED + 1;

    for (; settings->section; settings++) {
        if (is_nearer(section, settings->section, &nearest))
            best = settings->section;
    }
    return best;
}

static const char *suggest_key(const struct config_setting *settings, struct bytes section,
                               struct bytes key)
{
    const char *best = NULL;
    unsigned nearest = NAME_MAX_COMPARED + 1;

    for (; settings->section; settings++) {
        if (bytes_equal(bytes_from(settings->section), section) &&
            is_nearer(key, settings->key, &nearest))
            best = settings->key;
    }
    return best;
}

void config_section_problem(const struct config_setting *settings, struct bytes section,
                            char problem[CONFIG_PROBLEM_SIZE])
{
    const char *meant = suggest_section(settings, section);
    char quoted[CONFIG_QUOTE_SIZE];
    const char *last = "";
    size_t used;

    config_quote(quoted, section);
    if (meant) {
        snprintf(problem, CONFIG_PROBLEM_SIZE, "unknown section [%s]; did you mean [%s]?", quoted,
                 meant);
        return;
    }
    used =
        (size_t)snprintf(problem, CONFIG_PROBLEM_SIZE, "unknown section [%s]; there are:", quoted);
    for (; settings->section && used < CONFIG_PROBLEM_SIZE; settings++) {
        if (strcmp(last, settings->section) != 0)
            used += (size_t)snprintf(problem + used, CONFIG_PROBLEM_SIZE - used, " [%s]",
                                     settings->section);
        last = settings->section;
    }
}

void config_key_problem(const struct config_setting *settings, struct bytes section,
                        struct bytes key, char problem[CONFIG_PROBLEM_SIZE])
{
    const char *meant = suggest_key(settings, section, key);
    const char *home = section_of(settings, key);
    char name[CONFIG_QUOTE_SIZE], place[CONFIG_QUOTE_SIZE];

    config_quote(name, key);
    config_quote(place, section);
    if (section.size == 0)
        snprintf(problem, CONFIG_PROBLEM_SIZE,
                 "key '%s' stands before any section; put it under [%s]", name,
                 home ? home : settings->section);
    else if (!config_section_known(settings, section))
        config_section_problem(settings, section, problem);
    else if (home)
        snprintf(problem, CONFIG_PROBLEM_SIZE,
                 "key '%s' does not belong in section [%s]; put it under [%s]", name, place, home);
    else if (meant)
        snprintf(problem, CONFIG_PROBLEM_SIZE,
                 "unknown key '%s' in section [%s]; did you mean '%s'?", name, place, meant);
    else
        snprintf(problem, CONFIG_PROBLEM_SIZE,
                 "unknown key '%s' in section [%s]; --help-config lists those that are known", name,
                 place);
}
