/* Who may log in, and with which password. Every user may do everything. */
#ifndef RINGKV_PROXY_USERS_H
#define RINGKV_PROXY_USERS_H

#include "proxy/password.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    USERS_MAX = 1024,
    USER_NAME_MAX = 64,
    USER_DEFAULT = 0, /* who a client is that names nobody */
};

struct user {
    char name[USER_NAME_MAX + 1];
    bool off;  /* the default user, when others are named and it has no password */
    bool free; /* needs no password; only the default user can be */
    struct password password;
};

struct users {
    struct user *list; /* the default user first, then in the order of the file */
    uint32_t count;
};

/* Makes the list: `requirepass` is the default user's hash, "" for none; `text` is a file of lines
 * "NAME HASH" (comments begin with # or ;), which messages call `name`. Without any password the
 * default user is free; with users but none of its own it is off. 0; RK_INVALID or RK_NOMEM with
 * the reason, and what would be right, in `why`, and nothing to be freed. */
int users_read(struct users *u, const char *requirepass, const char *name, struct bytes text,
               char *why, size_t why_size);
void users_free(struct users *u);

/* The index of a user, RK_NOTFOUND. */
int users_find(const struct users *u, struct bytes name);

/* Whether clients need not log in. */
static inline bool users_open(const struct users *u)
{
    return u->list[USER_DEFAULT].free;
}

#endif
