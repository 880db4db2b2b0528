#include "node/store_disk_parts.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

static void set_default(size_t *option, size_t value)
{
    if (*option == 0)
        *option = value;
}

static int take_options(struct store_disk *d, const struct store_disk_options *options, char *why,
                        size_t why_size)
{
    struct store_disk_options *o = &d->options;

    *o = *options;
    set_default(&o->memory_table, STORE_MEMORY_DEFAULT);
    set_default(&o->log_segment, STORE_SEGMENT_DEFAULT);
    set_default(&o->map_size, STORE_MAP_DEFAULT);
    if (o->checkpoint_ms == 0)
        o->checkpoint_ms = STORE_CHECKPOINT_MS_DEFAULT;
    d->files = o->files ? o->files : &store_files_real;
    d->folder.files = d->files;
    if (o->memory_table < STORE_MEMORY_MIN || o->log_segment < STORE_SEGMENT_MIN ||
        strlen(o->folder) >= sizeof(d->folder.path)) {
        snprintf(why, why_size, "memory_table, log_segment or the folder's name is out of range");
        return RK_INVALID;
    }
    d->pace.bound = o->memory_table;
    strcpy(d->folder.path, o->folder);
    return 0;
}

/* One process a folder. */
static int take_lock(struct store_disk *d, char *why, size_t why_size)
{
    char path[LOG_PATH_SIZE_MAX];
    int error;

    snprintf(path, sizeof(path), "%s/lock", d->folder.path);
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0) {
        error = errno;
        snprintf(why, why_size, "%s: %s", path, strerror(error));
        return error == EROFS || error == EACCES || error == EPERM ? RK_READONLY
                                                                   : store_files_error(error);
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    error = errno;
    if (error == EWOULDBLOCK)
        snprintf(why, why_size, "%s: the folder is in use by another process", d->folder.path);
    else
        snprintf(why, why_size, "%s: cannot lock it: %s", path, strerror(error));
    return error == EWOULDBLOCK ? RK_BUSY : RK_IO;
}

static int init_memory(struct store_disk *d)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        return RK_IO;
    memory_pool_init(&d->pool, d->options.memory_table);
    for (int i = 0; i < 2; i++)
        if (memory_table_init(&d->tables[i], &d->pool, d->options.memory_table / 2, seed) != 0)
            return RK_NOMEM;
    d->active = &d->tables[0];
    return 0;
}

/* Waits for a checkpoint while there is no loop yet that would take turns. */
static int make_room(struct store_disk *d)
{
    store_disk_turn(d, true);
    if (!d->frozen)
        return 0;
    store_worker_wait(d->worker);
    return store_worker_error(d->worker, NULL, 0);
}

static int replay_batch(void *arg, uint64_t position, const struct store_batch *batch)
{
    struct store_disk *d = arg;
    int error = 0;

    /* Not what the tree says: the worker may be writing to it. */
    if (position <= d->settled)
        return 0;
    while ((error = store_disk_reserve(d, batch)) == RK_FULL) {
        error = make_room(d);
        if (error)
            break;
    }
    if (error)
        return error;
    store_disk_put(d, batch, position);
    tree_end_turn(&d->tree);
    return 0;
}

static int open_log(struct store_disk *d, char *why, size_t why_size)
{
    struct log_replay replay = {.folder = &d->folder,
                                .written_down = d->tree.position,
                                .each = replay_batch,
                                .arg = d,
                                .why = why,
                                .why_size = why_size};
    struct store_log_options options = {.folder = &d->folder,
                                        .sync = d->options.sync,
                                        .interval_ms = d->options.sync_interval_ms,
                                        .segment_size = d->options.log_segment,
                                        .queue_max = d->options.memory_table,
                                        .wake = d->options.wake,
                                        .wake_arg = d->options.wake_arg};
    int error = log_replay(&replay);

    if (!error)
        error = store_log_open(&options, &replay, &d->log);
    free(replay.ranges.items);
    if (!error)
        store_worker_set_log(d->worker, d->log);
    return error;
}

static int open_parts(struct store_disk *d, char *why, size_t why_size)
{
    struct store_worker_options options = {
        .tree = &d->tree,
        .scrub_rate = d->options.scrub_rate,
        .checkpoint_ms = d->options.checkpoint_ms == UINT64_MAX ? 0 : d->options.checkpoint_ms,
        .wake = d->options.wake,
        .wake_arg = d->options.wake_arg};
    int error = take_lock(d, why, why_size);

    if (!error)
        error = init_memory(d);
    if (!error)
        error = tree_open(&d->tree, d->folder.path, d->options.map_size, d->files, why, why_size);
    d->settled = d->tree.position;
    if (!error && d->files->sync_folder(d->files->arg, d->folder.path) != 0) {
        snprintf(why, why_size, "fsync of %s failed: %s", d->folder.path, strerror(errno));
        error = RK_IO;
    }
    if (!error)
        error = store_worker_start(&options, &d->worker);
    if (!error)
        error = open_log(d, why, why_size);
    if (error && !why[0] && d->worker)
        store_worker_error(d->worker, why, why_size);
    return error;
}

int store_disk_open(const struct store_disk_options *options, struct store **out, char *why,
                    size_t why_size)
{
    struct store_disk *d = calloc(1, sizeof(*d));
    struct store_stats stats;
    int error;

    snprintf(why, why_size, "%s", "");
    if (!d)
        return RK_NOMEM;
    d->store.functions = &store_disk_functions;
    d->lock_fd = -1;
    error = take_options(d, options, why, why_size);
    if (!error)
        error = open_parts(d, why, why_size);
    if (error) {
        if (!why[0])
            snprintf(why, why_size, "%s: %s", options->folder, rk_error_text(error));
        store_disk_close(&d->store);
        return error;
    }
    store_stats(&d->store, &stats);
    log_info("store: opened folder=%s position=%" PRIu64 " written_down=%" PRIu64 " keys=%" PRIu64,
             d->folder.path, stats.applied, stats.written_down, stats.keys);
    *out = &d->store;
    return 0;
}

void store_disk_close(struct store *s)
{
    struct store_disk *d = store_disk_of(s);

    if (d->log)
        store_log_submit(d->log);
    if (d->worker)
        store_worker_stop(d->worker);
    if (d->log)
        store_log_close(d->log);
    tree_close(&d->tree);
    memory_table_free(&d->tables[0]);
    memory_table_free(&d->tables[1]);
    memory_pool_free(&d->pool);
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    free(d);
}
