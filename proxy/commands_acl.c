/* ACL: who is who. There are no rules: every user may do everything. */
#include "proxy/commands.h"
#include "proxy/login.h"
#include <stdio.h>

/* Of a router without logins. */
static const struct user nobody = {.name = "default", .free = true};

static uint32_t count_users(const struct execution *x)
{
    return x->router->logins ? x->router->logins->users->count : 1;
}

static const struct user *user_at(const struct execution *x, uint32_t index)
{
    return x->router->logins ? &x->router->logins->users->list[index] : &nobody;
}

void run_acl(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

void run_acl_whoami(struct execution *x)
{
    reply_text(x, user_at(x, x->session->user)->name);
}

/* There may be a thousand users, and EXEC may ask for them two thousand times. */
static bool has_room(struct execution *x)
{
    bool room = execution_has_room(x);

    if (!room)
        reply_too_large(x);
    return room;
}

void run_acl_users(struct execution *x)
{
    if (!has_room(x))
        return;
    reply_array(x, count_users(x));
    for (uint32_t i = 0; i < count_users(x); i++)
        reply_text(x, user_at(x, i)->name);
}

/* As lines of Redis's ACL file, but for the passwords. */
void run_acl_list(struct execution *x)
{
    if (!has_room(x))
        return;
    reply_array(x, count_users(x));
    for (uint32_t i = 0; i < count_users(x); i++) {
        const struct user *user = user_at(x, i);
        char line[USER_NAME_MAX + 64];
        int size = snprintf(line, sizeof(line), "user %s %s%s ~* &* +@all", user->name,
                            user->off ? "off" : "on", user->free ? " nopass" : "");

        reply_bulk(x, bytes_of(line, (size_t)size));
    }
}

/* Counts the commands of a category, and lists them when `write`; subcommands too. */
static size_t list_category(struct execution *x, const struct command *c, uint32_t category,
                            bool write)
{
    size_t count = 0;

    for (; c && c->name; c++) {
        if (command_categories(c) & category) {
            count++;
            if (write)
                reply_text(x, c->name);
        }
        count += list_category(x, c->subcommands, category, write);
    }
    return count;
}

static void reply_category(struct execution *x, uint32_t category)
{
    size_t count = 0;

    for (const struct command *const *family = command_families(); *family; family++)
        count += list_category(x, *family, category, false);
    reply_array(x, count);
    for (const struct command *const *family = command_families(); *family; family++)
        list_category(x, *family, category, true);
}

void run_acl_cat(struct execution *x)
{
    static const char *const names[] = {
#define X(id, bit, text) &text[1],
        COMMAND_CATEGORIES(X)
#undef X
    };
    uint32_t category;

    if (x->count > 3) {
        reply_wrong_subcommand(x);
        return;
    }
    if (x->count == 2) {
        reply_array(x, sizeof(names) / sizeof(names[0]));
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            reply_text(x, names[i]);
        return;
    }
    category = command_category_named(x->args[2]);
    if (category)
        reply_category(x, category);
    else
        reply_errorf(x, "ERR Unknown category '%.*s'", shown_size(x->args[2], SHOWN_MAX),
                     (const char *)x->args[2].data);
}
