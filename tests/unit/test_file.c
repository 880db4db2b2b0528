/* Files: replaced whole or not at all, read within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/file.h"
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/ringkv-test-file-XXXXXX";
static char path[128], temporary[140], mounted[140];

static void assert_content(const char *name, const char *wanted)
{
    struct buf b = {0};

    assert_int_equal(file_read(name, 1 << 20, &b), 0);
    assert_true(bytes_equal(buf_bytes(&b), bytes_from(wanted)));
    buf_free(&b);
}

static int replace(const char *text)
{
    return file_replace(path, bytes_from(text), 0640);
}

static void test_new_and_again(void **state)
{
    struct stat found;

    (void)state;
    umask(0077);
    assert_int_equal(replace("first"), 0);
    assert_content(path, "first");
    assert_int_equal(replace("second, longer"), 0);
    assert_content(path, "second, longer");
    assert_int_equal(replace("3"), 0);
    assert_content(path, "3");
    assert_int_equal(replace(""), 0);
    assert_content(path, "");
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(file_replace(path, bytes_from("s"), 0600), 0);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    assert_int_equal(access(temporary, F_OK), -1);
}

static void test_large(void **state)
{
    size_t size = 9 << 20;
    uint8_t *data = malloc(size);
    struct buf b = {0};

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 >> 7);
    assert_int_equal(file_replace(path, bytes_of(data, size), 0600), 0);
    assert_int_equal(file_read(path, size, &b), 0);
    assert_true(bytes_equal(buf_bytes(&b), bytes_of(data, size)));
    buf_free(&b);
    free(data);
}

static void test_relative(void **state)
{
    char *before = getcwd(NULL, 0);

    (void)state;
    assert_non_null(before);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(file_replace("relative", bytes_from("r"), 0600), 0);
    assert_content("relative", "r");
    assert_int_equal(file_make_folder("sub", 0700), 0);
    assert_int_equal(rmdir("sub"), 0);
    unlink("relative");
    assert_int_equal(chdir(before), 0);
    free(before);
}

static void test_symlink_is_refused(void **state)
{
    char target[140];

    (void)state;
    snprintf(target, sizeof(target), "%s/target", folder);
    assert_int_equal(file_replace(target, bytes_from("kept"), 0600), 0);
    assert_int_equal(symlink("target", path), 0);
    errno = 0;
    assert_int_equal(replace("new"), RK_IO);
    assert_int_equal(errno, ELOOP);
    assert_content(path, "kept");
    unlink(path);
    /* A dangling one too, and one where the temporary file would be. */
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(replace("new"), RK_IO);
    unlink(path);
    assert_int_equal(symlink("target", temporary), 0);
    errno = 0;
    assert_int_equal(replace("new"), RK_IO);
    assert_int_equal(errno, ELOOP);
    assert_content(target, "kept");
    unlink(temporary);
    unlink(target);
}

static void test_what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(replace("x"), RK_IO);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(replace("x"), RK_IO);
    unlink(path);
    /* As the temporary file: must neither hang nor be replaced. */
    assert_int_equal(mkfifo(temporary, 0600), 0);
    assert_int_equal(replace("x"), RK_IO);
    unlink(temporary);
    assert_int_equal(mkdir(temporary, 0700), 0);
    assert_int_equal(replace("x"), RK_IO);
    assert_int_equal(rmdir(temporary), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_unwritable_folder(void **state)
{
    char below[200];

    (void)state;
    assert_int_equal(replace("a file"), 0);
    snprintf(below, sizeof(below), "%s/below", path);
    assert_int_equal(file_replace(below, bytes_from("x"), 0600), RK_IO);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(file_replace("/nonexistent/x", bytes_from("x"), 0600), RK_IO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(file_replace("/proc/ringkv", bytes_from("x"), 0600), RK_IO);
    assert_content(path, "a file");
}

static void test_crash_left_a_temporary(void **state)
{
    int fd;

    (void)state;
    assert_int_equal(replace("old"), 0);
    fd = open(temporary, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "half of something long", 22), 22);
    close(fd);
    assert_int_equal(replace("new"), 0);
    assert_content(path, "new");
    assert_int_equal(access(temporary, F_OK), -1);
}

/* A second name: emptying it would empty somebody's data. */
static void test_linked_temporary(void **state)
{
    char other[140];

    (void)state;
    snprintf(other, sizeof(other), "%s/other", folder);
    assert_int_equal(file_replace(other, bytes_from("data"), 0600), 0);
    assert_int_equal(link(other, temporary), 0);
    assert_int_equal(replace("x"), RK_IO);
    assert_content(other, "data");
    unlink(temporary);
    unlink(other);
}

static void test_two_writers(void **state)
{
    int fd = open(temporary, O_WRONLY | O_CREAT, 0600);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(replace("x"), RK_BUSY);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(temporary, F_OK), 0);
    close(fd);
    assert_int_equal(replace("x"), 0);
}

static void write_as(int process)
{
    char text[4000];

    memset(text, 'a' + process, sizeof(text));
    for (int i = 0; i < 50; i++) {
        int result = file_replace(path, bytes_of(text, sizeof(text)), 0600);

        if (result != 0 && result != RK_BUSY)
            _exit(1);
    }
    _exit(0);
}

/* Processes that replace one file at a time: at any moment, one of their texts and whole. */
static void test_many_writers(void **state)
{
    int running = 3;

    (void)state;
    assert_int_equal(replace("start"), 0);
    for (int i = 0; i < running; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
            write_as(i);
    }
    while (running) {
        struct buf b = {0};
        int status;

        assert_int_equal(file_read(path, 4000, &b), 0);
        assert_true(buf_len(&b) == 4000 || buf_len(&b) == 5);
        for (size_t i = 1; buf_len(&b) == 4000 && i < 4000; i++)
            assert_int_equal(buf_head(&b)[i], buf_head(&b)[0]);
        buf_free(&b);
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            running--;
        }
    }
    assert_int_equal(access(temporary, F_OK), -1);
}

/* On a full file system: told as such, the old file in place, right again when there is room. */
static void test_full_disk(void **state)
{
    char file[200], filler[200], below[200], text[60 << 10];

    (void)state;
    assert_int_equal(mkdir(mounted, 0700), 0);
    if (mount("none", mounted, "tmpfs", 0, "size=64k,nr_inodes=3")) {
        print_message("skipped: a tmpfs cannot be mounted here: %s\n", strerror(errno));
        skip();
    }
    snprintf(file, sizeof(file), "%s/file", mounted);
    snprintf(filler, sizeof(filler), "%s/filler", mounted);
    snprintf(below, sizeof(below), "%s/below", mounted);
    memset(text, 'x', sizeof(text));
    assert_int_equal(file_replace(file, bytes_from("old"), 0600), 0);
    assert_int_equal(file_replace(filler, bytes_of(text, 40 << 10), 0600), 0);
    assert_int_equal(file_replace(file, bytes_of(text, sizeof(text)), 0600), RK_NOSPACE);
    assert_content(file, "old");
    assert_int_equal(unlink(filler), 0);
    assert_int_equal(file_replace(file, bytes_of(text, 40 << 10), 0600), 0);
    /* No inode is left: "below" is one too many. */
    assert_int_equal(file_replace(filler, bytes_from(""), 0600), 0);
    assert_int_equal(file_make_folder(below, 0700), RK_NOSPACE);
    assert_int_equal(file_replace(below, bytes_from(""), 0600), RK_NOSPACE);
}

static int unmount(void **state)
{
    (void)state;
    umount2(mounted, MNT_DETACH);
    return rmdir(mounted);
}

static void test_read_bounds(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(replace("12345"), 0);
    assert_int_equal(buf_append(&b, "before ", 7), 0);
    assert_int_equal(file_read(path, 4, &b), RK_TOOBIG);
    assert_int_equal(buf_len(&b), 7);
    assert_int_equal(file_read(path, 0, &b), RK_TOOBIG);
    assert_int_equal(file_read(path, 5, &b), 0);
    assert_true(bytes_equal(buf_bytes(&b), bytes_from("before 12345")));
    buf_free(&b);
    assert_int_equal(replace(""), 0);
    assert_int_equal(file_read(path, 0, &b), 0);
    assert_int_equal(buf_len(&b), 0);
    buf_free(&b);
}

/* Files of /proc say that their size is 0. */
static void test_read_unknown_size(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(file_read("/proc/self/status", 1 << 20, &b), 0);
    assert_true(buf_len(&b) > 100);
    assert_int_equal(file_read("/proc/self/status", 100, &b), RK_TOOBIG);
    buf_free(&b);
}

static void test_read_refuses(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(file_read(path, 10, &b), RK_NOTFOUND);
    assert_int_equal(file_read(folder, 10, &b), RK_IO);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(file_read("/dev/zero", 10, &b), RK_IO);
    assert_int_equal(file_read("/dev/null/x", 10, &b), RK_IO);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read(path, 10, &b), RK_IO);
    assert_int_equal(buf_len(&b), 0);
    buf_free(&b);
}

static void test_folders(void **state)
{
    char sub[140], below[160];

    (void)state;
    snprintf(sub, sizeof(sub), "%s/sub//", folder);
    snprintf(below, sizeof(below), "%s/none/below", folder);
    assert_int_equal(file_make_folder(sub, 0700), 0);
    assert_int_equal(file_make_folder(sub, 0700), 0);
    assert_int_equal(file_sync_folder(sub), 0);
    assert_int_equal(rmdir(sub), 0);
    assert_int_equal(file_make_folder(below, 0700), RK_IO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(replace("a file"), 0);
    assert_int_equal(file_make_folder(path, 0700), RK_IO);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(file_sync_folder(path), RK_IO);
    assert_int_equal(file_sync_folder(below), RK_IO);
    assert_int_equal(file_make_folder("/", 0700), 0);
    assert_int_equal(file_make_folder(".", 0700), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/file", folder);
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    snprintf(mounted, sizeof(mounted), "%s/full", folder);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(path);
    unlink(temporary);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

#define FILE_TEST(test) cmocka_unit_test_teardown(test, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_new_and_again),
        FILE_TEST(test_large),
        FILE_TEST(test_relative),
        FILE_TEST(test_symlink_is_refused),
        FILE_TEST(test_what_is_no_file_is_refused),
        FILE_TEST(test_unwritable_folder),
        FILE_TEST(test_crash_left_a_temporary),
        FILE_TEST(test_linked_temporary),
        FILE_TEST(test_two_writers),
        FILE_TEST(test_many_writers),
        cmocka_unit_test_teardown(test_full_disk, unmount),
        FILE_TEST(test_read_bounds),
        FILE_TEST(test_read_unknown_size),
        FILE_TEST(test_read_refuses),
        FILE_TEST(test_folders),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
