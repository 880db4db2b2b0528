#include "shared/file.h"
#include "shared/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_AHEAD = 4096 };

static int error_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? RK_NOSPACE : RK_IO;
}

/* Closes without losing the errno that tells what happened before. */
static void close_quietly(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

/* The folder in which a path's last name stands: malloced. NULL: out of memory. */
static char *parent_of(const char *path)
{
    size_t size = strlen(path);

    while (size > 1 && path[size - 1] == '/')
        size--;
    while (size > 0 && path[size - 1] != '/')
        size--;
    while (size > 1 && path[size - 1] == '/')
        size--;
    return size ? strndup(path, size) : strdup(".");
}

int file_open_to_all(const char *path, bool *open)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return errno == ENOENT ? RK_NOTFOUND : RK_IO;
    *open = status.st_mode & S_IROTH;
    return 0;
}

int file_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = 0;

    if (fd < 0)
        return error_of_errno();
    /* EINVAL: the file system has no such operation, so there is nothing more to be had from it. */
    if (fsync(fd) && errno != EINVAL)
        failed = error_of_errno();
    close_quietly(fd);
    return failed;
}

static int sync_parent(const char *path)
{
    char *parent = parent_of(path);
    int failed = parent ? file_sync_folder(parent) : RK_NOMEM;
    int error = errno;

    free(parent);
    errno = error;
    return failed;
}

int file_make_folder(const char *path, int mode)
{
    struct stat found;
    int failed;

    if (mkdir(path, (mode_t)mode) == 0)
        return sync_parent(path);
    if (errno != EEXIST)
        return error_of_errno();
    if (stat(path, &found))
        return RK_IO;
    if (!S_ISDIR(found.st_mode)) {
        errno = ENOTDIR;
        return RK_IO;
    }
    /* A crash may have come between an earlier mkdir and its sync, so sync again; but a parent that
     * we may not read was none that we made a folder in. */
    failed = sync_parent(path);
    return failed && errno != EACCES ? failed : 0;
}

/* What stands at the path must be a file that may be replaced, or nothing. */
static int target_check(const char *path)
{
    struct stat found;

    if (lstat(path, &found))
        return errno == ENOENT ? 0 : RK_IO;
    if (S_ISREG(found.st_mode))
        return 0;
    errno = S_ISLNK(found.st_mode) ? ELOOP : EEXIST;
    return RK_IO;
}

/* Whether the open file is still what its name stands for: another writer may have renamed it to
 * the target between our open and our lock. A second name means that it is somebody's data. */
static int temporary_check(const char *name, int fd)
{
    struct stat opened, named;

    if (fstat(fd, &opened))
        return RK_IO;
    if (!S_ISREG(opened.st_mode) || opened.st_nlink > 1) {
        errno = EEXIST;
        return RK_IO;
    }
    if (lstat(name, &named))
        return errno == ENOENT ? RK_BUSY : RK_IO;
    return named.st_ino == opened.st_ino && named.st_dev == opened.st_dev ? 0 : RK_BUSY;
}

/* Opens and locks the temporary file, empties it, and gives it its mode before it has content. On
 * failure it is not ours, so it stays as it is. */
static int temporary_open(const char *name, int mode, int *out)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    int failed;

    if (fd < 0)
        return error_of_errno();
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        failed = errno == EWOULDBLOCK ? RK_BUSY : RK_IO;
        goto undo;
    }
    failed = temporary_check(name, fd);
    if (failed)
        goto undo;
    if (fchmod(fd, (mode_t)mode) || ftruncate(fd, 0)) {
        failed = error_of_errno();
        goto undo;
    }
    *out = fd;
    return 0;

undo:
    close_quietly(fd);
    return failed;
}

static int write_all(int fd, struct bytes content)
{
    while (content.size) {
        ssize_t wrote = write(fd, content.data, content.size);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return error_of_errno();
        content = bytes_of(content.data + wrote, content.size - (size_t)wrote);
    }
    return fsync(fd) ? error_of_errno() : 0;
}

/* The lock is held until the file has its final name, so that the next writer starts a new one. */
static int replace_through(const char *name, const char *path, struct bytes content, int mode)
{
    int fd;
    int failed = temporary_open(name, mode, &fd);

    if (failed)
        return failed;
    failed = write_all(fd, content);
    if (!failed && rename(name, path))
        failed = error_of_errno();
    if (failed) {
        int error = errno;

        unlink(name);
        errno = error;
    }
    close_quietly(fd);
    return failed;
}

int file_replace(const char *path, struct bytes content, int mode)
{
    int failed = target_check(path);
    char *name;
    int error;

    if (failed)
        return failed;
    if (asprintf(&name, "%s.tmp", path) < 0)
        return RK_NOMEM;
    failed = replace_through(name, path, content, mode);
    error = errno;
    free(name);
    errno = error;
    return failed ? failed : sync_parent(path);
}

static int read_all(int fd, size_t size_max, struct buf *out)
{
    size_t before = buf_len(out);

    for (;;) {
        size_t got_so_far = buf_len(out) - before;
        size_t wanted = size_max - got_so_far;
        uint8_t *to;
        ssize_t got;

        /* One byte more than may be there shows a file that is too large, or grows. */
        wanted = wanted < READ_AHEAD ? wanted + 1 : READ_AHEAD;
        to = buf_reserve(out, wanted);
        if (!to)
            return RK_NOMEM;
        got = read(fd, to, wanted);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? RK_IO : 0;
        buf_commit(out, (size_t)got);
        if ((size_t)got > size_max - got_so_far)
            return RK_TOOBIG;
    }
}

int file_read(const char *path, size_t size_max, struct buf *out)
{
    size_t before = buf_len(out);
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat found;
    int failed = 0;

    if (fd < 0)
        return errno == ENOENT ? RK_NOTFOUND : RK_IO;
    if (fstat(fd, &found)) {
        failed = RK_IO;
    } else if (!S_ISREG(found.st_mode)) {
        errno = S_ISDIR(found.st_mode) ? EISDIR : EINVAL;
        failed = RK_IO;
    } else if (found.st_size > 0 && (uintmax_t)found.st_size > size_max) {
        failed = RK_TOOBIG;
    } else {
        failed = read_all(fd, size_max, out);
    }
    if (failed)
        buf_truncate(out, before);
    close_quietly(fd);
    return failed;
}
