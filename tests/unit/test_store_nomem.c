/* Every allocation of a store fails once: an error or a pause, no crash, and nothing acknowledged
 * is lost.
 *
 * Linked with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/store_memory.h"
#include "shared/error.h"
#include "shared/log.h"
#include "tests/unit/store_support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static atomic_int until = 0; /* allocations to go until the failure; 0 and below: none */

static bool fails(void)
{
    return atomic_load(&until) > 0 && atomic_fetch_sub(&until, 1) == 1;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

static void check_remembered(struct store *s, const struct model *m, uint64_t acknowledged)
{
    uint64_t remembered = model_remembered(s);
    struct model then;

    assert_true(remembered >= acknowledged);
    assert_true(remembered <= m->applied);
    model_init(&then, m->seed, m->large_values);
    while (then.applied < remembered)
        model_advance(&then);
    model_check(&then, s);
}

/* Applies batches, each again when it was refused, until one of them finds the store at its end. */
static bool apply_batches(struct store *s, struct model *m, int count)
{
    for (int i = 0; i < count; i++) {
        struct model_batch batch;
        uint64_t position;
        int error;

        model_next(m, &batch);
        do {
            error = store_apply(s, &batch.batch, &position);
            store_submit(s);
            assert_true(!error || error == RK_NOMEM || error == RK_FULL || error == RK_IO);
            if (error == RK_IO)
                return false;
        } while (error);
        model_advance(m);
        assert_int_equal(position, m->applied);
    }
    return true;
}

static void test_memory_store(void **state)
{
    bool met = true;

    (void)state;
    for (int nth = 1; met; nth++) {
        struct store *s = NULL;
        struct model m;
        int error;

        model_init(&m, (uint64_t)nth, false);
        atomic_store(&until, nth);
        error = store_memory_new(1, &s);
        if (!error) {
            assert_true(apply_batches(s, &m, 20));
            store_memory_sync(s, 10);
            met = atomic_load(&until) <= 0;
            atomic_store(&until, 0);
            model_check(&m, s);
            model_check_counts(&m, s);
            store_memory_crash(s);
            check_remembered(s, &m, 10);
            store_close(s);
        } else {
            assert_int_equal(error, RK_NOMEM);
        }
        atomic_store(&until, 0);
    }
}

/* Returns whether the nth allocation was met. */
static bool disk_store(int nth)
{
    struct store_disk_options options;
    char folder[512], why[STORE_WHY_SIZE];
    struct store *s = NULL;
    uint64_t acknowledged = 0;
    struct model m;
    bool met;
    int error;

    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    options.checkpoint_ms = 1;
    model_init(&m, (uint64_t)nth, false);
    atomic_store(&until, nth);
    error = store_disk_open(&options, &s, why, sizeof(why));
    if (!error) {
        if (apply_batches(s, &m, 30))
            test_sync(s, m.applied);
        acknowledged = store_poll(s, &error);
        met = atomic_load(&until) <= 0;
        atomic_store(&until, 0);
        if (!error) {
            assert_int_equal(acknowledged, m.applied);
            model_check(&m, s);
        }
        store_close(s);
    } else {
        assert_true(error == RK_NOMEM || error == RK_IO);
        assert_true(error == RK_NOMEM || why[0]);
        met = true;
    }
    atomic_store(&until, 0);
    error = store_disk_open(&options, &s, why, sizeof(why));
    assert_int_equal(error, 0);
    check_remembered(s, &m, acknowledged);
    store_close(s);
    test_folder_remove(folder);
    return met;
}

static void test_disk_store(void **state)
{
    int missed = 0;

    (void)state;
    for (int nth = 1; missed < 3; nth++)
        missed = disk_store(nth) ? 0 : missed + 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_store),
        cmocka_unit_test(test_disk_store),
    };

    log_open("test_store_nomem", "/dev/null", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
