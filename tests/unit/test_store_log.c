#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/store_batch.h"
#include "node/store_log.h"
#include "shared/error.h"
#include "shared/log.h"
#include "shared/wire.h"
#include "tests/unit/store_support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEGMENT_SIZE = 8 << 10, WHY = 512 };

/* A log in a folder of its own; replays are checked against the model's batches. */
struct fixture {
    struct log_folder folder;
    struct store_files files;
    struct store_log *log;
    struct model model; /* what was appended */
    uint64_t replayed;  /* batches that the last replay gave */
    uint64_t written_down;
    char why[WHY];
};

static int skip_sync(void *arg, int fd)
{
    (void)arg;
    (void)fd;
    return 0;
}

static void fixture_init(struct fixture *f, uint64_t seed)
{
    memset(f, 0, sizeof(*f));
    f->files = store_files_real;
    f->files.sync = skip_sync;
    f->folder.files = &f->files;
    snprintf(f->folder.path, sizeof(f->folder.path), "%s", test_folder_new());
    model_init(&f->model, seed, false);
}

static void expect_batch(const struct store_batch *got, const struct store_batch *expected)
{
    assert_int_equal(got->partition, expected->partition);
    assert_true(bytes_equal(got->state, expected->state));
    assert_int_equal(got->change_count, expected->change_count);
    for (size_t i = 0; i < got->change_count; i++) {
        const struct store_change *a = &got->changes[i], *b = &expected->changes[i];

        assert_int_equal(a->kind, b->kind);
        assert_true(bytes_equal(a->key, b->key));
        assert_true(bytes_equal(a->record.value, b->record.value));
        assert_int_equal(a->record.expire_ms, b->record.expire_ms);
        assert_int_equal(a->record.deleted, b->record.deleted);
        assert_int_equal(version_compare(a->record.version, b->record.version), 0);
    }
}

static int check_replayed(void *arg, uint64_t position, const struct store_batch *batch)
{
    struct fixture *f = arg;
    struct model_batch expected;
    struct model then = f->model;

    then.applied = position - 1; /* a batch is made from its number alone */
    model_next(&then, &expected);
    expect_batch(batch, &expected.batch);
    f->replayed++;
    return 0;
}

static int replay(struct fixture *f, struct log_replay *r)
{
    *r = (struct log_replay){.folder = &f->folder,
                             .written_down = f->written_down,
                             .each = check_replayed,
                             .arg = f,
                             .why = f->why,
                             .why_size = sizeof(f->why)};
    f->replayed = 0;
    f->why[0] = 0;
    return log_replay(r);
}

/* Replays and forgets. */
static int try_replay(struct fixture *f)
{
    struct log_replay r;
    int error = replay(f, &r);

    free(r.ranges.items);
    return error;
}

static void fixture_open(struct fixture *f, enum store_sync sync)
{
    struct store_log_options options = {.folder = &f->folder,
                                        .sync = sync,
                                        .interval_ms = 2,
                                        .segment_size = SEGMENT_SIZE,
                                        .queue_max = 1 << 20};
    struct log_replay r;
    int error = replay(f, &r);

    if (error)
        print_message("%s\n", f->why);
    assert_int_equal(error, 0);
    assert_int_equal(r.last_position, f->model.applied);
    assert_int_equal(store_log_open(&options, &r, &f->log), 0);
}

static void fixture_free(struct fixture *f)
{
    if (f->log)
        store_log_close(f->log);
    test_folder_remove(f->folder.path);
}

static void append(struct fixture *f)
{
    struct model_batch batch;
    uint64_t position;

    model_next(&f->model, &batch);
    assert_int_equal(store_log_append(f->log, &batch.batch, &position), 0);
    model_advance(&f->model);
    assert_int_equal(position, f->model.applied);
    assert_int_equal(store_log_applied(f->log), position);
}

static void sync_all(struct fixture *f)
{
    int error;

    store_log_submit(f->log);
    assert_int_equal(store_log_wait(f->log, f->model.applied), 0);
    assert_int_equal(store_log_poll(f->log, &error), f->model.applied);
    assert_int_equal(error, 0);
}

static void close_log(struct fixture *f)
{
    store_log_close(f->log);
    f->log = NULL;
}

static void test_batches_are_read_as_written(void **state)
{
    static struct store_change changes[STORE_CHANGES_MAX];
    struct model_batch batch;
    struct store_batch read;
    uint8_t bytes[64 << 10];
    struct model m;

    (void)state;
    model_init(&m, 5, true);
    for (int i = 0; i < 200; i++) {
        size_t size;

        model_next(&m, &batch);
        assert_int_equal(store_batch_check(&batch.batch), 0);
        size = store_batch_size(&batch.batch);
        store_batch_write(&batch.batch, bytes);
        assert_int_equal(store_batch_read(bytes_of(bytes, size), changes, &read), 0);
        expect_batch(&read, &batch.batch);
        for (size_t cut = 0; cut < size; cut += 1 + size / 50)
            assert_int_equal(store_batch_read(bytes_of(bytes, cut), changes, &read), RK_CORRUPT);
        bytes[size] = 0;
        assert_int_equal(store_batch_read(bytes_of(bytes, size + 1), changes, &read), RK_CORRUPT);
        model_advance(&m);
    }
}

static void test_numbers_at_their_extremes_are_refused(void **state)
{
    static struct store_change changes[STORE_CHANGES_MAX];
    uint8_t good[12 + 8 + 24 + 1] = {0}, bytes[sizeof(good)];
    struct store_batch read;

    (void)state;
    good[4] = 1;  /* one change */
    good[14] = 1; /* its key's size */
    assert_int_equal(store_batch_read(bytes_of(good, sizeof(good)), changes, &read), 0);
    for (size_t i = 0; i < 20; i++)
        for (unsigned value = 2; value < 256; value += 23) {
            memcpy(bytes, good, sizeof(good));
            bytes[i] = (uint8_t)value;
            if (i >= 2) /* the first two are the partition, within its bounds */
                assert_int_equal(store_batch_read(bytes_of(bytes, sizeof(bytes)), changes, &read),
                                 i == 12 && value == 2 ? 0 : RK_CORRUPT);
        }
}

static void test_goes_on_where_it_ended(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct fixture f;

        fixture_init(&f, seed);
        for (int round = 0; round < 8; round++) {
            fixture_open(&f, (enum store_sync)(round % 3));
            assert_int_equal(f.replayed, f.model.applied);
            for (int i = 0; i < round * 13; i++) {
                append(&f);
                if (i % 3 == 0)
                    store_log_submit(f.log);
                if (i % 11 == 0)
                    sync_all(&f);
            }
            close_log(&f);
        }
        fixture_free(&f);
    }
}

static void test_interval_syncs_by_itself(void **state)
{
    struct fixture f;
    struct store_log_stats stats;

    (void)state;
    fixture_init(&f, 1);
    fixture_open(&f, STORE_SYNC_INTERVAL);
    append(&f);
    store_log_submit(f.log);
    do {
        store_log_stats(f.log, &stats);
    } while (stats.syncs == 0);
    fixture_free(&f);
}

static int slow_sync(void *arg, int fd)
{
    (void)arg;
    (void)fd;
    return usleep(2000);
}

/* How long syncs take is told, all together. */
static void test_syncs_are_timed(void **state)
{
    struct fixture f;
    struct store_log_stats stats;

    (void)state;
    fixture_init(&f, 1);
    f.files.sync = slow_sync;
    fixture_open(&f, STORE_SYNC_ALWAYS);
    for (int i = 0; i < 3; i++) {
        append(&f);
        store_log_submit(f.log);
        do {
            store_log_stats(f.log, &stats);
        } while (stats.syncs < (uint64_t)i + 1 || stats.sync_us < 2000 * stats.syncs);
    }
    fixture_free(&f);
}

static void test_segments_are_given_up_when_written_down(void **state)
{
    struct store_log_stats before, after;
    struct fixture f;
    uint64_t first;

    (void)state;
    fixture_init(&f, 2);
    fixture_open(&f, STORE_SYNC_ALWAYS);
    for (int i = 0; i < 400; i++)
        append(&f);
    sync_all(&f);
    store_log_stats(f.log, &before);
    assert_true(before.bytes > 6 * SEGMENT_SIZE);
    assert_int_equal(store_log_release(f.log, 0), 0);
    store_log_stats(f.log, &after);
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(store_log_release(f.log, 300), 0);
    f.written_down = 300;
    close_log(&f);
    fixture_open(&f, STORE_SYNC_ALWAYS);
    first = 400 - f.replayed;
    assert_true(first > 200 && first <= 300);
    /* Spares are used again: with old records in them that must not come back. */
    for (int i = 0; i < 300; i++) {
        append(&f);
        if (i % 50 == 0) {
            sync_all(&f);
            f.written_down = f.model.applied;
            assert_int_equal(store_log_release(f.log, f.written_down), 0);
        }
    }
    sync_all(&f);
    store_log_stats(f.log, &after);
    assert_true(after.bytes < before.bytes);
    close_log(&f);
    fixture_open(&f, STORE_SYNC_ALWAYS);
    fixture_free(&f);
}

/* A log of `segments` segments, closed. */
static void make_segments(struct fixture *f, uint64_t segments)
{
    char path[LOG_PATH_SIZE_MAX];

    log_segment_path(&f->folder, segments, path);
    fixture_open(f, STORE_SYNC_ALWAYS);
    while (access(path, F_OK) != 0) {
        append(f);
        sync_all(f);
    }
    close_log(f);
}

static void test_a_missing_segment_is_refused(void **state)
{
    char path[LOG_PATH_SIZE_MAX];
    struct fixture f;

    (void)state;
    for (uint64_t number = 1; number <= 2; number++) {
        fixture_init(&f, 3);
        make_segments(&f, 3);
        log_segment_path(&f.folder, number, path);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(try_replay(&f), RK_CORRUPT);
        assert_non_null(strstr(f.why, "rebuild"));
        /* It does not matter when the tree holds it. */
        f.written_down = f.model.applied;
        assert_int_equal(try_replay(&f), 0);
        fixture_free(&f);
    }
}

/* A copy that somebody has left beside a segment is not taken for it, and the segment not removed
 * for the copy's sake. */
static void test_a_file_of_another_name_is_left_alone(void **state)
{
    char path[LOG_PATH_SIZE_MAX], copy[LOG_PATH_SIZE_MAX];
    struct log_replay r;
    struct fixture f;
    uint8_t *content;
    size_t size;

    (void)state;
    fixture_init(&f, 3);
    make_segments(&f, 3);
    log_segment_path(&f.folder, 2, path);
    content = test_file_read(path, &size);
    snprintf(copy, sizeof(copy), "%s/log-2", f.folder.path);
    test_file_write(copy, content, size);
    assert_int_equal(replay(&f, &r), 0);
    /* Half of the second segment is in the tree. */
    f.written_down = (r.ranges.items[1].first_position + r.ranges.items[2].first_position) / 2;
    free(r.ranges.items);
    assert_int_equal(try_replay(&f), 0);
    assert_int_equal(f.replayed, f.model.applied);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(copy, F_OK), 0);
    free(content);
    fixture_free(&f);
}

static void test_a_log_older_than_the_tree_is_refused(void **state)
{
    char path[LOG_PATH_SIZE_MAX];
    struct fixture f;

    (void)state;
    fixture_init(&f, 3);
    make_segments(&f, 2);
    f.written_down = f.model.applied;
    assert_int_equal(try_replay(&f), 0);
    log_segment_path(&f.folder, 2, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(try_replay(&f), RK_CORRUPT);
    log_segment_path(&f.folder, 1, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(try_replay(&f), RK_CORRUPT);
    assert_non_null(strstr(f.why, "missing"));
    fixture_free(&f);
}

/* A log of one segment with `groups` groups of three batches, closed well or as a crash leaves it.
 * Returns its content; *end: where the last batch ends. */
static uint8_t *make_log(struct fixture *f, int groups, bool crash, size_t *size, size_t *end,
                         char path[1024])
{
    uint8_t *content = NULL;

    fixture_open(f, STORE_SYNC_ALWAYS);
    for (int i = 0; i < groups; i++) {
        for (int j = 0; j < 3; j++)
            append(f);
        sync_all(f);
    }
    snprintf(path, 1024, "%s", test_file_last(f->folder.path, "log-"));
    if (crash)
        content = test_file_read(path, size);
    close_log(f);
    if (!crash)
        content = test_file_read(path, size);
    assert_int_equal(*size, SEGMENT_SIZE);
    for (*end = *size; content[*end - 1] == 0; --*end)
        ;
    if (!crash)
        *end -= LOG_MARK_SIZE;
    return content;
}

static void test_a_flipped_bit_is_never_overlooked(void **state)
{
    struct fixture f;
    char path[1024];
    uint8_t *content;
    size_t size, end, i;

    (void)state;
    fixture_init(&f, 4);
    content = make_log(&f, 5, false, &size, &end, path);
    for (i = 0; i < size; i += i < end + 64 ? 1 : 101) {
        int error;

        content[i] ^= (uint8_t)(1 << i % 8);
        test_file_write(path, content, size);
        error = try_replay(&f);
        content[i] ^= (uint8_t)(1 << i % 8);
        if (i < end) {
            assert_true(error == RK_CORRUPT || error == RK_VERSION);
            assert_non_null(strstr(f.why, path));
            if (error == RK_CORRUPT) {
                assert_non_null(strstr(f.why, "offset"));
                assert_non_null(strstr(f.why, "rebuild"));
            }
        } else {
            assert_int_equal(error, 0);
            assert_int_equal(f.replayed, f.model.applied);
        }
    }
    free(content);
    fixture_free(&f);
}

static void test_a_flipped_bit_before_a_crash(void **state)
{
    struct fixture f;
    char path[1024];
    uint8_t *content;
    size_t size, end, refused = 0;

    (void)state;
    fixture_init(&f, 5);
    content = make_log(&f, 5, true, &size, &end, path);
    for (size_t i = 0; i < end; i++) {
        int error;

        content[i] ^= (uint8_t)(1 << i % 8);
        test_file_write(path, content, size);
        error = try_replay(&f);
        content[i] ^= (uint8_t)(1 << i % 8);
        /* Only the group behind the last mark cannot be told from what a power cut tears. */
        if (error == 0)
            assert_true(f.replayed >= f.model.applied - 3);
        else
            refused++;
    }
    assert_true(refused > end / 2);
    free(content);
    fixture_free(&f);
}

static void test_a_file_cut_short_is_refused(void **state)
{
    struct fixture f;
    char path[1024];
    uint8_t *content;
    size_t size, end;

    (void)state;
    fixture_init(&f, 6);
    content = make_log(&f, 4, false, &size, &end, path);
    for (size_t i = 0; i < size; i += i < end + 64 ? 1 : 101) {
        test_file_write(path, content, i);
        assert_int_equal(try_replay(&f), RK_CORRUPT);
        assert_non_null(strstr(f.why, path));
    }
    free(content);
    fixture_free(&f);
}

/* The last group is torn at every byte: what comes behind is zeros, or what the file held before,
 * or arrived although what is before it did not. */
static void test_a_torn_tail_is_cut(void **state)
{
    struct fixture f;
    char path[1024];
    uint8_t *content, *torn;
    size_t size, end, begin;

    (void)state;
    fixture_init(&f, 7);
    content = make_log(&f, 3, true, &size, &begin, path);
    free(content);
    fixture_free(&f);
    fixture_init(&f, 7);
    content = make_log(&f, 4, true, &size, &end, path);
    assert_true(begin < end);
    torn = malloc(size);
    for (size_t i = begin; i < end; i++) {
        for (int kind = 0; kind < 4; kind++) {
            memcpy(torn, content, size);
            if (kind == 0)
                memset(torn + i, 0, size - i);
            if (kind == 1)
                for (size_t j = i; j < size; j++)
                    torn[j] = (uint8_t)(j * 7 + i);
            if (kind == 2)
                memset(torn + begin, 0, i - begin);
            if (kind == 3)
                memset(torn + i, 0x55, i % 16 + 1);
            test_file_write(path, torn, size);
            assert_int_equal(try_replay(&f), 0);
            assert_true(f.replayed >= f.model.applied - 3);
        }
    }
    free(torn);
    free(content);
    fixture_free(&f);
}

/* What a client stores must not pass for a record or a mark of the log. */
static void test_values_that_look_like_the_log(void **state)
{
    uint8_t *content, *torn;
    struct fixture f;
    char path[1024];
    size_t size, end;
    struct store_change change = {STORE_PUT, bytes_from("key"), {.value = {0}}};
    struct store_batch batch = {.changes = &change, .change_count = 1};
    uint64_t position;

    (void)state;
    fixture_init(&f, 8);
    content = make_log(&f, 4, false, &size, &end, path);
    change.record.value = bytes_of(content + LOG_HEAD_SIZE, end + LOG_MARK_SIZE - LOG_HEAD_SIZE);
    f.log = NULL;
    test_folder_remove(f.folder.path);
    fixture_init(&f, 9);
    fixture_open(&f, STORE_SYNC_ALWAYS);
    append(&f);
    sync_all(&f);
    assert_int_equal(store_log_append(f.log, &batch, &position), 0);
    store_log_submit(f.log);
    assert_int_equal(store_log_wait(f.log, position), 0);
    snprintf(path, sizeof(path), "%s", test_file_last(f.folder.path, "log-"));
    torn = test_file_read(path, &size);
    close_log(&f);
    /* The record's head is lost: the value's bytes come next. */
    for (end = size; torn[end - 1] == 0; end--)
        ;
    torn[end - change.record.value.size - 10] ^= 1;
    test_file_write(path, torn, size);
    assert_int_equal(try_replay(&f), 0);
    assert_int_equal(f.replayed, 1);
    free(torn);
    free(content);
    fixture_free(&f);
}

static void test_a_slow_disk_bounds_the_queue(void **state)
{
    struct store_change change = {STORE_PUT, bytes_from("key"), {.value = {0}}};
    struct store_batch batch = {.changes = &change, .change_count = 1};
    static uint8_t value[100 << 10];
    struct fixture f;
    uint64_t position;
    int error, count = 0;

    (void)state;
    fixture_init(&f, 1);
    fixture_open(&f, STORE_SYNC_ALWAYS);
    change.record.value = bytes_of(value, sizeof(value));
    while ((error = store_log_append(f.log, &batch, &position)) == 0)
        count++;
    assert_int_equal(error, RK_FULL);
    assert_int_equal(count, 10);
    assert_int_equal(position, 10);
    store_log_submit(f.log);
    assert_int_equal(store_log_wait(f.log, position), 0);
    assert_int_equal(store_log_append(f.log, &batch, &position), 0);
    assert_int_equal(position, 11);
    fixture_free(&f);
}

static void test_short_writes_are_continued(void **state)
{
    struct faulty_files faulty;
    struct fixture f;

    (void)state;
    fixture_init(&f, 1);
    faulty_files_init(&faulty);
    atomic_store(&faulty.short_writes, true);
    f.folder.files = &faulty.files;
    fixture_open(&f, STORE_SYNC_ALWAYS);
    for (int i = 0; i < 40; i++)
        append(&f);
    sync_all(&f);
    close_log(&f);
    fixture_open(&f, STORE_SYNC_ALWAYS);
    assert_int_equal(f.replayed, 40);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_are_read_as_written),
        cmocka_unit_test(test_numbers_at_their_extremes_are_refused),
        cmocka_unit_test(test_goes_on_where_it_ended),
        cmocka_unit_test(test_interval_syncs_by_itself),
        cmocka_unit_test(test_syncs_are_timed),
        cmocka_unit_test(test_segments_are_given_up_when_written_down),
        cmocka_unit_test(test_a_missing_segment_is_refused),
        cmocka_unit_test(test_a_file_of_another_name_is_left_alone),
        cmocka_unit_test(test_a_log_older_than_the_tree_is_refused),
        cmocka_unit_test(test_a_flipped_bit_is_never_overlooked),
        cmocka_unit_test(test_a_flipped_bit_before_a_crash),
        cmocka_unit_test(test_a_file_cut_short_is_refused),
        cmocka_unit_test(test_a_torn_tail_is_cut),
        cmocka_unit_test(test_values_that_look_like_the_log),
        cmocka_unit_test(test_a_slow_disk_bounds_the_queue),
        cmocka_unit_test(test_short_writes_are_continued),
    };

    log_open("test_store_log", NULL, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
