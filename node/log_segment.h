/* Edge: the log's segment files.
 *
 *   log-NNNNNNNNNNNNNNNNNNNN   a segment, by its number
 *   spare-N                    room on the disk for one, not yet in use
 *
 * A spare gets its head and is synced before it gets a segment's name, so a file with a segment's
 * name and a bad head is damage. What a spare held before does not matter: a segment's records
 * carry its own salt.
 */
#ifndef RINGKV_NODE_LOG_SEGMENT_H
#define RINGKV_NODE_LOG_SEGMENT_H

#include "node/log_record.h"
#include "node/store_files.h"

enum { LOG_PATH_SIZE_MAX = 4096, LOG_NAME_SIZE_MAX = 32 };

struct log_folder {
    const struct store_files *files;
    char path[LOG_PATH_SIZE_MAX - LOG_NAME_SIZE_MAX];
};

struct log_segment {
    struct log_head head; /* of a spare only the size is set */
    uint64_t spare;       /* its number while it was a spare */
    uint64_t filled;      /* bytes that were written at some time, so that their blocks are in use:
                             syncing what is written there changes no list of the file system */
    int fd;
    struct log_segment *next; /* the owner's list */
};

void log_segment_path(const struct log_folder *folder, uint64_t number,
                      char path[LOG_PATH_SIZE_MAX]);
void log_spare_path(const struct log_folder *folder, uint64_t spare, char path[LOG_PATH_SIZE_MAX]);

/* Makes a spare with `size` bytes of room. 0, RK_NOSPACE, RK_IO (errno says why), RK_NOMEM; then
 * nothing is left behind. */
int log_spare_make(const struct log_folder *folder, uint64_t spare, uint64_t size,
                   struct log_segment **out);

/* Makes a spare of a segment that is not needed any more. Its content may be overwritten only when
 * the folder has been synced: until then a power cut may bring the segment back. 0, RK_IO,
 * RK_NOMEM. */
int log_segment_recycle(const struct log_folder *folder, uint64_t number, uint64_t spare,
                        uint64_t size, struct log_segment **out);

/* Turns a spare, whose head says what it shall be, into a segment. 0, or RK_IO with errno and the
 * path of the file or folder that it is about: the log must then end. */
int log_segment_activate(const struct log_folder *folder, struct log_segment *segment,
                         char path[LOG_PATH_SIZE_MAX]);

/* Closes and frees. */
void log_segment_close(const struct log_folder *folder, struct log_segment *segment);

#endif
