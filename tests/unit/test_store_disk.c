#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/store_disk.h"
#include "node/tree_record.h"
#include "node/write_pace.h"
#include "shared/error.h"
#include "shared/log.h"
#include "shared/wire.h"
#include "tests/unit/store_support.h"
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct store *open_with(const struct store_disk_options *options)
{
    char why[STORE_WHY_SIZE];
    struct store *s = NULL;
    int error = store_disk_open(options, &s, why, sizeof(why));

    if (error)
        print_message("open: %s: %s\n", rk_error_text(error), why);
    assert_int_equal(error, 0);
    return s;
}

static struct store *open_in(const char *folder)
{
    struct store_disk_options options = test_options(folder);

    return open_with(&options);
}

static void expect_refusal(const struct store_disk_options *options, int error, const char *text)
{
    char why[STORE_WHY_SIZE];
    struct store *s = NULL;

    assert_int_equal(store_disk_open(options, &s, why, sizeof(why)), error);
    if (!strstr(why, text))
        print_message("'%s' does not tell of '%s'\n", why, text);
    assert_non_null(strstr(why, text));
    assert_null(s);
}

static void advance(struct model *m, struct store *s)
{
    struct model_batch batch;
    uint64_t position;
    int error;

    model_next(m, &batch);
    while ((error = store_apply(s, &batch.batch, &position)) == RK_FULL)
        store_submit(s);
    assert_int_equal(error, 0);
    model_advance(m);
    assert_int_equal(position, m->applied);
}

/* Opens, writes, checks, closes again and again, with checkpoints whenever they please. */
static void run_model(uint64_t seed, const struct store_disk_options *options, int rounds)
{
    uint64_t random = seed;
    struct model m;

    model_init(&m, seed, true);
    for (int round = 0; round < rounds; round++) {
        struct store *s = open_with(options);

        assert_int_equal(model_remembered(s), m.applied);
        model_check(&m, s);
        for (uint64_t i = model_random(&random) % 150; i > 0; i--) {
            advance(&m, s);
            if (model_random(&random) % 8 == 0)
                store_submit(s);
            if (model_random(&random) % 40 == 0)
                model_check(&m, s);
            if (model_random(&random) % 40 == 0)
                assert_int_equal(test_sync(s, m.applied), 0);
        }
        model_check(&m, s);
        store_close(s);
    }
    struct store *s = open_with(options);
    uint64_t applied = m.applied;

    advance(&m, s);
    test_write_down(s);
    model_check(&m, s);
    model_check_counts(&m, s);
    assert_int_equal(m.applied, applied + 1);
    store_close(s);
}

static void test_holds_what_the_model_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        char folder[512];
        struct store_disk_options options;

        snprintf(folder, sizeof(folder), "%s", test_folder_new());
        options = test_options(folder);
        options.scrub_rate = seed % 2 ? 100 << 20 : 0;
        options.sync = seed % 3 == 0   ? STORE_SYNC_INTERVAL
                       : seed % 3 == 1 ? STORE_SYNC_ALWAYS
                                       : STORE_SYNC_NEVER;
        options.sync_interval_ms = 3;
        run_model(seed, &options, 12);
        test_folder_remove(folder);
    }
}

static struct store_change put_of(struct bytes key, struct bytes value)
{
    return (struct store_change){STORE_PUT, key, {.version = {1, 1}, .value = value}};
}

static int apply_one(struct store *s, struct store_change change, uint64_t *position)
{
    struct store_batch batch = {.changes = &change, .change_count = 1};

    return store_apply(s, &batch, position);
}

static struct bytes number_key(uint64_t number, uint8_t key[16])
{
    uint64_t random = number;

    wire_put_position(key, model_random(&random));
    wire_put_position(key + 8, number);
    return bytes_of(key, 16);
}

static void put_number(struct store *s, uint64_t number, struct bytes value)
{
    uint64_t position;
    uint8_t key[16];
    int error;

    while ((error = apply_one(s, put_of(number_key(number, key), value), &position)) == RK_FULL ||
           error == RK_NOSPACE)
        store_submit(s);
    assert_int_equal(error, 0);
}

static void expect_number(struct store *s, uint64_t number, struct bytes value)
{
    struct store_record record;
    uint64_t position;
    uint8_t key[16];

    assert_int_equal(store_get(s, number_key(number, key), &record, &position), 0);
    assert_true(bytes_equal(record.value, value));
}

static void test_map_grows_and_memory_is_bounded(void **state)
{
    char folder[512];
    struct store_stats stats;
    uint8_t value[300];
    struct store *s;
    enum { COUNT = 40000 };

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    s = open_in(folder);
    memset(value, 'v', sizeof(value));
    for (uint64_t i = 0; i < COUNT; i++) {
        put_number(s, i, bytes_of(value, 1 + i % sizeof(value)));
        if (i % 16 == 0) {
            store_submit(s);
            store_stats(s, &stats);
            assert_true(stats.memory_bytes <= stats.memory_max);
        }
    }
    test_write_down(s);
    store_stats(s, &stats);
    assert_true(stats.file_bytes > 4 << 20);
    for (uint64_t i = 0; i < COUNT; i += 7)
        expect_number(s, i, bytes_of(value, 1 + i % sizeof(value)));
    store_close(s);
    s = open_in(folder);
    for (uint64_t i = 0; i < COUNT; i += 7)
        expect_number(s, i, bytes_of(value, 1 + i % sizeof(value)));
    store_close(s);
    test_folder_remove(folder);
}

static void test_large_values_get_segments_of_their_own(void **state)
{
    enum { SIZE = 5 << 20 };
    uint8_t *value = malloc(SIZE);
    char folder[512];
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    s = open_in(folder);
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (uint8_t)(i * i >> 7);
    for (uint64_t i = 0; i < 6; i++) {
        put_number(s, i, bytes_of(value + i, SIZE - 6));
        put_number(s, 100 + i, bytes_of(value, 10));
    }
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 6; i++) {
            expect_number(s, i, bytes_of(value + i, SIZE - 6));
            expect_number(s, 100 + i, bytes_of(value, 10));
        }
        store_close(s);
        s = open_in(folder);
    }
    store_close(s);
    free(value);
    test_folder_remove(folder);
}

static void test_a_folder_has_one_owner(void **state)
{
    char folder[512];
    struct store_disk_options options;
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    s = open_with(&options);
    expect_refusal(&options, RK_BUSY, folder);
    store_close(s);
    s = open_with(&options);
    store_close(s);
    test_folder_remove(folder);
    expect_refusal(&options, RK_IO, folder);
}

static void test_a_folder_that_may_not_be_written(void **state)
{
    char folder[512];
    struct store_disk_options options;
    int status;
    pid_t pid;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    store_close(open_with(&options));
    assert_int_equal(chmod(folder, 0500), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char why[STORE_WHY_SIZE];
        struct store *s;

        /* The lock file must not be there to be opened either. */
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        _exit(store_disk_open(&options, &s, why, sizeof(why)) == RK_READONLY && strstr(why, folder)
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    test_folder_remove(folder);
}

static void test_options_have_ranges(void **state)
{
    struct store_disk_options options = test_options("/nowhere");

    (void)state;
    options.memory_table = 1000;
    expect_refusal(&options, RK_INVALID, "memory_table");
    options = test_options("/nowhere");
    options.log_segment = 100;
    expect_refusal(&options, RK_INVALID, "log_segment");
}

/* Changes a row of the tree behind the store's back. */
static void edit_tree(const char *folder, const char *table, struct bytes key, size_t at,
                      uint8_t flip)
{
    char path[1024];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {key.size, (void *)key.data}, v;
    uint8_t *copy;

    snprintf(path, sizeof(path), "%s/tree", folder);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &k, &v), 0);
    copy = malloc(v.mv_size);
    memcpy(copy, v.mv_data, v.mv_size);
    assert_true(at < v.mv_size);
    copy[at] ^= flip;
    v.mv_data = copy;
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(copy);
}

static void test_another_version_is_refused(void **state)
{
    struct store_disk_options options;
    char folder[512];

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    store_close(open_with(&options));
    edit_tree(folder, "meta", bytes_from("store"), 0, 2);
    expect_refusal(&options, RK_VERSION, folder);
    edit_tree(folder, "meta", bytes_from("store"), 0, 2);
    edit_tree(folder, "meta", bytes_from("store"), 9, 2);
    expect_refusal(&options, RK_CORRUPT, folder);
    test_folder_remove(folder);
}

static void write_numbers(const char *folder, uint64_t count)
{
    struct store *s = open_in(folder);

    for (uint64_t i = 0; i < count; i++)
        put_number(s, i, bytes_from("value"));
    test_write_down(s);
    store_close(s);
}

static int count_damaged(void *arg, struct bytes key, const struct store_record *record)
{
    uint8_t damaged[16];

    if (!record) {
        assert_true(bytes_equal(key, number_key(5, damaged)));
        ++*(int *)arg;
    }
    return 0;
}

static void test_damaged_records_are_never_served(void **state)
{
    struct store_disk_options options;
    uint8_t last[8], key[STORE_KEY_SIZE_MAX], five[16];
    struct store_record record;
    struct store_stats stats;
    char folder[512];
    struct store *s;
    uint64_t position;
    int damaged = 0;
    size_t size;

    (void)state;
    memset(last, 0xff, sizeof(last));
    for (size_t byte = 0; byte < 26; byte++) {
        snprintf(folder, sizeof(folder), "%s", test_folder_new());
        write_numbers(folder, 100);
        edit_tree(folder, "records", number_key(5, five), byte, 0x10);
        options = test_options(folder);
        options.scrub_rate = byte % 2 ? 0 : 100 << 20;
        s = open_with(&options);
        if (options.scrub_rate) {
            do {
                store_stats(s, &stats);
            } while (stats.scrub_damaged == 0);
        } else {
            assert_int_equal(store_get(s, number_key(5, five), &record, &position), RK_CORRUPT);
            assert_null(record.value.data);
        }
        assert_int_equal(store_damaged(s, key, &size), 0);
        assert_true(bytes_equal(bytes_of(key, size), number_key(5, five)));
        damaged = 0;
        assert_int_equal(
            store_scan(s, bytes_of(NULL, 0), bytes_of(last, 8), count_damaged, &damaged),
            RK_CORRUPT);
        assert_int_equal(damaged, 1);
        expect_number(s, 6, bytes_from("value"));
        put_number(s, 5, bytes_from("value"));
        expect_number(s, 5, bytes_from("value"));
        test_write_down(s);
        expect_number(s, 5, bytes_from("value"));
        store_close(s);
        test_folder_remove(folder);
    }
}

/* A disk that damages much must not fill the disk with lines about it. */
static void test_damage_is_told_a_few_times(void **state)
{
    enum { DAMAGED = 40 };
    struct store_disk_options options;
    struct store_stats stats;
    char folder[512], path[600];
    uint8_t key[16], *said;
    struct store *s;
    size_t size;
    int lines = 0;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    snprintf(path, sizeof(path), "%s/said", folder);
    write_numbers(folder, 100);
    for (uint64_t i = 0; i < DAMAGED; i++)
        edit_tree(folder, "records", number_key(i, key), 25, 0x10);
    log_open("test", path, LOG_WARN);
    options = test_options(folder);
    options.scrub_rate = 100 << 20;
    s = open_with(&options);
    do {
        store_stats(s, &stats);
    } while (stats.scrub_damaged < DAMAGED);
    store_close(s);
    log_open("test", NULL, LOG_INFO);
    said = test_file_read(path, &size);
    said[size] = 0;
    for (const char *at = (char *)said; (at = strstr(at, "damaged record")); at++)
        lines++;
    assert_int_equal(lines, LOG_QUOTA_LINES);
    free(said);
    test_folder_remove(folder);
}

static void test_damaged_state_rows_are_never_served(void **state)
{
    uint8_t row[STORE_STATE_MAX], key[TREE_STATE_KEY_SIZE];
    struct store_batch batch = {.partition = 77, .state = bytes_from("state")};
    char folder[512];
    struct store *s;
    uint64_t position;
    size_t size;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    s = open_in(folder);
    assert_int_equal(store_apply(s, &batch, &position), 0);
    test_write_down(s);
    assert_int_equal(store_state(s, 77, row, &size), 0);
    assert_int_equal(size, 5);
    store_close(s);
    tree_state_key(77, key);
    edit_tree(folder, "states", bytes_of(key, sizeof(key)), 6, 1);
    s = open_in(folder);
    assert_int_equal(store_state(s, 77, row, &size), RK_CORRUPT);
    assert_int_equal(size, 0);
    assert_int_equal(store_state(s, 78, row, &size), RK_NOTFOUND);
    store_close(s);
    test_folder_remove(folder);
}

static void test_log_is_given_up_and_used_again(void **state)
{
    struct store_disk_options options;
    struct store_stats stats;
    uint8_t value[500];
    char folder[512];
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    memset(value, 1, sizeof(value));
    options = test_options(folder);
    s = open_with(&options);
    for (uint64_t i = 0; i < 20000; i++) {
        put_number(s, i % 500, bytes_of(value, sizeof(value)));
        if (i % 64 == 0)
            assert_int_equal(test_sync(s, i), 0);
    }
    put_number(s, 1, bytes_from("x"));
    test_write_down(s);
    store_stats(s, &stats);
    /* What is not written down yet, one segment kept, the spares: not the 10 MB that were written.
     */
    assert_true(stats.log_bytes < 4 << 20);
    assert_true(stats.syncs > 0);
    assert_int_equal(stats.writes, 20001);
    store_close(s);
    s = open_with(&options);
    expect_number(s, 499, bytes_of(value, sizeof(value)));
    expect_number(s, 1, bytes_from("x"));
    store_close(s);
    test_folder_remove(folder);
}

/* A file layer whose commits wait once they are told to. */
struct stuck {
    struct store_files files;
    atomic_bool wait;
};

static int commit_when_told(void *arg, struct MDB_txn *txn)
{
    struct stuck *stuck = arg;

    while (atomic_load(&stuck->wait))
        usleep(100);
    return store_files_real.commit(NULL, txn);
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Writers that do not wait as they are told to fill the tables in some 0.1 s. Where they take much
 * longer by themselves, they are hardly told to: the arithmetic is tested by test_write_pace. */
enum { QUICK_US = 150000 };

static void test_writers_are_slowed_down_before_they_are_refused(void **state)
{
    struct stuck stuck = {.files = store_files_real};
    uint64_t began_us, slowest = 0, position, number = 0;
    struct store_disk_options options;
    struct store_stats stats;
    uint8_t value[1000] = {0}, key[16];
    char folder[512];
    struct store *s;
    int error;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    stuck.files.arg = &stuck;
    stuck.files.commit = commit_when_told;
    options = test_options(folder);
    options.files = &stuck.files;
    options.memory_table = 8 << 20;
    options.checkpoint_ms = UINT64_MAX;
    s = open_with(&options);
    assert_int_equal(store_delay_us(s), 0);
    atomic_store(&stuck.wait, true);
    began_us = now_us();
    do {
        uint64_t delay = store_delay_us(s);

        if (delay > slowest)
            slowest = delay;
        error = apply_one(s, put_of(number_key(number++, key), bytes_of(value, sizeof(value))),
                          &position);
        store_submit(s);
    } while (!error);
    assert_int_equal(error, RK_FULL);
    store_stats(s, &stats);
    if (now_us() - began_us < QUICK_US) {
        assert_true(slowest > STORE_DELAY_US_MAX / 2);
        assert_true(stats.delay_us > STORE_DELAY_US_MAX / 2);
        assert_true(stats.slowdowns > 100);
        assert_true(stats.held_back_us > stats.slowdowns * WRITE_PACE_FREE_US);
    }
    assert_int_equal(stats.full_refusals, 1);
    assert_int_equal(stats.nospace_refusals, 0);
    assert_true(stats.memory_bytes <= stats.memory_max);
    atomic_store(&stuck.wait, false);
    do {
        store_submit(s);
        store_stats(s, &stats);
    } while (stats.checkpoints == 0);
    put_number(s, number, bytes_from("after"));
    expect_number(s, number, bytes_from("after"));
    expect_number(s, 0, bytes_of(value, sizeof(value)));
    store_close(s);
    test_folder_remove(folder);
}

static void put_counted(struct store *s, uint64_t number, bool deleted, int64_t expire_ms)
{
    uint8_t key[16], value[100] = {0};
    struct store_change change = put_of(number_key(number, key), bytes_of(value, sizeof(value)));
    uint64_t position;

    change.record.expire_ms = expire_ms;
    change.record.deleted = deleted;
    if (deleted)
        change.record.value = bytes_of(NULL, 0);
    assert_int_equal(apply_one(s, change, &position), 0);
}

static void forget_number(struct store *s, uint64_t number)
{
    uint8_t key[16];
    struct store_change change = {.kind = STORE_FORGET, .key = number_key(number, key)};
    uint64_t position;

    assert_int_equal(apply_one(s, change, &position), 0);
}

static void expect_counts(struct store *s, uint64_t keys, uint64_t tombstones, uint64_t expiring)
{
    struct store_stats stats;

    store_stats(s, &stats);
    assert_int_equal(stats.keys, keys);
    assert_int_equal(stats.tombstones, tombstones);
    assert_int_equal(stats.expiring, expiring);
    assert_int_equal(stats.live_bytes, keys * 116);
}

/* The same store after all of it was written down, with nothing in memory. */
static struct store *written_down(struct store *s, const struct store_disk_options *options)
{
    store_close(s);
    s = open_in(options->folder);
    test_write_down(s);
    store_close(s);
    return open_with(options);
}

/* A few keys are counted exactly before any checkpoint, whatever becomes of them. */
static void test_counts_know_what_is_in_memory(void **state)
{
    struct store_disk_options options;
    char folder[512];
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    options.checkpoint_ms = UINT64_MAX;
    s = open_with(&options);
    for (uint64_t i = 0; i < 100; i++)
        put_counted(s, i, false, i < 10 ? 1000 : 0);
    expect_counts(s, 100, 0, 10);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 50; i++)
            put_counted(s, i, i >= 20, 0);
        put_counted(s, 99, false, 2000);
        forget_number(s, 98);
        forget_number(s, 100);
        expect_counts(s, 69, 30, 1);
        /* What the tree holds is hidden by what is written again. */
        s = written_down(s, &options);
        expect_counts(s, 69, 30, 1);
    }
    /* A replay meets the log of all that is in memory. */
    for (uint64_t i = 0; i < 100; i++)
        put_counted(s, i, i % 2, 0);
    expect_counts(s, 50, 50, 0);
    store_close(s);
    s = open_with(&options);
    expect_counts(s, 50, 50, 0);
    store_close(s);
    test_folder_remove(folder);
}

/* Of many keys some are looked up. */
static void test_counts_of_many_are_near(void **state)
{
    enum { COUNT = 20000 };
    struct store_disk_options options;
    struct store_stats stats;
    char folder[512];
    struct store *s;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    options = test_options(folder);
    options.memory_table = 32 << 20;
    options.checkpoint_ms = UINT64_MAX;
    s = open_with(&options);
    for (uint64_t i = 0; i < COUNT; i++)
        put_counted(s, i, false, 0);
    expect_counts(s, COUNT, 0, 0);
    s = written_down(s, &options);
    for (uint64_t i = COUNT / 2; i < COUNT + COUNT / 2; i++)
        put_counted(s, i, false, 0);
    store_stats(s, &stats);
    assert_in_range(stats.keys, COUNT + COUNT / 2 - COUNT / 50, COUNT + COUNT / 2 + COUNT / 50);
    s = written_down(s, &options);
    expect_counts(s, COUNT + COUNT / 2, 0, 0);
    store_close(s);
    test_folder_remove(folder);
}

/* The log has room, the tree has none: the checkpoint waits, and goes on by itself when there is
 * some. */
static void test_a_tree_without_room_delays_the_checkpoint(void **state)
{
    struct store_disk_options options;
    struct faulty_files faulty;
    struct store_stats stats;
    uint8_t value[1000] = {0}, key[16];
    uint64_t position, number = 0;
    char folder[512];
    struct store *s;
    int error;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", test_folder_new());
    faulty_files_init(&faulty);
    options = test_options(folder);
    options.files = &faulty.files;
    options.log_segment = 32 << 20;
    options.checkpoint_ms = UINT64_MAX;
    s = open_with(&options);
    put_number(s, number++, bytes_of(value, sizeof(value)));
    assert_int_equal(test_sync(s, 1), 0);
    faulty.error = ENOSPC;
    faulty.all = true;
    atomic_store(&faulty.until, 1);
    faulty.kinds = FAULT_ALLOCATE;
    do {
        error = apply_one(s, put_of(number_key(number++, key), bytes_of(value, sizeof(value))),
                          &position);
        store_submit(s);
    } while (error == 0 || error == RK_FULL);
    assert_int_equal(error, RK_NOSPACE);
    store_stats(s, &stats);
    assert_true(stats.nospace_refusals > 0);
    assert_int_equal(stats.no_room, 1);
    assert_int_equal(stats.checkpoints, 0);
    assert_int_equal(store_poll(s, &error) > 0, true);
    assert_int_equal(error, 0);
    expect_number(s, 0, bytes_of(value, sizeof(value)));
    faulty.kinds = 0;
    put_number(s, number, bytes_of(value, sizeof(value)));
    store_stats(s, &stats);
    assert_int_equal(stats.checkpoints, 1);
    expect_number(s, number, bytes_of(value, sizeof(value)));
    expect_number(s, 0, bytes_of(value, sizeof(value)));
    store_close(s);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_what_the_model_holds),
        cmocka_unit_test(test_map_grows_and_memory_is_bounded),
        cmocka_unit_test(test_large_values_get_segments_of_their_own),
        cmocka_unit_test(test_a_folder_has_one_owner),
        cmocka_unit_test(test_a_folder_that_may_not_be_written),
        cmocka_unit_test(test_options_have_ranges),
        cmocka_unit_test(test_another_version_is_refused),
        cmocka_unit_test(test_damaged_records_are_never_served),
        cmocka_unit_test(test_damage_is_told_a_few_times),
        cmocka_unit_test(test_damaged_state_rows_are_never_served),
        cmocka_unit_test(test_log_is_given_up_and_used_again),
        cmocka_unit_test(test_counts_know_what_is_in_memory),
        cmocka_unit_test(test_counts_of_many_are_near),
        cmocka_unit_test(test_writers_are_slowed_down_before_they_are_refused),
        cmocka_unit_test(test_a_tree_without_room_delays_the_checkpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
