/* Hashes of passwords, and the list of users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/password.h"
#include "proxy/users.h"
#include "shared/config.h"
#include "shared/error.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* Of the password "secret"; made with Python's hashlib.pbkdf2_hmac. */
#define SALT_HEX "30313233343536373839616263646566"
#define HASH_HEX "b622961f2e0500609613c827e86b4a85ac43d8e79e0145165c54ffa7569a365f"
#define WORD     "pbkdf2-sha256:1000:" SALT_HEX ":" HASH_HEX

static const uint8_t salt[PASSWORD_SALT_SIZE] = "0123456789abcdef";
static char why[CONFIG_WHY_SIZE];

static void test_vector(void **state)
{
    struct password p;
    char text[PASSWORD_TEXT_SIZE];

    (void)state;
    assert_int_equal(password_make(&p, bytes_from("secret"), salt, 1000), 0);
    password_write(&p, text);
    assert_string_equal(text, WORD);
}

static void test_round_trip(void **state)
{
    struct password p, again;
    char text[PASSWORD_TEXT_SIZE];

    (void)state;
    assert_int_equal(password_make(&p, bytes_of("\1\n\xff", 3), salt, PASSWORD_ITERATIONS_MIN), 0);
    password_write(&p, text);
    assert_int_equal(password_read(bytes_from(text), &again), 0);
    assert_int_equal(again.iterations, p.iterations);
    assert_memory_equal(again.salt, p.salt, sizeof(p.salt));
    assert_memory_equal(again.hash, p.hash, sizeof(p.hash));
    assert_true(password_matches(&again, bytes_of("\1\n\xff", 3)));
    assert_false(password_matches(&again, bytes_of("\1\n\xfe", 3)));
    assert_false(password_matches(&again, bytes_of("\1\n", 2)));
    assert_false(password_matches(&again, bytes_of("\1\n\xff\0", 4)));
    assert_false(password_matches(&again, bytes_from("")));
}

static void test_sizes(void **state)
{
    uint8_t large[PASSWORD_SIZE_MAX + 1];
    struct password p;

    (void)state;
    memset(large, 1, sizeof(large));
    assert_int_equal(password_make(&p, bytes_from(""), salt, 1000), RK_INVALID);
    assert_int_equal(password_make(&p, bytes_of("a\0", 2), salt, 1000), RK_INVALID);
    assert_int_equal(password_make(&p, bytes_of(large, sizeof(large)), salt, 1000), RK_TOOBIG);
    assert_int_equal(password_make(&p, bytes_of(large, sizeof(large) - 1), salt, 1000), 0);
    assert_true(password_matches(&p, bytes_of(large, sizeof(large) - 1)));
    assert_false(password_matches(&p, bytes_of(large, sizeof(large))));
}

static void test_words_that_are_none(void **state)
{
    static const char *const words[] = {
        "secret",
        "pbkdf2-sha256:",
        "pbkdf2-sha512:1000:" SALT_HEX ":" HASH_HEX,
        "pbkdf2-sha256:999:" SALT_HEX ":" HASH_HEX,
        "pbkdf2-sha256:10000001:" SALT_HEX ":" HASH_HEX,
        "pbkdf2-sha256:99999999999999999999:" SALT_HEX ":" HASH_HEX,
        "pbkdf2-sha256:-1000:" SALT_HEX ":" HASH_HEX,
        "pbkdf2-sha256::" SALT_HEX ":" HASH_HEX,
        "pbkdf2-sha256:1000:" SALT_HEX HASH_HEX,
        "pbkdf2-sha256:1000:" HASH_HEX,
        "pbkdf2-sha256:1000:3031323334353637383961626364656G:" HASH_HEX,
        WORD "0",
        WORD " ",
        " " WORD,
    };
    struct password p;
    char text[sizeof(WORD)];

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_int_equal(password_read(bytes_from(words[i]), &p), RK_INVALID);
    memcpy(text, WORD, sizeof(text));
    for (size_t size = 0; size < strlen(WORD); size++)
        assert_int_equal(password_read(bytes_of(text, size), &p), RK_INVALID);
}

static void test_proof(void **state)
{
    uint8_t key[PASSWORD_PROOF_SIZE] = {1}, other[PASSWORD_PROOF_SIZE] = {2};
    uint8_t a[PASSWORD_PROOF_SIZE], b[PASSWORD_PROOF_SIZE];

    (void)state;
    assert_int_equal(password_prove(key, bytes_from("secret"), a), 0);
    assert_int_equal(password_prove(key, bytes_from("secret"), b), 0);
    assert_true(password_proof_equal(a, b));
    assert_int_equal(password_prove(other, bytes_from("secret"), b), 0);
    assert_false(password_proof_equal(a, b));
    assert_int_equal(password_prove(key, bytes_from("secreT"), b), 0);
    assert_false(password_proof_equal(a, b));
    assert_int_equal(password_prove(key, bytes_from(""), b), 0);
    assert_false(password_proof_equal(a, b));
}

static int read_users(struct users *u, const char *requirepass, const char *text)
{
    return users_read(u, requirepass, "users", bytes_from(text), why, sizeof(why));
}

static void test_nobody(void **state)
{
    struct users u;

    (void)state;
    assert_int_equal(read_users(&u, "", ""), 0);
    assert_int_equal(u.count, 1);
    assert_true(users_open(&u));
    assert_int_equal(users_find(&u, bytes_from("default")), USER_DEFAULT);
    assert_int_equal(users_find(&u, bytes_from("")), RK_NOTFOUND);
    users_free(&u);
}

static void test_default_user(void **state)
{
    struct users u;

    (void)state;
    assert_int_equal(read_users(&u, WORD, ""), 0);
    assert_false(users_open(&u));
    assert_false(u.list[USER_DEFAULT].off);
    assert_true(password_matches(&u.list[USER_DEFAULT].password, bytes_from("secret")));
    users_free(&u);
    assert_int_equal(read_users(&u, "secret", ""), RK_INVALID);
    assert_non_null(strstr(why, "--hash-password"));
    assert_null(strstr(why, "secret"));
}

static void test_file(void **state)
{
    struct users u;

    (void)state;
    assert_int_equal(read_users(&u, "", "# who\n\n  alice \t" WORD "  \r\n; and\nbob " WORD "\n"),
                     0);
    assert_int_equal(u.count, 3);
    assert_false(users_open(&u));
    assert_true(u.list[USER_DEFAULT].off);
    assert_int_equal(users_find(&u, bytes_from("alice")), 1);
    assert_int_equal(users_find(&u, bytes_from("bob")), 2);
    assert_int_equal(users_find(&u, bytes_from("Bob")), RK_NOTFOUND);
    users_free(&u);
    assert_int_equal(read_users(&u, WORD, "alice " WORD "\n"), 0);
    assert_false(u.list[USER_DEFAULT].off);
    users_free(&u);
    /* Without anybody nobody has to log in. */
    assert_int_equal(read_users(&u, "", ""), 0);
    assert_true(users_open(&u));
    assert_false(u.list[USER_DEFAULT].off);
    users_free(&u);
    /* The longest name, and the first and last characters that one may have. */
    assert_int_equal(
        read_users(&u, "",
                   "!2345678901234567890123456789012345678901234567890123456789012~4 " WORD "\n"),
        0);
    assert_int_equal(strlen(u.list[1].name), USER_NAME_MAX);
    users_free(&u);
}

static void test_file_wrong(void **state)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"alice " WORD, "users:1: the last line has no newline"},
        {"\nalice\n", "users:2: behind the user's name stands no hash"},
        {"alice secret\n", "no hash"},
        {"alice " WORD " x\n", "NAME HASH, and nothing behind it"},
        {"alice " WORD "\nalice " WORD "\n", "users:2: this user is there already"},
        {"default " WORD "\n", "requirepass"},
        {"al\xc3\xad"
         "ce " WORD "\n",
         "1 to 64 printable"},
        {"12345678901234567890123456789012345678901234567890123456789012345 " WORD "\n",
         "1 to 64 printable"},
    };
    struct users u;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_users(&u, "", cases[i].text), RK_INVALID);
        if (!strstr(why, cases[i].problem))
            fail_msg("\"%s\" has no \"%s\"", why, cases[i].problem);
        assert_null(u.list);
    }
    assert_int_equal(users_read(&u, "", "users", bytes_of("a\0b " WORD "\n", sizeof(WORD) + 4), why,
                                sizeof(why)),
                     RK_INVALID);
}

static void test_too_many(void **state)
{
    static char text[USERS_MAX * (sizeof(WORD) + 8)];
    struct users u;
    size_t size = 0;

    (void)state;
    for (unsigned i = 1; i < USERS_MAX; i++)
        size += (size_t)sprintf(text + size, "u%u " WORD "\n", i);
    assert_int_equal(read_users(&u, WORD, text), 0);
    assert_int_equal(u.count, USERS_MAX);
    users_free(&u);
    sprintf(text + size, "more " WORD "\n");
    assert_int_equal(read_users(&u, WORD, text), RK_INVALID);
    assert_non_null(strstr(why, "too many users"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector),       cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_words_that_are_none),
        cmocka_unit_test(test_proof),        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_default_user), cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_wrong),   cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
