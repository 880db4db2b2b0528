#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/key_order.h"
#include "node/memory_table.h"
#include "shared/wire.h"
#include "tests/unit/store_model.h"
#include <stdlib.h>

enum { KEYS = 4000, KEY_SIZE = 12 };

/* How positions lie: anywhere, in one of the first buckets, all the same, or in a few places. */
enum spread { EVEN, NEAR, SAME, FEW, SPREADS };

struct order {
    struct memory_pool pool;
    struct memory_arena arena;
    struct key_order order;
    struct memory_record *records[KEYS]; /* the newest of each key, or NULL */
    size_t count;
};

static void order_init(struct order *o, size_t bytes)
{
    *o = (struct order){.count = 0};
    memory_pool_init(&o->pool, 1 << 20);
    o->arena.pool = &o->pool;
    assert_int_equal(key_order_init(&o->order, bytes), 0);
}

static void order_free(struct order *o)
{
    key_order_free(&o->order);
    memory_arena_clear(&o->arena);
    memory_pool_free(&o->pool);
}

static void order_clear(struct order *o)
{
    key_order_clear(&o->order, o->count);
    memory_arena_clear(&o->arena);
    memset(o->records, 0, sizeof(o->records));
    o->count = 0;
}

static struct bytes key_of(enum spread spread, uint32_t number, uint8_t key[KEY_SIZE])
{
    uint64_t random = number, position = model_random(&random);

    if (spread == NEAR)
        position = number;
    if (spread == SAME)
        position = UINT64_MAX;
    if (spread == FEW)
        position &= UINT64_C(3) << 62;
    wire_put_position(key, position);
    wire_put_u32(key + 8, number);
    return bytes_of(key, KEY_SIZE);
}

/* As a table does it: another record of a key replaces the one that was there. */
static void add(struct order *o, enum spread spread, uint32_t number)
{
    uint8_t bytes[KEY_SIZE];
    struct bytes key = key_of(spread, number, bytes);
    size_t size = memory_rounded(sizeof(struct memory_record) + KEY_SIZE);
    struct memory_record *record;

    assert_int_equal(memory_arena_reserve(&o->arena, size + key_order_reserve(&o->order, 1)), 0);
    record = memory_arena_take(&o->arena, size);
    *record = (struct memory_record){.key_size = KEY_SIZE};
    memcpy(record->bytes, key.data, key.size);
    if (o->records[number])
        o->records[number]->replaced = true;
    else
        o->count++;
    o->records[number] = record;
    key_order_add(&o->order, &o->arena, record);
}

/* Walks from a key to the end: every newest record from there on, in order. */
static void check_walk(const struct order *o, struct bytes from)
{
    const struct memory_record *record;
    struct bytes last = {0};
    size_t expected = 0, seen = 0;
    struct key_walk walk;

    for (size_t i = 0; i < KEYS; i++)
        expected += o->records[i] && bytes_compare(memory_record_key(o->records[i]), from) >= 0;
    key_walk_begin(&walk, &o->order, from);
    for (; (record = key_walk_at(&walk)) != NULL; key_walk_next(&walk)) {
        struct bytes key = memory_record_key(record);

        assert_ptr_equal(record, o->records[wire_get_u32(key.data + 8)]);
        assert_true(bytes_compare(key, from) >= 0);
        assert_true(seen == 0 || bytes_compare(last, key) < 0);
        last = key;
        seen++;
    }
    assert_int_equal(seen, expected);
    key_walk_next(&walk); /* the end is the end */
    assert_null(key_walk_at(&walk));
}

static void test_walks_in_order(void **state)
{
    static struct order o;
    uint8_t key[KEY_SIZE];

    (void)state;
    for (enum spread spread = EVEN; spread < SPREADS; spread++) {
        uint64_t random = 1;

        order_init(&o, 1 << 20);
        check_walk(&o, bytes_of(NULL, 0));
        for (uint32_t i = 0; i < 3 * KEYS; i++) {
            add(&o, spread, (uint32_t)(model_random(&random) % KEYS));
            if (i % 1000 == 0 || i < 20)
                check_walk(&o, bytes_of(NULL, 0));
        }
        for (uint32_t i = 0; i < KEYS; i += 37) {
            struct bytes from = key_of(spread, i, key);

            check_walk(&o, from);
            check_walk(&o, bytes_of(from.data, 9)); /* before it */
            check_walk(&o, bytes_of(from.data, 3));
        }
        check_walk(&o, bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9));
        order_free(&o);
    }
}

/* A bucket in which nothing but replaced records is left: the newest came when it was full. */
static void test_replaced_in_a_full_bucket(void **state)
{
    static struct order o;

    (void)state;
    order_init(&o, 1);
    for (int i = 0; i < 2 * KEY_BUCKET_MAX; i++) {
        add(&o, SAME, 1);
        check_walk(&o, bytes_of(NULL, 0));
    }
    assert_int_equal(o.order.crowded, KEY_BUCKET_MAX);
    add(&o, NEAR, 2);
    check_walk(&o, bytes_of(NULL, 0));
    order_free(&o);
}

static void test_crowds_make_more_buckets(void **state)
{
    static struct order o;
    unsigned bits;

    (void)state;
    order_init(&o, 1);
    bits = o.order.bits;
    for (enum spread spread = EVEN; spread < SPREADS; spread++) {
        for (int round = 0; round < 4; round++) {
            for (uint32_t i = 0; i < KEYS; i++)
                add(&o, spread, i);
            check_walk(&o, bytes_of(NULL, 0));
            order_clear(&o);
            check_walk(&o, bytes_of(NULL, 0));
        }
        /* No further where keys are spread evenly; as far as it may where they are not. */
        assert_int_equal(o.order.bits, spread == EVEN ? bits : o.order.bits_max);
    }
    assert_true(key_order_bytes(&o.order) == (sizeof(void *) + 1) << o.order.bits_max);
    order_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks_in_order),
        cmocka_unit_test(test_replaced_in_a_full_bucket),
        cmocka_unit_test(test_crowds_make_more_buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
