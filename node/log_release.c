#include "node/store_log_parts.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many of the oldest segments are not needed, as the tree holds them. Called with the lock
 * held. */
static size_t count_unneeded(const struct store_log *log, uint64_t up_to)
{
    const struct log_ranges *ranges = &log->ranges;
    size_t count = 0;

    while (count + 1 < ranges->count && ranges->items[count + 1].first_position <= up_to + 1)
        count++;
    return count;
}

/* Removes a segment, or makes a spare of it if there is need of one: room that is kept cannot run
 * out, and overwriting is faster to sync than what was never written. */
static void give_up(struct store_log *log, const struct log_range *range, size_t *spares,
                    struct log_segment **recycled)
{
    const struct store_files *files = log->folder->files;
    char path[LOG_PATH_SIZE_MAX];
    struct log_segment *segment;

    log_segment_path(log->folder, range->number, path);
    if (range->size == log->options.segment_size && *spares < SPARES_MAX &&
        log_segment_recycle(log->folder, range->number, atomic_fetch_add(&log->spare_number, 1),
                            range->size, &segment) == 0) {
        segment->next = *recycled;
        *recycled = segment;
        ++*spares;
    } else if (files->unlink(files->arg, path) != 0) {
        log_warn("store: cannot remove file=%s: %s", path, strerror(errno));
    }
}

int store_log_release(struct store_log *log, uint64_t up_to)
{
    const struct store_files *files = log->folder->files;
    struct log_segment *recycled = NULL;
    struct log_ranges gone = {0};
    size_t count, spares;
    int error = 0;

    pthread_mutex_lock(&log->lock);
    count = count_unneeded(log, up_to);
    for (size_t i = 0; i < count && !error; i++)
        error = log_ranges_add(&gone, log->ranges.items[i]);
    if (!error && count) {
        log->ranges.count -= count;
        memmove(log->ranges.items, log->ranges.items + count,
                log->ranges.count * sizeof(*log->ranges.items));
    }
    spares = log->spare_count;
    pthread_mutex_unlock(&log->lock);
    /* Without memory they stay until the next checkpoint. */
    for (size_t i = 0; i < count && !error; i++)
        give_up(log, &gone.items[i], &spares, &recycled);
    free(gone.items);
    if (recycled && files->sync_folder(files->arg, log->folder->path) != 0) {
        log_fail(log, "fsync", log->folder->path, errno);
        error = RK_IO;
    }
    pthread_mutex_lock(&log->lock);
    while (recycled) {
        struct log_segment *next = recycled->next;

        log_add_spare(log, recycled);
        recycled = next;
    }
    pthread_mutex_unlock(&log->lock);
    return error == RK_NOMEM ? 0 : error;
}
