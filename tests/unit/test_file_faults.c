/* Every system call of shared/file.c fails once, with every error that matters: the old file or the
 * new is in place, the error is told, and the next attempt succeeds. The module is compiled into
 * this file, with calls that can fail; before cmocka.h, which makes macros of common words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned calls_until_failure = UINT32_MAX;
static int injected;
static size_t write_max = SIZE_MAX; /* bytes that one write takes */
static const char *failed_call;
static char calls_seen[400];
static void (*before_lock)(void); /* what another process does between our open and our lock */

static bool call_fails(const char *call)
{
    size_t used = strlen(calls_seen);

    snprintf(calls_seen + used, sizeof(calls_seen) - used, "%s ", call);
    if (before_lock && strcmp(call, "flock") == 0)
        before_lock();
    if (--calls_until_failure != 0)
        return false;
    failed_call = call;
    errno = injected;
    return true;
}

static ssize_t write_some(int fd, const void *data, size_t size)
{
    return write(fd, data, size < write_max ? size : write_max);
}

#define open(...)       (call_fails("open") ? -1 : open(__VA_ARGS__))
#define write(f, d, s)  (call_fails("write") ? -1 : write_some(f, d, s))
#define read(f, d, s)   (call_fails("read") ? -1 : read(f, d, s))
#define fsync(f)        (call_fails("fsync") ? -1 : fsync(f))
#define rename(a, b)    (call_fails("rename") ? -1 : rename(a, b))
#define flock(f, o)     (call_fails("flock") ? -1 : flock(f, o))
#define fchmod(f, m)    (call_fails("fchmod") ? -1 : fchmod(f, m))
#define ftruncate(f, s) (call_fails("ftruncate") ? -1 : ftruncate(f, s))
#define lstat(p, s)     (call_fails("lstat") ? -1 : lstat(p, s))
#define fstat(f, s)     (call_fails("fstat") ? -1 : fstat(f, s))
#define mkdir(p, m)     (call_fails("mkdir") ? -1 : mkdir(p, m))
#include "shared/file.c"
#undef open
#undef write
#undef read
#undef fsync
#undef rename
#undef flock
#undef fchmod
#undef ftruncate
#undef lstat
#undef fstat
#undef mkdir

#include <cmocka.h>

static char folder[] = "/tmp/ringkv-test-faults-XXXXXX";
static char path[128], temporary[140];

static bool has_content(const char *wanted)
{
    struct buf b = {0};
    bool same;

    assert_int_equal(file_read(path, 100, &b), 0);
    same = bytes_equal(buf_bytes(&b), bytes_from(wanted));
    buf_free(&b);
    return same;
}

/* Content before name, and name before its folder: else a power cut could leave the name with
 * nothing in it, or bring the old file back after the answer. */
static void test_order(void **state)
{
    (void)state;
    calls_seen[0] = 0;
    assert_int_equal(file_replace(path, bytes_from("old"), 0600), 0);
    assert_string_equal(calls_seen, "lstat open flock fstat lstat fchmod ftruncate write fsync "
                                    "rename open fsync ");
}

static void finish_elsewhere(void)
{
    assert_int_equal(rename(temporary, path), 0);
}

/* The other writer was done between our open and our lock: what we hold is its finished file. */
static void test_other_writer_finishes(void **state)
{
    (void)state;
    assert_int_equal(unlink(path), 0);
    before_lock = finish_elsewhere;
    assert_int_equal(file_replace(path, bytes_from("new!"), 0600), RK_BUSY);
    before_lock = NULL;
    assert_true(has_content(""));
    assert_int_equal(file_replace(path, bytes_from("new!"), 0600), 0);
    assert_true(has_content("new!"));
}

static void start_anew_elsewhere(void)
{
    int fd;

    finish_elsewhere();
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
}

/* And a third has begun since: the temporary file has its name, but is not the one that we hold. */
static void test_third_writer_begins(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(unlink(path), 0);
    before_lock = start_anew_elsewhere;
    assert_int_equal(file_replace(path, bytes_from("new!"), 0600), RK_BUSY);
    before_lock = NULL;
    assert_true(has_content(""));
    assert_int_equal(file_read(temporary, 100, &b), 0);
    assert_true(bytes_equal(buf_bytes(&b), bytes_from("half")));
    buf_free(&b);
}

/* Replaces "old" with "new!" while the nth call fails with `error`. False when there is no nth
 * call. */
static bool replace_failing(unsigned n, int error)
{
    int result, told;

    assert_int_equal(file_replace(path, bytes_from("old"), 0600), 0);
    failed_call = NULL;
    injected = error;
    calls_until_failure = n;
    errno = 0;
    result = file_replace(path, bytes_from("new!"), 0600);
    told = errno;
    calls_until_failure = UINT32_MAX;
    if (!failed_call) {
        assert_int_equal(result, 0);
        return false;
    }
    if (result != (error == EIO || !strcmp(failed_call, "lstat") || !strcmp(failed_call, "fstat") ||
                           !strcmp(failed_call, "flock")
                       ? RK_IO
                       : RK_NOSPACE))
        fail_msg("%s failed with %s: got %d", failed_call, strerror(error), result);
    if (told != error)
        fail_msg("%s failed with %s: errno says %s", failed_call, strerror(error), strerror(told));
    /* Past the renaming only the folder's own open and fsync can fail. */
    assert_true(has_content("old") || has_content("new!"));
    if (access(temporary, F_OK) == 0)
        assert_true(has_content("old"));
    assert_int_equal(file_replace(path, bytes_from("next"), 0600), 0);
    assert_true(has_content("next"));
    assert_int_equal(access(temporary, F_OK), -1);
    return true;
}

static void test_replace(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        unsigned n = 1;

        while (replace_failing(n, errors[i]))
            n++;
        assert_true(n > 10);
    }
}

/* What a failed write, sync or renaming leaves: the old file, and no temporary one. */
static void test_replace_leaves_nothing(void **state)
{
    static const char *const calls[] = {"write", "fsync", "rename"};
    size_t seen = 0;

    (void)state;
    assert_int_equal(file_replace(path, bytes_from("old"), 0600), 0);
    for (unsigned n = 1; seen < 3; n++) {
        assert_true(n < 100);
        injected = ENOSPC;
        calls_until_failure = n;
        failed_call = "";
        file_replace(path, bytes_from("new!"), 0600);
        calls_until_failure = UINT32_MAX;
        if (strcmp(failed_call, calls[seen]) != 0)
            continue;
        seen++;
        assert_true(has_content("old"));
        assert_int_equal(access(temporary, F_OK), -1);
    }
}

static void test_interrupted_and_short_writes(void **state)
{
    (void)state;
    write_max = 1;
    for (unsigned n = 1; n < 30; n++) {
        int result;

        injected = EINTR;
        calls_until_failure = n;
        failed_call = "";
        result = file_replace(path, bytes_from("new!"), 0600);
        calls_until_failure = UINT32_MAX;
        if (strcmp(failed_call, "write") == 0 || !failed_call[0]) {
            assert_int_equal(result, 0);
            assert_true(has_content("new!"));
        }
    }
    write_max = SIZE_MAX;
}

static void test_read(void **state)
{
    unsigned n;

    (void)state;
    assert_int_equal(file_replace(path, bytes_from("old"), 0600), 0);
    for (n = 1;; n++) {
        struct buf b = {0};
        int result;

        injected = EIO;
        calls_until_failure = n;
        failed_call = NULL;
        result = file_read(path, 100, &b);
        calls_until_failure = UINT32_MAX;
        assert_int_equal(result, failed_call ? RK_IO : 0);
        assert_int_equal(buf_len(&b), failed_call ? 0 : 3);
        buf_free(&b);
        if (!failed_call)
            break;
    }
    assert_true(n > 3);
}

static void test_make_folder(void **state)
{
    char sub[140];
    unsigned n;

    (void)state;
    snprintf(sub, sizeof(sub), "%s/sub", folder);
    for (n = 1;; n++) {
        int result;

        injected = ENOSPC;
        calls_until_failure = n;
        failed_call = NULL;
        result = file_make_folder(sub, 0700);
        calls_until_failure = UINT32_MAX;
        assert_int_equal(result, failed_call ? RK_NOSPACE : 0);
        rmdir(sub);
        if (!failed_call)
            break;
    }
    assert_int_equal(n, 4); /* mkdir, and the parent's open and fsync */
}

/* A file system that cannot sync folders is no reason to fail; one that fails to is. */
static void test_folder_sync_unknown(void **state)
{
    (void)state;
    injected = EINVAL;
    calls_until_failure = 2;
    assert_int_equal(file_sync_folder(folder), 0);
    injected = EIO;
    calls_until_failure = 2;
    assert_int_equal(file_sync_folder(folder), RK_IO);
    calls_until_failure = UINT32_MAX;
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/file", folder);
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_other_writer_finishes),
        cmocka_unit_test(test_third_writer_begins),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_replace_leaves_nothing),
        cmocka_unit_test(test_interrupted_and_short_writes),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_make_folder),
        cmocka_unit_test(test_folder_sync_unknown),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
