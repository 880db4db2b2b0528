/* The last change of each key, few or many, in the order in which the keys came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/change_list.h"
#include <stdio.h>

enum { MANY = 3000 };

static struct store_change change_of(const char *key, int64_t tag)
{
    return (struct store_change){STORE_PUT, bytes_from(key), {.expire_ms = tag}};
}

static void test_replace(void **state)
{
    struct change_list l = {0};
    struct store_change change = change_of("position-a", 1);

    (void)state;
    assert_null(change_list_find(&l, bytes_from("position-a")));
    assert_int_equal(change_list_put(&l, &change), 0);
    change = change_of("position-b", 2);
    assert_int_equal(change_list_put(&l, &change), 0);
    change = change_of("position-a", 3);
    assert_int_equal(change_list_put(&l, &change), 0);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.items[0].record.expire_ms, 3);
    assert_int_equal(change_list_find(&l, bytes_from("position-b"))->record.expire_ms, 2);
    change_list_clear(&l);
    assert_int_equal(l.count, 0);
    assert_null(change_list_find(&l, bytes_from("position-a")));
    change_list_free(&l);
}

/* Twice over each key, so through every growth of the index. */
static void test_many(void **state)
{
    struct change_list l = {0};
    static char keys[MANY][24];

    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            struct store_change change;

            snprintf(keys[i], sizeof(keys[i]), "position-%d", i);
            change = change_of(keys[i], i + round * MANY);
            assert_int_equal(change_list_put(&l, &change), 0);
            assert_int_equal(l.count, round ? MANY : i + 1);
            assert_ptr_equal(change_list_find(&l, bytes_from(keys[i])), &l.items[i]);
        }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(l.items[i].record.expire_ms, i + MANY);
    assert_null(change_list_find(&l, bytes_from("position-x")));
    change_list_clear(&l);
    assert_null(change_list_find(&l, bytes_from("position-1")));
    change_list_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
