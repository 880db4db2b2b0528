/* Words and plan files → edits. */
#include "shared/error.h"
#include "tools/edit.h"
#include "tools/member_spec.h"
#include "tools/why.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parse {
    struct edits *edits;
    int count;
    char **words; /* of one command; words[0] is its name */
    struct why why;
};

void edits_free(struct edits *e)
{
    free(e->list);
    *e = (struct edits){0};
}

static struct edit *append(struct parse *p, enum edit_kind kind)
{
    struct edits *e = p->edits;
    struct edit *grown;

    if (e->count == EDITS_MAX) {
        why_set(&p->why, RK_INVALID, "more than %d changes at once; give them in several plans",
                EDITS_MAX);
        return NULL;
    }
    grown = realloc(e->list, (e->count + 1) * sizeof(*grown));
    if (!grown) {
        why_set(&p->why, RK_NOMEM, "out of memory");
        return NULL;
    }
    e->list = grown;
    e->list[e->count] = (struct edit){.kind = kind};
    return &e->list[e->count++];
}

/* --- values --------------------------------------------------------------------------------- */

static bool read_number(const char *text, long min, long max, long *out)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 9 || text[digits])
        return false;
    *out = strtol(text, NULL, 10);
    return *out >= min && *out <= max;
}

static int set_weight(struct parse *p, struct edit *edit, const char *text)
{
    edit->has_weight = true;
    return member_weight_parse(text, &edit->node, &p->why);
}

static int set_zone(struct parse *p, struct edit *edit, const char *text)
{
    edit->has_zone = true;
    return member_zone_parse(text, &edit->node, &p->why);
}

static int set_name(struct parse *p, struct edit *edit, const char *text)
{
    if (!ring_name_valid(text))
        return why_set(&p->why, RK_INVALID,
                       "'%s' is not the name of a node; a name is 1 to %d letters, digits, '-', "
                       "'_' or '.'",
                       text, NAME_SIZE_MAX);
    snprintf(edit->name, sizeof(edit->name), "%s", text);
    return 0;
}

/* NAME=HOST:PORT[:ZONE[:WEIGHT]] */
static int set_node(struct parse *p, struct edit *edit, const char *text)
{
    char reason[EDIT_WHY_SIZE];
    int error = member_spec_parse(text, &edit->node, reason, sizeof(reason));

    if (error == RK_INVALID)
        return why_set(&p->why, RK_INVALID, "%s", reason);
    if (error)
        return why_set(&p->why, error, "%s", rk_error_text(error));
    edit->has_weight = edit->has_zone = true;
    return 0;
}

/* --- the commands --------------------------------------------------------------------------- */

/* An option of the node named before it. */
static int parse_node_option(struct parse *p, struct edit *edit, const char *option,
                             const char *value)
{
    if (!edit)
        return why_set(&p->why, RK_INVALID,
                       "%s stands before any NAME=HOST:PORT; write it behind "
                       "the node that it is about",
                       option);
    if (!value)
        return why_set(&p->why, RK_INVALID, "%s needs a value", option);
    if (strcmp(option, "--weight") == 0)
        return set_weight(p, edit, value);
    if (strcmp(option, "--zone") == 0)
        return set_zone(p, edit, value);
    return why_set(&p->why, RK_INVALID, "unknown option '%s'", option);
}

static int parse_add(struct parse *p)
{
    struct edit *edit = NULL;

    for (int i = 1; i < p->count; i++) {
        int error;

        if (strncmp(p->words[i], "--", 2) == 0) {
            error =
                parse_node_option(p, edit, p->words[i], i + 1 < p->count ? p->words[i + 1] : NULL);
            i++;
        } else {
            edit = append(p, EDIT_ADD);
            error = edit ? set_node(p, edit, p->words[i]) : p->why.error;
        }
        if (error)
            return error;
    }
    return edit ? 0 : why_set(&p->why, RK_INVALID, "add needs at least one NAME=HOST:PORT");
}

static int parse_remove(struct parse *p)
{
    if (p->count < 2)
        return why_set(&p->why, RK_INVALID, "remove needs at least one NAME");
    for (int i = 1; i < p->count; i++) {
        struct edit *edit = append(p, EDIT_REMOVE);
        int error = edit ? set_name(p, edit, p->words[i]) : p->why.error;

        if (error)
            return error;
    }
    return 0;
}

static int parse_replace(struct parse *p)
{
    struct edit *edit;
    int error;

    if (p->count != 3)
        return why_set(&p->why, RK_INVALID, "replace needs the OLD name and NEW=HOST:PORT");
    edit = append(p, EDIT_REPLACE);
    if (!edit)
        return p->why.error;
    error = set_name(p, edit, p->words[1]);
    if (!error)
        error = set_node(p, edit, p->words[2]);
    if (!error && (edit->node.zone[0] || edit->node.weight != 1))
        error = why_set(&p->why, RK_INVALID,
                        "%s takes the zone and weight of %s; 'set' changes them afterwards",
                        edit->node.name, edit->name);
    return error;
}

static int parse_assignment(struct parse *p, struct edit *edit, const char *word)
{
    if (strncmp(word, "weight=", 7) == 0)
        return set_weight(p, edit, word + 7);
    if (strncmp(word, "zone=", 5) == 0)
        return set_zone(p, edit, word + 5);
    return why_set(&p->why, RK_INVALID, "'%s' is neither weight=W nor zone=Z", word);
}

static int parse_set_replicas(struct parse *p)
{
    const char *text = p->words[1] + strlen("replicas=");
    struct edit *edit;
    long replicas;

    if (p->count != 2)
        return why_set(&p->why, RK_INVALID, "nothing may follow %s", p->words[1]);
    if (!read_number(text, 1, REPLICAS_MAX, &replicas))
        return why_set(&p->why, RK_INVALID, "replicas=%s is not possible; 1 to %d are", text,
                       REPLICAS_MAX);
    edit = append(p, EDIT_REPLICAS);
    if (!edit)
        return p->why.error;
    edit->replicas = (uint8_t)replicas;
    return 0;
}

static int parse_set(struct parse *p)
{
    struct edit *edit;
    int error;

    if (p->count >= 2 && strncmp(p->words[1], "replicas=", 9) == 0)
        return parse_set_replicas(p);
    if (p->count < 3)
        return why_set(&p->why, RK_INVALID,
                       "set needs a NAME with weight=W or zone=Z, or replicas=N");
    edit = append(p, EDIT_SET);
    if (!edit)
        return p->why.error;
    error = set_name(p, edit, p->words[1]);
    memcpy(edit->node.name, edit->name, sizeof(edit->name)); /* for messages about it */
    for (int i = 2; i < p->count && !error; i++)
        error = parse_assignment(p, edit, p->words[i]);
    return error;
}

static int parse_rebalance(struct parse *p)
{
    if (p->count != 1)
        return why_set(&p->why, RK_INVALID, "nothing may follow rebalance");
    return append(p, EDIT_REBALANCE) ? 0 : p->why.error;
}

static const struct {
    const char *name;
    int (*parse)(struct parse *p);
} commands[] = {
    {"add", parse_add}, {"remove", parse_remove},       {"replace", parse_replace},
    {"set", parse_set}, {"rebalance", parse_rebalance},
};

static int parse_command(struct parse *p)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(p->words[0], commands[i].name) == 0)
            return commands[i].parse(p);
    return why_set(&p->why, RK_INVALID,
                   "'%s' is not a change; add, remove, replace, set and rebalance are",
                   p->words[0]);
}

int edits_parse_words(struct edits *e, int count, char **words, char *why, size_t why_size)
{
    struct parse p = {.edits = e, .count = count, .words = words, .why = why_in(why, why_size)};

    return parse_command(&p);
}

/* --- plan files ----------------------------------------------------------------------------- */

static bool is_printable(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++)
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] >= 0x7f)
            return false;
    return true;
}

/* Cuts the line, of which it keeps a copy, into words and reads them. */
static int parse_line(struct edits *e, struct bytes line, size_t number, struct why *why)
{
    char copy[EDIT_LINE_MAX + 1], reason[EDIT_WHY_SIZE], *words[EDIT_WORDS_MAX], *rest = copy,
                                                                                 *word;
    int count = 0, error;

    if (line.size && line.data[line.size - 1] == '\r')
        line.size--;
    if (line.size > EDIT_LINE_MAX)
        return why_set(why, RK_INVALID, "line %zu is longer than %d bytes", number, EDIT_LINE_MAX);
    if (!is_printable(line))
        return why_set(why, RK_INVALID, "line %zu has characters that are not ASCII text", number);
    if (line.size)
        memcpy(copy, line.data, line.size);
    copy[line.size] = '\0';
    copy[strcspn(copy, "#")] = '\0';
    while ((word = strsep(&rest, " \t")) != NULL) {
        /* "--weight=2" is two words here as on the command line. */
        char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;

        if (!*word)
            continue;
        if (count + (equals != NULL) >= EDIT_WORDS_MAX)
            return why_set(why, RK_INVALID, "line %zu has more than %d words; write several lines",
                           number, EDIT_WORDS_MAX);
        words[count++] = word;
        if (!equals)
            continue;
        *equals = '\0';
        words[count++] = equals + 1;
    }
    if (count == 0)
        return 0;
    error = edits_parse_words(e, count, words, reason, sizeof(reason));
    return error ? why_set(why, error, "line %zu: %s", number, reason) : 0;
}

int edits_parse_text(struct edits *e, struct bytes text, char *why, size_t why_size)
{
    struct why reason = why_in(why, why_size);
    size_t number = 0;

    if (text.size > EDIT_FILE_MAX)
        return why_set(&reason, RK_INVALID, "a plan file has at most %d bytes", EDIT_FILE_MAX);
    while (text.size) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        int error = parse_line(e, bytes_of(text.data, size), ++number, &reason);

        if (error)
            return error;
        size += end != NULL;
        text = bytes_of(text.data + size, text.size - size);
    }
    if (e->count == 0)
        return why_set(&reason, RK_INVALID,
                       "the file asks for nothing; write a line such as "
                       "'add n4=10.0.0.4:7400'");
    return 0;
}
