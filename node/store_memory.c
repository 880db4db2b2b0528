#include "node/store_memory.h"
#include "node/damaged_list.h"
#include "node/expiry_rank.h"
#include "node/skip_list.h"
#include "node/store_batch.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <assert.h>
#include <stdlib.h>

/* What a key (or a partition's state) was made by one write; never changed, only replaced. */
struct row {
    uint64_t position;
    struct version version;
    int64_t expire_ms;
    bool deleted, forgotten, damaged;
    size_t value_size;
    uint8_t value[];
};

/* How to take a write back. */
struct undo {
    uint64_t position;
    struct skip_list *list;
    struct skip_entry *entry;
    struct row *before; /* NULL: there was none */
};

struct store_memory {
    struct store store;
    struct skip_list records, states;
    struct undo *undo; /* of the unsynced writes, in their order */
    size_t undo_count, undo_size;
    uint64_t applied, submitted, synced;
    uint64_t settled; /* what was synced before the newest sync, so that reads meet both kinds */
    bool nospace, full, fail_next, failed, sync_at_submit;
    void (*wake)(void *arg);
    void *wake_arg;
    struct store_stats stats;
    struct damaged_list damaged;
};

static const struct store_functions memory_functions;

static struct store_memory *memory_of(struct store *s)
{
    assert(s->functions == &memory_functions);
    return (struct store_memory *)s;
}

/* Counts a row that comes into view (by 1) or goes out of it (by -1). */
static void count_row(struct store_memory *m, const struct skip_entry *entry, const struct row *row,
                      int by)
{
    if (!row || row->forgotten)
        return;
    if (row->expire_ms)
        m->stats.expiring += (uint64_t)(int64_t)by;
    if (row->deleted) {
        m->stats.tombstones += (uint64_t)(int64_t)by;
        return;
    }
    m->stats.keys += (uint64_t)(int64_t)by;
    m->stats.live_bytes += (uint64_t)((int64_t)by * (int64_t)(entry->key.size + row->value_size));
}

/* Makes room for `more` more undo entries. 0 or RK_NOMEM. */
static int undo_room(struct store_memory *m, size_t more)
{
    size_t wanted = 2 * (m->undo_count + more);
    struct undo *grown;

    if (m->undo_count + more <= m->undo_size)
        return 0;
    grown = realloc(m->undo, wanted * sizeof(*grown));
    if (!grown)
        return RK_NOMEM;
    m->undo = grown;
    m->undo_size = wanted;
    return 0;
}

static struct row *row_new(struct bytes value)
{
    struct row *row = calloc(1, sizeof(*row) + value.size);

    if (!row)
        return NULL;
    row->value_size = value.size;
    if (value.size)
        memcpy(row->value, value.data, value.size);
    return row;
}

static struct row *row_of_change(const struct store_change *change)
{
    bool put = change->kind == STORE_PUT;
    struct row *row = row_new(put ? change->record.value : bytes_of(NULL, 0));

    if (row && put) {
        row->version = change->record.version;
        row->expire_ms = change->record.expire_ms;
        row->deleted = change->record.deleted;
    } else if (row) {
        row->forgotten = true;
    }
    return row;
}

static void entry_drop_if_empty(struct skip_list *list, struct skip_entry *entry)
{
    struct row *row = entry->payload;

    if (entry->references || (row && !row->forgotten))
        return;
    free(row);
    skip_list_remove(list, entry);
}

/* Puts `row` in the place of a key and notes how to take it back; the room was made before. The
 * undo entry takes over the reference of prepare(). */
static void put_row(struct store_memory *m, struct skip_list *list, struct skip_entry *entry,
                    struct row *row)
{
    struct row *before = entry->payload;

    row->position = m->applied;
    m->undo[m->undo_count++] = (struct undo){m->applied, list, entry, before};
    entry->payload = row;
    if (list == &m->records) {
        count_row(m, entry, before, -1);
        count_row(m, entry, row, 1);
    }
}

/* Everything that can fail of an apply: one row and one place for each change, then the state. */
struct prepared {
    struct skip_entry *entry;
    struct row *row;
};

static void prepared_free(struct store_memory *m, struct prepared *prepared, size_t count,
                          size_t change_count)
{
    for (size_t i = 0; i < count; i++) {
        free(prepared[i].row);
        if (!prepared[i].entry)
            continue;
        prepared[i].entry->references--;
        entry_drop_if_empty(i < change_count ? &m->records : &m->states, prepared[i].entry);
    }
    free(prepared);
}

static struct prepared *prepare(struct store_memory *m, const struct store_batch *batch)
{
    size_t changes = batch->change_count, count = changes + (batch->state.size ? 1 : 0);
    struct prepared *prepared = calloc(count + 1, sizeof(*prepared));
    uint8_t partition[4];

    if (!prepared || undo_room(m, count) != 0) {
        free(prepared);
        return NULL;
    }
    wire_put_u32(partition, batch->partition);
    for (size_t i = 0; i < count; i++) {
        bool state = i == changes;

        prepared[i].row = state ? row_new(batch->state) : row_of_change(&batch->changes[i]);
        prepared[i].entry = state ? skip_list_insert(&m->states, bytes_of(partition, 4))
                                  : skip_list_insert(&m->records, batch->changes[i].key);
        if (prepared[i].entry)
            prepared[i].entry->references++;
        if (!prepared[i].row || !prepared[i].entry) {
            prepared_free(m, prepared, i + 1, changes);
            return NULL;
        }
    }
    return prepared;
}

static int memory_refusal(struct store_memory *m)
{
    if (m->failed)
        return RK_IO;
    m->stats.nospace_refusals += m->nospace;
    m->stats.full_refusals += m->full && !m->nospace;
    return m->nospace ? RK_NOSPACE : m->full ? RK_FULL : 0;
}

static int memory_apply(struct store *s, const struct store_batch *batch, uint64_t *position)
{
    struct store_memory *m = memory_of(s);
    int error = store_batch_check(batch);
    struct prepared *prepared;
    size_t i;

    if (!error)
        error = memory_refusal(m);
    if (error)
        return error;
    prepared = prepare(m, batch);
    if (!prepared)
        return RK_NOMEM;
    m->applied++;
    for (i = 0; i < batch->change_count; i++)
        put_row(m, &m->records, prepared[i].entry, prepared[i].row);
    if (batch->state.size)
        put_row(m, &m->states, prepared[i].entry, prepared[i].row);
    free(prepared);
    m->stats.writes++;
    *position = m->applied;
    return 0;
}

static bool is_forgotten(const struct skip_entry *entry)
{
    const struct row *row = entry->payload;

    return !row || row->forgotten;
}

void store_memory_sync(struct store *s, uint64_t up_to)
{
    struct store_memory *m = memory_of(s);
    size_t done = 0;
    bool forgets = false;

    if (up_to > m->submitted)
        up_to = m->submitted;
    if (up_to <= m->synced || m->failed)
        return;
    m->stats.syncs++;
    if (m->fail_next) {
        m->failed = true;
        return;
    }
    for (; done < m->undo_count && m->undo[done].position <= up_to; done++) {
        struct undo *undo = &m->undo[done];

        forgets = forgets || (undo->list == &m->records && is_forgotten(undo->entry));
        free(undo->before);
        undo->entry->references--;
        entry_drop_if_empty(undo->list, undo->entry);
    }
    m->undo_count -= done;
    if (done && m->undo_count)
        memmove(m->undo, m->undo + done, m->undo_count * sizeof(*m->undo));
    /* What was forgotten has left no row that would tell when. */
    m->settled = forgets ? up_to : m->synced;
    m->synced = up_to;
}

static void memory_submit(struct store *s)
{
    struct store_memory *m = memory_of(s);

    if (m->submitted == m->applied)
        return;
    m->submitted = m->applied;
    if (!m->sync_at_submit)
        return;
    store_memory_sync(s, m->applied);
    if (m->wake)
        m->wake(m->wake_arg);
}

static uint64_t memory_poll(struct store *s, int *error)
{
    struct store_memory *m = memory_of(s);

    *error = m->failed ? RK_IO : 0;
    return m->synced;
}

void store_memory_crash(struct store *s)
{
    struct store_memory *m = memory_of(s);

    while (m->undo_count) {
        struct undo *undo = &m->undo[--m->undo_count];

        if (undo->list == &m->records) {
            count_row(m, undo->entry, undo->entry->payload, -1);
            count_row(m, undo->entry, undo->before, 1);
        }
        free(undo->entry->payload);
        undo->entry->payload = undo->before;
        undo->entry->references--;
        entry_drop_if_empty(undo->list, undo->entry);
    }
    m->applied = m->submitted = m->settled = m->synced;
    m->failed = m->fail_next = false;
    m->damaged.count = 0;
}

static struct store_record record_of(const struct row *row)
{
    return (struct store_record){row->version, row->expire_ms, row->deleted,
                                 bytes_of(row->value, row->value_size)};
}

static int memory_get(struct store *s, struct bytes key, struct store_record *out,
                      uint64_t *position)
{
    struct store_memory *m = memory_of(s);
    struct skip_entry *entry = skip_list_find(&m->records, key);
    const struct row *row = entry ? entry->payload : NULL;

    *out = (struct store_record){0};
    *position = row && row->position > m->synced ? row->position : 0;
    if (!row || row->forgotten)
        return RK_NOTFOUND;
    if (row->damaged) {
        damaged_list_add(&m->damaged, key);
        return RK_CORRUPT;
    }
    *out = record_of(row);
    return 0;
}

static int memory_get_recent(struct store *s, struct bytes key, struct store_record *out,
                             uint64_t *position)
{
    struct store_memory *m = memory_of(s);
    const struct skip_entry *entry = skip_list_find(&m->records, key);
    const struct row *row = entry ? entry->payload : NULL;

    if (row && row->position > m->settled)
        return memory_get(s, key, out, position);
    *out = (struct store_record){0};
    *position = 0;
    return RK_UNCHANGED;
}

static void memory_expect(struct store *s, const struct bytes *keys, size_t count, bool get)
{
    (void)s;
    (void)keys;
    (void)count;
    (void)get;
}

static uint64_t memory_settled(struct store *s)
{
    return memory_of(s)->settled;
}

static int memory_state(struct store *s, uint32_t partition, uint8_t state[STORE_STATE_MAX],
                        size_t *size)
{
    struct store_memory *m = memory_of(s);
    struct skip_entry *entry;
    uint8_t key[4];
    struct row *row;

    wire_put_u32(key, partition);
    entry = skip_list_find(&m->states, bytes_of(key, 4));
    row = entry ? entry->payload : NULL;
    *size = row ? row->value_size : 0;
    if (!row)
        return RK_NOTFOUND;
    memcpy(state, row->value, row->value_size);
    return 0;
}

struct walk {
    struct store_memory *memory;
    int (*each)(void *arg, struct bytes key, const struct store_record *record);
    void *arg;
    bool damaged;
};

/* What `each` returned. */
static int walk_entry(struct walk *walk, const struct skip_entry *entry)
{
    const struct row *row = entry->payload;
    struct store_record record;

    if (row->damaged) {
        walk->damaged = true;
        damaged_list_add(&walk->memory->damaged, entry->key);
        return walk->each(walk->arg, entry->key, NULL);
    }
    record = record_of(row);
    return walk->each(walk->arg, entry->key, &record);
}

static int compare_expiry(const void *a, const void *b)
{
    const struct skip_entry *left = *(struct skip_entry *const *)a;
    const struct skip_entry *right = *(struct skip_entry *const *)b;
    uint64_t left_rank = expiry_rank(((struct row *)left->payload)->expire_ms);
    uint64_t right_rank = expiry_rank(((struct row *)right->payload)->expire_ms);

    if (left_rank != right_rank)
        return left_rank < right_rank ? -1 : 1;
    return bytes_compare(left->key, right->key);
}

/* All rows with an expiry, in its order; NULL: out of memory. */
static struct skip_entry **rows_expiring(const struct skip_list *records, size_t *count)
{
    struct skip_entry **found = malloc((records->count + 1) * sizeof(struct skip_entry *));

    *count = 0;
    if (!found)
        return NULL;
    for (struct skip_entry *entry = records->first[0]; entry; entry = entry->next[0]) {
        const struct row *row = entry->payload;

        if (row && !row->forgotten && row->expire_ms)
            found[(*count)++] = entry;
    }
    qsort(found, *count, sizeof(struct skip_entry *), compare_expiry);
    return found;
}

static int memory_expiring(struct store *s, struct expiry_place *place, uint32_t looks_max,
                           int (*each)(void *arg, struct bytes key,
                                       const struct store_record *record),
                           void *arg)
{
    struct walk walk = {memory_of(s), each, arg, false};
    struct expiry_place begun = *place;
    size_t count;
    struct skip_entry **found = rows_expiring(&walk.memory->records, &count);
    int result = found ? 0 : RK_NOMEM;

    for (size_t i = 0; found && i < count && !result; i++) {
        const struct row *row = found[i]->payload;
        struct expiry_place at;

        expiry_place_set(&at, expiry_rank(row->expire_ms), found[i]->key, false);
        if (bytes_compare(expiry_place_bytes(&at), expiry_place_bytes(&begun)) < 0)
            continue;
        expiry_place_set(place, expiry_rank(row->expire_ms), found[i]->key, looks_max > 0);
        result = looks_max == 0 ? RK_MORE : walk_entry(&walk, found[i]);
        looks_max--;
    }
    free(found);
    return result == 0 && walk.damaged ? RK_CORRUPT : result;
}

static int scan_range(struct walk *walk, struct bytes from, struct bytes to)
{
    struct skip_entry *entry = skip_list_seek(&walk->memory->records, from);
    int result = 0;

    for (; entry && bytes_compare(entry->key, to) <= 0 && !result; entry = entry->next[0]) {
        const struct row *row = entry->payload;

        if (row && !row->forgotten)
            result = walk_entry(walk, entry);
    }
    return result;
}

static int memory_scan(struct store *s, struct bytes from, struct bytes to,
                       int (*each)(void *arg, struct bytes key, const struct store_record *record),
                       void *arg)
{
    struct walk walk = {memory_of(s), each, arg, false};
    int result = scan_range(&walk, from, to);

    return result == 0 && walk.damaged ? RK_CORRUPT : result;
}

static void memory_stats(struct store *s, struct store_stats *out)
{
    *out = memory_of(s)->stats;
    out->applied = memory_of(s)->applied;
    out->written_down = memory_of(s)->synced;
}

static uint64_t memory_delay_us(struct store *s)
{
    (void)s;
    return 0;
}

static int memory_damaged(struct store *s, uint8_t key[STORE_KEY_SIZE_MAX], size_t *size)
{
    return damaged_list_take(&memory_of(s)->damaged, key, size);
}

static void list_free(struct skip_list *list)
{
    for (struct skip_entry *entry = list->first[0]; entry; entry = entry->next[0])
        free(entry->payload);
    skip_list_free(list);
}

static void memory_close(struct store *s)
{
    struct store_memory *m = memory_of(s);

    store_memory_crash(s);
    list_free(&m->records);
    list_free(&m->states);
    free(m->undo);
    free(m);
}

static const struct store_functions memory_functions = {
    .close = memory_close,
    .get = memory_get,
    .get_recent = memory_get_recent,
    .settled = memory_settled,
    .expect = memory_expect,
    .apply = memory_apply,
    .submit = memory_submit,
    .poll = memory_poll,
    .state = memory_state,
    .scan = memory_scan,
    .expiring = memory_expiring,
    .stats = memory_stats,
    .delay_us = memory_delay_us,
    .damaged = memory_damaged,
};

int store_memory_new(uint64_t seed, struct store **out)
{
    struct store_memory *m = calloc(1, sizeof(*m));

    if (!m)
        return RK_NOMEM;
    m->store.functions = &memory_functions;
    skip_list_init(&m->records, seed);
    skip_list_init(&m->states, seed + 1);
    *out = &m->store;
    return 0;
}

void store_memory_auto(struct store *s, void (*wake)(void *arg), void *arg)
{
    struct store_memory *m = memory_of(s);

    m->sync_at_submit = true;
    m->wake = wake;
    m->wake_arg = arg;
}

uint64_t store_memory_applied(const struct store *s)
{
    return ((const struct store_memory *)s)->applied;
}

uint64_t store_memory_submitted(const struct store *s)
{
    return ((const struct store_memory *)s)->submitted;
}

void store_memory_set_nospace(struct store *s, bool nospace)
{
    memory_of(s)->nospace = nospace;
}

void store_memory_set_full(struct store *s, bool full)
{
    memory_of(s)->full = full;
}

void store_memory_fail_sync(struct store *s)
{
    memory_of(s)->fail_next = true;
}

int store_memory_damage(struct store *s, struct bytes key)
{
    struct skip_entry *entry = skip_list_find(&memory_of(s)->records, key);
    struct row *row = entry ? entry->payload : NULL;

    if (!row || row->forgotten)
        return RK_NOTFOUND;
    row->damaged = true;
    return 0;
}
