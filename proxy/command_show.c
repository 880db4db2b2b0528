/* What the command table looks like from outside: COMMAND INFO, COMMAND DOCS, Markdown. */
#include "proxy/command.h"
#include "proxy/command_arguments.h"
#include "proxy/command_likeness.h"
#include "shared/error.h"
#include "shared/resp.h"
#include <stdio.h>

struct name {
    uint32_t bit;
    const char *text;
};

#define X(name, bit, text) {1u << (bit), text},
static const struct name flag_names[] = {COMMAND_FLAGS(X){0, NULL}};
static const struct name category_names[] = {COMMAND_CATEGORIES(X){0, NULL}};
#undef X

/* `error` gathers failures, so that the writers below read as what they write. */
struct writer {
    struct buf *out;
    int version;
    int error;
};

static void put(struct writer *w, int error)
{
    w->error = w->error ? w->error : error;
}

static void put_text(struct writer *w, const char *text)
{
    put(w, resp_put_bulk(w->out, bytes_from(text)));
}

static void put_names(struct writer *w, const struct name *names, uint32_t bits)
{
    put(w, resp_put_set(w->out, (size_t)__builtin_popcount(bits), w->version));
    for (; names->text; names++)
        if (bits & names->bit)
            put(w, resp_put_simple(w->out, names->text));
}

static size_t next_word(const char **rest, struct bytes *word)
{
    size_t size = strcspn(*rest, " ");

    *word = bytes_of(*rest, size);
    *rest += size + strspn(*rest + size, " ");
    return size;
}

static size_t count_words(const char *words)
{
    struct bytes word;
    size_t count = 0;

    while (next_word(&words, &word))
        count++;
    return count;
}

static void put_tips(struct writer *w, const char *tips)
{
    struct bytes word;

    tips = tips ? tips : "";
    put(w, resp_put_set(w->out, count_words(tips), w->version));
    while (next_word(&tips, &word))
        put(w, resp_put_bulk(w->out, word));
}

static void put_flag_words(struct writer *w, const char *words)
{
    struct bytes word;

    put(w, resp_put_set(w->out, count_words(words), w->version));
    while (next_word(&words, &word)) {
        char text[32];

        snprintf(text, sizeof(text), "%.*s", (int)word.size, (const char *)word.data);
        put(w, resp_put_simple(w->out, text));
    }
}

static void put_map(struct writer *w, size_t pairs)
{
    put(w, resp_put_map(w->out, pairs, w->version));
}

static void put_number(struct writer *w, const char *name, int64_t value)
{
    put_text(w, name);
    put(w, resp_put_integer(w->out, value));
}

/* Of keys from `first` to `last`. */
static void put_key_spec(struct writer *w, const struct command *c, const char *access, int first,
                         int last)
{
    put_map(w, c->key_note ? 4 : 3);
    if (c->key_note) {
        put_text(w, "notes");
        put_text(w, c->key_note);
    }
    put_text(w, "flags");
    put_flag_words(w, access);
    put_text(w, "begin_search");
    put_map(w, 2);
    put_text(w, "type");
    put_text(w, "index");
    put_text(w, "spec");
    put_map(w, 1);
    put_number(w, "index", first);
    put_text(w, "find_keys");
    put_map(w, 2);
    put_text(w, "type");
    put_text(w, "range");
    put_text(w, "spec");
    put_map(w, 3);
    /* Relative to the first key, unless it counts from the end. */
    put_number(w, "lastkey", last < 0 ? last : last - first);
    put_number(w, "keystep", c->key_step);
    put_number(w, "limit", 0);
}

static void put_key_specs(struct writer *w, const struct command *c)
{
    put(w, resp_put_set(w->out, !c->first_key ? 0 : c->last_access ? 2 : 1, w->version));
    if (c->last_access) {
        put_key_spec(w, c, c->key_access, c->first_key, c->first_key);
        put_key_spec(w, c, c->last_access, c->last_key, c->last_key);
    } else if (c->first_key) {
        put_key_spec(w, c, c->key_access, c->first_key, c->last_key);
    }
}

static size_t count_subcommands(const struct command *c)
{
    size_t count = 0;

    while (c->subcommands && c->subcommands[count].name)
        count++;
    return count;
}

int command_put_info(struct buf *out, const struct command *c, int version)
{
    struct writer w = {out, version, 0};
    size_t sub_count = count_subcommands(c);

    put(&w, resp_put_array(out, 10));
    put_text(&w, c->name);
    put(&w, resp_put_integer(out, c->arity));
    put_names(&w, flag_names, c->flags);
    put(&w, resp_put_integer(out, c->first_key));
    put(&w, resp_put_integer(out, c->last_key));
    put(&w, resp_put_integer(out, c->key_step));
    put_names(&w, category_names, command_categories(c));
    put_tips(&w, c->tips);
    put_key_specs(&w, c);
    /* Redis gives an empty set, but an array of some. */
    put(&w, sub_count ? resp_put_array(out, sub_count) : resp_put_set(out, 0, version));
    for (size_t i = 0; i < sub_count; i++)
        put(&w, command_put_info(out, &c->subcommands[i], version));
    return w.error;
}

static void put_pair(struct writer *w, const char *name, const char *value)
{
    put_text(w, name);
    put_text(w, value);
}

int command_put_docs(struct buf *out, const struct command *c, int version)
{
    struct writer w = {out, version, 0};
    size_t sub_count = count_subcommands(c);
    bool arguments = *c->syntax && !sub_count;

    put_text(&w, c->name);
    put_map(&w, 4 + (size_t)(arguments + (sub_count > 0)));
    put_pair(&w, "summary", c->summary);
    put_pair(&w, "since", c->since);
    put_pair(&w, "group", c->group);
    put_pair(&w, "complexity", c->complexity);
    if (arguments) {
        put_text(&w, "arguments");
        put(&w, command_put_arguments(out, c, version));
    }
    if (sub_count) {
        put_text(&w, "subcommands");
        put_map(&w, sub_count);
        for (size_t i = 0; i < sub_count; i++)
            put(&w, command_put_docs(out, &c->subcommands[i], version));
    }
    return w.error;
}

static void put_raw(struct writer *w, const char *text)
{
    put(w, buf_append(w->out, text, strlen(text)));
}

static void put_upper(struct writer *w, const char *name)
{
    for (; *name; name++) {
        char c = (char)(*name == '|'                   ? ' '
                        : *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A'
                                                       : *name);

        put(w, buf_append(w->out, &c, 1));
    }
}

/* A bar would end the cell. */
static void put_cell(struct writer *w, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            put_raw(w, "\\");
        put(w, buf_append(w->out, text, 1));
    }
}

static void put_likeness(struct writer *w, const struct command *c)
{
    const char *difference = command_difference(c->name);

    if (strncmp(c->since, "ringkv", 6) == 0)
        put_raw(w, "not in Redis");
    else if (difference)
        put_cell(w, difference);
    else
        put_raw(w, "same");
}

static void put_row(struct writer *w, const struct command *c)
{
    put_raw(w, "| `");
    put_upper(w, c->name);
    if (*c->syntax)
        put_raw(w, " ");
    put_cell(w, c->syntax);
    put_raw(w, "` | ");
    put_cell(w, c->group);
    put_raw(w, " | ");
    put_likeness(w, c);
    put_raw(w, " | ");
    put_cell(w, c->summary);
    put_raw(w, " | ");
    put_cell(w, c->complexity);
    put_raw(w, " |\n");
}

int command_put_table(struct buf *out, const struct command_index *index)
{
    struct writer w = {out, 2, 0};

    put_raw(&w, "| command | group | as in Redis 7.0 | what it does | complexity |\n"
                "|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < index->count; i++) {
        const struct command *c = index->all[i];

        /* A container that does nothing without a subcommand has no row of its own. */
        if (!c->subcommands || c->arity == -1)
            put_row(&w, c);
        for (const struct command *sub = c->subcommands; sub && sub->name; sub++)
            put_row(&w, sub);
    }
    put_raw(&w, "\n| group | commands of Redis 7.0 that are not there |\n|---|---|\n");
    for (const struct command_absence *a = command_absences(); a->group; a++) {
        put_raw(&w, "| ");
        put_raw(&w, a->group);
        put_raw(&w, " | ");
        put_raw(&w, a->names);
        put_raw(&w, " |\n");
    }
    return w.error;
}
