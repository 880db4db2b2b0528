/* A file of users, and a password's hash: whatever they hold, they are taken or refused with file
 * and line, and what is taken reads back the same. */
#include "proxy/password.h"
#include "proxy/users.h"
#include "shared/config.h"
#include "shared/error.h"
#include "tests/fuzz/check.h"
#include <string.h>

static void check_hash(const struct password *p)
{
    char text[PASSWORD_TEXT_SIZE];
    struct password again;

    CHECK(p->iterations >= PASSWORD_ITERATIONS_MIN && p->iterations <= PASSWORD_ITERATIONS_MAX);
    password_write(p, text);
    CHECK(password_read(bytes_from(text), &again) == 0);
    CHECK(memcmp(again.hash, p->hash, sizeof(p->hash)) == 0);
    CHECK(memcmp(again.salt, p->salt, sizeof(p->salt)) == 0);
    CHECK(again.iterations == p->iterations);
}

static void check_users(const struct users *u)
{
    CHECK(u->count >= 1 && u->count <= USERS_MAX);
    CHECK(users_find(u, bytes_from("default")) == USER_DEFAULT);
    CHECK(users_open(u) == (u->count == 1));
    for (uint32_t i = 1; i < u->count; i++) {
        CHECK(!u->list[i].free && !u->list[i].off);
        CHECK(users_find(u, bytes_from(u->list[i].name)) == (int)i);
        check_hash(&u->list[i].password);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[CONFIG_WHY_SIZE] = "";
    struct password password;
    struct users users;
    int failed = users_read(&users, "", "fuzz", bytes_of(data, size), why, sizeof(why));

    if (failed) {
        CHECK(failed == RK_INVALID && strncmp(why, "fuzz:", 5) == 0);
        CHECK(!users.list);
    } else {
        check_users(&users);
        users_free(&users);
    }
    if (password_read(bytes_of(data, size), &password) == 0)
        check_hash(&password);
    return 0;
}
