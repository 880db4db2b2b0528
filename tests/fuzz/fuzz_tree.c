/* Any bytes as the pages of an LMDB file: whatever they say, what is found, given or checked lies
 * inside the file, keys come in order, and everything ends.
 *
 * Before the pages, which are small ones: the root's number u8, the depth u8, choices u8, the size
 * of a key u8, a snapshot u64, a key of KEY_SIZE bytes. With CHOOSE_NUMBERS each page gets the
 * number that it must carry, else hardly any would be looked at. */
#include "node/tree_guard.h"
#include "node/tree_pages.h"
#include "node/tree_scan.h"
#include "shared/error.h"
#include "tests/fuzz/check.h"

enum {
    PAGE_SIZE = 256,
    KEY_SIZE = 24,
    HEAD_SIZE = 12 + KEY_SIZE,
    KEYS = 24, /* that are looked for */
    CHOOSE_NUMBERS = 1,
    CHOOSE_SHORT_KEYS = 2,
    CHOOSE_HINTS = 4,
    CHOOSE_TABLES = 8,
    CHOOSE_FREE_LIST = 16,
    CHOOSE_EXACT = 32,
};

static struct tree_file file;
static uint8_t choices;

/* AddressSanitizer watches the map's ends; here it is seen that nothing is between. */
static void check_inside(struct bytes part)
{
    const uint8_t *end = file.map + file.count * file.page_size;

    if (part.size == 0)
        return;
    CHECK(part.data >= file.map && part.data <= end);
    CHECK(part.size <= (size_t)(end - part.data));
}

static void scan_all(struct tree_table table, struct bytes from)
{
    size_t key_size_max = choices & CHOOSE_SHORT_KEYS ? 100 : PAGE_SIZE;
    struct bytes key, value, last = {0};
    struct tree_scan scan;
    int error;

    tree_scan_begin(&scan, &file, table, key_size_max);
    for (error = tree_scan_move(&scan, &from, &key, &value); !error;
         error = tree_scan_move(&scan, NULL, &key, &value)) {
        check_inside(key);
        check_inside(value);
        CHECK(key.size > 0 && key.size <= key_size_max);
        CHECK(bytes_compare(key, last.data ? last : from) >= (last.data ? 1 : 0));
        last = key;
    }
    CHECK(error == RK_NOTFOUND || (error == RK_CORRUPT && scan.damage));
}

/* Keys near each other, so that most are looked for from where the one before was found. */
static struct bytes key_near(uint8_t wanted[KEY_SIZE], size_t size, int step)
{
    wanted[0] = (uint8_t)(wanted[0] + step);
    return bytes_of(wanted, size);
}

static void find_all(struct tree_table table, uint8_t wanted[KEY_SIZE], size_t key_size)
{
    static struct tree_hints hints;
    static uint64_t snapshot;
    struct tree_pages pages = {.file = file,
                               .root = table.root,
                               .depth = table.depth,
                               .snapshot = ++snapshot,
                               .hints = choices & CHOOSE_HINTS ? &hints : NULL};

    for (int i = 0; i < KEYS; i++) {
        struct bytes key = key_near(wanted, key_size, i), value;

        tree_pages_go_ahead(&pages, &key, 1);
        if (tree_pages_find(&pages, key, &value) == 0)
            check_inside(value);
    }
}

static void walk_all(struct tree_table table)
{
    static struct tree_walk walk;
    int error;

    walk.flags = choices & CHOOSE_TABLES ? TREE_NODE_TABLE : 0;
    walk.numbers = choices & CHOOSE_FREE_LIST;
    tree_walk_begin(&walk, &file, table);
    for (error = tree_walk_first(&walk); !error; error = tree_walk_next(&walk)) {
        const struct tree_page *leaf = tree_walk_leaf(&walk);

        for (unsigned i = 0; i < leaf->nodes; i++) {
            struct tree_node node;
            struct bytes value;

            CHECK(tree_node_open(leaf, i, &node));
            check_inside(node.key);
            if (tree_walk_value(&walk, &node, choices & CHOOSE_EXACT, &value) == 0)
                check_inside(value);
        }
    }
    CHECK(error == RK_NOTFOUND || (error == RK_CORRUPT && walk.damage));
}

/* As a checkpoint does. */
static void change_all(uint64_t snapshot, uint8_t wanted[KEY_SIZE], size_t key_size)
{
    static struct tree_guard guard;

    if (file.count < 2 || tree_guard_begin(&guard, &file, snapshot) != 0)
        return;
    (void)tree_guard_free(&guard, UINT64_MAX);
    for (int i = TREE_RECORDS; i < TREE_WALKS; i++)
        for (int j = 0; j < KEYS; j++) {
            struct bytes key = key_near(wanted, key_size, j);
            ssize_t before = j % 3 ? 10 * j : -1, after = j % 2 ? -1 : j;

            if (tree_walk_to(&guard.walks[i], key) != 0 ||
                tree_walk_change(&guard.walks[i], key, before, after) != 0)
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tree_table table;
    uint8_t wanted[KEY_SIZE], *map;
    uint64_t snapshot;
    size_t key_size;

    if (size < HEAD_SIZE + PAGE_SIZE)
        return 0;
    table.root = data[0] == UINT8_MAX ? TREE_EMPTY : data[0];
    table.depth = data[0] == UINT8_MAX ? 0 : 1 + data[1] % 5;
    choices = data[2];
    key_size = 1 + data[3] % KEY_SIZE;
    snapshot = tree_u64(data + 4);
    memcpy(wanted, data + 12, KEY_SIZE);
    file = (struct tree_file){.count = (size - HEAD_SIZE) / PAGE_SIZE, .page_size = PAGE_SIZE};
    map = malloc(file.count * PAGE_SIZE);
    CHECK(map);
    memcpy(map, data + HEAD_SIZE, file.count * PAGE_SIZE);
    for (uint64_t i = 0; i < file.count && choices & CHOOSE_NUMBERS; i++)
        memcpy(map + i * PAGE_SIZE, &i, sizeof(i));
    file.map = map;
    scan_all(table, bytes_of(wanted, key_size));
    find_all(table, wanted, key_size);
    walk_all(table);
    change_all(snapshot, wanted, key_size);
    free(map);
    return 0;
}
