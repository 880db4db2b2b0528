/* The command table: every row makes sense, and names are found whatever their case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/command.h"
#include "proxy/command_arguments.h"
#include "proxy/command_likeness.h"
#include "shared/operation.h"
#include <cmocka.h>
#include <ctype.h>
#include <stdlib.h>

static struct command_index index_;

static int start(void **state)
{
    (void)state;
    command_index_init(&index_);
    return 0;
}

static void check_row(const struct command *c)
{
    assert_true(c->arity != 0);
    assert_non_null(c->run);
    assert_non_null(c->group);
    assert_non_null(c->since);
    assert_non_null(c->complexity);
    assert_non_null(c->syntax);
    assert_true(strlen(c->summary) > 0);
}

static void check_keys(const struct command *c)
{
    bool writes = c->flags & COMMAND_WRITE, reads = c->flags & COMMAND_READONLY;

    if (!c->op) {
        /* A command about all keys names none. */
        assert_true(!(writes || reads) || c->in_multi == COMMAND_OUTSIDE);
        /* WATCH asks about its keys and is no operation of a transaction. */
        assert_true(c->first_key == 0 || c->in_multi == COMMAND_AT_ONCE);
        return;
    }
    assert_int_not_equal(c->first_key, 0);
    assert_true(writes != reads);
    assert_int_equal(operation_info(c->op)->writes, writes);
    assert_true(c->key_step > 0);
    assert_non_null(c->key_access);
    /* The fewest arguments that are taken reach to the last key. */
    assert_true(abs(c->arity) > c->first_key);
    assert_true(c->last_key < 0 || c->last_key >= c->first_key);
}

static void test_rows(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < index_.count; i++) {
        const struct command *c = index_.all[i];

        check_row(c);
        check_keys(c);
        assert_true(strlen(c->name) <= COMMAND_NAME_MAX);
        for (const char *at = c->name; *at; at++)
            assert_true(*at >= 'a' && *at <= 'z'); /* command_find's folding relies on it */
        assert_true(i == 0 || strcmp(index_.all[i - 1]->name, c->name) < 0);
    }
}

static void test_families(void **state)
{
    (void)state;
    for (const struct command *const *family = command_families(); *family; family++)
        for (const struct command *c = *family; c->name; c++)
            assert_true(!c[1].name || strcmp(c->name, c[1].name) < 0);
}

static void test_subcommands(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < index_.count; i++) {
        const struct command *c = index_.all[i];

        for (const struct command *sub = c->subcommands; sub && sub->name; sub++) {
            size_t size = strlen(c->name);

            check_row(sub);
            check_keys(sub);
            assert_true(sub->first_key == 0 || sub->first_key == 2);
            assert_memory_equal(sub->name, c->name, size);
            assert_int_equal(sub->name[size], '|');
            assert_ptr_equal(command_find_sub(c, bytes_from(sub->name + size + 1)), sub);
        }
    }
}

static void test_find(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < index_.count; n++) {
        const struct command *c = index_.all[n];
        char name[COMMAND_NAME_MAX + 2];
        size_t size = strlen(c->name);

        for (int capitals = 0; capitals < 3; capitals++) {
            for (size_t i = 0; i < size; i++)
                name[i] = capitals == 0 || (capitals == 2 && i % 2)
                              ? c->name[i]
                              : (char)toupper((unsigned char)c->name[i]);
            assert_ptr_equal(command_find(&index_, bytes_of(name, size)), c);
        }
        /* One more byte, whatever it folds to, is another name. */
        name[size] = '\0';
        assert_null(command_find(&index_, bytes_of(name, size + 1)));
        name[size] = ' ';
        assert_null(command_find(&index_, bytes_of(name, size + 1)));
    }
}

static void test_not_found(void **state)
{
    static const char *const names[] = {"",     "g",      "ge",
                                        "gett", "nosuch", "a-very-long-name-of-nothing"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_null(command_find(&index_, bytes_from(names[i])));
    /* Bytes that become letters when bit 5 is set. */
    assert_null(command_find(&index_, bytes_of("\x47\x45\x14", 3)));
    assert_null(command_find_sub(command_find(&index_, bytes_from("client")), bytes_from("")));
    assert_null(command_find_sub(command_find(&index_, bytes_from("client")), bytes_from("i")));
    assert_null(command_find_sub(command_find(&index_, bytes_from("get")), bytes_from("x")));
}

static void test_arity(void **state)
{
    struct command exact = {.arity = 3}, least = {.arity = -2};

    (void)state;
    assert_false(command_takes(&exact, 2));
    assert_true(command_takes(&exact, 3));
    assert_false(command_takes(&exact, 4));
    assert_false(command_takes(&least, 1));
    assert_true(command_takes(&least, 2));
    assert_true(command_takes(&least, 1000));
}

/* --- what COMMAND DOCS tells of arguments ---------------------------------------------------- */

static void expect_arguments(const char *syntax, const char *wanted)
{
    const struct command c = {.name = "test", .first_key = 1, .syntax = syntax};
    struct buf out = {0};

    assert_int_equal(command_put_arguments(&out, &c, 3), 0);
    assert_int_equal(buf_len(&out), strlen(wanted));
    assert_memory_equal(buf_head(&out), wanted, strlen(wanted));
    buf_free(&out);
}

#define PAIR(name, size, value) name "$" #size "\r\n" value "\r\n"
#define NAME(size, value)       PAIR("$4\r\nname\r\n", size, value)
#define TYPE(size, value)       PAIR("$4\r\ntype\r\n", size, value)
#define TOKEN(size, value)      PAIR("$5\r\ntoken\r\n", size, value)
#define FLAGS(count)            "$5\r\nflags\r\n~" #count "\r\n"
#define INNER(count)            "$9\r\narguments\r\n*" #count "\r\n"

static void test_arguments(void **state)
{
    (void)state;
    expect_arguments("", "*0\r\n");
    expect_arguments("key value", "*2\r\n%3\r\n" NAME(3, "key")
                                      TYPE(3, "key") "$14\r\nkey_spec_index\r\n:0\r\n"
                                                     "%2\r\n" NAME(5, "value") TYPE(6, "string"));
    expect_arguments("[COUNT count]", "*1\r\n%4\r\n" NAME(5, "count") TYPE(7, "integer")
                                          TOKEN(5, "COUNT") FLAGS(1) "+optional\r\n");
    expect_arguments("ON | OFF", "*1\r\n%3\r\n" NAME(6, "option") TYPE(5, "oneof")
                                     INNER(2) "%3\r\n" NAME(2, "on") TYPE(10, "pure-token")
                                         TOKEN(2, "ON") "%3\r\n" NAME(3, "off")
                                             TYPE(10, "pure-token") TOKEN(3, "OFF"));
    expect_arguments("name [name ...]",
                     "*1\r\n%3\r\n" NAME(4, "name") TYPE(6, "string") FLAGS(1) "+multiple\r\n");
    expect_arguments("[name ...]", "*1\r\n%3\r\n" NAME(4, "name") TYPE(6, "string")
                                       FLAGS(2) "+optional\r\n+multiple\r\n");
    expect_arguments("[start end [BIT]]",
                     "*1\r\n%4\r\n" NAME(6, "option") TYPE(5, "block")
                         FLAGS(1) "+optional\r\n" INNER(3) "%2\r\n" NAME(5, "start")
                             TYPE(7, "integer") "%2\r\n" NAME(3, "end")
                                 TYPE(7, "integer") "%4\r\n" NAME(3, "bit") TYPE(10, "pure-token")
                                     TOKEN(3, "BIT") FLAGS(1) "+optional\r\n");
    expect_arguments("0|1", "*1\r\n%2\r\n" NAME(3, "0|1") TYPE(6, "string"));
}

/* That every row's can be read. */
static void test_arguments_of_rows(void **state)
{
    struct buf out = {0};

    (void)state;
    for (uint32_t i = 0; i < index_.count; i++)
        assert_int_equal(command_put_docs(&out, index_.all[i], 2), 0);
    buf_free(&out);
}

static void test_table_for_people(void **state)
{
    struct buf out = {0};
    char *text;

    (void)state;
    assert_int_equal(command_put_table(&out, &index_), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    text = (char *)buf_head(&out);
    assert_non_null(strstr(text, "| `GET key` | string | same |"));
    assert_non_null(strstr(text, "| `CLIENT ID` | connection | unique in one proxy |"));
    assert_non_null(strstr(text, "| `LEVELGET key 0\\|1\\|2` | string | not in Redis |"));
    assert_non_null(strstr(text, "\n| bitmap | BITFIELD, BITFIELD_RO, BITOP |\n"));
    assert_non_null(strstr(text, "LIB-NAME name \\| LIB-VER version"));
    buf_free(&out);
}

/* What is said not to be there is not. */
static void test_absences(void **state)
{
    (void)state;
    for (const struct command_absence *a = command_absences(); a->group; a++)
        for (const char *at = a->names; *at;) {
            size_t size = strcspn(at, ",");
            const char *space = memchr(at, ' ', size);
            const struct command *c =
                command_find(&index_, bytes_of(at, space ? (size_t)(space - at) : size));

            if (space) {
                assert_non_null(c);
                c = command_find_sub(c, bytes_of(space + 1, size - (size_t)(space + 1 - at)));
            }
            assert_null(c);
            at += size;
            at += strspn(at, ", ");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_subcommands),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_arity),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_arguments_of_rows),
        cmocka_unit_test(test_table_for_people),
        cmocka_unit_test(test_absences),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
