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
    struct key_walk active_keys, frozen_keys;
    struct index_place active, frozen; /* in the order of expiry */
    struct tree_cursor cursor;
    bool opened;
    bool in_tree; /* the cursor is on an entry: */
    struct bytes key, value;
    bool damaged, ended;
    struct expiry_place *place; /* in the order of expiry: where to go on */
    uint32_t looks_left;
};

static int give(struct scan *s, struct bytes key, const struct memory_record *record)
{
    struct store_record told = memory_record_told(record);

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
    int error = tree_cursor_move(&s->cursor, from, &s->key, &s->value);

    s->in_tree = error == 0;
    return error == RK_NOTFOUND ? 0 : error;
}

static int begin(struct scan *s, MDB_dbi table, struct bytes from)
{
    int error = tree_cursor_open(&s->cursor, &s->disk->tree, NULL, table);

    s->opened = true;
    return error ? error : move_tree(s, &from);
}

/* ---- in the order of keys ---- */

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
    const struct memory_record *active = key_walk_at(&s->active_keys);
    const struct memory_record *frozen = key_walk_at(&s->frozen_keys), *newest;
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
        key_walk_next(&s->active_keys);
    if (is_at(frozen, key))
        key_walk_next(&s->frozen_keys);
    if (newest ? !newest->forgotten : tree)
        result = newest ? give(s, key, newest) : give_tree(s, key, value);
    if (tree && !result)
        result = move_tree(s, NULL);
    return result;
}

static int scan_range(struct scan *s, struct bytes from)
{
    int result = begin(s, s->disk->tree.records, from);

    key_walk_begin(&s->active_keys, &s->disk->active->by_key, from);
    if (s->disk->frozen)
        key_walk_begin(&s->frozen_keys, &s->disk->frozen->by_key, from);
    while (!result && !s->ended)
        result = scan_key(s);
    return result;
}

/* ---- in the order of expiry ---- */

static bool is_in(const struct memory_table *table, struct bytes key)
{
    return memory_table_get(table, memory_table_hash(table, key), key) != NULL;
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

/* Moves to an entry that names a key; nothing else was ever written there. */
static int move_in_tree(struct scan *s)
{
    int error = 0;

    while (!error && s->in_tree && s->key.size <= EXPIRY_RANK_SIZE)
        error = move_tree(s, NULL);
    return error;
}

/* An entry that is next in one of the orders; no key: there is none. */
struct expiring {
    uint64_t rank;
    struct bytes key;
    const struct memory_record *record; /* NULL: in the tree */
};

static bool comes_first(const struct expiring *a, const struct expiring *b)
{
    if (!a->key.size || !b->key.size)
        return a->key.size != 0;
    return a->rank != b->rank ? a->rank < b->rank : bytes_compare(a->key, b->key) <= 0;
}

static struct expiring in_table(struct index_place place)
{
    struct expiring e = {0};

    e.record = place.leaf ? ordered_index_at(place, &e.rank) : NULL;
    if (e.record)
        e.key = memory_record_key(e.record);
    return e;
}

static struct expiring in_tree(const struct scan *s)
{
    if (!s->in_tree)
        return (struct expiring){0};
    return (struct expiring){
        .rank = expiry_key_rank(s->key.data),
        .key = bytes_of(s->key.data + EXPIRY_RANK_SIZE, s->key.size - EXPIRY_RANK_SIZE)};
}

/* Gives an entry of a table and moves on, unless a newer record stands for its key. */
static int take_from_table(struct scan *s, const struct memory_table *table,
                           const struct memory_table *newer, struct index_place *place,
                           const struct expiring *e)
{
    uint64_t rank;
    const struct memory_record *record = memory_table_expiring(table, *place, &rank);

    *place = ordered_index_next(*place);
    return record && !(newer && is_in(newer, e->key)) ? give(s, e->key, record) : 0;
}

static int take_from_tree(struct scan *s, const struct expiring *e)
{
    const struct store_disk *d = s->disk;
    int result = 0;

    if (!is_in(d->active, e->key) && !(d->frozen && is_in(d->frozen, e->key)))
        result = give_expiring_tree(s, e->key, e->rank);
    if (!result)
        result = move_tree(s, NULL);
    return result ? result : move_in_tree(s);
}

/* One entry of the three orders, the first. No key is given twice: what is newer hides the others.
 */
static int scan_expiring_one(struct scan *s)
{
    struct store_disk *d = s->disk;
    struct expiring active = in_table(s->active), frozen = in_table(s->frozen), tree = in_tree(s);
    bool active_first = comes_first(&active, &frozen) && comes_first(&active, &tree);
    const struct expiring *first = active_first                  ? &active
                                   : comes_first(&frozen, &tree) ? &frozen
                                                                 : &tree;

    s->ended = first->key.size == 0;
    if (s->ended)
        return 0;
    if (s->looks_left-- == 0)
        return RK_MORE;
    expiry_place_set(s->place, first->rank, first->key, true);
    if (first == &active)
        return take_from_table(s, d->active, NULL, &s->active, first);
    if (first == &frozen)
        return take_from_table(s, d->frozen, d->active, &s->frozen, first);
    return take_from_tree(s, first);
}

static int scan_expiring(struct scan *s)
{
    struct expiry_place begun = *s->place;
    struct bytes from = expiry_place_bytes(&begun), key = {0};
    uint64_t rank = from.size ? expiry_key_rank(from.data) : 0;
    int result = begin(s, s->disk->tree.expiry, from);

    if (from.size)
        key = bytes_of(from.data + EXPIRY_RANK_SIZE, from.size - EXPIRY_RANK_SIZE);
    s->active = ordered_index_seek(&s->disk->active->by_expiry, rank, key);
    if (s->disk->frozen)
        s->frozen = ordered_index_seek(&s->disk->frozen->by_expiry, rank, key);
    if (!result)
        result = move_in_tree(s);
    while (!result && !s->ended)
        result = scan_expiring_one(s);
    return result;
}

static int end(struct scan *s, int result)
{
    if (s->opened)
        tree_cursor_close(&s->cursor);
    return result == 0 && s->damaged ? RK_CORRUPT : result;
}

int store_disk_scan(struct store *s, struct bytes from, struct bytes to,
                    int (*each)(void *arg, struct bytes key, const struct store_record *record),
                    void *arg)
{
    struct scan scan = {.disk = store_disk_of(s), .to = to, .each = each, .arg = arg};

    return end(&scan, scan_range(&scan, from));
}

int store_disk_expiring(struct store *s, struct expiry_place *place, uint32_t looks_max,
                        int (*each)(void *arg, struct bytes key, const struct store_record *record),
                        void *arg)
{
    struct scan scan = {.disk = store_disk_of(s),
                        .each = each,
                        .arg = arg,
                        .place = place,
                        .looks_left = looks_max};

    return end(&scan, scan_expiring(&scan));
}
