#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/store_memory.h"
#include "shared/error.h"
#include "shared/wire.h"
#include "tests/unit/store_model.h"
#include <stdlib.h>

static struct store *store_new(void)
{
    struct store *s;

    assert_int_equal(store_memory_new(1, &s), 0);
    return s;
}

/* Applies the model's next batch. */
static void advance(struct model *m, struct store *s)
{
    struct model_batch batch;
    uint64_t position;

    model_next(m, &batch);
    assert_int_equal(store_apply(s, &batch.batch, &position), 0);
    model_advance(m);
    assert_int_equal(position, m->applied);
}

static void test_holds_what_the_model_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct store *s = store_new();
        struct model m;

        model_init(&m, seed, true);
        for (int i = 0; i < 400; i++) {
            advance(&m, s);
            if (i % 20 == 0)
                model_check(&m, s);
            if (i % 7 == 0)
                store_submit(s);
            if (i % 13 == 0)
                store_memory_sync(s, store_memory_submitted(s) - (uint64_t)i % 5);
        }
        model_check(&m, s);
        model_check_counts(&m, s);
        store_close(s);
    }
}

static void test_crash_forgets_what_was_not_synced(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct store *s = store_new();
        uint64_t random = seed;
        struct model m;
        int error;

        model_init(&m, seed, false);
        for (int round = 0; round < 20; round++) {
            uint64_t applied = model_random(&random) % 40, synced;
            struct model then;

            for (uint64_t i = 0; i < applied; i++)
                advance(&m, s);
            store_submit(s);
            synced = store_poll(s, &error) + model_random(&random) % 40;
            store_memory_sync(s, synced);
            if (synced > m.applied)
                synced = m.applied;
            assert_int_equal(store_poll(s, &error), synced);
            assert_int_equal(error, 0);
            store_memory_crash(s);
            assert_int_equal(store_memory_applied(s), synced);
            model_init(&then, seed, false);
            while (then.applied < synced)
                model_advance(&then);
            model_check(&then, s);
            model_check_counts(&then, s);
            m = then;
        }
        store_close(s);
    }
}

static struct store_change put_of(const char *key, const char *value)
{
    return (struct store_change){STORE_PUT, bytes_from(key), {.value = bytes_from(value)}};
}

static int apply_one(struct store *s, struct store_change change, uint64_t *position)
{
    struct store_batch batch = {.changes = &change, .change_count = 1};

    return store_apply(s, &batch, position);
}

static void test_tells_what_must_be_synced(void **state)
{
    struct store_change forget = {STORE_FORGET, bytes_from("key"), {.value = {0}}};
    struct store *s = store_new();
    struct store_record record;
    uint64_t position;

    (void)state;
    assert_int_equal(store_get(s, bytes_from("key"), &record, &position), RK_NOTFOUND);
    assert_int_equal(position, 0);
    assert_int_equal(apply_one(s, put_of("key", "one"), &position), 0);
    assert_int_equal(store_get(s, bytes_from("key"), &record, &position), 0);
    assert_int_equal(position, 1);
    assert_true(bytes_equal(record.value, bytes_from("one")));
    store_memory_sync(s, 1); /* not submitted: nothing happens */
    assert_int_equal(store_get(s, bytes_from("key"), &record, &position), 0);
    assert_int_equal(position, 1);
    store_submit(s);
    store_memory_sync(s, 1);
    assert_int_equal(store_get(s, bytes_from("key"), &record, &position), 0);
    assert_int_equal(position, 0);
    assert_int_equal(apply_one(s, forget, &position), 0);
    assert_int_equal(store_get(s, bytes_from("key"), &record, &position), RK_NOTFOUND);
    assert_int_equal(position, 2);
    store_submit(s);
    store_memory_sync(s, 2);
    assert_int_equal(store_get(s, bytes_from("key"), &record, &position), RK_NOTFOUND);
    assert_int_equal(position, 0);
    store_close(s);
}

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

static void test_auto_syncs_at_submit(void **state)
{
    struct store *s = store_new();
    uint64_t position;
    int wakes = 0, error;

    (void)state;
    store_memory_auto(s, count_wake, &wakes);
    store_submit(s);
    assert_int_equal(wakes, 0);
    assert_int_equal(apply_one(s, put_of("a", "b"), &position), 0);
    assert_int_equal(store_poll(s, &error), 0);
    store_submit(s);
    assert_int_equal(wakes, 1);
    assert_int_equal(store_poll(s, &error), 1);
    store_close(s);
}

static void test_switches_refuse(void **state)
{
    struct store *s = store_new();
    struct store_stats stats;
    uint64_t position;
    int error;

    (void)state;
    store_memory_set_nospace(s, true);
    assert_int_equal(apply_one(s, put_of("a", "b"), &position), RK_NOSPACE);
    store_memory_set_nospace(s, false);
    store_memory_set_full(s, true);
    assert_int_equal(apply_one(s, put_of("a", "b"), &position), RK_FULL);
    store_memory_set_full(s, false);
    assert_int_equal(apply_one(s, put_of("a", "b"), &position), 0);
    assert_int_equal(position, 1);
    store_stats(s, &stats);
    assert_int_equal(stats.nospace_refusals, 1);
    assert_int_equal(stats.full_refusals, 1);
    store_memory_fail_sync(s);
    store_submit(s);
    store_memory_sync(s, 1);
    assert_int_equal(store_poll(s, &error), 0);
    assert_int_equal(error, RK_IO);
    store_memory_sync(s, 1);
    assert_int_equal(store_poll(s, &error), 0);
    assert_int_equal(error, RK_IO);
    assert_int_equal(apply_one(s, put_of("a", "c"), &position), RK_IO);
    store_memory_crash(s);
    assert_int_equal(store_poll(s, &error), 0);
    assert_int_equal(error, 0);
    assert_int_equal(apply_one(s, put_of("a", "c"), &position), 0);
    store_close(s);
}

static void test_bounds_are_kept(void **state)
{
    static uint8_t large[STORE_KEY_SIZE_MAX + 1];
    struct store *s = store_new();
    struct store_change change = put_of("", "b");
    struct store_batch batch = {.partition = PARTITIONS_MAX};
    uint64_t position;

    (void)state;
    assert_int_equal(apply_one(s, change, &position), RK_INVALID);
    change.key = bytes_of(large, sizeof(large));
    assert_int_equal(apply_one(s, change, &position), RK_TOOBIG);
    change.key = bytes_of(large, sizeof(large) - 1);
    assert_int_equal(apply_one(s, change, &position), 0);
    change.record.value.size = (size_t)VALUE_SIZE_MAX + 1;
    assert_int_equal(apply_one(s, change, &position), RK_TOOBIG);
    assert_int_equal(store_apply(s, &batch, &position), RK_INVALID);
    batch.partition = 0;
    batch.state = bytes_of(large, STORE_STATE_MAX + 1);
    assert_int_equal(store_apply(s, &batch, &position), RK_TOOBIG);
    batch.state = bytes_of(NULL, 0);
    batch.change_count = STORE_CHANGES_MAX + 1;
    assert_int_equal(store_apply(s, &batch, &position), RK_TOOBIG);
    store_close(s);
}

static int each_damaged(void *arg, struct bytes key, const struct store_record *record)
{
    int *damaged = arg;

    *damaged += record == NULL;
    assert_true(record != NULL || bytes_equal(key, bytes_from("b")));
    return 0;
}

static void test_damage_is_told_and_repaired(void **state)
{
    struct store *s = store_new();
    struct store_record record;
    uint8_t key[STORE_KEY_SIZE_MAX];
    uint64_t position;
    size_t size;
    int damaged = 0;

    (void)state;
    assert_int_equal(apply_one(s, put_of("a", "1"), &position), 0);
    assert_int_equal(apply_one(s, put_of("b", "2"), &position), 0);
    assert_int_equal(apply_one(s, put_of("c", "3"), &position), 0);
    assert_int_equal(store_damaged(s, key, &size), RK_NOTFOUND);
    assert_int_equal(store_memory_damage(s, bytes_from("x")), RK_NOTFOUND);
    assert_int_equal(store_memory_damage(s, bytes_from("b")), 0);
    assert_int_equal(store_get(s, bytes_from("b"), &record, &position), RK_CORRUPT);
    assert_int_equal(store_scan(s, bytes_from("a"), bytes_from("z"), each_damaged, &damaged),
                     RK_CORRUPT);
    assert_int_equal(damaged, 1);
    assert_int_equal(store_damaged(s, key, &size), 0);
    assert_true(bytes_equal(bytes_of(key, size), bytes_from("b")));
    assert_int_equal(store_damaged(s, key, &size), RK_NOTFOUND);
    assert_int_equal(apply_one(s, put_of("b", "2"), &position), 0);
    assert_int_equal(store_get(s, bytes_from("b"), &record, &position), 0);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_what_the_model_holds),
        cmocka_unit_test(test_crash_forgets_what_was_not_synced),
        cmocka_unit_test(test_tells_what_must_be_synced),
        cmocka_unit_test(test_auto_syncs_at_submit),
        cmocka_unit_test(test_switches_refuse),
        cmocka_unit_test(test_bounds_are_kept),
        cmocka_unit_test(test_damage_is_told_and_repaired),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
