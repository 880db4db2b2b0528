#include "proxy/users.h"
#include "shared/error.h"
#include <stdio.h>
#include <stdlib.h>

#define HASH_RIGHT "it must be what 'ringproxy --hash-password' prints"

struct reading {
    struct users *users;
    const char *name;
    unsigned line;
    char *why;
    size_t why_size;
};

static int refuse(const struct reading *r, const char *problem)
{
    snprintf(r->why, r->why_size, "%s:%u: %s", r->name, r->line, problem);
    return RK_INVALID;
}

/* The text up to any of `ends`, taken off. */
static struct bytes take_until(struct bytes *text, const char *ends)
{
    size_t size = 0;

    while (size < text->size && !(text->data[size] && strchr(ends, text->data[size])))
        size++;

    struct bytes taken = bytes_of(text->data, size);

    *text = bytes_of(text->data + size, text->size - size);
    return taken;
}

static void skip(struct bytes *text, const char *what)
{
    while (text->size && *text->data && strchr(what, *text->data))
        *text = bytes_of(text->data + 1, text->size - 1);
}

static bool name_good(struct bytes name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] < '!' || name.data[i] > '~')
            return false;
    return name.size > 0 && name.size <= USER_NAME_MAX;
}

static int add(const struct reading *r, struct bytes name, struct bytes hash)
{
    struct users *u = r->users;
    struct user *user = &u->list[u->count];

    if (!name_good(name))
        return refuse(r, "a user's name has 1 to 64 printable characters and no blank");
    if (bytes_equal(name, bytes_from("default")))
        return refuse(r, "the user 'default' gets its password from [security] requirepass");
    if (users_find(u, name) >= 0)
        return refuse(r, "this user is there already");
    if (u->count == USERS_MAX)
        return refuse(r, "too many users; there may be 1023");
    *user = (struct user){0};
    memcpy(user->name, name.data, name.size);
    if (password_read(hash, &user->password) != 0)
        return refuse(r, "behind the user's name stands no hash; " HASH_RIGHT);
    u->count++;
    return 0;
}

static int read_line(const struct reading *r, struct bytes line)
{
    struct bytes name, hash;

    skip(&line, " \t");
    if (line.size == 0 || *line.data == '#' || *line.data == ';')
        return 0;
    name = take_until(&line, " \t");
    skip(&line, " \t");
    hash = take_until(&line, " \t");
    skip(&line, " \t");
    if (line.size)
        return refuse(r, "a line is NAME HASH, and nothing behind it");
    return add(r, name, hash);
}

static int read_lines(struct reading *r, struct bytes text)
{
    while (text.size) {
        struct bytes line = take_until(&text, "\n");
        int failed;

        r->line++;
        if (text.size == 0)
            return refuse(r, "the last line has no newline: the file was cut short");
        text = bytes_of(text.data + 1, text.size - 1);
        if (line.size && line.data[line.size - 1] == '\r')
            line.size--;
        failed = read_line(r, line);
        if (failed)
            return failed;
    }
    return 0;
}

int users_read(struct users *u, const char *requirepass, const char *name, struct bytes text,
               char *why, size_t why_size)
{
    struct reading r = {.users = u, .name = name, .why = why, .why_size = why_size};
    struct user *first;
    int failed;

    *u = (struct users){.list = calloc(USERS_MAX, sizeof(*u->list)), .count = 1};
    if (!u->list) {
        snprintf(why, why_size, "%s", rk_error_text(RK_NOMEM));
        return RK_NOMEM;
    }
    first = &u->list[USER_DEFAULT];
    strcpy(first->name, "default");
    failed = read_lines(&r, text);
    if (!failed && requirepass[0] && password_read(bytes_from(requirepass), &first->password)) {
        snprintf(why, why_size, "[security] requirepass is no hash; " HASH_RIGHT);
        failed = RK_INVALID;
    }
    if (failed) {
        users_free(u);
        return failed;
    }
    first->free = !requirepass[0] && u->count == 1;
    first->off = !requirepass[0] && u->count > 1;
    return 0;
}

void users_free(struct users *u)
{
    if (u->list)
        password_forget(u->list, USERS_MAX * sizeof(*u->list));
    free(u->list);
    *u = (struct users){0};
}

int users_find(const struct users *u, struct bytes name)
{
    for (uint32_t i = 0; i < u->count; i++)
        if (bytes_equal(bytes_from(u->list[i].name), name))
            return (int)i;
    return RK_NOTFOUND;
}
