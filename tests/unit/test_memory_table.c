#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/expiry_rank.h"
#include "node/memory_table.h"
#include "shared/error.h"
#include "shared/wire.h"
#include "tests/unit/store_model.h"
#include <stdlib.h>

enum { KEYS = 20000 };

/* Kinds of keys, to meet every way in which the tree can grow. */
enum order { RANDOM, ASCENDING, DESCENDING, ONE_POSITION, ORDERS };

static struct bytes key_of(enum order order, uint64_t number, uint8_t key[16])
{
    uint64_t random = number, position = model_random(&random);

    if (order != RANDOM)
        position = order == ONE_POSITION ? 42 : number * 3;
    wire_put_position(key, position);
    wire_put_position(key + 8, number);
    return bytes_of(key, 16);
}

struct table {
    struct memory_pool pool;
    struct memory_table table;
    uint64_t position;
};

static void table_init(struct table *t)
{
    *t = (struct table){.position = 0};
    memory_pool_init(&t->pool, 1 << 20);
    assert_int_equal(memory_table_init(&t->table, &t->pool, 1 << 19, 12345), 0);
}

static void table_free(struct table *t)
{
    memory_table_free(&t->table);
    memory_pool_free(&t->pool);
}

static void put_batch(struct table *t, const struct store_batch *batch)
{
    size_t before = memory_table_bytes(&t->table), growth = memory_table_growth(&t->table, batch);

    assert_int_equal(memory_table_reserve(&t->table, batch), 0);
    assert_int_equal(memory_table_bytes(&t->table), before + growth);
    memory_table_put(&t->table, batch, ++t->position);
    assert_int_equal(memory_table_bytes(&t->table), before + growth);
}

static void put(struct table *t, struct bytes key, struct bytes value, int64_t expire_ms)
{
    struct store_change change = {
        STORE_PUT, key, {.version = {1, t->position}, .expire_ms = expire_ms, .value = value}};
    struct store_batch batch = {.changes = &change, .change_count = 1};

    put_batch(t, &batch);
}

static void forget(struct table *t, struct bytes key)
{
    struct store_change change = {.kind = STORE_FORGET, .key = key};
    struct store_batch batch = {.changes = &change, .change_count = 1};

    put_batch(t, &batch);
}

static const struct memory_record *get(struct table *t, struct bytes key)
{
    return memory_table_get(&t->table, memory_table_hash(&t->table, key), key);
}

static size_t check_order(struct table *t, struct bytes from)
{
    const struct memory_record *record;
    struct bytes last = {0};
    struct key_walk walk;
    size_t count = 0;

    key_walk_begin(&walk, &t->table.by_key, from);
    for (; (record = key_walk_at(&walk)) != NULL; key_walk_next(&walk)) {
        struct bytes key = memory_record_key(record);

        assert_true(bytes_compare(key, from) >= 0);
        assert_true(count == 0 || bytes_compare(last, key) < 0);
        assert_ptr_equal(get(t, key), record);
        last = key;
        count++;
    }
    return count;
}

static uint64_t number_at(enum order order, uint64_t i)
{
    if (order == DESCENDING)
        return KEYS - i;
    return order == ONE_POSITION ? i * 7919 % KEYS : i;
}

static void test_finds_and_orders(void **state)
{
    uint8_t key[16], from[16];

    (void)state;
    for (enum order order = RANDOM; order < ORDERS; order++) {
        struct table t;

        table_init(&t);
        for (uint64_t i = 0; i < KEYS; i++)
            put(&t, key_of(order, number_at(order, i), key), bytes_of(&i, 8), 0);
        for (uint64_t i = 0; i < KEYS; i++) {
            const struct memory_record *record = get(&t, key_of(order, number_at(order, i), key));

            assert_non_null(record);
            assert_int_equal(record->position, i + 1);
            assert_memory_equal(memory_record_value(record).data, &i, 8);
        }
        assert_null(get(&t, key_of(order, KEYS + 1, key)));
        assert_null(get(&t, bytes_of(key, 15)));
        assert_int_equal(check_order(&t, bytes_of(NULL, 0)), KEYS);
        for (uint64_t i = 0; i < KEYS; i += KEYS / 10) {
            size_t expected = 0;

            key_of(order, number_at(order, i), from);
            for (uint64_t j = 0; j < KEYS; j++)
                expected +=
                    bytes_compare(key_of(order, number_at(order, j), key), bytes_of(from, 16)) >= 0;
            assert_int_equal(check_order(&t, bytes_of(from, 16)), expected);
        }
        table_free(&t);
    }
}

static void test_keeps_the_newest(void **state)
{
    static uint8_t large[1000];
    struct table t;
    const struct memory_record *record;
    size_t bytes;

    (void)state;
    table_init(&t);
    put(&t, bytes_from("key"), bytes_from("first"), 0);
    put(&t, bytes_from("key"), bytes_from("2nd"), 5);
    record = get(&t, bytes_from("key"));
    assert_true(bytes_equal(memory_record_value(record), bytes_from("2nd")));
    assert_int_equal(record->expire_ms, 5);
    put(&t, bytes_from("key"), bytes_of(large, sizeof(large)), 0);
    record = get(&t, bytes_from("key"));
    assert_int_equal(record->value_size, sizeof(large));
    assert_int_equal(record->expire_ms, 0);
    forget(&t, bytes_from("key"));
    assert_true(get(&t, bytes_from("key"))->forgotten);
    forget(&t, bytes_from("other"));
    assert_true(get(&t, bytes_from("other"))->forgotten);
    put(&t, bytes_from("key"), bytes_from("again"), 0);
    assert_false(get(&t, bytes_from("key"))->forgotten);
    assert_int_equal(check_order(&t, bytes_of(NULL, 0)), 2);
    assert_int_equal(t.table.count, 2);
    /* A key that is written over and over takes no more memory. */
    bytes = memory_table_bytes(&t.table);
    for (uint64_t i = 0; i < 10000; i++)
        put(&t, bytes_from("key"), bytes_of(&i, 8), 0);
    assert_true(memory_table_bytes(&t.table) <= bytes + MEMORY_CHUNK_SIZE);
    table_free(&t);
}

static void test_orders_expiries(void **state)
{
    static int64_t expiry[300];
    uint64_t random = 1, rank, last = 0;
    uint8_t key[16];
    size_t expiring = 0, seen = 0;
    struct table t;

    (void)state;
    table_init(&t);
    for (int i = 0; i < 20000; i++) {
        uint64_t number = model_random(&random) % 300;
        int64_t at = model_random(&random) % 3 ? (int64_t)(model_random(&random) % 50) : 0;
        uint8_t value[40] = {0};

        put(&t, key_of(RANDOM, number, key), bytes_of(value, model_random(&random) % 40), at);
        expiry[number] = at;
    }
    for (int i = 0; i < 300; i++)
        expiring += expiry[i] != 0;
    for (struct index_place at = ordered_index_seek(&t.table.by_expiry, 0, bytes_of(NULL, 0));
         at.leaf; at = ordered_index_next(at)) {
        const struct memory_record *record = memory_table_expiring(&t.table, at, &rank);

        assert_true(rank >= last);
        last = rank;
        if (!record)
            continue;
        seen++;
        assert_int_equal(rank, expiry_rank(record->expire_ms));
        assert_int_equal(expiry[wire_get_position(record->bytes + 8)], record->expire_ms);
    }
    assert_int_equal(seen, expiring);
    table_free(&t);
}

static void test_large_batches_have_room(void **state)
{
    static struct store_change changes[STORE_CHANGES_MAX];
    static uint8_t keys[STORE_CHANGES_MAX][16];
    struct store_batch batch = {.changes = changes, .state = bytes_from("state")};
    uint64_t random = 7;
    struct table t;

    (void)state;
    table_init(&t);
    for (int round = 0; round < 30; round++) {
        batch.change_count = model_random(&random) % (STORE_CHANGES_MAX + 1);
        batch.partition = (uint32_t)round;
        for (size_t i = 0; i < batch.change_count; i++)
            changes[i] =
                (struct store_change){STORE_PUT,
                                      key_of(round % ORDERS, model_random(&random) % KEYS, keys[i]),
                                      {.expire_ms = (int64_t)i, .value = bytes_of(keys, i % 200)}};
        put_batch(&t, &batch);
    }
    assert_int_equal(check_order(&t, bytes_of(NULL, 0)), t.table.count);
    for (uint32_t partition = 0; partition < 30; partition++) {
        const struct memory_state *row = memory_table_state(&t.table, partition);

        assert_int_equal(row->position, partition + 1);
        assert_true(bytes_equal(bytes_of(row->bytes, row->size), bytes_from("state")));
    }
    assert_null(memory_table_state(&t.table, 30));
    assert_null(memory_table_state(&t.table, UINT32_MAX));
    table_free(&t);
}

/* What batches reserve for the worst case, and do not take, is there for the next. */
static void test_batches_take_what_single_records_do(void **state)
{
    static struct store_change changes[STORE_CHANGES_MAX];
    static uint8_t keys[STORE_CHANGES_MAX][16], value[128];
    struct table one, many;

    (void)state;
    for (size_t size = 32; size <= STORE_CHANGES_MAX; size *= 2) {
        struct store_batch batch = {.changes = changes, .change_count = size};

        table_init(&one);
        table_init(&many);
        for (uint64_t number = 0; number < 2 * KEYS;) {
            for (size_t i = 0; i < size; i++) {
                struct bytes key = key_of(ASCENDING, number++, keys[i]);

                changes[i] = (struct store_change){
                    STORE_PUT, key, {.value = bytes_of(value, sizeof(value))}};
                put(&one, key, bytes_of(value, sizeof(value)), 0);
            }
            put_batch(&many, &batch);
        }
        assert_true(memory_table_bytes(&many.table) <
                    memory_table_bytes(&one.table) + memory_table_bytes(&one.table) / 3);
        table_free(&one);
        table_free(&many);
    }
}

static void test_clearing_keeps_the_memory(void **state)
{
    uint8_t key[16], large[MEMORY_CHUNK_SIZE + 1] = {0};
    struct table t;
    size_t used = 0;

    (void)state;
    table_init(&t);
    for (int round = 0; round < 3; round++) {
        assert_true(memory_table_is_empty(&t.table));
        for (uint64_t i = 0; i < 5000; i++)
            put(&t, key_of(RANDOM, i, key), bytes_of(key, 16), 1);
        assert_int_equal(t.pool.unused_bytes, 0);
        if (round == 0)
            used = t.table.arena.bytes;
        assert_true(t.table.arena.bytes <= used);
        put(&t, bytes_from("large"), bytes_of(large, sizeof(large)), 0);
        memory_table_clear(&t.table);
        t.position = 0;
        assert_null(get(&t, key_of(RANDOM, 1, key)));
        assert_int_equal(check_order(&t, bytes_of(NULL, 0)), 0);
        assert_true(t.pool.unused_bytes % MEMORY_CHUNK_SIZE == 0 && t.pool.unused_bytes <= used);
    }
    table_free(&t);
}

/* A table that may become large has its memory by huge pages. */
static void test_large(void **state)
{
    struct memory_pool pool;
    struct memory_arena arena = {.pool = &pool};

    (void)state;
    memory_pool_init(&pool, 64 << 20);
    assert_int_equal(memory_arena_growth(&arena, 1), MEMORY_LARGE_CHUNK_SIZE);
    for (int round = 0; round < 2; round++) {
        for (size_t taken = 0; taken < 20; taken++) {
            assert_int_equal(memory_arena_reserve(&arena, MEMORY_CHUNK_SIZE), 0);
            assert_int_equal((uintptr_t)arena.chunks % LARGE_PAGE_SIZE, 0);
            memset(memory_arena_take(&arena, MEMORY_CHUNK_SIZE), 1, MEMORY_CHUNK_SIZE);
        }
        /* Seven fit in each. */
        assert_int_equal(arena.bytes, 3 * MEMORY_LARGE_CHUNK_SIZE);
        memory_arena_clear(&arena);
        assert_int_equal(pool.unused_bytes, 3 * MEMORY_LARGE_CHUNK_SIZE);
    }
    memory_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_and_orders),
        cmocka_unit_test(test_keeps_the_newest),
        cmocka_unit_test(test_orders_expiries),
        cmocka_unit_test(test_large_batches_have_room),
        cmocka_unit_test(test_batches_take_what_single_records_do),
        cmocka_unit_test(test_clearing_keeps_the_memory),
        cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
