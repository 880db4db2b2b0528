#include "node/store_disk.h"
#include "node/clock.h"
#include "node/store_batch.h"
#include "node/store_disk_parts.h"
#include "shared/error.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    LOG_PER_MEMORY = 2, /* a checkpoint is due when the log is that many times the memory */
};

struct store_disk *store_disk_of(struct store *s)
{
    assert(s->functions == &store_disk_functions);
    return (struct store_disk *)s;
}

static size_t memory_bytes(const struct store_disk *d)
{
    return memory_table_bytes(&d->tables[0]) + memory_table_bytes(&d->tables[1]);
}

int store_disk_reserve(struct store_disk *d, const struct store_batch *batch)
{
    size_t growth = memory_table_growth(d->active, batch);

    /* A batch larger than the bound is let in when nothing else is there. */
    if (growth && memory_bytes(d) + growth > d->options.memory_table &&
        (d->frozen || !memory_table_is_empty(d->active)))
        return RK_FULL;
    return memory_table_reserve(d->active, batch);
}

/* The checkpoint is complete: what it wrote is found in the tree from now on. */
static void drop_frozen(struct store_disk *d)
{
    d->settled = d->frozen->last_position;
    memory_table_clear(d->frozen);
    d->frozen = NULL;
    write_pace_end(&d->pace, clock_us());
}

static void look_at_progress(struct store_disk *d)
{
    uint64_t done, all;

    store_worker_progress(d->worker, &done, &all);
    if (done != d->written)
        write_pace_look(&d->pace, clock_us(), done, all);
    d->written = done;
}

static bool checkpoint_due(const struct store_disk *d)
{
    return d->hurry || memory_table_bytes(d->active) >= d->options.memory_table / 2 ||
           d->log_bytes >= LOG_PER_MEMORY * (uint64_t)d->options.memory_table ||
           store_worker_due(d->worker);
}

void store_disk_turn(struct store_disk *d, bool now)
{
    tree_end_turn(&d->tree);
    if (store_worker_turn(d->worker))
        drop_frozen(d);
    if (d->frozen)
        look_at_progress(d);
    if (d->frozen || memory_table_is_empty(d->active) || !(now || checkpoint_due(d)))
        return;
    d->frozen = d->active;
    d->active = d->active == &d->tables[0] ? &d->tables[1] : &d->tables[0];
    write_pace_begin(&d->pace, clock_us(), memory_table_bytes(d->frozen), d->log_bytes);
    d->written = 0;
    d->log_bytes = 0;
    d->hurry = false;
    store_worker_write(d->worker, d->frozen);
}

/* What is there of a key below the active table. */
static bool find_below(struct store_disk *d, struct bytes key, struct store_record *below)
{
    const struct memory_record *record = NULL;

    if (d->frozen)
        record = memory_table_get(d->frozen, memory_table_hash(d->frozen, key), key);
    if (!record)
        return tree_peek(&d->tree, key, below);
    if (!record->forgotten)
        *below = memory_record_told(record);
    return !record->forgotten;
}

void store_disk_put(struct store_disk *d, const struct store_batch *batch, uint64_t position)
{
    struct memory_table *t = d->active;

    for (size_t i = 0; i < batch->change_count; i++) {
        struct bytes key = batch->changes[i].key;
        int times = memory_table_sample(t->count + i);
        struct store_record below;

        if (times && !memory_table_get(t, memory_table_hash(t, key), key) &&
            find_below(d, key, &below))
            memory_table_cover(t, key, &below, times);
    }
    memory_table_put(t, batch, position);
    d->log_bytes += log_record_batch_size(batch);
}

static uint64_t disk_delay_us(struct store *s)
{
    return write_pace_delay_us(&store_disk_of(s)->pace, clock_us());
}

/* A batch was applied: its reply may have to wait. */
static void pace_batch(struct store_disk *d, const struct store_batch *batch)
{
    uint64_t at_us, delay_us;

    if (!d->frozen)
        return;
    at_us = clock_us();
    write_pace_take(&d->pace, at_us, log_record_batch_size(batch), memory_bytes(d));
    delay_us = write_pace_delay_us(&d->pace, at_us);
    d->slowdowns += delay_us != 0;
    d->held_back_us += delay_us;
}

static int disk_apply(struct store *s, const struct store_batch *batch, uint64_t *position)
{
    struct store_disk *d = store_disk_of(s);
    int error = store_batch_check(batch);

    if (!error)
        error = store_worker_error(d->worker, NULL, 0);
    if (!error)
        error = store_disk_reserve(d, batch);
    if (!error)
        error = store_log_append(d->log, batch, position);
    /* Also when the active table is not half full: what does not fit into the rest would wait. */
    if (error == RK_NOSPACE || error == RK_FULL)
        d->hurry = true;
    /* When the memory tables are full because the disk is, that is the reason to tell. */
    if (error == RK_FULL && store_worker_no_room(d->worker))
        error = RK_NOSPACE;
    d->full_refusals += error == RK_FULL;
    d->nospace_refusals += error == RK_NOSPACE;
    if (error)
        return error;
    store_disk_put(d, batch, *position);
    d->writes++;
    pace_batch(d, batch);
    return 0;
}

static void disk_submit(struct store *s)
{
    struct store_disk *d = store_disk_of(s);

    store_log_submit(d->log);
    store_disk_turn(d, false);
}

static uint64_t disk_poll(struct store *s, int *error)
{
    struct store_disk *d = store_disk_of(s);
    uint64_t position = store_log_poll(d->log, error);

    if (!*error)
        *error = store_worker_error(d->worker, NULL, 0);
    return position;
}

/* What must be synced before a record may be told. */
static uint64_t unsynced(const struct store_disk *d, uint64_t position)
{
    int error;

    return position > store_log_poll(d->log, &error) ? position : 0;
}

static const struct memory_record *find_in_memory(const struct store_disk *d, struct bytes key)
{
    uint64_t hash = memory_table_hash(d->active, key);
    const struct memory_record *record;

    if (d->frozen)
        memory_table_prefetch(d->frozen, hash);
    record = memory_table_get(d->active, hash, key);
    if (!record && d->frozen)
        record = memory_table_get(d->frozen, hash, key);
    return record;
}

static int disk_get_recent(struct store *s, struct bytes key, struct store_record *out,
                           uint64_t *position)
{
    struct store_disk *d = store_disk_of(s);
    const struct memory_record *record;

    *out = (struct store_record){0};
    *position = 0;
    if (key.size == 0 || key.size > STORE_KEY_SIZE_MAX)
        return RK_NOTFOUND;
    record = find_in_memory(d, key);
    if (!record)
        return RK_UNCHANGED;
    *position = unsynced(d, record->position);
    if (record->forgotten)
        return RK_NOTFOUND;
    *out = memory_record_told(record);
    return 0;
}

static int disk_get(struct store *s, struct bytes key, struct store_record *out, uint64_t *position)
{
    struct store_disk *d = store_disk_of(s);
    int error = disk_get_recent(s, key, out, position);

    if (error != RK_UNCHANGED)
        return error;
    error = tree_get(&d->tree, key, out);
    if (error == RK_CORRUPT)
        store_worker_damaged(d->worker, key);
    if (error)
        *out = (struct store_record){0};
    return error;
}

static void disk_expect(struct store *s, const struct bytes *keys, size_t count, bool get)
{
    struct store_disk *d = store_disk_of(s);

    for (size_t i = 0; i < count; i++) {
        uint64_t hash = memory_table_hash(d->active, keys[i]);

        memory_table_prefetch(d->active, hash);
        if (d->frozen)
            memory_table_prefetch(d->frozen, hash);
    }
    if (get)
        tree_expect(&d->tree, keys, count);
}

static uint64_t disk_settled(struct store *s)
{
    return store_disk_of(s)->settled;
}

static int disk_state(struct store *s, uint32_t partition, uint8_t state[STORE_STATE_MAX],
                      size_t *size)
{
    struct store_disk *d = store_disk_of(s);
    const struct memory_state *found = memory_table_state(d->active, partition);
    struct bytes row = {0};
    int error = 0;

    if (!found && d->frozen)
        found = memory_table_state(d->frozen, partition);
    if (found)
        row = bytes_of(found->bytes, found->size);
    else
        error = tree_state(&d->tree, partition, &row);
    *size = error ? 0 : row.size;
    if (*size)
        memcpy(state, row.data, row.size);
    return error;
}

/* What the tree holds and what a memory table changes of it, of which `left` parts of `all` are not
 * in the tree yet. What is hidden is estimated, so that it may be more than there is. */
static uint64_t with_table(uint64_t tree, uint64_t held, uint64_t covered, uint64_t left,
                           uint64_t all)
{
    double change = (double)(int64_t)(held - covered) * (double)left / (double)(all ? all : 1);
    double sum = (double)tree + change;

    return sum > 0 ? (uint64_t)(sum + 0.5) : 0;
}

static void count_table(struct store_stats *out, const struct memory_table *t, uint64_t left,
                        uint64_t all)
{
    const struct record_counts *held = &t->held, *covered = &t->covered;

    out->keys = with_table(out->keys, held->keys, covered->keys, left, all);
    out->tombstones = with_table(out->tombstones, held->tombstones, covered->tombstones, left, all);
    out->live_bytes = with_table(out->live_bytes, held->live_bytes, covered->live_bytes, left, all);
    out->expiring = with_table(out->expiring, held->expiring, covered->expiring, left, all);
}

static void disk_stats(struct store *s, struct store_stats *out)
{
    struct store_disk *d = store_disk_of(s);
    struct store_log_stats log;
    uint64_t done, all;

    store_log_stats(d->log, &log);
    *out = (struct store_stats){.file_bytes = tree_file_bytes(&d->tree),
                                .log_bytes = log.bytes,
                                .memory_bytes = memory_bytes(d) + d->pool.unused_bytes,
                                .memory_max = d->options.memory_table,
                                .delay_us = disk_delay_us(s),
                                .full_refusals = d->full_refusals,
                                .applied = store_log_applied(d->log),
                                .writes = d->writes,
                                .syncs = log.syncs,
                                .sync_us = log.sync_us,
                                .slowdowns = d->slowdowns,
                                .held_back_us = d->held_back_us,
                                .nospace_refusals = d->nospace_refusals,
                                .no_room = log.no_room || store_worker_no_room(d->worker)};
    store_worker_stats(d->worker, out, &done, &all);
    if (d->frozen)
        count_table(out, d->frozen, all - done, all);
    count_table(out, d->active, 1, 1);
}

static int disk_damaged(struct store *s, uint8_t key[STORE_KEY_SIZE_MAX], size_t *size)
{
    return store_worker_take_damaged(store_disk_of(s)->worker, key, size);
}

void store_disk_why(struct store *s, char *why, size_t why_size)
{
    struct store_disk *d = store_disk_of(s);

    snprintf(why, why_size, "%s", "");
    store_log_why(d->log, why, why_size);
    if (!why[0])
        store_worker_error(d->worker, why, why_size);
}

const struct store_functions store_disk_functions = {
    .close = store_disk_close,
    .get = disk_get,
    .get_recent = disk_get_recent,
    .settled = disk_settled,
    .expect = disk_expect,
    .apply = disk_apply,
    .submit = disk_submit,
    .poll = disk_poll,
    .state = disk_state,
    .scan = store_disk_scan,
    .expiring = store_disk_expiring,
    .stats = disk_stats,
    .delay_us = disk_delay_us,
    .damaged = disk_damaged,
};
