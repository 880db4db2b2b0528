/* Edge: what the store asks of the file system, as a table that tests replace to fail, or to
 * record.
 *
 * The functions behave as the system calls of their names: -1 and errno on failure. `commit`
 * commits the tree's transaction (LMDB does its own writing) and returns an LMDB result.
 */
#ifndef RINGKV_NODE_STORE_FILES_H
#define RINGKV_NODE_STORE_FILES_H

#include <stddef.h>
#include <sys/types.h>

struct MDB_txn;

struct store_files {
    void *arg;
    int (*open)(void *arg, const char *path, int flags); /* files are made with mode 0600 */
    int (*close)(void *arg, int fd);
    ssize_t (*read)(void *arg, int fd, void *to, size_t size, off_t offset);
    ssize_t (*write)(void *arg, int fd, const void *from, size_t size, off_t offset);
    int (*sync)(void *arg, int fd); /* fdatasync; after a failure reads are of the disk again */
    off_t (*size)(void *arg, int fd);
    /* Room on the disk for these bytes of the file; what is beyond the file's end reads as zeros,
     * and the file is made longer only if `longer`. */
    int (*allocate)(void *arg, int fd, off_t offset, off_t size, int longer);
    int (*rename)(void *arg, const char *from, const char *to);
    int (*unlink)(void *arg, const char *path);
    int (*sync_folder)(void *arg, const char *path);
    int (*commit)(void *arg, struct MDB_txn *txn);
};

/* The file system itself. */
extern const struct store_files store_files_real;

/* Writes or reads all of it, in as many calls as it takes; the end of the file is an error (EIO). 0
 * or -1. */
int store_files_write(const struct store_files *f, int fd, const void *from, size_t size,
                      off_t offset);
int store_files_read(const struct store_files *f, int fd, void *to, size_t size, off_t offset);

/* RK_NOSPACE for what a full disk, a quota or a limit on the file's size cause, else RK_IO. */
int store_files_error(int system_error);

#endif
