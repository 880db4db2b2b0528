#include "node/clock.h"
#include "node/store_log_parts.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <time.h>

void log_add_spare(struct store_log *log, struct log_segment *spare)
{
    spare->next = log->spares;
    log->spares = spare;
    log->spare_count++;
}

enum { SLOW_SYNC_US = 1000000 }; /* a sync that takes as long is told: clients wait for it */

static void note_sync(struct store_log *log, uint64_t took_us)
{
    atomic_fetch_add(&log->syncs, 1);
    atomic_fetch_add(&log->sync_us, took_us);
    if (took_us >= SLOW_SYNC_US)
        log_warn_few(&log->slow, log->synced_ms,
                     "store: a sync of the log took %.1f s folder=%s: the disk is slow, or busy "
                     "with something else",
                     (double)took_us / 1e6, log->folder->path);
}

static int sync_open(struct store_log *log)
{
    const struct store_files *files = log->folder->files;
    uint64_t begun_us = clock_us();
    char path[LOG_PATH_SIZE_MAX];

    if (!log->dirty)
        return 0;
    log->dirty = false; /* in any case: a sync that failed is not tried again */
    if (files->sync(files->arg, log->open->fd) != 0) {
        int system_error = errno;

        log_segment_path(log->folder, log->open->head.number, path);
        log_fail(log, "fdatasync", path, system_error);
        return RK_IO;
    }
    log->synced_ms = log_now_ms();
    note_sync(log, clock_us() - begun_us);
    atomic_store(&log->durable, atomic_load(&log->written));
    return 0;
}

/* Takes a segment over from the shard's thread. Those before it were given up unused, for one
 * larger. */
static void take_coming(struct store_log *log, struct log_segment *segment)
{
    pthread_mutex_lock(&log->lock);
    while (log->coming != segment) {
        struct log_segment *unused = log->coming;

        log->coming = unused->next;
        log_add_spare(log, unused);
    }
    log->coming = segment->next;
    pthread_mutex_unlock(&log->lock);
    if (log->open)
        log_segment_close(log->folder, log->open);
    log->open = segment;
}

/* Puts the next segment in place. All of the one before is synced first: what is wrong in a segment
 * that has another behind it is damage. */
static int open_segment(struct store_log *log, struct log_segment *segment)
{
    char path[LOG_PATH_SIZE_MAX];
    int error = sync_open(log);

    if (error)
        return error;
    take_coming(log, segment);
    segment->head.number = ++log->last_number;
    if (log_segment_activate(log->folder, segment, path) != 0) {
        log_fail(log, "making a segment", path, errno);
        return RK_IO;
    }
    pthread_mutex_lock(&log->lock);
    error = log_ranges_add(
        &log->ranges,
        (struct log_range){segment->head.number, segment->head.first_position, segment->head.size});
    pthread_mutex_unlock(&log->lock);
    if (error)
        log_fail(log, "making a segment", log->folder->path, ENOMEM);
    return error;
}

static int write_open(struct store_log *log, const void *data, size_t size, uint64_t offset)
{
    char path[LOG_PATH_SIZE_MAX];
    int system_error;

    if (store_files_write(log->folder->files, log->open->fd, data, size, (off_t)offset) == 0)
        return 0;
    system_error = errno;
    log_segment_path(log->folder, log->open->head.number, path);
    log_fail(log, "write", path, system_error);
    return RK_IO;
}

/* Where nothing was ever written, a sync has to tell the file system that the blocks are in use,
 * which takes longer than the data. A stretch of zeros ahead makes that one sync of many. */
static int fill_ahead(struct store_log *log, uint64_t end)
{
    static const uint8_t zeros[FILL_SIZE];
    struct log_segment *open = log->open;
    uint64_t from = end > open->filled ? end : open->filled, size = FILL_SIZE;
    int error;

    if (end + FILL_MARGIN <= open->filled || from >= open->head.size)
        return 0;
    if (size > open->head.size - from)
        size = open->head.size - from;
    error = write_open(log, zeros, size, from);
    open->filled = from + size;
    return error;
}

int log_write_piece(struct store_log *log, struct piece *piece)
{
    static const uint8_t zeros[LOG_RECORD_HEAD_SIZE];
    size_t size = buf_len(&piece->data);
    int error = 0;

    if (piece->segment != log->open)
        error = open_segment(log, piece->segment);
    if (error)
        return error;
    /* The zeros end the log for a replay: what follows them is of an earlier use of the file. They
     * are dispensable when memory is short, and overwritten by what comes next. */
    (void)buf_append(&piece->data, zeros, sizeof(zeros));
    error = write_open(log, buf_head(&piece->data), buf_len(&piece->data), piece->offset);
    if (!error)
        error = fill_ahead(log, piece->offset + buf_len(&piece->data));
    if (error)
        return error;
    log->written_end = piece->offset + size;
    if (piece->last_position) {
        atomic_store(&log->written, piece->last_position);
        log->dirty = true;
    }
    atomic_fetch_sub(&log->queued, size);
    return 0;
}

/* Whether what was written must be synced now. */
static bool sync_due(struct store_log *log, uint64_t wanted)
{
    if (!log->dirty)
        return false;
    if (log->options.sync == STORE_SYNC_ALWAYS || wanted > atomic_load(&log->durable))
        return true;
    return log->options.sync == STORE_SYNC_INTERVAL &&
           log_now_ms() - log->synced_ms >= log->options.interval_ms;
}

/* Has room for the next segment ready before it is needed. A full disk is for the shard's thread to
 * find. */
static void make_spare(struct store_log *log)
{
    struct log_segment *spare;
    bool wanted;

    if (!log->open || log->written_end < log->open->head.size / 2)
        return;
    pthread_mutex_lock(&log->lock);
    wanted = log->spare_count == 0;
    pthread_mutex_unlock(&log->lock);
    if (!wanted || log_spare_make(log->folder, atomic_fetch_add(&log->spare_number, 1),
                                  log->options.segment_size, &spare) != 0)
        return;
    pthread_mutex_lock(&log->lock);
    log_add_spare(log, spare);
    pthread_mutex_unlock(&log->lock);
}

static void write_group(struct store_log *log, struct piece *piece, uint64_t wanted)
{
    uint64_t told = store_log_poll(log, &(int){0});
    int error = atomic_load(&log->error);

    while (piece) {
        struct piece *next = piece->next;

        if (!error)
            error = log_write_piece(log, piece);
        pthread_mutex_lock(&log->lock);
        log_keep_piece(log, piece);
        pthread_mutex_unlock(&log->lock);
        piece = next;
    }
    if (!error && sync_due(log, wanted))
        error = sync_open(log);
    pthread_mutex_lock(&log->lock);
    pthread_cond_broadcast(&log->done);
    pthread_mutex_unlock(&log->lock);
    if (log->options.wake && (error || store_log_poll(log, &(int){0}) != told))
        log->options.wake(log->options.wake_arg);
    if (!error)
        make_spare(log);
}

/* Waits for work, or until the interval is over. Called with the lock held. */
static void wait_for_work(struct store_log *log)
{
    uint64_t left_ms, passed_ms = log_now_ms() - log->synced_ms;
    struct timespec until;

    if (log->options.sync != STORE_SYNC_INTERVAL || !log->dirty) {
        pthread_cond_wait(&log->work, &log->lock);
        return;
    }
    left_ms = passed_ms < log->options.interval_ms ? log->options.interval_ms - passed_ms : 1;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(left_ms / 1000);
    until.tv_nsec += (long)(left_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&log->work, &log->lock, &until);
}

void *log_writer(void *arg)
{
    struct store_log *log = arg;
    bool stop = false;

    while (!stop) {
        struct piece *group;
        uint64_t wanted;

        pthread_mutex_lock(&log->lock);
        while (!log->queue.first && !log->stop && !sync_due(log, log->wanted))
            wait_for_work(log);
        /* What is queued is still written before the end. */
        stop = log->stop && !log->queue.first;
        group = log->queue.first;
        log->queue = (struct piece_list){NULL, NULL};
        wanted = stop ? UINT64_MAX : log->wanted;
        pthread_mutex_unlock(&log->lock);
        write_group(log, group, wanted);
    }
    return NULL;
}
