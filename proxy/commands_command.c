/* COMMAND: about the commands. */
#include "proxy/commands.h"
#include "proxy/glob.h"

typedef int command_writer(struct buf *out, const struct command *c, int version);

static void put_command(struct execution *x, command_writer *write, const struct command *c)
{
    struct buf *out = execution_out(x);

    if (out && write(out, c, x->session->resp) != 0)
        x->session->broken = true;
}

/* Of one that is named. False: there is no room, and an error in place of all of them. */
static bool put_named(struct execution *x, command_writer *write, const struct command *c)
{
    bool room = execution_has_room(x);

    if (room)
        put_command(x, write, c);
    else
        reply_too_large(x);
    return room;
}

/* Of all commands, in an array or a map. They are not that many, but EXEC may ask for them often.
 */
static void reply_all(struct execution *x, command_writer *write,
                      void (*begin)(struct execution *x, size_t count))
{
    const struct command_index *index = &x->router->commands;

    if (!execution_has_room(x)) {
        reply_too_large(x);
        return;
    }
    begin(x, index->count);
    for (uint32_t i = 0; i < index->count; i++)
        put_command(x, write, index->all[i]);
}

void run_command(struct execution *x)
{
    reply_all(x, command_put_info, reply_array);
}

void run_command_count(struct execution *x)
{
    reply_integer(x, x->router->commands.count);
}

void run_command_info(struct execution *x)
{
    if (x->count == 2) {
        reply_all(x, command_put_info, reply_array);
        return;
    }
    reply_array(x, x->count - 2);
    for (uint32_t i = 2; i < x->count; i++) {
        const struct command *c = command_find_full(&x->router->commands, x->args[i]);

        if (!c)
            reply_null(x);
        else if (!put_named(x, command_put_info, c))
            return;
    }
}

void run_command_docs(struct execution *x)
{
    uint32_t found = 0;

    if (x->count == 2) {
        reply_all(x, command_put_docs, reply_map);
        return;
    }
    for (uint32_t i = 2; i < x->count; i++)
        found += command_find_full(&x->router->commands, x->args[i]) != NULL;
    reply_map(x, found);
    for (uint32_t i = 2; i < x->count; i++) {
        const struct command *c = command_find_full(&x->router->commands, x->args[i]);

        if (c && !put_named(x, command_put_docs, c))
            return;
    }
}

/* Lists by module list nothing: there are no modules. */
enum list_filter { LIST_ALL, LIST_MODULE, LIST_CATEGORY, LIST_PATTERN, LIST_BAD };

static enum list_filter list_filter_of(const struct execution *x)
{
    if (x->count == 2)
        return LIST_ALL;
    if (x->count != 5 || !resp_word_is(x->args[2], "filterby"))
        return LIST_BAD;
    if (resp_word_is(x->args[3], "module"))
        return LIST_MODULE;
    if (resp_word_is(x->args[3], "aclcat"))
        return LIST_CATEGORY;
    return resp_word_is(x->args[3], "pattern") ? LIST_PATTERN : LIST_BAD;
}

static bool listed(const struct execution *x, enum list_filter filter, const struct command *c)
{
    switch (filter) {
    case LIST_ALL:
        return true;
    case LIST_CATEGORY:
        return command_categories(c) & command_category_named(x->args[4]);
    case LIST_PATTERN:
        return glob_match(x->args[4], bytes_from(c->name), true);
    case LIST_MODULE:
    case LIST_BAD:
        break;
    }
    return false;
}

static size_t list_one(struct execution *x, enum list_filter filter, const struct command *c,
                       bool write)
{
    if (!listed(x, filter, c))
        return 0;
    if (write)
        reply_text(x, c->name);
    return 1;
}

/* Counts the commands and subcommands that are to be listed, and lists them when `write`. */
static size_t list(struct execution *x, enum list_filter filter, bool write)
{
    const struct command_index *index = &x->router->commands;
    size_t count = 0;

    for (uint32_t i = 0; i < index->count; i++) {
        const struct command *sub = index->all[i]->subcommands;

        count += list_one(x, filter, index->all[i], write);
        for (; sub && sub->name; sub++)
            count += list_one(x, filter, sub, write);
    }
    return count;
}

void run_command_list(struct execution *x)
{
    enum list_filter filter = list_filter_of(x);

    if (filter == LIST_BAD) {
        reply_error(x, "ERR syntax error");
        return;
    }
    reply_array(x, list(x, filter, false));
    list(x, filter, true);
}

void run_command_getkeys(struct execution *x)
{
    const struct command *c = command_find(&x->router->commands, x->args[2]);
    uint32_t count = x->count - 2;
    int64_t last;

    if (c && c->subcommands && count > 1)
        c = command_find_sub(c, x->args[3]);
    if (!c) {
        reply_error(x, "ERR Invalid command specified");
    } else if (!c->first_key) {
        reply_error(x, "ERR The command has no key arguments");
    } else if (!command_takes(c, count)) {
        reply_error(x, "ERR Invalid number of arguments specified for command");
    } else {
        last = c->last_key < 0 ? (int64_t)count + c->last_key : c->last_key;
        reply_array(x, (size_t)((last - c->first_key) / c->key_step + 1));
        for (int64_t i = c->first_key; i <= last; i += c->key_step)
            reply_bulk(x, x->args[2 + i]);
    }
}
