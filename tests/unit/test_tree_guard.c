/* A damaged page is met before LMDB writes to it or gives up over it, and nothing that LMDB writes
 * is taken for damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/tree_pages.h"
#include "node/tree_write.h"
#include "shared/error.h"
#include "shared/log.h"
#include "shared/wire.h"
#include "tests/unit/store_support.h"
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { KEYS = 3000, VALUE_MAX = 12000, MAP_SIZE = 1 << 20, PAGE_SIZE = 4096 };

/* What is written in one transaction: a record for each key, in order; NULL: as it was. */
struct round {
    struct memory_record *records[KEYS];
    uint64_t random;
};

static char folder[512], why[STORE_WHY_SIZE];
static struct tree_writer writer;

static int start(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    writer = (struct tree_writer){0};
    return 0;
}

static int finish(void **state)
{
    (void)state;
    tree_writer_free(&writer);
    test_folder_remove(folder);
    return 0;
}

/* Sorted by number; some have more than a position. */
static size_t key_write(unsigned number, uint8_t key[STORE_KEY_SIZE_MAX])
{
    uint64_t random = number;
    size_t size = model_random(&random) % 20 == 0 ? 100 + model_random(&random) % 300 : 16;

    memset(key, 'k', size);
    wire_put_position(key, number / 3 * (UINT64_MAX / KEYS));
    wire_put_position(key + 8, number);
    return size;
}

/* `puts` and `forgets` of a thousand keys; large: a few values have pages of their own. */
static void fill(struct round *r, unsigned puts, unsigned forgets, bool large)
{
    for (unsigned i = 0; i < KEYS; i++) {
        uint64_t what = model_random(&r->random) % 1000;
        size_t size = model_random(&r->random) % 200;
        struct memory_record *record = NULL;

        if (large && model_random(&r->random) % 40 == 0)
            size = model_random(&r->random) % VALUE_MAX;
        if (what < puts + forgets) {
            record = calloc(1, sizeof(*record) + STORE_KEY_SIZE_MAX + size);
            assert_non_null(record);
            record->key_size = (uint16_t)key_write(i, record->bytes);
            record->forgotten = what >= puts;
            record->value_size = record->forgotten ? 0 : (uint32_t)size;
            record->expire_ms = record->forgotten ? 0 : (int64_t)(model_random(&r->random) % 3000);
        }
        free(r->records[i]);
        r->records[i] = record;
    }
}

static void round_free(struct round *r)
{
    for (unsigned i = 0; i < KEYS; i++)
        free(r->records[i]);
}

static int write_once(struct tree *t, const struct round *r)
{
    struct tree_write_size size = {0};
    int error;

    for (unsigned i = 0; i < KEYS; i++)
        if (r->records[i])
            tree_write_size_add(&size, r->records[i]);
    size.states = 3;
    error = tree_write_begin(&writer, t, &size);
    if (error)
        return error;
    for (unsigned i = 0; i < KEYS && !error; i++)
        if (r->records[i])
            error = tree_write_record(&writer, r->records[i]);
    for (uint32_t i = 0; i < 3 && !error; i++)
        error = tree_write_state(&writer, i * 300, &(struct memory_state){.size = 9});
    if (error) {
        tree_write_abort(&writer);
        return error;
    }
    return tree_write_commit(&writer, t->position + 1, why, sizeof(why));
}

static int write_round(struct tree *t, const struct round *r)
{
    int error;

    while ((error = write_once(t, r)) == RK_FULL)
        assert_int_equal(tree_grow(t, why, sizeof(why)), 0);
    return error;
}

/* All of a table, large values included. */
static int check_table(struct tree_guard *g, enum tree_walk_name which)
{
    struct tree_walk *w = &g->walks[which];
    int error = tree_walk_first(w);

    for (; !error; error = tree_walk_next(w))
        for (unsigned i = 0; i < tree_walk_leaf(w)->nodes && !error; i++) {
            struct tree_node node;
            struct bytes value;

            assert_true(tree_node_open(tree_walk_leaf(w), i, &node));
            error = tree_walk_value(w, &node, which != TREE_FREE, &value);
            if (error)
                return tree_guard_damaged(g, which);
        }
    return error == RK_NOTFOUND ? 0 : tree_guard_damaged(g, which);
}

/* All pages of the newest snapshot. 0 or RK_CORRUPT, the guard tells. */
static int check_all(struct tree *t, struct tree_guard *g)
{
    struct tree_file file;
    MDB_envinfo info;
    int error;

    assert_int_equal(mdb_env_info(t->env, &info), 0);
    assert_true(tree_file_of(t, &file));
    error = tree_guard_begin(g, &file, info.me_last_txnid);
    for (int i = 0; i < TREE_WALKS && !error; i++)
        error = check_table(g, (enum tree_walk_name)i);
    return error ? error : tree_guard_free(g, UINT64_MAX);
}

static void expect_good(struct tree *t)
{
    static struct tree_guard guard;

    if (check_all(t, &guard) != 0)
        fail_msg("page %llu: %s", (unsigned long long)guard.damaged_page, guard.damage);
}

static void open_tree(struct tree *t)
{
    assert_int_equal(tree_open(t, folder, MAP_SIZE, &store_files_real, why, sizeof(why)), 0);
}

/* It grows, changes, shrinks to almost nothing and grows again: pages are cut, joined, and used
 * again in every way. */
static void test_what_lmdb_writes_is_good(void **state)
{
    static const struct {
        unsigned rounds, puts, forgets;
    } phases[] = {{1, 1000, 0}, {20, 50, 50}, {10, 300, 300}, {30, 2, 100}, {20, 0, 400},
                  {5, 0, 1000}, {1, 500, 0},  {40, 10, 5},    {10, 0, 30},  {20, 200, 300}};
    struct round r = {.random = 1};
    struct tree t;

    (void)state;
    open_tree(&t);
    for (size_t i = 0; i < 2 * sizeof(phases) / sizeof(phases[0]); i++)
        for (unsigned j = 0; j < phases[i / 2].rounds; j++) {
            int error;

            fill(&r, phases[i / 2].puts, phases[i / 2].forgets, i % 2);
            error = write_round(&t, &r);
            if (error == RK_CORRUPT)
                tree_writer_tell(&writer, why, sizeof(why));
            if (error)
                fail_msg("%s", why);
            expect_good(&t);
        }
    round_free(&r);
    tree_close(&t);
}

/* ---- damage ---- */

struct image {
    char path[600];
    uint8_t *bytes;
    size_t size;
};

/* A tree of three levels, with free pages and with values that have pages of their own. */
static void image_make(struct image *m)
{
    struct round r = {.random = 7};
    struct tree t;

    open_tree(&t);
    for (int i = 0; i < 6; i++) {
        fill(&r, i ? 100 : 900, i ? 50 : 0, true);
        assert_int_equal(write_round(&t, &r), 0);
    }
    expect_good(&t);
    round_free(&r);
    tree_close(&t);
    snprintf(m->path, sizeof(m->path), "%s/tree", folder);
    m->bytes = test_file_read(m->path, &m->size);
}

static struct tree_file image_file(const struct image *m)
{
    return (struct tree_file){m->bytes, m->size / PAGE_SIZE, PAGE_SIZE};
}

/* What its newest snapshot holds. */
static void image_look(const struct image *m, struct tree_guard *g)
{
    struct tree_file file = image_file(m);
    struct tree_head head;
    uint64_t newest = 0;

    for (int i = 0; i < 2; i++)
        if (tree_head_read(m->bytes + (size_t)i * PAGE_SIZE, &head) == 0 && head.snapshot > newest)
            newest = head.snapshot;
    assert_int_equal(tree_guard_begin(g, &file, newest), 0);
}

/* Makes one, and gives the number of the page of its table of tables. */
static uint64_t image_make_tables(struct image *m)
{
    static struct tree_guard guard;

    image_make(m);
    image_look(m, &guard);
    return guard.head.tables.root;
}

/* Opens the damaged tree and writes to it. 0, or what came of it, with the reason in `why`. */
static int try_it(const struct image *m, const struct round *r)
{
    static struct tree_guard guard;
    struct tree t;
    int error;

    test_file_write(m->path, m->bytes, m->size);
    error = tree_open(&t, folder, MAP_SIZE, &store_files_real, why, sizeof(why));
    if (error)
        return error;
    error = write_round(&t, r);
    if (error == RK_CORRUPT)
        tree_writer_tell(&writer, why, sizeof(why));
    /* What was damaged and not met is still there; nothing else has become damaged by it. */
    if (!error && check_all(&t, &guard) != 0)
        tree_tell_damage(&t, &guard, why, sizeof(why));
    tree_close(&t);
    return error;
}

static void expect_told(uint64_t page)
{
    char named[64];

    snprintf(named, sizeof(named), "page %llu is damaged", (unsigned long long)page);
    if (!strstr(why, named) || !strstr(why, folder) || !strstr(why, "ringctl replace"))
        fail_msg("page %llu, told: %s", (unsigned long long)page, why);
}

static uint8_t *page_at(const struct image *m, uint64_t number)
{
    return m->bytes + number * PAGE_SIZE;
}

static uint8_t *node_of(const struct image *m, uint64_t number, unsigned i)
{
    return page_at(m, number) + tree_u16(page_at(m, number) + TREE_PAGE_HEAD_SIZE + 2 * i);
}

static void put_u16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void put_u64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint64_t child_of(const struct image *m, uint64_t number, unsigned i)
{
    return tree_u64(node_of(m, number, i)) & UINT64_C(0xffffffffffff);
}

static void set_child(const struct image *m, uint64_t number, unsigned i, uint64_t child)
{
    uint8_t *at = node_of(m, number, i);

    put_u64(at, (tree_u64(at) & ~UINT64_C(0xffffffffffff)) | child);
}

/* What can be wrong with a leaf, or with the branch above it: applied, and the page that is to be
 * told of is returned. */
static uint64_t damage(const struct image *m, int kind, uint64_t root)
{
    uint64_t branch = child_of(m, root, 1), leaf = child_of(m, branch, 1);
    uint8_t *at = page_at(m, leaf);

    switch (kind) {
    case 0: /* a list of values: LMDB follows a pointer that it has not set */
        put_u16(node_of(m, leaf, 0) + 4, 4);
        return leaf;
    case 1:
        put_u16(node_of(m, leaf, 1) + 4, 2);
        return leaf;
    case 2: /* written to as it lies in the map, which cannot be written to */
        put_u16(at + TREE_KIND_AT, 0x12);
        return leaf;
    case 3:
        put_u16(at + TREE_KIND_AT, TREE_LARGE);
        return leaf;
    case 4:
        put_u16(at + TREE_LOWER_AT, 0xfff0);
        return leaf;
    case 5:
        put_u16(at + TREE_LOWER_AT, 3);
        return leaf;
    case 6:
        put_u16(at + TREE_UPPER_AT, 8);
        return leaf;
    case 7:
        put_u16(at + TREE_UPPER_AT, 0xfff0);
        return leaf;
    case 8:
        put_u16(at + TREE_PAGE_HEAD_SIZE, 0xfffe);
        return leaf;
    case 9:
        put_u16(at + TREE_PAGE_HEAD_SIZE, tree_u16(at + TREE_PAGE_HEAD_SIZE + 2));
        return leaf;
    case 10:
        put_u16(node_of(m, leaf, 0) + 6, 0xffff);
        return leaf;
    case 11:
        put_u16(node_of(m, leaf, 0) + 6, 0);
        return leaf;
    case 12:
        put_u16(node_of(m, leaf, 0) + 2, 0x7fff);
        return leaf;
    case 13:
        put_u64(at, leaf + 1);
        return leaf;
    case 14: /* out of the file */
        set_child(m, branch, 1, UINT64_C(1) << 40);
        return branch;
    case 15:
        set_child(m, branch, 1, m->size / PAGE_SIZE);
        return branch;
    case 16: /* to itself, to another branch, to the head, to its neighbour */
        set_child(m, branch, 1, branch);
        return branch;
    case 17:
        set_child(m, branch, 1, root);
        return root;
    case 18:
        set_child(m, branch, 1, 1);
        return branch;
    case 19:
        set_child(m, branch, 1, child_of(m, branch, 2));
        return child_of(m, branch, 2);
    case 20:
        set_child(m, root, 1, leaf);
        return leaf;
    default:
        return 0;
    }
}

static void test_damage_is_told_before_it_does_harm(void **state)
{
    static struct tree_guard guard;
    struct round r = {.random = 3};
    struct image m;
    uint8_t *good;
    int kinds = 0;

    (void)state;
    image_make(&m);
    good = malloc(m.size);
    assert_non_null(good);
    memcpy(good, m.bytes, m.size);
    image_look(&m, &guard);
    assert_int_equal(guard.walks[TREE_RECORDS].table.depth, 3);
    for (int forgets = 0; forgets < 2; forgets++)
        for (int kind = 0;; kind++) {
            uint64_t page;

            memcpy(m.bytes, good, m.size);
            page = damage(&m, kind, guard.walks[TREE_RECORDS].table.root);
            if (!page)
                break;
            fill(&r, forgets ? 0 : 1000, forgets ? 1000 : 0, false);
            assert_int_equal(try_it(&m, &r), RK_CORRUPT);
            expect_told(page);
            kinds++;
        }
    assert_int_equal(kinds, 42);
    round_free(&r);
    free(good);
    free(m.bytes);
}

/* The page of the table of tables says another number of itself, from which the place of the map
 * was taken. */
static void test_the_place_of_the_map_is_no_pages_word(void **state)
{
    struct round r = {.random = 3};
    struct image m;
    uint64_t page = image_make_tables(&m);

    (void)state;
    put_u64(page_at(&m, page), page - 1);
    assert_int_equal(try_it(&m, &r), RK_CORRUPT);
    expect_told(page);
    free(m.bytes);
}

/* A copy that ended too soon. */
static void test_a_file_that_was_cut_short(void **state)
{
    struct round r = {.random = 3};
    struct image m;
    uint64_t page = image_make_tables(&m);

    (void)state;
    m.size = page * PAGE_SIZE;
    assert_int_equal(try_it(&m, &r), RK_CORRUPT);
    expect_told(page);
    assert_non_null(strstr(why, "behind the end of the file"));
    free(m.bytes);
}

static void get_all(int found[KEYS])
{
    struct tree t;

    open_tree(&t);
    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t key[STORE_KEY_SIZE_MAX];
        struct store_record record;

        found[i] = tree_get(&t, bytes_of(key, key_write(i, key)), &record);
    }
    tree_close(&t);
}

/* A way that leads to another leaf must not make keys absent. */
static void test_a_wrong_leaf_does_not_say_that_keys_are_absent(void **state)
{
    static struct tree_guard guard;
    static int before[KEYS], after[KEYS];
    unsigned damaged = 0;
    struct image m;
    uint64_t branch;

    (void)state;
    image_make(&m);
    image_look(&m, &guard);
    get_all(before);
    branch = child_of(&m, guard.walks[TREE_RECORDS].table.root, 1);
    set_child(&m, branch, 1, child_of(&m, branch, 4));
    test_file_write(m.path, m.bytes, m.size);
    get_all(after);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_true(after[i] == before[i] || after[i] == RK_CORRUPT);
        damaged += after[i] == RK_CORRUPT;
    }
    assert_true(damaged > 1 && damaged < 100);
    free(m.bytes);
}

/* LMDB would look for more values of the key, and follow a pointer that it has not set. */
static void test_states_are_read_with_care(void **state)
{
    static struct tree_guard guard;
    struct image m;
    struct bytes row;
    struct tree t;
    uint64_t leaf;

    (void)state;
    image_make(&m);
    image_look(&m, &guard);
    leaf = guard.walks[TREE_STATES].table.root;
    put_u16(node_of(&m, leaf, 1) + 4, 4);
    test_file_write(m.path, m.bytes, m.size);
    open_tree(&t);
    assert_int_equal(tree_state(&t, 0, &row), 0);
    assert_int_equal(row.size, 9);
    assert_int_equal(tree_state(&t, 300, &row), RK_CORRUPT);
    assert_int_equal(tree_state(&t, 301, &row), RK_NOTFOUND);
    assert_int_equal(tree_state(&t, 600, &row), 0);
    assert_int_equal(tree_state(&t, 601, &row), RK_NOTFOUND);
    tree_close(&t);
    free(m.bytes);
}

/* A value's pages are given up when it is replaced: it must not have more than it needs. */
static void test_pages_of_large_values(void **state)
{
    static struct tree_guard guard;
    struct round r = {.random = 3};
    struct image m;
    unsigned found = 0;

    (void)state;
    image_make(&m);
    image_look(&m, &guard);
    fill(&r, 1000, 0, false);
    for (int error = tree_walk_first(&guard.walks[TREE_RECORDS]); !error && found < 8;
         error = tree_walk_next(&guard.walks[TREE_RECORDS])) {
        const struct tree_page *leaf = tree_walk_leaf(&guard.walks[TREE_RECORDS]);

        for (unsigned i = 0; i < leaf->nodes; i++) {
            struct tree_node node;
            uint8_t *large;
            uint16_t pages;

            assert_true(tree_node_open(leaf, i, &node));
            if (tree_u16(node.at + 4) != TREE_NODE_LARGE)
                continue;
            large = page_at(&m, tree_u64(node.key.data + node.key.size));
            pages = tree_u16(large + 12);
            put_u16(large + 12, pages ^ (uint16_t)(1 << found % 8));
            assert_int_equal(try_it(&m, &r), RK_CORRUPT);
            expect_told(tree_u64(large));
            put_u16(large + 12, pages);
            found++;
        }
    }
    assert_true(found >= 8);
    round_free(&r);
    free(m.bytes);
}

/* A byte in a page's head, in its list of offsets, in a node's head, or anywhere. */
static size_t place_in(const struct image *m, uint64_t page, uint64_t *random)
{
    const uint8_t *at = page_at(m, page);
    unsigned nodes = (tree_u16(at + TREE_LOWER_AT) - TREE_PAGE_HEAD_SIZE) / 2U;
    uint64_t what = model_random(random) % 4;

    if (what == 3)
        return page * PAGE_SIZE + model_random(random) % PAGE_SIZE;
    if (what == 0 || nodes == 0 || nodes > PAGE_SIZE / 2 || tree_u16(at + TREE_KIND_AT) > TREE_LEAF)
        return page * PAGE_SIZE + model_random(random) % TREE_PAGE_HEAD_SIZE;
    if (what == 1)
        return page * PAGE_SIZE + TREE_PAGE_HEAD_SIZE + model_random(random) % (2 * nodes);
    return (size_t)(node_of(m, page, (unsigned)(model_random(random) % nodes)) - m->bytes) +
           model_random(random) % TREE_NODE_HEAD_SIZE;
}

/* Bits that flip anywhere where pages speak of pages, in every table: whatever comes of it, it is
 * no crash, and what is written stays good but for the page that was damaged. */
static void test_bits_that_flip(void **state)
{
    enum { ROUNDS = 600 };
    struct round r = {.random = 5};
    uint64_t random = 11;
    unsigned told = 0;
    struct image m;
    uint8_t *good;

    (void)state;
    image_make(&m);
    good = malloc(m.size);
    assert_non_null(good);
    memcpy(good, m.bytes, m.size);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t page = i % 4 ? model_random(&random) % (m.size / PAGE_SIZE) : 2 + (uint64_t)i % 40;
        size_t place = place_in(&m, page, &random);
        int error;

        m.bytes[place] ^= (uint8_t)(1 << model_random(&random) % 8);
        fill(&r, i % 3 * 200, 100 + i % 5 * 150, i % 7 == 0);
        why[0] = 0;
        error = try_it(&m, &r);
        if (error)
            assert_non_null(strstr(why, folder));
        told += why[0] != 0;
        memcpy(m.bytes, good, m.size);
    }
    assert_true(told > ROUNDS / 8);
    round_free(&r);
    free(good);
    free(m.bytes);
}

/* ---- a store ---- */

static void write_keys(struct store *s, unsigned from, unsigned count, size_t size)
{
    static uint8_t value[1000];
    uint64_t position = 0;
    int error;

    for (unsigned i = from; i < from + count; i++) {
        uint8_t key[STORE_KEY_SIZE_MAX];
        struct store_change change = {
            STORE_PUT, bytes_of(key, key_write(i, key)), {.value = bytes_of(value, size)}};
        struct store_batch batch = {.changes = &change, .change_count = 1};

        do {
            error = store_apply(s, &batch, &position);
            store_submit(s);
        } while (error == RK_FULL);
        if (error)
            return;
    }
    test_sync(s, position);
}

/* Writes on until the store has failed. */
static void expect_failure(struct store *s)
{
    int error = 0;

    for (unsigned i = 0; !error; i++) {
        write_keys(s, i % 100, 1, 1);
        store_poll(s, &error);
    }
    assert_int_equal(error, RK_IO);
    store_disk_why(s, why, sizeof(why));
}

static void test_a_store_that_is_damaged_ends(void **state)
{
    static struct tree_guard guard;
    struct store_disk_options options = test_options(folder);
    struct image m;
    struct store *s;
    uint64_t leaf;

    (void)state;
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    write_keys(s, 0, 400, 100);
    test_write_down(s);
    store_close(s);
    snprintf(m.path, sizeof(m.path), "%s/tree", folder);
    m.bytes = test_file_read(m.path, &m.size);
    image_look(&m, &guard);
    leaf = child_of(&m, guard.walks[TREE_RECORDS].table.root, 0);
    put_u16(node_of(&m, leaf, 0) + 4, 4);
    test_file_write(m.path, m.bytes, m.size);
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    expect_failure(s);
    expect_told(leaf);
    store_close(s);
    /* Nor does it serve until the next checkpoint comes to that page: not unless it must. */
    why[0] = 0;
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), RK_CORRUPT);
    expect_told(leaf);
    snprintf(m.path, sizeof(m.path), "%s/tree-damaged", folder);
    assert_non_null(strstr(why, m.path));
    assert_int_equal(unlink(m.path), 0);
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    expect_failure(s);
    expect_told(leaf);
    store_close(s);
    free(m.bytes);
}

/* The map cannot grow: LMDB would have given the old one up before it noticed. */
static void test_no_address_space(void **state)
{
    struct store_disk_options options = test_options(folder);
    struct rlimit before, limit;
    struct store_record record;
    uint8_t key[STORE_KEY_SIZE_MAX];
    size_t size = key_write(0, key);
    uint64_t position;
    struct store *s;
    FILE *statm;
    long pages;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    options.map_size = 64 << 20;
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    write_keys(s, 0, 100, 100);
    test_write_down(s);
    statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%ld", &pages), 1);
    fclose(statm);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (32 << 20);
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    for (unsigned i = 100, error = 0; !error; i += 1000) {
        write_keys(s, i, 1000, 1000);
        store_poll(s, (int *)&error);
    }
    store_disk_why(s, why, sizeof(why));
    assert_non_null(strstr(why, "address space"));
    assert_non_null(strstr(why, folder));
    /* What is there is still read. */
    assert_int_equal(store_get(s, bytes_of(key, size), &record, &position), 0);
    store_close(s);
    options.map_size = 512 << 20;
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), RK_NOMEM);
    assert_non_null(strstr(why, "address space"));
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(store_disk_open(&options, &s, why, sizeof(why)), 0);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_lmdb_writes_is_good, start, finish),
        cmocka_unit_test_setup_teardown(test_damage_is_told_before_it_does_harm, start, finish),
        cmocka_unit_test_setup_teardown(test_the_place_of_the_map_is_no_pages_word, start, finish),
        cmocka_unit_test_setup_teardown(test_a_file_that_was_cut_short, start, finish),
        cmocka_unit_test_setup_teardown(test_a_wrong_leaf_does_not_say_that_keys_are_absent, start,
                                        finish),
        cmocka_unit_test_setup_teardown(test_states_are_read_with_care, start, finish),
        cmocka_unit_test_setup_teardown(test_pages_of_large_values, start, finish),
        cmocka_unit_test_setup_teardown(test_bits_that_flip, start, finish),
        cmocka_unit_test_setup_teardown(test_a_store_that_is_damaged_ends, start, finish),
        cmocka_unit_test_setup_teardown(test_no_address_space, start, finish),
    };

    if (!tree_pages_known())
        return 77; /* a machine of the other kind cannot read the pages */
    /* The log tells of every failure; here they are many and wanted. */
    log_open("test_tree_guard", "/dev/null", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
