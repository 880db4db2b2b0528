/* A small LMDB file for fuzz_tree: both heads, the table of tables, the list of free pages, a table
 * of a branch and three leaves, one of a single leaf, and values with pages of their own. */
#include "node/tree_head.h"
#include "shared/wire.h"
#include "tests/fuzz/seeds.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_SIZE = 256, PAGES = 13, KEY_SIZE = 10, CHOICES = 64, SNAPSHOT = 4, LARGE_SIZE = 300 };

/* Where they are; a large value of LARGE_SIZE bytes has the last two. */
enum { TABLES = 2, FREE, FREE_LIST, BRANCH, LEAF, META = LEAF + 3, LARGE = 11 };

static uint8_t pages[PAGES][PAGE_SIZE];

static void page_begin(int number, unsigned kind)
{
    uint8_t *page = pages[number];

    wire_put_u64(page, (uint64_t)number);
    wire_put_u16(page + TREE_KIND_AT, (uint16_t)kind);
    wire_put_u16(page + TREE_LOWER_AT, TREE_PAGE_HEAD_SIZE);
    wire_put_u16(page + TREE_UPPER_AT, PAGE_SIZE);
}

/* Adds an entry behind the others: its first 6 bytes (a value's size and flags, or a child), its
 * key, and what follows. */
static void page_add(int number, uint64_t head, struct bytes key, struct bytes value)
{
    uint8_t *page = pages[number];
    uint16_t lower = tree_u16(page + TREE_LOWER_AT);
    size_t size = (TREE_NODE_HEAD_SIZE + key.size + value.size + 1) & ~(size_t)1;
    uint16_t upper = (uint16_t)(tree_u16(page + TREE_UPPER_AT) - size);

    CHECK(lower + 2 <= upper);
    wire_put_u64(page + upper, head | (uint64_t)key.size << 48);
    memcpy(page + upper + TREE_NODE_HEAD_SIZE, key.data, key.size);
    memcpy(page + upper + TREE_NODE_HEAD_SIZE + key.size, value.data, value.size);
    wire_put_u16(page + lower, upper);
    wire_put_u16(page + TREE_LOWER_AT, (uint16_t)(lower + 2));
    wire_put_u16(page + TREE_UPPER_AT, upper);
}

static void leaf_add(int number, unsigned flags, struct bytes key, struct bytes value)
{
    page_add(number, value.size | (uint64_t)flags << 32, key, value);
}

static void add_large(int number, struct bytes key, int first, size_t size)
{
    uint8_t at[8];

    wire_put_u64(at, (uint64_t)first);
    page_add(number, size | (uint64_t)TREE_NODE_LARGE << 32, key, bytes_of(at, sizeof(at)));
    page_begin(first, TREE_LARGE);
    wire_put_u32(pages[first] + TREE_LOWER_AT,
                 (uint32_t)((TREE_PAGE_HEAD_SIZE + size + PAGE_SIZE - 1) / PAGE_SIZE));
}

static void row_write(uint8_t row[TREE_TABLE_SIZE], int root, unsigned depth)
{
    memset(row, 0, TREE_TABLE_SIZE);
    wire_put_u16(row + 6, (uint16_t)depth);
    wire_put_u64(row + 40, (uint64_t)root);
}

static void add_table(const char *name, int root, unsigned depth)
{
    uint8_t row[TREE_TABLE_SIZE];

    row_write(row, root, depth);
    leaf_add(TABLES, TREE_NODE_TABLE, bytes_from(name), bytes_of(row, sizeof(row)));
}

static void head_write(int number, uint64_t snapshot)
{
    uint8_t *head = pages[number] + TREE_PAGE_HEAD_SIZE;

    page_begin(number, 8);
    wire_put_u32(head, UINT32_C(0xbeefc0de));
    wire_put_u32(head + 4, 1);
    row_write(head + 24, FREE, 1);
    row_write(head + 24 + TREE_TABLE_SIZE, TABLES, 1);
    wire_put_u64(head + 24 + 2 * TREE_TABLE_SIZE, PAGES - 1);
    wire_put_u64(head + 24 + 2 * TREE_TABLE_SIZE + 8, snapshot);
}

static struct bytes key_of(unsigned number, uint8_t key[KEY_SIZE])
{
    wire_put_position(key, (uint64_t)number << 56);
    wire_put_u16(key + 8, (uint16_t)number);
    return bytes_of(key, KEY_SIZE);
}

static void write_records(void)
{
    uint8_t key[KEY_SIZE];

    page_begin(BRANCH, TREE_BRANCH);
    for (int leaf = 0; leaf < 3; leaf++) {
        struct bytes first = key_of((unsigned)leaf * 4, key);

        page_add(BRANCH, (uint64_t)(LEAF + leaf), leaf ? first : bytes_of(key, 0),
                 bytes_of(key, 0));
        page_begin(LEAF + leaf, TREE_LEAF);
        for (unsigned i = 0; i < 4; i++)
            leaf_add(LEAF + leaf, 0, key_of((unsigned)leaf * 4 + i, key), bytes_from("value"));
    }
    add_large(LEAF + 2, key_of(12, key), LARGE, LARGE_SIZE);
}

static void write_free_list(void)
{
    uint8_t snapshot[2][8], list[24];

    wire_put_u64(snapshot[0], 2);
    wire_put_u64(snapshot[1], 3);
    wire_put_u64(list, 2);
    wire_put_u64(list + 8, LARGE);
    wire_put_u64(list + 16, BRANCH);
    page_begin(FREE, TREE_LEAF);
    leaf_add(FREE, 0, bytes_of(snapshot[0], 8), bytes_of(list, sizeof(list)));
    add_large(FREE, bytes_of(snapshot[1], 8), FREE_LIST, sizeof(list));
    memcpy(pages[FREE_LIST] + TREE_PAGE_HEAD_SIZE, list, sizeof(list));
}

void seed_trees(void)
{
    struct {
        uint8_t depth, choices, key_size, snapshot[8], key[24], pages[PAGES][PAGE_SIZE];
    } rest = {.depth = 1, .key_size = KEY_SIZE - 1, .snapshot = {SNAPSHOT}};

    head_write(SNAPSHOT % 2, SNAPSHOT);
    head_write(1 - SNAPSHOT % 2, SNAPSHOT - 1);
    page_begin(TABLES, TREE_LEAF);
    add_table("meta", META, 1);
    add_table("records", BRANCH, 2);
    page_begin(META, TREE_LEAF);
    leaf_add(META, 0, bytes_from("store"), bytes_from("row"));
    write_records();
    write_free_list();
    memcpy(rest.pages, pages, sizeof(pages));
    for (unsigned i = 0; i < CHOICES; i++) {
        char name[16];

        snprintf(name, sizeof(name), "choices-%u", i);
        rest.choices = (uint8_t)i;
        key_of(i % 12, rest.key);
        seed("tree", name, BRANCH, bytes_of((const uint8_t *)&rest, sizeof(rest)));
    }
}
