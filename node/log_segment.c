#include "node/log_segment.h"
#include "shared/error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

void log_segment_path(const struct log_folder *folder, uint64_t number,
                      char path[LOG_PATH_SIZE_MAX])
{
    snprintf(path, LOG_PATH_SIZE_MAX, "%s/log-%020llu", folder->path, (unsigned long long)number);
}

void log_spare_path(const struct log_folder *folder, uint64_t spare, char path[LOG_PATH_SIZE_MAX])
{
    snprintf(path, LOG_PATH_SIZE_MAX, "%s/spare-%llu", folder->path, (unsigned long long)spare);
}

static struct log_segment *segment_new(uint64_t spare, uint64_t size)
{
    struct log_segment *segment = calloc(1, sizeof(*segment));

    if (segment) {
        segment->spare = spare;
        segment->head.size = size;
        segment->fd = -1;
    }
    return segment;
}

int log_spare_make(const struct log_folder *folder, uint64_t spare, uint64_t size,
                   struct log_segment **out)
{
    const struct store_files *files = folder->files;
    struct log_segment *segment = segment_new(spare, size);
    char path[LOG_PATH_SIZE_MAX];
    int error;

    if (!segment)
        return RK_NOMEM;
    log_spare_path(folder, spare, path);
    segment->fd = files->open(files->arg, path, O_RDWR | O_CREAT | O_TRUNC);
    if (segment->fd >= 0 &&
        files->allocate(files->arg, segment->fd, 0, (off_t)segment->head.size, 1) == 0) {
        *out = segment;
        return 0;
    }
    error = errno;
    if (segment->fd >= 0)
        files->unlink(files->arg, path);
    log_segment_close(folder, segment);
    errno = error;
    return store_files_error(error);
}

int log_segment_recycle(const struct log_folder *folder, uint64_t number, uint64_t spare,
                        uint64_t size, struct log_segment **out)
{
    const struct store_files *files = folder->files;
    struct log_segment *segment = segment_new(spare, size);
    char from[LOG_PATH_SIZE_MAX], to[LOG_PATH_SIZE_MAX];
    int error;

    if (!segment)
        return RK_NOMEM;
    log_segment_path(folder, number, from);
    log_spare_path(folder, spare, to);
    segment->fd = files->open(files->arg, from, O_RDWR);
    if (segment->fd >= 0 && files->rename(files->arg, from, to) == 0) {
        segment->filled = size;
        *out = segment;
        return 0;
    }
    error = errno;
    log_segment_close(folder, segment);
    errno = error;
    return RK_IO;
}

int log_segment_activate(const struct log_folder *folder, struct log_segment *segment,
                         char path[LOG_PATH_SIZE_MAX])
{
    const struct store_files *files = folder->files;
    uint8_t head[LOG_HEAD_SIZE];
    char final[LOG_PATH_SIZE_MAX];

    log_spare_path(folder, segment->spare, path);
    log_segment_path(folder, segment->head.number, final);
    log_head_write(&segment->head, head);
    if (store_files_write(files, segment->fd, head, sizeof(head), 0) != 0 ||
        files->sync(files->arg, segment->fd) != 0 || files->rename(files->arg, path, final) != 0)
        return RK_IO;
    snprintf(path, LOG_PATH_SIZE_MAX, "%s", folder->path);
    return files->sync_folder(files->arg, folder->path) == 0 ? 0 : RK_IO;
}

void log_segment_close(const struct log_folder *folder, struct log_segment *segment)
{
    if (segment->fd >= 0)
        folder->files->close(folder->files->arg, segment->fd);
    free(segment);
}
