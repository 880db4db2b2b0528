/* Pages of a store's tree in which a size is damaged: nothing is read outside of the file or
 * written outside of a buffer, nothing is taken for the end, and what is wrong is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/expiry_rank.h"
#include "node/scrub.h"
#include "node/store_disk.h"
#include "node/tree.h"
#include "node/tree_record.h"
#include "shared/error.h"
#include "shared/wire.h"
#include "tests/unit/store_support.h"
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    COUNT = 500,
    LARGE = 7, /* this one has pages of its own */
    LARGE_SIZE = 100000,
    KEY_SIZE = 16,
    /* Of a node, before its key: the value's size u16 and u16, flags u16, the key's size u16. */
    NODE_HEAD_SIZE = 8,
    VALUE_SIZE_HIGH = 2,
    KEY_SIZE_AT = 6,
};

static char folder[512];
static struct tree tree;
static int file;

static struct bytes key_of(unsigned number, uint8_t key[KEY_SIZE])
{
    wire_put_position(key, number * (UINT64_MAX / COUNT));
    wire_put_position(key + 8, number);
    return bytes_of(key, KEY_SIZE);
}

static int start(void **state)
{
    static const uint8_t large[LARGE_SIZE];
    char why[STORE_WHY_SIZE], path[600];
    struct store_disk_options options;
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t key[KEY_SIZE];
        struct store_change change = {
            STORE_PUT, key_of(i, key), {.version = {1, i + 1}, .expire_ms = 1000 + i}};
        struct store_batch batch = {.changes = &change, .change_count = 1};
        uint64_t position;

        change.record.value = i == LARGE ? bytes_of(large, sizeof(large)) : bytes_from("value");
        assert_int_equal(store_apply(s, &batch, &position), 0);
    }
    test_write_down(s);
    store_close(s);
    assert_int_equal(tree_open(&tree, folder, 1 << 20, &store_files_real, why, sizeof(why)), 0);
    snprintf(path, sizeof(path), "%s/tree", folder);
    file = open(path, O_RDWR);
    assert_true(file >= 0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    close(file);
    tree_close(&tree);
    test_folder_remove(folder);
    return 0;
}

/* Puts a key's node, whose key lies at `at` in the map, through the file: a word of its head. */
static uint16_t set_word(const uint8_t *at, size_t word, uint16_t value)
{
    off_t offset = at - tree.pages.file.map - NODE_HEAD_SIZE + (off_t)word;
    uint16_t before;

    assert_int_equal(pread(file, &before, sizeof(before), offset), sizeof(before));
    assert_int_equal(pwrite(file, &value, sizeof(value), offset), sizeof(value));
    return before;
}

/* The entry of a table that stands `number` entries behind its first one. */
static int entry_of(MDB_dbi table, unsigned number, struct bytes *key, struct bytes *value)
{
    struct tree_cursor cursor;
    int error = tree_cursor_open(&cursor, &tree, NULL, table);

    for (unsigned i = 0; i <= number && !error; i++)
        error = tree_cursor_move(&cursor, i ? NULL : &(struct bytes){0}, key, value);
    tree_cursor_close(&cursor);
    return error;
}

/* So that the map's place is known. */
static void locate(void)
{
    struct store_record record;
    uint8_t key[KEY_SIZE];

    assert_int_equal(tree_get(&tree, key_of(0, key), &record), 0);
    assert_true(tree.located != 0);
}

static void ignore_damaged(void *arg, struct bytes key)
{
    (void)arg;
    (void)key;
}

/* A page that cannot be read is counted, so that whoever watches the counter sees it. */
static void scrub_meets_page(bool damaged)
{
    struct scrub scrub = {.tree = &tree, .damaged = ignore_damaged};

    for (int pass = 0; pass < 3; pass++) {
        assert_int_equal(scrub_step(&scrub, SIZE_MAX), damaged ? RK_IO : RK_NOTFOUND);
        assert_int_equal(scrub.damaged_records, damaged);
    }
    scrub_end(&scrub);
}

static void test_sizes_of_keys(void **state)
{
    const struct {
        MDB_dbi table;
        uint16_t most;
    } tables[] = {{tree.records, STORE_KEY_SIZE_MAX}, {tree.expiry, EXPIRY_KEY_SIZE_MAX}};

    (void)state;
    locate();
    for (int i = 0; i < 2; i++) {
        const uint16_t sizes[] = {0, (uint16_t)(tables[i].most + 1), 0x4010, UINT16_MAX};
        struct bytes key, value;

        assert_int_equal(entry_of(tables[i].table, 3, &key, &value), 0);
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            const uint8_t *at = key.data;
            uint16_t before = set_word(at, KEY_SIZE_AT, sizes[j]);
            struct bytes found;

            assert_int_equal(entry_of(tables[i].table, 2, &found, &value), 0);
            assert_int_equal(entry_of(tables[i].table, 3, &found, &value), RK_IO);
            scrub_meets_page(tables[i].table == tree.records);
            set_word(at, KEY_SIZE_AT, before);
        }
        assert_int_equal(entry_of(tables[i].table, 3, &key, &value), 0);
    }
}

static unsigned damaged_found;

static void note_damaged(void *arg, struct bytes key)
{
    (void)arg;
    (void)key;
    damaged_found++;
}

static unsigned scrub_all(void)
{
    struct scrub scrub = {.tree = &tree, .damaged = note_damaged};

    damaged_found = 0;
    assert_int_equal(scrub_step(&scrub, SIZE_MAX), RK_NOTFOUND);
    assert_int_equal(scrub.records, COUNT);
    scrub_end(&scrub);
    return damaged_found;
}

/* Of a small value, and of one with pages of its own: everybody who reads it sees that it is
 * damaged, and the others are read as before. */
static void test_sizes_of_values(void **state)
{
    const unsigned numbers[] = {0, LARGE, COUNT - 1};
    const uint16_t sizes[] = {1, 0x10, 0x400, 0x7fff, UINT16_MAX};

    (void)state;
    for (int known = 0; known < 2; known++) {
        tree_end_turn(&tree);
        tree.pages_known = true;
        locate();
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
            for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
                struct bytes key, value;
                struct store_record record;
                uint8_t wanted[KEY_SIZE];
                const uint8_t *at;
                uint16_t before;

                assert_int_equal(entry_of(tree.records, numbers[i], &key, &value), 0);
                at = key.data;
                before = set_word(at, VALUE_SIZE_HIGH, sizes[j]);
                tree.pages_known = known;
                tree.located *= (size_t)known;
                key_of(numbers[i], wanted);
                /* The large one is of 1 << 16 bytes and more. */
                if (before != sizes[j]) {
                    assert_int_equal(tree_get(&tree, bytes_of(wanted, KEY_SIZE), &record),
                                     RK_CORRUPT);
                    assert_int_equal(scrub_all(), 1);
                }
                tree.pages_known = true;
                set_word(at, VALUE_SIZE_HIGH, before);
                assert_int_equal(tree_get(&tree, bytes_of(wanted, KEY_SIZE), &record), 0);
            }
    }
    assert_int_equal(scrub_all(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes_of_keys, start, finish),
        cmocka_unit_test_setup_teardown(test_sizes_of_values, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
