/* What tree_pages and tree_scan find is what LMDB finds, in trees of all shapes; and pages that are
 * damaged are told of, wherever their numbers and offsets lead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/store_disk.h"
#include "node/tree.h"
#include "node/tree_order.h"
#include "node/tree_pages.h"
#include "node/tree_scan.h"
#include "shared/error.h"
#include "shared/wire.h"
#include "tests/unit/store_support.h"
#include <cmocka.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 200, MAP_SIZE = 256 << 20 };

/* A file with one table, and how its keys are made. */
struct rig {
    char folder[512];
    MDB_env *env;
    MDB_dbi tables, records;
    MDB_txn *txn;
    bool crowded; /* many keys share their first 8 bytes */
};

static void rig_open(struct rig *r, bool crowded)
{
    *r = (struct rig){.crowded = crowded};
    snprintf(r->folder, sizeof(r->folder), "%s", test_folder_new());
    assert_int_equal(mdb_env_create(&r->env), 0);
    assert_int_equal(mdb_env_set_maxdbs(r->env, 2), 0);
    assert_int_equal(mdb_env_set_mapsize(r->env, MAP_SIZE), 0);
    assert_int_equal(mdb_env_open(r->env, r->folder, MDB_NOSYNC, 0600), 0);
    assert_int_equal(mdb_txn_begin(r->env, NULL, 0, &r->txn), 0);
    assert_int_equal(mdb_dbi_open(r->txn, NULL, 0, &r->tables), 0);
    assert_int_equal(mdb_dbi_open(r->txn, "records", MDB_CREATE, &r->records), 0);
    assert_int_equal(mdb_set_compare(r->txn, r->records, tree_order), 0);
}

static void rig_close(struct rig *r)
{
    mdb_txn_abort(r->txn);
    mdb_env_close(r->env);
    test_folder_remove(r->folder);
}

/* What was written until now becomes what is read. */
static void rig_read(struct rig *r)
{
    assert_int_equal(mdb_txn_commit(r->txn), 0);
    assert_int_equal(mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->txn), 0);
}

static MDB_val key_of(const struct rig *r, uint64_t number, uint8_t key[KEY_MAX])
{
    uint64_t random = number, position = model_random(&random);
    size_t more = model_random(&random) % 40 == 0 ? KEY_MAX - 17 : 1;

    wire_put_position(key, r->crowded ? position % 3 << 62 : position);
    wire_put_position(key + 8, number);
    memset(key + 16, 'k', more);
    return (MDB_val){16 + more, key};
}

static void put(struct rig *r, uint64_t number)
{
    static uint8_t bytes[20000];
    uint64_t random = ~number;
    uint8_t key[KEY_MAX];
    MDB_val k = key_of(r, number, key), value = {model_random(&random) % 150, bytes};

    if (model_random(&random) % 50 == 0)
        value.mv_size = model_random(&random) % sizeof(bytes);
    memset(bytes, (int)number, value.mv_size);
    assert_int_equal(mdb_put(r->txn, r->records, &k, &value, 0), 0);
}

/* What tests of one snapshot after the other remember of the way down, as a store does. */
static struct tree_hints hints;

/* By the number of the page in which a row stands. */
static const uint8_t *map_of(MDB_val row, size_t page_size)
{
    const uint8_t *page = (const uint8_t *)row.mv_data - (uintptr_t)row.mv_data % page_size;

    return page - tree_u64(page) * page_size;
}

static struct tree_pages pages_of(const struct rig *r)
{
    static uint64_t snapshots;
    MDB_val name = {7, "records"}, row;
    struct tree_pages pages = {.snapshot = ++snapshots, .hints = &hints};
    MDB_envinfo info;
    MDB_stat stat;

    assert_int_equal(mdb_get(r->txn, r->tables, &name, &row), 0);
    assert_int_equal(mdb_env_info(r->env, &info), 0);
    assert_int_equal(mdb_stat(r->txn, r->records, &stat), 0);
    pages.file.page_size = stat.ms_psize;
    pages.file.count = info.me_last_pgno + 1;
    pages.file.map = map_of(row, stat.ms_psize);
    assert_int_equal(tree_pages_locate(&pages, bytes_of(row.mv_data, row.mv_size)), 0);
    assert_int_equal(pages.depth, stat.ms_depth);
    return pages;
}

static void expect_same(const struct rig *r, const struct tree_pages *pages, MDB_val key)
{
    MDB_val value;
    struct bytes found = {0};
    int there = mdb_get(r->txn, r->records, &key, &value);
    int error = tree_pages_find(pages, bytes_of(key.mv_data, key.mv_size), &found);

    assert_int_equal(error, there == 0 ? 0 : RK_NOTFOUND);
    if (there == 0) {
        assert_ptr_equal(found.data, value.mv_data);
        assert_int_equal(found.size, value.mv_size);
    }
}

static size_t count_hints(const struct tree_pages *pages, const struct tree_hint *list, size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < size / sizeof(*list); i++)
        count += list[i].snapshot == pages->snapshot;
    return count;
}

/* The root is never remembered. */
static void expect_remembered(const struct tree_pages *pages)
{
    assert_int_equal(count_hints(pages, hints.branches, sizeof(hints.branches)) > 0,
                     pages->depth > 2);
    assert_int_equal(count_hints(pages, hints.leaves[0], sizeof(hints.leaves)) > 0,
                     pages->depth > 1);
}

/* The keys that were put, as many that were not, and a few that are shorter than a position: with
 * nothing remembered, then from where those before them ended. */
static void check(const struct rig *r, uint64_t count)
{
    struct tree_pages pages = pages_of(r);
    uint8_t key[KEY_MAX];

    pages.hints = NULL;
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 2 * count + 2; i++)
            expect_same(r, &pages, key_of(r, i, key));
        for (uint8_t i = 0; i < 8; i++) {
            memset(key, i * 36, sizeof(key));
            expect_same(r, &pages, (MDB_val){i + 1, key});
        }
        pages.hints = &hints;
    }
    expect_remembered(&pages);
}

/* The same keys, some at a time, are gone ahead of before they are looked for: that remembers the
 * way to them, and changes nothing of what is found. */
static void check_ahead(const struct rig *r, uint64_t count)
{
    struct tree_pages pages = pages_of(r);
    static uint8_t bytes[TREE_AHEAD_MAX][KEY_MAX];
    struct bytes keys[TREE_AHEAD_MAX];

    for (uint64_t first = 0; first < 2 * count + 2; first += TREE_AHEAD_MAX) {
        size_t asked = 1 + first / TREE_AHEAD_MAX % TREE_AHEAD_MAX;

        for (size_t i = 0; i < asked; i++) {
            MDB_val k = key_of(r, first + i, bytes[i]);

            keys[i] = bytes_of(bytes[i], i == 3 ? 1 + first % 8 : k.mv_size);
        }
        tree_pages_go_ahead(&pages, keys, asked);
        if (first == 0)
            expect_remembered(&pages);
        for (size_t i = 0; i < asked; i++)
            expect_same(r, &pages, (MDB_val){keys[i].size, bytes[i]});
    }
    pages.hints = NULL;
    tree_pages_go_ahead(&pages, keys, 1);
}

static struct tree_scan scan_of(const struct tree_pages *pages)
{
    struct tree_scan scan;

    tree_scan_begin(&scan, &pages->file, (struct tree_table){pages->root, pages->depth}, KEY_MAX);
    return scan;
}

/* From a place to the end, or over so many entries. */
static void expect_same_order(const struct rig *r, const struct tree_pages *pages,
                              struct bytes from, uint64_t entries)
{
    struct tree_scan scan = scan_of(pages);
    const struct bytes *start = &from;
    struct bytes key, value;
    MDB_val k = {from.size, (void *)from.data}, v;
    MDB_cursor *cursor;
    int result, error;

    assert_int_equal(mdb_cursor_open(r->txn, r->records, &cursor), 0);
    result = mdb_cursor_get(cursor, &k, &v, from.size ? MDB_SET_RANGE : MDB_FIRST);
    for (uint64_t i = 0; i < entries; i++) {
        error = tree_scan_move(&scan, start, &key, &value);
        assert_int_equal(error, result ? RK_NOTFOUND : 0);
        if (error)
            break;
        assert_ptr_equal(key.data, k.mv_data);
        assert_int_equal(key.size, k.mv_size);
        assert_ptr_equal(value.data, v.mv_data);
        assert_int_equal(value.size, v.mv_size);
        start = NULL;
        result = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
}

static void check_order(const struct rig *r, uint64_t count)
{
    struct tree_pages pages = pages_of(r);
    uint8_t key[KEY_MAX];

    expect_same_order(r, &pages, bytes_of(NULL, 0), UINT64_MAX);
    for (uint64_t i = 0; i < 2 * count + 2; i += 1 + count / 200) {
        MDB_val k = key_of(r, i, key);

        expect_same_order(r, &pages, bytes_of(key, k.mv_size), 50);
        expect_same_order(r, &pages, bytes_of(key, 1 + i % 8), 5);
    }
}

static void test_finds_what_lmdb_finds(void **state)
{
    static const uint64_t counts[] = {0, 1, 2, 3, 10, 100, 1000, 30000};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t count = counts[i / 2];
        uint8_t key[KEY_MAX];
        struct rig r;

        rig_open(&r, i % 2 != 0);
        for (uint64_t j = 0; j < count; j++)
            put(&r, j);
        rig_read(&r);
        check(&r, count);
        check_ahead(&r, count);
        check_order(&r, count);
        /* Half of them go, as many others come: pages empty, merge and are used again. */
        mdb_txn_abort(r.txn);
        assert_int_equal(mdb_txn_begin(r.env, NULL, 0, &r.txn), 0);
        for (uint64_t j = 0; j < count; j += 2) {
            MDB_val k = key_of(&r, j, key);

            assert_int_equal(mdb_del(r.txn, r.records, &k, NULL), 0);
            put(&r, count + j);
        }
        rig_read(&r);
        check(&r, 2 * count);
        check_ahead(&r, 2 * count);
        check_order(&r, 2 * count);
        rig_close(&r);
    }
}

static void go_ahead_of_any(const struct rig *r, const struct tree_pages *pages, uint64_t count,
                            uint64_t *random)
{
    static uint8_t bytes[TREE_AHEAD_MAX][KEY_MAX];
    struct bytes keys[TREE_AHEAD_MAX];

    for (size_t i = 0; i < TREE_AHEAD_MAX; i++) {
        MDB_val k = key_of(r, model_random(random) % count, bytes[i]);

        keys[i] = bytes_of(bytes[i], k.mv_size);
    }
    tree_pages_go_ahead(pages, keys, TREE_AHEAD_MAX);
}

/* Keys ascend, and all lies in the copy, whatever it ends with. */
static int scan_copy(const struct tree_pages *pages, struct bytes from, size_t size)
{
    const uint8_t *copy = pages->file.map;
    struct tree_scan scan = scan_of(pages);
    const struct bytes *start = &from;
    struct bytes key, value, before = from;
    int error;

    while ((error = tree_scan_move(&scan, start, &key, &value)) == 0) {
        assert_true(key.data >= copy && key.data + key.size <= copy + size);
        if (value.data)
            assert_true(value.data >= copy && value.data + value.size <= copy + size);
        assert_true(bytes_compare(key, before) >= (start ? 0 : 1));
        before = key;
        start = NULL;
    }
    assert_true(error == RK_NOTFOUND || error == RK_CORRUPT);
    assert_int_equal(scan.damage != NULL, error == RK_CORRUPT);
    return error;
}

/* Flips bytes of the pages' heads, offsets and nodes in a copy of the file. Whatever they lead to,
 * the answer lies in the copy, and the sanitizers see every byte that is read outside of it. */
static void test_damaged_pages_are_told(void **state)
{
    enum { COUNT = 2000, ROUNDS = 3000 };
    uint64_t random = 1, corrupt = 0, scans = 0;
    struct tree_pages pages;
    size_t size;
    uint8_t *copy;
    struct rig r;

    (void)state;
    rig_open(&r, false);
    for (uint64_t i = 0; i < COUNT; i++)
        put(&r, i);
    rig_read(&r);
    pages = pages_of(&r);
    size = pages.file.count * pages.file.page_size;
    copy = malloc(size);
    assert_non_null(copy);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t page = round % 2 ? pages.root : model_random(&random) % pages.file.count;
        uint8_t *at = copy + page * pages.file.page_size + model_random(&random) % 400,
                key[KEY_MAX];
        struct tree_pages damaged = pages;

        damaged.hints = round % 4 < 2 ? &hints : NULL;
        memcpy(copy, pages.file.map, size);
        damaged.file.map = copy;
        *at ^= (uint8_t)(1 + model_random(&random) % 255);
        /* A page with half an offset. */
        if (round % 100 == 0)
            copy[page * pages.file.page_size + 12] = 17, copy[page * pages.file.page_size + 13] = 0;
        go_ahead_of_any(&r, &damaged, COUNT, &random);
        for (int i = 0; i < 20; i++) {
            MDB_val k = key_of(&r, model_random(&random) % COUNT, key);
            struct bytes found = {0};
            int error = tree_pages_find(&damaged, bytes_of(k.mv_data, k.mv_size), &found);

            assert_true(error == 0 || error == RK_NOTFOUND || error == RK_CORRUPT);
            if (error == 0)
                assert_true(found.data >= copy && found.data + found.size <= copy + size);
            corrupt += error == RK_CORRUPT;
        }
        if (round % 4 < 2) {
            MDB_val k = key_of(&r, model_random(&random) % COUNT, key);

            scan_copy(&damaged, bytes_of(k.mv_data, k.mv_size), size);
            scans += scan_copy(&damaged, bytes_of(NULL, 0), size) == RK_CORRUPT;
        }
    }
    assert_true(scans > ROUNDS / 20);
    assert_true(corrupt > ROUNDS / 10);
    free(copy);
    rig_close(&r);
}

static void test_rows_that_are_not_as_expected(void **state)
{
    struct tree_pages pages;
    MDB_val name = {7, "records"}, row;
    struct rig r;

    (void)state;
    rig_open(&r, false);
    put(&r, 1);
    rig_read(&r);
    pages = pages_of(&r);
    assert_int_equal(mdb_get(r.txn, r.tables, &name, &row), 0);
    assert_int_equal(tree_pages_locate(&pages, bytes_of(row.mv_data, row.mv_size - 1)), RK_CORRUPT);
    /* Not in the file, before it or behind it; in a page with another number. */
    pages.file.count = 1;
    assert_int_equal(tree_pages_locate(&pages, bytes_of(row.mv_data, row.mv_size)), RK_CORRUPT);
    pages = pages_of(&r);
    pages.file.map += 16 * pages.file.page_size;
    assert_int_equal(tree_pages_locate(&pages, bytes_of(row.mv_data, row.mv_size)), RK_CORRUPT);
    pages = pages_of(&r);
    pages.file.map += pages.file.page_size;
    assert_int_equal(tree_pages_locate(&pages, bytes_of(row.mv_data, row.mv_size)), RK_CORRUPT);
    rig_close(&r);
}

/* A store's tree, read in both ways. */
static void test_lmdb_alone_finds_the_same(void **state)
{
    enum { COUNT = 500 };
    char folder[512], why[STORE_WHY_SIZE];
    struct store_disk_options options;
    struct tree tree;
    uint8_t key[16];
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct store_change change = {STORE_PUT, bytes_of(key, sizeof(key)), {.version = {1, i}}};
        struct store_batch batch = {.changes = &change, .change_count = 1};
        uint64_t position;

        wire_put_position(key, i * (UINT64_MAX / COUNT));
        wire_put_position(key + 8, i);
        assert_int_equal(store_apply(s, &batch, &position), 0);
    }
    test_write_down(s);
    store_close(s);
    assert_int_equal(tree_open(&tree, folder, 1 << 20, &store_files_real, why, sizeof(why)), 0);
    for (int known = 0; known < 2; known++) {
        tree.pages_known = known;
        for (uint64_t i = 0; i < COUNT; i++) {
            struct store_record record;

            wire_put_position(key, i * (UINT64_MAX / COUNT));
            wire_put_position(key + 8, i);
            tree_expect(&tree, &(struct bytes){key, sizeof(key)}, 1);
            assert_int_equal(tree_get(&tree, bytes_of(key, sizeof(key)), &record), 0);
            assert_int_equal(record.version.op, i);
            assert_int_equal(tree_get(&tree, bytes_of(key, 15), &record), RK_NOTFOUND);
        }
        assert_int_equal(tree.located != 0, known);
        tree_end_turn(&tree);
    }
    tree_close(&tree);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_lmdb_finds),
        cmocka_unit_test(test_damaged_pages_are_told),
        cmocka_unit_test(test_lmdb_alone_finds_the_same),
        cmocka_unit_test(test_rows_that_are_not_as_expected),
    };

    if (!tree_pages_known())
        return 77; /* a machine of the other kind reads through LMDB alone */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
