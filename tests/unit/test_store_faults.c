/* Every call of every kind to the file system fails once: what was acknowledged is there
 * afterwards, what is told is true, nothing crashes, and nothing is synced after a failed write or
 * sync. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/error.h"
#include "shared/log.h"
#include "tests/unit/store_support.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { BATCHES = 60 };

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static bool sync_is_told_to_fail;

int __wrap_fdatasync(int fd)
{
    int result = __real_fdatasync(fd);

    if (!sync_is_told_to_fail)
        return result;
    errno = EIO;
    return -1;
}

struct run {
    char folder[512];
    struct faulty_files faulty;
    struct store_disk_options options;
    struct model model; /* what was applied */
    uint64_t acknowledged;
    bool ended; /* the store has failed, or never opened */
};

static void run_init(struct run *r, uint64_t seed)
{
    memset(r, 0, sizeof(*r));
    snprintf(r->folder, sizeof(r->folder), "%s", test_folder_new());
    faulty_files_init(&r->faulty);
    r->options = test_options(r->folder);
    r->options.checkpoint_ms = 1;
    r->options.files = &r->faulty.files;
    model_init(&r->model, seed, true);
}

static void acknowledge(struct run *r, struct store *s)
{
    int error;
    uint64_t position = store_poll(s, &error);

    assert_true(position <= r->model.applied);
    assert_true(position >= r->acknowledged);
    /* It may be told together with an error, but what is told is true. */
    r->acknowledged = position;
    if (error) {
        char why[STORE_WHY_SIZE];

        assert_int_equal(error, RK_IO);
        store_disk_why(s, why, sizeof(why));
        assert_non_null(strstr(why, r->folder));
        r->ended = true;
    }
}

static void apply_batches(struct run *r, struct store *s)
{
    for (int i = 0; i < BATCHES && !r->ended; i++) {
        struct model_batch batch;
        uint64_t position;
        int error;

        model_next(&r->model, &batch);
        error = store_apply(s, &batch.batch, &position);
        if (error == 0)
            model_advance(&r->model);
        else
            assert_true(error == RK_IO || error == RK_NOSPACE || error == RK_NOMEM ||
                        error == RK_FULL);
        if (i % 5 == 0 && !error)
            test_sync(s, position);
        store_submit(s);
        acknowledge(r, s);
        if (!r->ended && i % 20 == 0)
            model_check(&r->model, s);
    }
}

/* What is found by a process that comes after, with nothing failing. */
static void check_after(struct run *r)
{
    struct store_disk_options options = r->options;
    char why[STORE_WHY_SIZE];
    struct model then;
    struct store *s;
    uint64_t remembered;
    int error;

    options.files = NULL;
    error = store_disk_open(&options, &s, why, sizeof(why));
    if (error)
        print_message("%s\n", why);
    assert_int_equal(error, 0);
    remembered = model_remembered(s);
    assert_true(remembered >= r->acknowledged);
    assert_true(remembered <= r->model.applied);
    model_init(&then, r->model.seed, true);
    while (then.applied < remembered)
        model_advance(&then);
    model_check(&then, s);
    store_close(s);
}

/* Returns whether the nth call was met. */
static bool run_with_fault(unsigned kinds, int nth, int error, bool all)
{
    char why[STORE_WHY_SIZE];
    struct store *s = NULL;
    struct run r;
    bool met;

    run_init(&r, (uint64_t)nth);
    r.faulty.error = error;
    r.faulty.all = all;
    atomic_store(&r.faulty.until, nth);
    r.faulty.kinds = kinds;
    if (store_disk_open(&r.options, &s, why, sizeof(why)) != 0) {
        assert_true(atomic_load(&r.faulty.failures) > 0);
        assert_true(why[0] != 0);
        r.ended = true;
    } else {
        apply_batches(&r, s);
        /* After a full disk it takes a moment until room is looked for again. */
        if (error != ENOSPC && !r.ended)
            assert_true(r.acknowledged > 0);
        store_close(s);
    }
    met = atomic_load(&r.faulty.failures) > 0;
    if (kinds & (FAULT_WRITE | FAULT_SYNC))
        assert_int_equal(atomic_load(&r.faulty.syncs_after_failure), 0);
    r.faulty.kinds = 0;
    check_after(&r);
    test_folder_remove(r.folder);
    return met;
}

static void every_nth(unsigned kinds, int error, bool all)
{
    int nth = 1, missed = 0;

    /* How many calls a run makes varies with the threads: three in a row that did not come so far
     * end it. */
    for (; missed < 3 && nth < 500; nth++)
        missed = run_with_fault(kinds, nth, error, all) ? 0 : missed + 1;
    assert_true(nth > 4);
}

static void test_every_write_fails(void **state)
{
    (void)state;
    every_nth(FAULT_WRITE, EIO, false);
}

static void test_every_sync_fails(void **state)
{
    (void)state;
    every_nth(FAULT_SYNC, EIO, false);
}

static void test_every_sync_of_the_folder_fails(void **state)
{
    (void)state;
    every_nth(FAULT_SYNC_FOLDER, EIO, false);
}

static void test_every_rename_fails(void **state)
{
    (void)state;
    every_nth(FAULT_RENAME, EIO, false);
}

static void test_every_unlink_fails(void **state)
{
    (void)state;
    for (int nth = 1; nth < 5; nth++)
        run_with_fault(FAULT_UNLINK, nth, EACCES, false);
}

static void test_every_open_fails(void **state)
{
    (void)state;
    every_nth(FAULT_OPEN, EMFILE, false);
}

static void test_every_commit_fails(void **state)
{
    (void)state;
    every_nth(FAULT_COMMIT, EIO, false);
}

static void test_every_allocation_of_room_fails(void **state)
{
    (void)state;
    every_nth(FAULT_ALLOCATE, ENOSPC, false);
    every_nth(FAULT_ALLOCATE, EIO, false);
    for (int nth = 1; nth < 12; nth++)
        run_with_fault(FAULT_ALLOCATE, nth, ENOSPC, true);
}

/* Whether memory has the beginning of a file. */
static bool is_in_memory(int fd)
{
    uint8_t byte;
    struct iovec to = {&byte, 1};

    return preadv2(fd, &to, 1, 0, RWF_NOWAIT) == 1;
}

/* After a sync that failed memory holds what the disk may not have, as if it had been written: a
 * node that is started then must not read that. */
static void test_what_was_not_synced_is_not_read(void **state)
{
    static const uint8_t content[64 << 10];
    const char *folder = test_folder_new();
    struct statfs system;
    char path[600];
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/file", folder);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(store_files_write(&store_files_real, fd, content, sizeof(content), 0), 0);
    assert_int_equal(store_files_real.sync(NULL, fd), 0);
    assert_int_equal(fstatfs(fd, &system), 0);
    if (is_in_memory(fd) && system.f_type != TMPFS_MAGIC) {
        sync_is_told_to_fail = true;
        assert_int_equal(store_files_real.sync(NULL, fd), -1);
        assert_int_equal(errno, EIO);
        sync_is_told_to_fail = false;
        assert_false(is_in_memory(fd));
    }
    close(fd);
    test_folder_remove(folder);
}

/* Refused while the disk is full, read all the while, and written again when there is room: by
 * itself. */
static void test_a_full_disk_is_only_a_pause(void **state)
{
    struct model_batch batch;
    char why[STORE_WHY_SIZE];
    struct store_stats stats;
    uint64_t position;
    struct store *s;
    struct run r;
    int error;

    (void)state;
    run_init(&r, 77);
    assert_int_equal(store_disk_open(&r.options, &s, why, sizeof(why)), 0);
    apply_batches(&r, s);
    r.faulty.error = ENOSPC;
    r.faulty.all = true;
    atomic_store(&r.faulty.until, 1);
    r.faulty.kinds = FAULT_ALLOCATE;
    /* A write may be taken behind a refused one: a checkpoint that was under way when the disk
     * became full still ends, and gives a segment of the log back. */
    do {
        model_next(&r.model, &batch);
        error = store_apply(s, &batch.batch, &position);
        assert_true(!error || error == RK_FULL || error == RK_NOSPACE);
        if (!error) {
            model_advance(&r.model);
            assert_int_equal(test_sync(s, position), 0);
        }
        store_submit(s);
        acknowledge(&r, s);
        store_stats(s, &stats);
    } while (stats.nospace_refusals < 2);
    model_check(&r.model, s);
    r.faulty.kinds = 0;
    do {
        error = store_apply(s, &batch.batch, &position);
        store_submit(s);
        assert_true(!error || error == RK_NOSPACE);
    } while (error);
    model_advance(&r.model);
    assert_int_equal(test_sync(s, position), 0);
    apply_batches(&r, s);
    assert_false(r.ended);
    store_close(s);
    check_after(&r);
    test_folder_remove(r.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write_fails),
        cmocka_unit_test(test_every_sync_fails),
        cmocka_unit_test(test_what_was_not_synced_is_not_read),
        cmocka_unit_test(test_every_sync_of_the_folder_fails),
        cmocka_unit_test(test_every_rename_fails),
        cmocka_unit_test(test_every_unlink_fails),
        cmocka_unit_test(test_every_open_fails),
        cmocka_unit_test(test_every_commit_fails),
        cmocka_unit_test(test_every_allocation_of_room_fails),
        cmocka_unit_test(test_a_full_disk_is_only_a_pause),
    };

    /* The log tells of every failure; here they are many and wanted. */
    log_open("test_store_faults", "/dev/null", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
