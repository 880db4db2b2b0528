/* Scans: the active table, the one being written down and the tree, merged in order. What is newer
 * hides what is older. */
#include "node/expiry_rank.h"
#include "node/store_disk_parts.h"
#include "node/tree_record.h"
#include "shared/error.h"

struct scan {
    struct store_disk *disk;
    struct bytes to;
    int (*each)(void *arg, struct bytes key, const struct store_record *record);
    void *arg;
    struct index_place active, frozen;
    MDB_cursor *cursor;
    bool in_tree; /* the cursor is on an entry: */
    struct bytes key, value;
    bool damaged, ended;
};

static int give(struct scan *s, struct bytes key, const struct memory_record *record)
{
    struct store_record told = {record->version, record->expire_ms, record->deleted,
                                memory_record_value(record)};

    return s->each(s->arg, key, &told);
}

static int give_tree(struct scan *s, struct bytes key, struct bytes value)
{
    struct store_record told;

    if (tree_record_read(key, value, &told) == 0)
        return s->each(s->arg, key, &told);
    s->damaged = true;
    store_worker_damaged(s->disk->worker, key);
    return s->each(s->arg, key, NULL);
}

static int move_tree(struct scan *s, const struct bytes *from)
{
    int error = tree_cursor_move(s->cursor, from, &s->key, &s->value);

    s->in_tree = error == 0;
    return error == RK_NOTFOUND ? 0 : error;
}

static int begin(struct scan *s, MDB_dbi table, struct bytes from)
{
    int error = tree_cursor_open(&s->disk->tree, table, &s->cursor);

    return error ? error : move_tree(s, &from);
}

/* ---- in the order of keys ---- */

static const struct memory_record *peek(struct index_place place)
{
    uint64_t number;

    return ordered_index_at(place, &number);
}

static bool is_at(const struct memory_record *record, struct bytes key)
{
    return record && bytes_equal(memory_record_key(record), key);
}

static struct bytes lower_key(struct bytes key, bool any, struct bytes other)
{
    return !any || bytes_compare(other, key) < 0 ? other : key;
}

/* One key: gives the newest of what there is and moves on. The key stays valid: it is the record's
 * or the tree's own. */
static int scan_key(struct scan *s)
{
    const struct memory_record *active = peek(s->active), *frozen = peek(s->frozen), *newest;
    struct bytes key = {0}, value = s->value;
    bool tree, any = false;
    int result = 0;

    if (active)
        key = lower_key(key, any, memory_record_key(active)), any = true;
    if (frozen)
        key = lower_key(key, any, memory_record_key(frozen)), any = true;
    if (s->in_tree)
        key = lower_key(key, any, s->key), any = true;
    s->ended = !any || bytes_compare(key, s->to) > 0;
    if (s->ended)
        return 0;
    newest = is_at(active, key) ? active : is_at(frozen, key) ? frozen : NULL;
    tree = s->in_tree && bytes_equal(s->key, key);
    if (is_at(active, key))
        s->active = ordered_index_next(s->active);
    if (is_at(frozen, key))
        s->frozen = ordered_index_next(s->frozen);
    if (newest ? !newest->forgotten : tree)
        result = newest ? give(s, key, newest) : give_tree(s, key, value);
    if (tree && !result)
        result = move_tree(s, NULL);
    return result;
}

static int scan_range(struct scan *s, struct bytes from)
{
    int result = begin(s, s->disk->tree.records, from);

    s->active = memory_table_seek(s->disk->active, from);
    if (s->disk->frozen)
        s->frozen = memory_table_seek(s->disk->frozen, from);
    while (!result && !s->ended)
        result = scan_key(s);
    return result;
}

/* ---- in the order of expiry ---- */

static bool is_in(const struct memory_table *table, struct bytes key)
{
    return memory_table_get(table, memory_table_hash(table, key), key) != NULL;
}

/* The first entry from a place on that still counts; NULL: none. `hidden_by`: a newer table, or
 * NULL. */
static const struct memory_record *next_expiring(const struct memory_table *table,
                                                 const struct memory_table *hidden_by,
                                                 struct index_place *place, uint64_t *rank)
{
    while (place->leaf) {
        const struct memory_record *record = memory_table_expiring(table, *place, rank);

        if (record && !(hidden_by && is_in(hidden_by, memory_record_key(record))))
            return record;
        *place = ordered_index_next(*place);
    }
    return NULL;
}

/* Moves the cursor to the first entry of the tree that counts, from where it is on. */
static int next_in_tree(struct scan *s, struct bytes *key, uint64_t *rank)
{
    int error = 0;

    for (; s->in_tree && !error; error = move_tree(s, NULL)) {
        if (s->key.size <= EXPIRY_RANK_SIZE)
            continue;
        *rank = expiry_key_rank(s->key.data);
        *key = bytes_of(s->key.data + EXPIRY_RANK_SIZE, s->key.size - EXPIRY_RANK_SIZE);
        if (!is_in(s->disk->active, *key) && !(s->disk->frozen && is_in(s->disk->frozen, *key)))
            break;
    }
    return error;
}

static int give_expiring_tree(struct scan *s, struct bytes key, uint64_t rank)
{
    struct store_record record;
    int error = tree_get(&s->disk->tree, key, &record);

    if (error == RK_CORRUPT) {
        s->damaged = true;
        store_worker_damaged(s->disk->worker, key);
        return s->each(s->arg, key, NULL);
    }
    /* An entry without its record is left over from a record that was damaged when it was replaced.
     */
    if (error == RK_NOTFOUND || (!error && expiry_rank(record.expire_ms) != rank))
        return 0;
    return error ? error : s->each(s->arg, key, &record);
}

struct expiring {
    bool there;
    uint64_t rank;
    struct bytes key;
};

static bool comes_first(struct expiring a, struct expiring b)
{
    if (!a.there || !b.there)
        return a.there;
    return a.rank != b.rank ? a.rank < b.rank : bytes_compare(a.key, b.key) <= 0;
}

/* One record. No key is met twice: what is newer hides the others. */
static int scan_expiring_one(struct scan *s)
{
    struct store_disk *d = s->disk;
    struct expiring active = {0}, frozen = {0}, tree = {0};
    const struct memory_record *in_active, *in_frozen = NULL;
    int result;

    in_active = next_expiring(d->active, NULL, &s->active, &active.rank);
    if (d->frozen)
        in_frozen = next_expiring(d->frozen, d->active, &s->frozen, &frozen.rank);
    result = next_in_tree(s, &tree.key, &tree.rank);
    if (result)
        return result;
    active.there = in_active != NULL;
    frozen.there = in_frozen != NULL;
    tree.there = s->in_tree;
    if (in_active)
        active.key = memory_record_key(in_active);
    if (in_frozen)
        frozen.key = memory_record_key(in_frozen);
    s->ended = !active.there && !frozen.there && !tree.there;
    if (s->ended)
        return 0;
    if (comes_first(active, frozen) && comes_first(active, tree)) {
        s->active = ordered_index_next(s->active);
        return give(s, active.key, in_active);
    }
    if (comes_first(frozen, tree)) {
        s->frozen = ordered_index_next(s->frozen);
        return give(s, frozen.key, in_frozen);
    }
    result = give_expiring_tree(s, tree.key, tree.rank);
    return result ? result : move_tree(s, NULL);
}

static int scan_expiring(struct scan *s)
{
    struct bytes first = {0};
    int result = begin(s, s->disk->tree.expiry, first);

    s->active = ordered_index_seek(&s->disk->active->by_expiry, 0, first);
    if (s->disk->frozen)
        s->frozen = ordered_index_seek(&s->disk->frozen->by_expiry, 0, first);
    while (!result && !s->ended)
        result = scan_expiring_one(s);
    return result;
}

int store_disk_scan(struct store *s, struct bytes from, struct bytes to, bool expiring,
                    int (*each)(void *arg, struct bytes key, const struct store_record *record),
                    void *arg)
{
    struct scan scan = {.disk = store_disk_of(s), .to = to, .each = each, .arg = arg};
    int result = expiring ? scan_expiring(&scan) : scan_range(&scan, from);

    if (scan.cursor)
        mdb_cursor_close(scan.cursor);
    return result == 0 && scan.damaged ? RK_CORRUPT : result;
}
