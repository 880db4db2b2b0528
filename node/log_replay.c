#include "node/log_replay.h"
#include "node/clock.h"
#include "node/store_batch.h"
#include "shared/error.h"
#include "shared/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REBUILD "rebuild this node from its peers (doc/operations.md tells how)"

enum { PROGRESS_EVERY_MS = 1000 };

/* One segment while it is read. */
struct reading {
    struct log_replay *replay;
    struct log_head head;
    char path[LOG_PATH_SIZE_MAX];
    int fd;
    uint8_t *content;
    size_t size;
    uint64_t expected; /* position of the next batch */
    struct store_change *changes;
};

int log_ranges_add(struct log_ranges *r, struct log_range range)
{
    if (r->count == r->size) {
        size_t size = r->size ? r->size * 2 : 16;
        struct log_range *items = realloc(r->items, size * sizeof(*items));

        if (!items)
            return RK_NOMEM;
        r->items = items;
        r->size = size;
    }
    r->items[r->count++] = range;
    return 0;
}

__attribute__((format(printf, 3, 4))) static int refuse(struct log_replay *r, int error,
                                                        const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(r->why, r->why_size, format, arguments);
    va_end(arguments);
    return error;
}

static int refuse_file(struct reading *at, const char *what)
{
    return refuse(at->replay, errno == ENOMEM ? RK_NOMEM : RK_IO, "%s: %s: %s", at->path, what,
                  strerror(errno));
}

static int refuse_damage(struct reading *at, size_t offset, const char *what)
{
    return refuse(at->replay, RK_CORRUPT,
                  "%s: damaged at offset %zu: %s; acknowledged writes are lost here, so " REBUILD,
                  at->path, offset, what);
}

/* The number in a name, or 0. */
static uint64_t number_of(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    unsigned long long number;
    char *end;

    if (strncmp(name, prefix, length) != 0 || name[length] < '0' || name[length] > '9')
        return 0;
    errno = 0;
    number = strtoull(name + length, &end, 10);
    return *end || errno ? 0 : number;
}

/* Whether a file that is listed is the one with this path: another way to write the number is a
 * file of somebody else, and what was done about it would be done to the segment. */
static bool is_named(const char *path, const char *name)
{
    return strcmp(strrchr(path, '/') + 1, name) == 0;
}

static int compare_ranges(const void *a, const void *b)
{
    uint64_t left = ((const struct log_range *)a)->number;
    uint64_t right = ((const struct log_range *)b)->number;

    return (left > right) - (left < right);
}

static int list_folder(struct log_replay *r)
{
    const struct store_files *files = r->folder->files;
    DIR *folder = opendir(r->folder->path);
    struct dirent *entry;
    int error = 0;

    if (!folder)
        return refuse(r, RK_IO, "%s: %s", r->folder->path, strerror(errno));
    /* Segments that are not listed would be taken for ones that are not there. */
    while (!error && (errno = 0, entry = readdir(folder))) {
        uint64_t number = number_of(entry->d_name, "log-");
        uint64_t spare = number_of(entry->d_name, "spare-");
        char path[LOG_PATH_SIZE_MAX];

        log_segment_path(r->folder, number, path);
        if (number && is_named(path, entry->d_name))
            error = log_ranges_add(&r->ranges, (struct log_range){.number = number});
        log_spare_path(r->folder, spare, path);
        if (spare && is_named(path, entry->d_name) && files->unlink(files->arg, path) != 0)
            error = refuse(r, RK_IO, "%s: %s", path, strerror(errno));
    }
    if (!error && errno)
        error = refuse(r, RK_IO, "%s: %s", r->folder->path, strerror(errno));
    closedir(folder);
    if (r->ranges.count)
        qsort(r->ranges.items, r->ranges.count, sizeof(struct log_range), compare_ranges);
    return error;
}

static int reading_open(struct reading *at, struct log_replay *r, const struct log_range *range)
{
    const struct store_files *files = r->folder->files;
    uint8_t head[LOG_HEAD_SIZE];
    off_t size;
    int error;

    *at = (struct reading){.replay = r, .fd = -1};
    log_segment_path(r->folder, range->number, at->path);
    at->fd = files->open(files->arg, at->path, O_RDWR);
    if (at->fd < 0)
        return refuse_file(at, "open");
    size = files->size(files->arg, at->fd);
    if (size < 0)
        return refuse_file(at, "size");
    if (size < LOG_HEAD_SIZE)
        return refuse_damage(at, 0, "the file is too short");
    if (store_files_read(files, at->fd, head, sizeof(head), 0) != 0)
        return refuse_file(at, "read");
    error = log_head_read(head, &at->head);
    if (error == RK_VERSION)
        return refuse(r, error, "%s: %s of ringkv: use the one that wrote it", at->path,
                      rk_error_text(error));
    if (error || at->head.number != range->number)
        return refuse_damage(at, 0, "the head's checksum or number is wrong");
    if ((uint64_t)size < at->head.size)
        return refuse_damage(at, (size_t)size, "the file was cut short");
    at->size = at->head.size;
    return 0;
}

static void reading_close(struct reading *at)
{
    const struct store_files *files = at->replay->folder->files;

    if (at->fd >= 0)
        files->close(files->arg, at->fd);
    free(at->content);
    free(at->changes);
}

static int read_heads(struct log_replay *r)
{
    for (size_t i = 0; i < r->ranges.count; i++) {
        struct reading at;
        int error = reading_open(&at, r, &r->ranges.items[i]);

        if (!error) {
            r->ranges.items[i].first_position = at.head.first_position;
            r->ranges.items[i].size = at.head.size;
        }
        reading_close(&at);
        if (error)
            return error;
    }
    return 0;
}

/* Removing old segments is not synced one by one, so a power cut may bring some back: what lies
 * before a gap goes, if the tree holds all of it. */
static int drop_leftovers(struct log_replay *r)
{
    const struct store_files *files = r->folder->files;
    struct log_range *items = r->ranges.items;
    size_t first = r->ranges.count ? r->ranges.count - 1 : 0;
    char path[LOG_PATH_SIZE_MAX];

    while (first > 0 && items[first - 1].number + 1 == items[first].number)
        first--;
    if (r->ranges.count && items[first].first_position > r->written_down + 1)
        return refuse(r, RK_CORRUPT,
                      "%s: the log segment before number %" PRIu64
                      " is missing; acknowledged writes are lost with it, so " REBUILD,
                      r->folder->path, items[first].number);
    for (size_t i = 0; i < first; i++) {
        log_segment_path(r->folder, items[i].number, path);
        if (files->unlink(files->arg, path) != 0)
            return refuse(r, RK_IO, "%s: %s", path, strerror(errno));
    }
    r->ranges.count -= first;
    if (first)
        memmove(items, items + first, r->ranges.count * sizeof(*items));
    return 0;
}

static int replay_batch(struct reading *at, const struct log_record *record, size_t offset)
{
    struct store_batch batch;

    if (record->position != at->expected)
        return refuse_damage(at, offset, "a position is out of order");
    if (store_batch_read(record->body, at->changes, &batch) != 0)
        return refuse_damage(at, offset, "a record has a good checksum but no valid content");
    at->expected++;
    return at->replay->each(at->replay->arg, record->position, &batch);
}

/* Where the last segment's records end: there must be no word of a later position having been
 * synced. */
static int check_end(struct reading *at, size_t offset)
{
    static const uint8_t zeros[LOG_RECORD_HEAD_SIZE];
    struct bytes rest = bytes_of(at->content + offset, at->size - offset);

    if (log_record_find_marks(rest, at->head.salt) >= at->expected)
        return refuse_damage(at, offset, "the checksum is wrong");
    if (rest.size >= sizeof(zeros) && memcmp(rest.data, zeros, sizeof(zeros)) != 0)
        log_warn("store: cut the torn end of the log file=%s offset=%zu: what was being written "
                 "when the node died was never acknowledged",
                 at->path, offset);
    return 0;
}

static int replay_records(struct reading *at, const struct log_range *next)
{
    size_t offset = LOG_HEAD_SIZE;
    struct log_record record;
    int error = 0;

    while (!error) {
        if (next && at->expected == next->first_position)
            return 0;
        if (log_record_read(bytes_of(at->content + offset, at->size - offset), at->head.salt,
                            &record) != 0)
            return next ? refuse_damage(at, offset, "the checksum is wrong")
                        : check_end(at, offset);
        if (record.kind == LOG_BATCH)
            error = replay_batch(at, &record, offset);
        else if (record.position >= at->expected)
            error = refuse_damage(at, offset, "a mark is out of order");
        offset += record.size;
    }
    return error;
}

static int replay_segment(struct log_replay *r, size_t i)
{
    const struct log_range *next = i + 1 < r->ranges.count ? &r->ranges.items[i + 1] : NULL;
    struct reading at;
    int error = reading_open(&at, r, &r->ranges.items[i]);

    if (!error) {
        at.content = malloc(at.size);
        at.changes = malloc(STORE_CHANGES_MAX * sizeof(*at.changes));
        at.expected = at.head.first_position;
        if (!at.content || !at.changes)
            error = RK_NOMEM;
        /* What was written but not synced when the process died will be told, so it is synced now.
         */
        else if (!next && r->folder->files->sync(r->folder->files->arg, at.fd) != 0)
            error = refuse_file(&at, "fdatasync");
        else if (store_files_read(r->folder->files, at.fd, at.content, at.size, 0) != 0)
            error = refuse_file(&at, "read");
        else if (i > 0 && at.expected != r->last_position + 1)
            error = refuse_damage(&at, 0, "the segment does not follow the one before it");
        else
            error = replay_records(&at, next);
        r->last_position = at.expected - 1;
    }
    reading_close(&at);
    return error;
}

int log_replay(struct log_replay *r)
{
    uint64_t said_ms = clock_ms();
    int error = list_folder(r);

    if (!error)
        error = read_heads(r);
    if (!error)
        error = drop_leftovers(r);
    for (size_t i = 0; i < r->ranges.count && !error; i++) {
        error = replay_segment(r, i);
        if (!error && clock_ms() - said_ms >= PROGRESS_EVERY_MS) {
            said_ms = clock_ms();
            log_info("store: replaying the log folder=%s segment=%zu of=%zu position=%" PRIu64,
                     r->folder->path, i + 1, r->ranges.count, r->last_position);
        }
    }
    if (!error && r->last_position < r->written_down)
        error = refuse(r, RK_CORRUPT,
                       "%s: the log ends at position %" PRIu64 " but was once synced to %" PRIu64
                       ": segments are missing; " REBUILD,
                       r->folder->path, r->last_position, r->written_down);
    return error;
}
