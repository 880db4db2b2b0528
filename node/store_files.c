#include "node/store_files.h"
#include "shared/error.h"
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(void *arg, const char *path, int flags)
{
    (void)arg;
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int real_close(void *arg, int fd)
{
    (void)arg;
    return close(fd);
}

static ssize_t real_read(void *arg, int fd, void *to, size_t size, off_t offset)
{
    (void)arg;
    return pread(fd, to, size, offset);
}

static ssize_t real_write(void *arg, int fd, const void *from, size_t size, off_t offset)
{
    (void)arg;
    return pwrite(fd, from, size, offset);
}

/* What the system could not write it keeps in memory all the same, and takes for written. A process
 * that is started then would read it, sync it with success, and tell what the disk does not have:
 * so memory lets it go, and what is read next is what the disk has. */
static int real_sync(void *arg, int fd)
{
    int error;

    (void)arg;
    if (fdatasync(fd) == 0)
        return 0;
    error = errno;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    errno = error;
    return -1;
}

static off_t real_size(void *arg, int fd)
{
    struct stat st;

    (void)arg;
    return fstat(fd, &st) == 0 ? st.st_size : -1;
}

/* For file systems without fallocate. */
static int write_zeros(int fd, off_t offset, off_t size)
{
    static const char zeros[64 << 10];

    while (size > 0) {
        size_t part = size < (off_t)sizeof(zeros) ? (size_t)size : sizeof(zeros);
        ssize_t written = pwrite(fd, zeros, part, offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        offset += written;
        size -= written;
    }
    return 0;
}

static int real_allocate(void *arg, int fd, off_t offset, off_t size, int longer)
{
    int result;

    (void)arg;
    do
        result = fallocate(fd, longer ? 0 : FALLOC_FL_KEEP_SIZE, offset, size);
    while (result != 0 && errno == EINTR);
    if (result == 0 || errno != EOPNOTSUPP)
        return result;
    return longer ? write_zeros(fd, offset, size) : 0;
}

static int real_rename(void *arg, const char *from, const char *to)
{
    (void)arg;
    return rename(from, to);
}

static int real_unlink(void *arg, const char *path)
{
    (void)arg;
    return unlink(path);
}

static int real_sync_folder(void *arg, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result, error;

    (void)arg;
    if (fd < 0)
        return -1;
    result = fsync(fd);
    error = errno;
    close(fd);
    errno = error;
    return result;
}

static int real_commit(void *arg, struct MDB_txn *txn)
{
    (void)arg;
    return mdb_txn_commit(txn);
}

const struct store_files store_files_real = {
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .size = real_size,
    .allocate = real_allocate,
    .rename = real_rename,
    .unlink = real_unlink,
    .sync_folder = real_sync_folder,
    .commit = real_commit,
};

int store_files_write(const struct store_files *f, int fd, const void *from, size_t size,
                      off_t offset)
{
    const char *at = from;

    while (size) {
        ssize_t written = f->write(f->arg, fd, at, size, offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (written == 0)
                errno = EIO;
            return -1;
        }
        at += written;
        offset += written;
        size -= (size_t)written;
    }
    return 0;
}

int store_files_read(const struct store_files *f, int fd, void *to, size_t size, off_t offset)
{
    char *at = to;

    while (size) {
        ssize_t got = f->read(f->arg, fd, at, size, offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            if (got == 0)
                errno = EIO;
            return -1;
        }
        at += got;
        offset += got;
        size -= (size_t)got;
    }
    return 0;
}

int store_files_error(int system_error)
{
    return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG ? RK_NOSPACE
                                                                                     : RK_IO;
}
