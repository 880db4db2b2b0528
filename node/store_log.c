#include "node/store_log.h"
#include "node/store_log_parts.h"
#include "shared/error.h"
#include "shared/log.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t log_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void list_add(struct piece_list *list, struct piece *piece)
{
    piece->next = NULL;
    if (list->last)
        list->last->next = piece;
    else
        list->first = piece;
    list->last = piece;
}

static void piece_free(struct piece *piece)
{
    if (piece)
        buf_free(&piece->data);
    free(piece);
}

void log_keep_piece(struct store_log *log, struct piece *piece)
{
    buf_consume(&piece->data, buf_len(&piece->data));
    buf_trim(&piece->data, PIECE_KEEP_MAX);
    if (log->unused)
        piece_free(piece);
    else
        log->unused = piece;
}

void log_fail(struct store_log *log, const char *what, const char *path, int system_error)
{
    pthread_mutex_lock(&log->lock);
    if (atomic_load(&log->error) == 0) {
        snprintf(log->why, sizeof(log->why), "%s of %s failed: %s", what, path,
                 strerror(system_error));
        log_error("store: %s: nothing is acknowledged any more", log->why);
        atomic_store(&log->error, RK_IO);
    }
    pthread_cond_broadcast(&log->done);
    pthread_mutex_unlock(&log->lock);
}

static struct piece *piece_new(struct store_log *log)
{
    struct piece *piece;

    pthread_mutex_lock(&log->lock);
    piece = log->unused;
    log->unused = NULL;
    pthread_mutex_unlock(&log->lock);
    return piece ? piece : calloc(1, sizeof(*piece));
}

/* Starts a piece at the end of the current segment. */
static int piece_start(struct store_log *log)
{
    struct piece *piece = piece_new(log);

    if (!piece)
        return RK_NOMEM;
    piece->segment = log->current;
    piece->offset = log->offset;
    piece->last_position = 0;
    log->filling = piece;
    return 0;
}

static void piece_finish(struct store_log *log)
{
    if (!log->filling)
        return;
    log->ready_bytes += buf_len(&log->filling->data);
    list_add(&log->ready, log->filling);
    log->filling = NULL;
}

/* Said once, with the system's reason: it may be a quota or a limit of this process, and `df` shows
 * that there is room. */
static void tell_room(struct store_log *log, int error, int system_error)
{
    bool no_room = error == RK_NOSPACE;

    if (no_room == log->told_no_room)
        return;
    log->told_no_room = no_room;
    if (no_room)
        log_warn("store: no room on the disk for the log folder=%s: %s; writes get -NOSPACE until "
                 "there is",
                 log->folder->path, strerror(system_error));
    else
        log_info("store: there is room on the disk again folder=%s", log->folder->path);
}

/* A spare with room for `size` bytes: one that is there, or a new one. */
static int take_spare(struct store_log *log, uint64_t size, struct log_segment **out)
{
    uint64_t wanted = size > log->options.segment_size ? size : log->options.segment_size;
    int error;

    *out = NULL;
    pthread_mutex_lock(&log->lock);
    if (log->spares && log->spares->head.size >= size) {
        *out = log->spares;
        log->spares = (*out)->next;
        log->spare_count--;
    }
    pthread_mutex_unlock(&log->lock);
    if (*out) {
        tell_room(log, 0, 0);
        return 0;
    }
    if (log_now_ms() < log->retry_ms)
        return RK_NOSPACE;
    error = log_spare_make(log->folder, atomic_fetch_add(&log->spare_number, 1), wanted, out);
    if (!error || error == RK_NOSPACE)
        tell_room(log, error, errno);
    if (error == RK_NOSPACE)
        log->retry_ms = log_now_ms() + RETRY_MS;
    if (error == RK_IO)
        log_fail(log, "making a segment", log->folder->path, errno);
    return error;
}

static int random_salt(uint64_t *salt)
{
    return getrandom(salt, sizeof(*salt), 0) == sizeof(*salt) ? 0 : RK_IO;
}

/* Goes on in a new segment, which the helper thread will put in place. */
static int next_segment(struct store_log *log, uint64_t size)
{
    struct log_segment *segment, **last;
    uint64_t salt;
    int error = random_salt(&salt);

    if (!error)
        error = take_spare(log, LOG_HEAD_SIZE + size + TAIL_SIZE, &segment);
    if (error)
        return error;
    piece_finish(log);
    segment->next = NULL;
    segment->head.first_position = log->applied + 1;
    segment->head.salt = salt;
    pthread_mutex_lock(&log->lock);
    for (last = &log->coming; *last; last = &(*last)->next)
        ;
    *last = segment;
    pthread_mutex_unlock(&log->lock);
    log->current = segment;
    log->offset = LOG_HEAD_SIZE;
    return 0;
}

static bool mark_due(const struct store_log *log)
{
    return atomic_load(&log->durable) > log->marked;
}

static void append_mark(struct store_log *log)
{
    uint64_t durable = atomic_load(&log->durable);
    int error = log_record_append_mark(&log->filling->data, log->current->head.salt, durable);

    assert(error == 0);
    log->offset += LOG_MARK_SIZE;
    log->marked = durable;
}

static uint64_t waiting_bytes(const struct store_log *log)
{
    uint64_t filling = log->filling ? buf_len(&log->filling->data) : 0;

    return atomic_load(&log->queued) + log->ready_bytes + filling;
}

int store_log_append(struct store_log *log, const struct store_batch *batch, uint64_t *position)
{
    size_t size = log_record_batch_size(batch);
    size_t room = size + LOG_MARK_SIZE;
    uint64_t waiting = waiting_bytes(log);
    int error = atomic_load(&log->error);

    if (!error && waiting && waiting + size > log->options.queue_max)
        error = RK_FULL;
    if (!error && (!log->current || log->offset + room + TAIL_SIZE > log->current->head.size))
        error = next_segment(log, room);
    if (!error && !log->filling)
        error = piece_start(log);
    if (error)
        return error;
    /* The zeros that end the log until the next group comes take room as well. */
    if (!buf_reserve(&log->filling->data, room + LOG_RECORD_HEAD_SIZE))
        return RK_NOMEM;
    if (buf_len(&log->filling->data) == 0 && mark_due(log))
        append_mark(log);
    error = log_record_append_batch(&log->filling->data, log->current->head.salt, log->applied + 1,
                                    batch);
    assert(error == 0);
    log->offset += size;
    log->filling->last_position = *position = ++log->applied;
    return 0;
}

/* A mark alone would say that everything is synced. */
static bool idle_mark_due(const struct store_log *log)
{
    return log->current && !log->filling && mark_due(log) && !atomic_load(&log->error) &&
           atomic_load(&log->durable) == log->applied &&
           log->offset + TAIL_SIZE <= log->current->head.size;
}

/* Whether nothing has come for a while: between two groups a mark would be a write, and two threads
 * woken, for nothing, as the next group brings one. */
static bool is_idle(struct store_log *log)
{
    uint64_t now_ms = log_now_ms();

    if (log->idle_position != log->applied) {
        log->idle_position = log->applied;
        log->idle_ms = now_ms;
    }
    return now_ms - log->idle_ms >= MARK_IDLE_MS;
}

/* When everything is synced and nothing else comes, a mark alone says so: without it, damage to the
 * last group could not be told from a torn write. It need not be synced, and memory being short is
 * no reason to fail. */
static void mark_idle(struct store_log *log)
{
    if (piece_start(log) != 0)
        return;
    if (buf_reserve(&log->filling->data, TAIL_SIZE)) {
        append_mark(log);
    } else {
        piece_free(log->filling);
        log->filling = NULL;
    }
}

/* Copies a small piece behind the one that waits for the disk, so that a busy disk gets few large
 * writes. */
static bool piece_merge(struct store_log *log, struct piece *piece)
{
    struct piece *last = log->queue.last;

    if (!last || last->segment != piece->segment || buf_len(&piece->data) > PIECE_MERGE_MAX ||
        last->offset + buf_len(&last->data) != piece->offset ||
        buf_append(&last->data, buf_head(&piece->data), buf_len(&piece->data)) != 0)
        return false;
    if (piece->last_position)
        last->last_position = piece->last_position;
    return true;
}

void store_log_submit(struct store_log *log)
{
    struct piece *piece, *next;

    if (!log->ready.first && idle_mark_due(log) && is_idle(log))
        mark_idle(log);
    piece_finish(log);
    if (!log->ready.first)
        return;
    pthread_mutex_lock(&log->lock);
    atomic_fetch_add(&log->queued, log->ready_bytes);
    for (piece = log->ready.first; piece; piece = next) {
        next = piece->next;
        if (piece_merge(log, piece))
            log_keep_piece(log, piece);
        else
            list_add(&log->queue, piece);
    }
    pthread_cond_signal(&log->work);
    pthread_mutex_unlock(&log->lock);
    log->ready = (struct piece_list){NULL, NULL};
    log->ready_bytes = 0;
}

uint64_t store_log_poll(struct store_log *log, int *error)
{
    *error = atomic_load(&log->error);
    return atomic_load(log->options.sync == STORE_SYNC_ALWAYS ? &log->durable : &log->written);
}

uint64_t store_log_applied(const struct store_log *log)
{
    return log->applied;
}

int store_log_wait(struct store_log *log, uint64_t position)
{
    pthread_mutex_lock(&log->lock);
    if (log->wanted < position)
        log->wanted = position;
    pthread_cond_signal(&log->work);
    while (atomic_load(&log->durable) < position && !atomic_load(&log->error))
        pthread_cond_wait(&log->done, &log->lock);
    pthread_mutex_unlock(&log->lock);
    return atomic_load(&log->error);
}

void store_log_stats(struct store_log *log, struct store_log_stats *out)
{
    *out = (struct store_log_stats){.syncs = atomic_load(&log->syncs),
                                    .sync_us = atomic_load(&log->sync_us),
                                    .no_room = log->told_no_room};
    pthread_mutex_lock(&log->lock);
    out->no_room = out->no_room && !log->spares;
    for (size_t i = 0; i < log->ranges.count; i++)
        out->bytes += log->ranges.items[i].size;
    for (struct log_segment *spare = log->spares; spare; spare = spare->next)
        out->bytes += spare->head.size;
    pthread_mutex_unlock(&log->lock);
}

void store_log_why(struct store_log *log, char *why, size_t why_size)
{
    pthread_mutex_lock(&log->lock);
    snprintf(why, why_size, "%s", log->why);
    pthread_mutex_unlock(&log->lock);
}

static void log_free(struct store_log *log)
{
    struct piece *piece, *next;

    piece_free(log->filling);
    piece_free(log->unused);
    for (piece = log->queue.first; piece; piece = next) {
        next = piece->next;
        piece_free(piece);
    }
    if (log->open)
        log_segment_close(log->folder, log->open);
    for (struct log_segment *list = log->spares; list; list = log->spares) {
        log->spares = list->next;
        log_segment_close(log->folder, list);
    }
    for (struct log_segment *list = log->coming; list; list = log->coming) {
        log->coming = list->next;
        log_segment_close(log->folder, list);
    }
    free(log->ranges.items);
    pthread_cond_destroy(&log->work);
    pthread_cond_destroy(&log->done);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

static void init_locks(struct store_log *log)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->work, &monotonic);
    pthread_cond_init(&log->done, NULL);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&log->lock, NULL);
}

int store_log_open(const struct store_log_options *options, struct log_replay *replay,
                   struct store_log **out)
{
    struct store_log *log = calloc(1, sizeof(*log));
    size_t count = replay->ranges.count;

    if (!log)
        return RK_NOMEM;
    log->options = *options;
    log->folder = options->folder;
    log->last_number = count ? replay->ranges.items[count - 1].number : 0;
    log->applied = log->marked = replay->last_position;
    atomic_store(&log->written, replay->last_position);
    atomic_store(&log->durable, replay->last_position);
    atomic_store(&log->spare_number, 1);
    log->synced_ms = log_now_ms();
    init_locks(log);
    if (pthread_create(&log->thread, NULL, log_writer, log) != 0) {
        log_free(log);
        return RK_NOMEM;
    }
    pthread_mutex_lock(&log->lock);
    log->ranges = replay->ranges;
    pthread_mutex_unlock(&log->lock);
    replay->ranges = (struct log_ranges){0};
    *out = log;
    return 0;
}

void store_log_close(struct store_log *log)
{
    store_log_submit(log);
    pthread_mutex_lock(&log->lock);
    log->stop = true;
    pthread_cond_signal(&log->work);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
    if (idle_mark_due(log))
        mark_idle(log);
    if (log->filling)
        (void)log_write_piece(log, log->filling);
    log_free(log);
}
