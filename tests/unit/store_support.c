#include "tests/unit/store_support.h"
#include "shared/error.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

char *test_folder_new(void)
{
    static char path[512];
    const char *base = getenv("TMPDIR");

    if (!base || !base[0])
        base = "/tmp";
    snprintf(path, sizeof(path), "%s/ringkv-store-XXXXXX", base);
    assert_non_null(mkdtemp(path));
    return path;
}

static void each_file(const char *folder,
                      void (*fn)(const char *folder, const char *name, void *arg), void *arg)
{
    DIR *d = opendir(folder);
    struct dirent *entry;

    assert_non_null(d);
    while ((entry = readdir(d)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fn(folder, entry->d_name, arg);
    closedir(d);
}

static void path_in(char path[1024], const char *folder, const char *name)
{
    snprintf(path, 1024, "%s/%s", folder, name);
}

static void remove_file(const char *folder, const char *name, void *arg)
{
    char path[1024];

    (void)arg;
    path_in(path, folder, name);
    assert_int_equal(unlink(path), 0);
}

void test_folder_remove(const char *folder)
{
    each_file(folder, remove_file, NULL);
    assert_int_equal(rmdir(folder), 0);
}

struct copy {
    const char *to, *only;
};

static void copy_file(const char *folder, const char *name, void *arg)
{
    const struct copy *copy = arg;
    char path[1024];
    uint8_t *content;
    size_t size;

    if (copy->only && strncmp(name, copy->only, strlen(copy->only)) != 0)
        return;
    path_in(path, folder, name);
    content = test_file_read(path, &size);
    path_in(path, copy->to, name);
    test_file_write(path, content, size);
    free(content);
}

void test_folder_copy(const char *from, const char *to, const char *only)
{
    struct copy copy = {to, only};

    each_file(to, remove_file, NULL);
    each_file(from, copy_file, &copy);
}

uint8_t *test_file_read(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    uint8_t *content;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *size = (size_t)st.st_size;
    content = malloc(*size + 1);
    assert_non_null(content);
    assert_int_equal(store_files_read(&store_files_real, fd, content, *size, 0), 0);
    close(fd);
    return content;
}

void test_file_write(const char *path, const void *content, size_t size)
{
    /* Not O_TRUNC: some file systems write to the disk at once what replaces a truncated file. */
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(store_files_write(&store_files_real, fd, content, size, 0), 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

struct last {
    const char *prefix;
    char name[256];
};

static void keep_last(const char *folder, const char *name, void *arg)
{
    struct last *last = arg;

    (void)folder;
    if (strncmp(name, last->prefix, strlen(last->prefix)) == 0 && strcmp(name, last->name) > 0)
        snprintf(last->name, sizeof(last->name), "%s", name);
}

char *test_file_last(const char *folder, const char *prefix)
{
    static char path[1024];
    struct last last = {.prefix = prefix};

    each_file(folder, keep_last, &last);
    if (!last.name[0])
        return NULL;
    path_in(path, folder, last.name);
    return path;
}

/* ---- a file layer that fails ---- */

static bool fails(struct faulty_files *f, enum fault kind)
{
    int left;

    if (!(f->kinds & kind))
        return false;
    left = atomic_fetch_sub(&f->until, 1) - 1;
    if (left > 0 || (left < 0 && !f->all))
        return false;
    atomic_fetch_add(&f->failures, 1);
    errno = f->error;
    return true;
}

static int faulty_open(void *arg, const char *path, int flags)
{
    return fails(arg, FAULT_OPEN) ? -1 : store_files_real.open(NULL, path, flags);
}

static int plain_close(void *arg, int fd)
{
    (void)arg;
    return store_files_real.close(NULL, fd);
}

static ssize_t plain_read(void *arg, int fd, void *to, size_t size, off_t offset)
{
    (void)arg;
    return store_files_real.read(NULL, fd, to, size, offset);
}

static ssize_t faulty_write(void *arg, int fd, const void *from, size_t size, off_t offset)
{
    struct faulty_files *f = arg;

    if (fails(f, FAULT_WRITE)) {
        /* Part of it may have been written all the same. */
        assert_true(store_files_real.write(NULL, fd, from, size / 2, offset) >= 0);
        errno = f->error;
        return -1;
    }
    if (atomic_load(&f->short_writes) && size > 7)
        size = 7;
    return store_files_real.write(NULL, fd, from, size, offset);
}

static int faulty_sync(void *arg, int fd)
{
    struct faulty_files *f = arg;

    if (fails(f, FAULT_SYNC))
        return -1;
    if (atomic_load(&f->failures) && (f->kinds & (FAULT_SYNC | FAULT_WRITE)))
        atomic_fetch_add(&f->syncs_after_failure, 1);
    return store_files_real.sync(NULL, fd);
}

static off_t plain_size(void *arg, int fd)
{
    (void)arg;
    return store_files_real.size(NULL, fd);
}

static int faulty_allocate(void *arg, int fd, off_t offset, off_t size, int longer)
{
    return fails(arg, FAULT_ALLOCATE) ? -1
                                      : store_files_real.allocate(NULL, fd, offset, size, longer);
}

static int faulty_rename(void *arg, const char *from, const char *to)
{
    return fails(arg, FAULT_RENAME) ? -1 : store_files_real.rename(NULL, from, to);
}

static int faulty_unlink(void *arg, const char *path)
{
    return fails(arg, FAULT_UNLINK) ? -1 : store_files_real.unlink(NULL, path);
}

static int faulty_sync_folder(void *arg, const char *path)
{
    return fails(arg, FAULT_SYNC_FOLDER) ? -1 : store_files_real.sync_folder(NULL, path);
}

static int faulty_commit(void *arg, struct MDB_txn *txn)
{
    struct faulty_files *f = arg;

    if (fails(f, FAULT_COMMIT)) {
        mdb_txn_abort(txn);
        return f->error;
    }
    return store_files_real.commit(NULL, txn);
}

void faulty_files_init(struct faulty_files *f)
{
    *f = (struct faulty_files){.files = {.arg = f,
                                         .open = faulty_open,
                                         .close = plain_close,
                                         .read = plain_read,
                                         .write = faulty_write,
                                         .sync = faulty_sync,
                                         .size = plain_size,
                                         .allocate = faulty_allocate,
                                         .rename = faulty_rename,
                                         .unlink = faulty_unlink,
                                         .sync_folder = faulty_sync_folder,
                                         .commit = faulty_commit},
                               .error = EIO};
}

/* ---- the store ---- */

struct store_disk_options test_options(const char *folder)
{
    return (struct store_disk_options){.folder = folder,
                                       .memory_table = STORE_MEMORY_MIN,
                                       .log_segment = 16 << 10,
                                       .map_size = 256 << 10,
                                       .checkpoint_ms = 5};
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

int test_sync(struct store *s, uint64_t position)
{
    int error = 0;

    for (;;) {
        store_submit(s);
        if (store_poll(s, &error) >= position || error)
            return error;
        pause_briefly();
    }
}

void test_write_down(struct store *s)
{
    struct store_stats stats;

    for (;;) {
        store_submit(s);
        store_stats(s, &stats);
        if (stats.written_down == stats.applied)
            return;
        pause_briefly();
    }
}
