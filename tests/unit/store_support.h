/* Folders and faulty file layers for the tests of the store on disk. */
#ifndef RINGKV_TESTS_UNIT_STORE_SUPPORT_H
#define RINGKV_TESTS_UNIT_STORE_SUPPORT_H

#include "node/store_disk.h"
#include "tests/unit/store_model.h"
#include <stdatomic.h>

/* A new folder below $TMPDIR (or /tmp); valid until the next call. */
char *test_folder_new(void);

/* Removes a folder and the files in it. */
void test_folder_remove(const char *folder);

/* Copies the files of a folder into another one, which is emptied first. `only`: the names that
 * begin so, or NULL for all. */
void test_folder_copy(const char *from, const char *to, const char *only);

/* Kinds of calls that can be made to fail. */
enum fault {
    FAULT_OPEN = 1,
    FAULT_WRITE = 2,
    FAULT_SYNC = 4,
    FAULT_ALLOCATE = 8,
    FAULT_RENAME = 16,
    FAULT_UNLINK = 32,
    FAULT_SYNC_FOLDER = 64,
    FAULT_COMMIT = 128,
};

/* A file layer over the real one in which the nth call of certain kinds fails. */
struct faulty_files {
    struct store_files files;
    atomic_uint kinds;
    int error;           /* errno of the failure */
    bool all;            /* every later one fails as well */
    atomic_int until;    /* calls to go until the failure; the count goes on below 0 */
    atomic_int failures; /* that happened */
    atomic_int syncs_after_failure;
    atomic_bool short_writes; /* writes take at most 7 bytes a call */
};

void faulty_files_init(struct faulty_files *f);

/* The store opened in a folder with small bounds, so that a short test meets all of it. */
struct store_disk_options test_options(const char *folder);

/* Submits and waits until everything is synced, or the store has failed. Returns store_poll's
 * error. */
int test_sync(struct store *s, uint64_t position);

/* Submits until the tree holds everything that was applied. */
void test_write_down(struct store *s);

/* Reads a whole file (malloced), or writes one. */
uint8_t *test_file_read(const char *path, size_t *size);
void test_file_write(const char *path, const void *content, size_t size);

/* The path of the file in a folder whose name begins so and is the last in order; NULL: there is
 * none. Valid until the next call. */
char *test_file_last(const char *folder, const char *prefix);

#endif
