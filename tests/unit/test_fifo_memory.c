/* Memory that is given back in the order in which it was taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/fifo_memory.h"
#include "tests/unit/effort.h"

enum { PIECES_MAX = 4096 };

static struct {
    unsigned char *at;
    size_t size;
    unsigned char fill;
} pieces[PIECES_MAX];

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *state >> 33;
}

static void check(size_t i)
{
    for (size_t k = 0; k < pieces[i].size; k++)
        assert_int_equal(pieces[i].at[k], pieces[i].fill);
}

/* Pieces of all sizes, larger ones than a block among them, keep what is in them. */
static void test_pieces(void **state)
{
    struct fifo_memory f = {NULL, NULL, NULL};
    uint64_t random = 1;
    size_t first = 0, count = 0;

    (void)state;
    for (unsigned turn = 0; turn < 20000; turn++) {
        size_t last = (first + count) % PIECES_MAX;
        /* Long stretches of growing, and of getting smaller down to nothing. */
        int grows = turn / 1000 % 2 == 0;

        if (count == 0 || (count < PIECES_MAX && next_random(&random) % 10 < (grows ? 7 : 3))) {
            size_t size = next_random(&random) % 500;

            if (next_random(&random) % 500 == 0)
                size = FIFO_BLOCK_SIZE / 2 + next_random(&random) % (2 * FIFO_BLOCK_SIZE);
            pieces[last].at = fifo_memory_take(&f, size);
            assert_non_null(pieces[last].at);
            assert_int_equal((uintptr_t)pieces[last].at % 16, 0);
            pieces[last].size = size;
            pieces[last].fill = (unsigned char)turn;
            memset(pieces[last].at, pieces[last].fill, size);
            count++;
        } else {
            check(first);
            fifo_memory_drop(&f);
            first = (first + 1) % PIECES_MAX;
            count--;
        }
    }
    fifo_memory_free(&f);
    assert_null(f.first);
}

/* A flow that stays as it is takes the same blocks again and again. */
static void test_steady(void **state)
{
    struct fifo_memory f = {NULL, NULL, NULL};
    void *seen[3] = {NULL};
    size_t kinds = 0;

    (void)state;
    for (unsigned turn = 0; turn < 100; turn++) {
        unsigned char *piece = fifo_memory_take(&f, FIFO_BLOCK_SIZE / 2);
        size_t i = 0;

        while (i < kinds && seen[i] != piece)
            i++;
        assert_in_range(i, 0, 2);
        kinds = i == kinds ? kinds + 1 : kinds;
        seen[i] = piece;
        if (turn)
            fifo_memory_drop(&f);
    }
    fifo_memory_free(&f);
}

/* What would not fit in memory is refused, and nothing is lost. */
static void test_too_large(void **state)
{
    struct fifo_memory f = {NULL, NULL, NULL};

    (void)state;
    if (SANITIZED)
        skip(); /* it ends the program over such a request: in a daemon that would be right */
    assert_non_null(fifo_memory_take(&f, 1));
    for (size_t less = 0; less < 64; less++)
        assert_null(fifo_memory_take(&f, SIZE_MAX - less));
    fifo_memory_drop(&f);
    assert_null(f.first);
    fifo_memory_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
