/* The arena: what it gives is apart, aligned and stays; a reset keeps little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "node/arena.h"
#include <cmocka.h>
#include <stdalign.h>

static void test_rooms_stay(void **state)
{
    static const size_t sizes[] = {1, 0, 15, 16, 17, 4095, 4096, 4097, 100000, 3};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    unsigned char *rooms[COUNT];
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            rooms[i] = arena_alloc(&a, sizes[i]);
            assert_non_null(rooms[i]);
            assert_int_equal((uintptr_t)rooms[i] % alignof(max_align_t), 0);
            memset(rooms[i], (int)i, sizes[i]);
        }
        for (size_t i = 0; i < COUNT; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(rooms[i][k], i);
        arena_reset(&a);
    }
    arena_free(&a);
}

static void test_copy(void **state)
{
    struct arena a = {0};
    char text[] = "text";
    char *copy = arena_copy(&a, text, sizeof(text));

    (void)state;
    text[0] = 'T';
    assert_string_equal(copy, "text");
    assert_non_null(arena_copy(&a, NULL, 0));
    arena_free(&a);
}

/* The same small room comes again and again; a large one is given back. */
static void test_reset(void **state)
{
    struct arena a = {0};
    void *first = arena_alloc(&a, 100);

    (void)state;
    assert_non_null(arena_alloc(&a, ARENA_KEPT_SIZE + 1));
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    arena_free(&a);
    assert_non_null(arena_alloc(&a, ARENA_KEPT_SIZE + 1));
    arena_reset(&a);
    assert_null(a.newest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rooms_stay),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
