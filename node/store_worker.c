#include "node/store_worker.h"
#include "node/checkpoint.h"
#include "node/clock.h"
#include "node/damage_note.h"
#include "node/damaged_list.h"
#include "node/scrub.h"
#include "shared/error.h"
#include "shared/log.h"
#include "shared/log_quota.h"
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

enum {
    WHY_SIZE = 512,
    ROOM_WAIT_MS = 250,    /* between looks at a full disk */
    SCRUB_STEP_MS = 100,   /* between steps of the scrub, each of that part of the rate */
    SCRUB_REST_MS = 1000,  /* after it came to the end, or failed */
    SPREAD_PARTS = 4,      /* a checkpoint is due up to so many parts of its time sooner, */
    SPREAD_MS_MAX = 60000, /* and no more than that */
    NICE = 5,              /* a third of what the threads that serve get, when they want it too */
};

struct store_worker {
    struct store_worker_options options;
    pthread_t thread;
    struct checkpoint checkpoint; /* the thread's */
    struct scrub scrub;           /* the thread's */
    struct log_quota found;       /* the thread's: lines about what the scrub found */
    atomic_bool due;
    atomic_bool no_room; /* the checkpoint waits for room on the disk */
    atomic_bool news;    /* store_worker_turn has something to do */
    atomic_int error;
    _Atomic uint64_t written, to_write; /* records of the table under way */

    /* Below the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct memory_table *table; /* to be written, or being written */
    struct store_log *log;
    bool grow, complete, stop;
    struct record_counts counts;
    uint64_t checkpoints, written_down, scrub_records, scrub_damaged;
    uint64_t due_ms, scrub_ms; /* when to do something next */
    struct damaged_list damaged;
    char why[WHY_SIZE], checkpoint_why[WHY_SIZE];
};

/* When the next checkpoint is due. At another moment in each node: a write needs a majority of
 * them, and would wait for their checkpoints only if they came together. */
static uint64_t next_due_ms(const struct store_worker *w)
{
    uint64_t spread = w->options.checkpoint_ms / SPREAD_PARTS;
    uint16_t chance;

    if (spread > SPREAD_MS_MAX)
        spread = SPREAD_MS_MAX;
    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        chance = 0;
    return clock_ms() + w->options.checkpoint_ms - spread * chance / UINT16_MAX;
}

static void wait_until(struct store_worker *w, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};

    pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

/* Tells the shard's thread. Without the lock: wake may do anything. */
static void tell(struct store_worker *w)
{
    if (w->options.wake)
        w->options.wake(w->options.wake_arg);
}

/* ---- what the checkpoint asks for ---- */

static int worker_grow(void *arg)
{
    struct store_worker *w = arg;
    int error;

    scrub_end(&w->scrub);
    pthread_mutex_lock(&w->lock);
    w->grow = true;
    atomic_store(&w->news, true);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    tell(w);
    pthread_mutex_lock(&w->lock);
    while (w->grow && !w->stop)
        pthread_cond_wait(&w->changed, &w->lock);
    error = w->stop ? RK_CLOSED : 0;
    pthread_mutex_unlock(&w->lock);
    return error ? error : atomic_load(&w->error);
}

static int worker_wait_for_room(void *arg)
{
    struct store_worker *w = arg;
    uint64_t until_ms = clock_ms() + ROOM_WAIT_MS;
    int error;

    if (!atomic_exchange(&w->no_room, true))
        log_warn("store: no room on the disk for the checkpoint of file=%s: waiting; when memory "
                 "is full too, writes get -NOSPACE",
                 w->options.tree->path);
    pthread_mutex_lock(&w->lock);
    while (!w->stop && clock_ms() < until_ms)
        wait_until(w, until_ms);
    error = w->stop ? RK_CLOSED : 0;
    pthread_mutex_unlock(&w->lock);
    return error;
}

static int worker_committed(void *arg)
{
    struct store_worker *w = arg;
    int error;

    if (atomic_exchange(&w->no_room, false))
        log_info("store: there is room on the disk again file=%s", w->options.tree->path);
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->written, w->checkpoint.written);
    w->counts = w->options.tree->counts;
    error = w->stop ? RK_CLOSED : 0;
    pthread_mutex_unlock(&w->lock);
    return error;
}

/* ---- the thread ---- */

/* Nothing may stand in the tree before it is safe in the log: the log's end would be taken for a
 * loss. */
static int write_table(struct store_worker *w, const struct memory_table *table,
                       struct store_log *log)
{
    int error = log ? store_log_wait(log, table->last_position) : 0;

    if (!error)
        error = checkpoint_write(&w->checkpoint, table);
    if (!error && log)
        error = store_log_release(log, table->last_position);
    return error;
}

static void run_checkpoint(struct store_worker *w, const struct memory_table *table,
                           struct store_log *log)
{
    uint64_t start_ms = clock_ms();
    size_t records = table->count; /* of a complete one nothing may be read: it is used again */
    int error = write_table(w, table, log);

    if (error == RK_CORRUPT)
        damage_note_leave(w->options.tree->path, w->checkpoint_why);
    pthread_mutex_lock(&w->lock);
    w->table = NULL;
    if (!error) {
        w->checkpoints++;
        w->written_down = table->last_position;
        w->complete = true;
        w->due_ms = next_due_ms(w);
    } else if (error != RK_CLOSED) {
        /* When the map cannot grow, that was said already. */
        if (!w->why[0])
            snprintf(w->why, sizeof(w->why), "%s",
                     w->checkpoint_why[0] ? w->checkpoint_why : rk_error_text(error));
        log_error("store: checkpoint: %s: nothing is acknowledged any more", w->why);
        atomic_store(&w->error, RK_IO);
    }
    atomic_store(&w->news, true);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    log_debug("store: checkpoint records=%zu took_ms=%" PRIu64 " result=%s", records,
              clock_ms() - start_ms, error ? rk_error_text(error) : "ok");
    tell(w);
}

static void run_scrub(struct store_worker *w)
{
    size_t bytes = (size_t)(w->options.scrub_rate * SCRUB_STEP_MS / 1000);
    int error = scrub_step(&w->scrub, bytes ? bytes : 1);

    pthread_mutex_lock(&w->lock);
    w->scrub_records = w->scrub.records;
    w->scrub_damaged = w->scrub.damaged_records;
    w->scrub_ms = clock_ms() + (error ? SCRUB_REST_MS : SCRUB_STEP_MS);
    pthread_mutex_unlock(&w->lock);
}

/* When the thread must do something by itself, at the latest. */
static uint64_t next_ms(const struct store_worker *w)
{
    uint64_t next = UINT64_MAX / 2;

    if (w->options.checkpoint_ms && !atomic_load(&w->due))
        next = w->due_ms;
    if (w->options.scrub_rate && w->scrub_ms < next)
        next = w->scrub_ms;
    return next;
}

/* Requests do not wait for a turn of the processor behind a checkpoint. Of this thread alone, as
 * Linux has it; where it cannot be had, they do. */
static void give_way(void)
{
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE);
}

static void *worker_thread(void *arg)
{
    struct store_worker *w = arg;

    give_way();
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        const struct memory_table *table = w->table;
        struct store_log *log = w->log;
        bool scrub, due;

        if (!table && clock_ms() < next_ms(w)) {
            wait_until(w, next_ms(w));
            continue;
        }
        scrub = !table && w->options.scrub_rate && clock_ms() >= w->scrub_ms;
        due =
            !table && w->options.checkpoint_ms && !atomic_load(&w->due) && clock_ms() >= w->due_ms;
        if (due)
            atomic_store(&w->due, true);
        pthread_mutex_unlock(&w->lock);
        if (table)
            run_checkpoint(w, table, log);
        if (scrub)
            run_scrub(w);
        if (due)
            tell(w);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- the shard's thread ---- */

void store_worker_set_log(struct store_worker *w, struct store_log *log)
{
    pthread_mutex_lock(&w->lock);
    w->log = log;
    pthread_mutex_unlock(&w->lock);
}

void store_worker_write(struct store_worker *w, const struct memory_table *table)
{
    pthread_mutex_lock(&w->lock);
    assert(!w->table && !w->complete);
    w->table = table;
    atomic_store(&w->written, 0);
    atomic_store(&w->to_write, table->count);
    w->due_ms = next_due_ms(w);
    atomic_store(&w->due, false);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

bool store_worker_turn(struct store_worker *w)
{
    bool complete;

    if (!atomic_load(&w->news))
        return false;
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->news, false);
    if (w->grow) {
        if (tree_grow(w->options.tree, w->why, sizeof(w->why)) != 0)
            atomic_store(&w->error, RK_IO);
        w->grow = false;
        pthread_cond_broadcast(&w->changed);
    }
    complete = w->complete;
    w->complete = false;
    pthread_mutex_unlock(&w->lock);
    return complete;
}

void store_worker_progress(const struct store_worker *w, uint64_t *done, uint64_t *all)
{
    *done = atomic_load(&w->written);
    *all = atomic_load(&w->to_write);
}

void store_worker_wait(struct store_worker *w)
{
    pthread_mutex_lock(&w->lock);
    while (!atomic_load(&w->news))
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

bool store_worker_due(const struct store_worker *w)
{
    return atomic_load(&w->due);
}

bool store_worker_no_room(const struct store_worker *w)
{
    return atomic_load(&w->no_room);
}

int store_worker_error(struct store_worker *w, char *why, size_t why_size)
{
    int error = atomic_load(&w->error);

    if (error && why) {
        pthread_mutex_lock(&w->lock);
        snprintf(why, why_size, "%s", w->why);
        pthread_mutex_unlock(&w->lock);
    }
    return error;
}

/* ---- any thread ---- */

void store_worker_damaged(struct store_worker *w, struct bytes key)
{
    pthread_mutex_lock(&w->lock);
    damaged_list_add(&w->damaged, key);
    pthread_mutex_unlock(&w->lock);
}

/* As the scrub calls it. */
static void worker_found_damaged(void *arg, struct bytes key)
{
    struct store_worker *w = arg;

    log_warn_few(&w->found, clock_ms(), "store: the scrub found a damaged record in file=%s",
                 w->options.tree->path);
    store_worker_damaged(w, key);
    tell(w);
}

int store_worker_take_damaged(struct store_worker *w, uint8_t key[STORE_KEY_SIZE_MAX], size_t *size)
{
    int error;

    pthread_mutex_lock(&w->lock);
    error = damaged_list_take(&w->damaged, key, size);
    pthread_mutex_unlock(&w->lock);
    return error;
}

void store_worker_stats(struct store_worker *w, struct store_stats *out, uint64_t *done,
                        uint64_t *all)
{
    pthread_mutex_lock(&w->lock);
    store_worker_progress(w, done, all);
    out->keys = w->counts.keys;
    out->tombstones = w->counts.tombstones;
    out->live_bytes = w->counts.live_bytes;
    out->expiring = w->counts.expiring;
    out->checkpoints = w->checkpoints;
    out->written_down = w->written_down;
    out->scrub_records = w->scrub_records;
    out->scrub_damaged = w->scrub_damaged;
    pthread_mutex_unlock(&w->lock);
}

/* ---- beginning and end ---- */

static void worker_free(struct store_worker *w)
{
    scrub_end(&w->scrub);
    tree_writer_free(&w->checkpoint.writer);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

int store_worker_start(const struct store_worker_options *options, struct store_worker **out)
{
    struct store_worker *w = calloc(1, sizeof(*w));
    pthread_condattr_t monotonic;

    if (!w)
        return RK_NOMEM;
    w->options = *options;
    w->counts = options->tree->counts;
    w->written_down = options->tree->position;
    w->due_ms = next_due_ms(w);
    w->checkpoint = (struct checkpoint){.tree = options->tree,
                                        .arg = w,
                                        .grow = worker_grow,
                                        .wait_for_room = worker_wait_for_room,
                                        .committed = worker_committed,
                                        .why = w->checkpoint_why,
                                        .why_size = sizeof(w->checkpoint_why)};
    w->scrub = (struct scrub){.tree = options->tree, .damaged = worker_found_damaged, .arg = w};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&w->lock, NULL);
    if (pthread_create(&w->thread, NULL, worker_thread, w) != 0) {
        worker_free(w);
        return RK_NOMEM;
    }
    *out = w;
    return 0;
}

void store_worker_stop(struct store_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    worker_free(w);
}
