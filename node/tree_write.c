#include "node/tree_write.h"
#include "node/expiry_rank.h"
#include "node/tree_meta.h"
#include "node/tree_record.h"
#include "shared/error.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_SIZE_ASSUMED = 4096, /* what overflow pages are counted in */
    INLINE_SIZE_MAX = 2000,   /* a larger node may go to overflow pages: below half a page */
    SPARE_PAGES = 64,
};

static int write_error(int result)
{
    return result == MDB_MAP_FULL ? RK_FULL : tree_error(result);
}

void tree_write_size_add(struct tree_write_size *size, const struct memory_record *record)
{
    size_t bytes = record->key_size + record->value_size + tree_record_head_size(1);

    size->records++;
    size->expiring += record->expire_ms != 0;
    if (bytes > INLINE_SIZE_MAX)
        size->overflow_pages += bytes / PAGE_SIZE_ASSUMED + 2;
    else
        size->bytes += bytes;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Pages that `changes` insertions of `bytes` into a table may write: the leaves they meet, what
 * these split into, and the branches above. */
static size_t table_pages(const MDB_stat *stat, size_t changes, size_t bytes)
{
    size_t split = smaller(2 * changes, 4 * bytes / stat->ms_psize + 2);

    if (!changes)
        return 0;
    return smaller(changes, stat->ms_leaf_pages) + split +
           smaller(changes * stat->ms_depth, stat->ms_branch_pages) + split / 8 + stat->ms_depth +
           2;
}

/* As mdb_reader_list tells of the readers, a line each: the oldest state that one of them sees. */
static int meet_reader(const char *line, void *arg)
{
    size_t *oldest = arg, seen;

    if (sscanf(line, "%*d %*x %zu", &seen) == 1 && seen < *oldest)
        *oldest = seen;
    return 0;
}

/* Pages inside the file that this transaction may use again: those freed before what the oldest
 * reader sees. LMDB shows its list of them to read transactions alone. */
static size_t free_pages(const struct tree_writer *w)
{
    const MDB_dbi free_list = 0;
    size_t oldest = mdb_txn_id(w->txn) - 1, pages = 0;
    MDB_val key, value;
    MDB_cursor *cursor;
    MDB_txn *reader;

    if (mdb_reader_list(w->tree->env, meet_reader, &oldest) < 0 ||
        mdb_txn_begin(w->tree->env, NULL, MDB_RDONLY, &reader) != 0)
        return 0;
    if (mdb_cursor_open(reader, free_list, &cursor) != 0) {
        mdb_txn_abort(reader);
        return 0;
    }
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        size_t freed_by, count;

        memcpy(&freed_by, key.mv_data, sizeof(freed_by));
        memcpy(&count, value.mv_data, sizeof(count));
        if (freed_by >= oldest)
            break;
        pages += count;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(reader);
    return pages;
}

/* Before LMDB goes there: the way to a key of a table. */
static inline int check_way(struct tree_writer *w, enum tree_walk_name table, struct bytes key)
{
    if (!w->guarded || tree_walk_to(&w->guard.walks[table], key) == 0)
        return 0;
    return tree_guard_damaged(&w->guard, table);
}

/* Before it is done: a key to which the way was checked, and its value's size before and after; -1:
 * it is not there. */
static inline int check_change(struct tree_writer *w, enum tree_walk_name table, struct bytes key,
                               ssize_t before, ssize_t after)
{
    if (!w->guarded || before == after ||
        tree_walk_change(&w->guard.walks[table], key, before, after) == 0)
        return 0;
    return tree_guard_damaged(&w->guard, table);
}

/* A record's value as LMDB has found it: if it is large, its pages will be given up. A small one is
 * in its leaf. */
static int check_value(struct tree_writer *w, struct bytes value)
{
    if (!w->guarded || value.size < w->guard.file.page_size / 4 ||
        !tree_is_large(&w->guard.file, value.data) ||
        tree_walk_large(&w->guard.walks[TREE_RECORDS], value, true) == 0)
        return 0;
    return tree_guard_damaged(&w->guard, TREE_RECORDS);
}

/* What every transaction comes to: the heads, the table of tables. */
static int begin_guard(struct tree_writer *w)
{
    struct tree_file file;

    w->guard.damage = NULL;
    w->guarded = tree_file_of(w->tree, &file);
    return w->guarded ? tree_guard_begin(&w->guard, &file, mdb_txn_id(w->txn) - 1) : 0;
}

void tree_writer_tell(const struct tree_writer *w, char *why, size_t why_size)
{
    if (w->guard.damage)
        tree_tell_damage(w->tree, &w->guard, why, why_size);
    else
        snprintf(why, why_size,
                 "%s: LMDB says that it is damaged; replace this node (ringctl replace)",
                 w->tree->path);
}

/* Has room on the disk made for so many pages behind those in use. */
static int reserve_pages(struct tree *t, size_t pages, size_t page_size)
{
    uint64_t end = tree_file_bytes(t) + pages * page_size;
    mdb_filehandle_t fd;

    if (end <= t->reserved_end)
        return 0;
    if (mdb_env_get_fd(t->env, &fd) != 0)
        return RK_IO;
    if (t->files->allocate(t->files->arg, fd, (off_t)t->reserved_end,
                           (off_t)(end - t->reserved_end), 0) != 0)
        return store_files_error(errno);
    t->reserved_end = end;
    return 0;
}

/* Makes sure that the file can grow by all that a transaction may write, so that a full disk is
 * found before it and not in its commit. */
static int reserve_room(struct tree_writer *w, const struct tree_write_size *size)
{
    struct tree *t = w->tree;
    MDB_stat records, expiry, states;
    size_t pages, expiry_changes, reusable;
    int error;

    if (mdb_stat(w->txn, t->records, &records) != 0 || mdb_stat(w->txn, t->expiry, &expiry) != 0 ||
        mdb_stat(w->txn, t->states, &states) != 0)
        return RK_IO;
    expiry_changes = size->expiring + (expiry.ms_entries ? size->records : 0);
    pages = table_pages(&records, size->records, size->bytes) +
            table_pages(&expiry, expiry_changes, expiry_changes * EXPIRY_KEY_SIZE_MAX) +
            table_pages(&states, size->states, size->states * (TREE_STATE_SIZE_MAX + 16));
    /* The list of free pages is written anew as well. */
    pages += pages / 256 + (size_t)(tree_file_bytes(t) / records.ms_psize) / 256;
    /* For pages in a row all of the list may be looked through. */
    if (w->guarded &&
        tree_guard_free(&w->guard, size->overflow_pages ? UINT64_MAX : pages + SPARE_PAGES) != 0)
        return RK_CORRUPT;
    error = reserve_pages(t, pages + size->overflow_pages + SPARE_PAGES, records.ms_psize);
    if (error != RK_NOSPACE)
        return error;
    /* Large values need pages in a row, so they come behind; the others can do with what is free
     * inside. */
    reusable = free_pages(w);
    reusable -= reusable / 4;
    pages = pages > reusable ? pages - reusable : 0;
    return reserve_pages(t, pages + size->overflow_pages + SPARE_PAGES, records.ms_psize);
}

int tree_write_begin(struct tree_writer *w, struct tree *t, const struct tree_write_size *size)
{
    int error;

    w->tree = t;
    w->counts = t->counts;
    w->change_count = 0;
    error = tree_error(mdb_txn_begin(t->env, NULL, 0, &w->txn));
    if (error)
        return error;
    error = begin_guard(w);
    if (!error)
        error = reserve_room(w, size);
    if (!error)
        error = tree_error(mdb_cursor_open(w->txn, t->records, &w->cursor));
    if (error)
        tree_write_abort(w);
    return error;
}

void tree_write_abort(struct tree_writer *w)
{
    if (w->cursor)
        mdb_cursor_close(w->cursor);
    mdb_txn_abort(w->txn);
    w->cursor = NULL;
    w->txn = NULL;
}

static int note_expiry(struct tree_writer *w, int64_t expire_ms, struct bytes key, bool add)
{
    if (w->change_count == w->change_size) {
        size_t size = w->change_size ? w->change_size * 2 : 1024;
        struct expiry_change *changes = realloc(w->changes, size * sizeof(*changes));

        if (!changes)
            return RK_NOMEM;
        w->changes = changes;
        w->change_size = size;
    }
    w->changes[w->change_count++] = (struct expiry_change){expiry_rank(expire_ms), key, add};
    return 0;
}

/* Takes what is there of a key out of the counts. *before says what it was, *size how large; -1:
 * there is nothing. */
static int meet_old(struct tree_writer *w, struct bytes key, struct store_record *before,
                    ssize_t *size)
{
    MDB_val k = {key.size, (void *)key.data}, value;
    int result, error = check_way(w, TREE_RECORDS, key);

    *size = -1;
    if (error)
        return error;
    result = mdb_cursor_get(w->cursor, &k, &value, MDB_SET);
    if (result)
        return write_error(result);
    error = check_value(w, bytes_of(value.mv_data, value.mv_size));
    if (error)
        return error;
    *size = (ssize_t)value.mv_size;
    (void)tree_record_peek(bytes_of(value.mv_data, value.mv_size), before);
    record_counts_add(&w->counts, key, before, -1);
    return 0;
}

/* Writes a record where the cursor stands: on that of its key, with a value of `size` bytes, when
 * one was found (else -1). LMDB takes the place from the cursor only when the bytes are made
 * before, else it searches the page again. */
static int put_record(struct tree_writer *w, const struct memory_record *record, ssize_t size)
{
    struct bytes key = memory_record_key(record);
    struct store_record now = memory_record_told(record);
    MDB_val k = {key.size, (void *)key.data}, value = {0};
    uint8_t made[INLINE_SIZE_MAX];
    int result;

    value.mv_size = tree_record_head_size(now.expire_ms) + now.value.size;
    if (check_change(w, TREE_RECORDS, key, size, (ssize_t)value.mv_size) != 0)
        return RK_CORRUPT;
    if (size >= 0 && value.mv_size <= sizeof(made)) {
        value.mv_data = made;
        tree_record_write(key, &now, made);
        result = mdb_cursor_put(w->cursor, &k, &value, MDB_CURRENT);
    } else {
        result = mdb_cursor_put(w->cursor, &k, &value, MDB_RESERVE);
        if (!result)
            tree_record_write(key, &now, value.mv_data);
    }
    if (result)
        return write_error(result);
    record_counts_add(&w->counts, key, &now, 1);
    return 0;
}

int tree_write_record(struct tree_writer *w, const struct memory_record *record)
{
    struct bytes key = memory_record_key(record);
    struct store_record before = {0};
    ssize_t size;
    int error = meet_old(w, key, &before, &size);

    if (error == RK_NOTFOUND)
        error = 0;
    if (!error && before.expire_ms && before.expire_ms != record->expire_ms)
        error = note_expiry(w, before.expire_ms, key, false);
    if (!error && record->expire_ms && before.expire_ms != record->expire_ms)
        error = note_expiry(w, record->expire_ms, key, true);
    if (error)
        return error;
    if (!record->forgotten)
        return put_record(w, record, size);
    if (size < 0)
        return 0;
    error = check_change(w, TREE_RECORDS, key, size, -1);
    return error ? error : write_error(mdb_cursor_del(w->cursor, 0));
}

int tree_write_state(struct tree_writer *w, uint32_t partition, const struct memory_state *state)
{
    uint8_t key[TREE_STATE_KEY_SIZE], row[TREE_STATE_SIZE_MAX];
    MDB_val k = {sizeof(key), key}, value = {0, row};

    tree_state_key(partition, key);
    if (check_way(w, TREE_STATES, bytes_of(key, sizeof(key))) != 0)
        return RK_CORRUPT;
    value.mv_size = tree_state_write(partition, bytes_of(state->bytes, state->size), row);
    return write_error(mdb_put(w->txn, w->tree->states, &k, &value, 0));
}

/* Removals before additions: a rank that two expiries share is then left in place. */
static int compare_changes(const void *a, const void *b)
{
    const struct expiry_change *left = a, *right = b;
    int order;

    if (left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    order = bytes_compare(left->key, right->key);
    return order ? order : (int)left->add - (int)right->add;
}

static int apply_change(struct tree_writer *w, const struct expiry_change *change)
{
    uint8_t bytes[EXPIRY_KEY_SIZE_MAX + 1];
    MDB_val key = {expiry_key_write(change->rank, change->key, bytes), bytes};
    MDB_val nothing = {0, bytes};
    struct bytes k = bytes_of(bytes, key.mv_size);
    int result, error = check_way(w, TREE_EXPIRY, k);

    if (!error)
        error = change->add ? check_change(w, TREE_EXPIRY, k, -1, 0)
                            : check_change(w, TREE_EXPIRY, k, 0, -1);
    if (error)
        return error;
    if (change->add)
        result = mdb_put(w->txn, w->tree->expiry, &key, &nothing, 0);
    else
        result = mdb_del(w->txn, w->tree->expiry, &key, NULL);
    return result == MDB_NOTFOUND ? 0 : write_error(result);
}

static int apply_expiry(struct tree_writer *w)
{
    int error = 0;

    if (w->change_count)
        qsort(w->changes, w->change_count, sizeof(*w->changes), compare_changes);
    for (size_t i = 0; i < w->change_count && !error; i++)
        error = apply_change(w, &w->changes[i]);
    return error;
}

static int put_meta(struct tree_writer *w, uint64_t position)
{
    struct tree_meta meta = {position, w->counts.keys, w->counts.tombstones, w->counts.live_bytes};
    uint8_t row[TREE_META_SIZE];
    MDB_val key = {5, (void *)"store"}, value = {sizeof(row), row};
    MDB_stat expiry;

    if (check_way(w, TREE_META, bytes_from("store")) != 0)
        return RK_CORRUPT;
    if (mdb_stat(w->txn, w->tree->expiry, &expiry) != 0)
        return RK_IO;
    w->counts.expiring = expiry.ms_entries;
    tree_meta_write(&meta, row);
    return write_error(mdb_put(w->txn, w->tree->meta, &key, &value, 0));
}

int tree_write_commit(struct tree_writer *w, uint64_t position, char *why, size_t why_size)
{
    struct tree *t = w->tree;
    int result, error = apply_expiry(w);

    if (!error)
        error = put_meta(w, position);
    if (error) {
        tree_write_abort(w);
        return error;
    }
    mdb_cursor_close(w->cursor);
    w->cursor = NULL;
    result = t->files->commit(t->files->arg, w->txn);
    w->txn = NULL;
    /* Before it writes anything a commit may still find the map full, or memory short. */
    if (result == MDB_MAP_FULL)
        return RK_FULL;
    if (result) {
        snprintf(why, why_size, "commit to %s failed: %s", t->path, mdb_strerror(result));
        return RK_IO;
    }
    t->counts = w->counts;
    t->position = position;
    return 0;
}

void tree_writer_free(struct tree_writer *w)
{
    free(w->changes);
    *w = (struct tree_writer){0};
}
