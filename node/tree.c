#include "node/tree.h"
#include "node/tree_record.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int tree_error(int result)
{
    switch (result) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return RK_NOTFOUND;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return RK_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return RK_VERSION;
    case ENOMEM:
        return RK_NOMEM;
    default:
        return result > 0 ? store_files_error(result) : RK_IO;
    }
}

bool tree_file_of(const struct tree *t, struct tree_file *out)
{
    MDB_envinfo info;
    struct stat st;
    mdb_filehandle_t fd;

    *out = t->file;
    if (!t->file.map || mdb_env_info(t->env, &info) != 0 || mdb_env_get_fd(t->env, &fd) != 0 ||
        fstat(fd, &st) != 0)
        return false;
    /* Pages that were free at once when they came behind the others were never written. */
    out->count = (uint64_t)st.st_size / t->file.page_size;
    if (out->count > info.me_last_pgno + 1)
        out->count = info.me_last_pgno + 1;
    return true;
}

uint64_t tree_file_bytes(const struct tree *t)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(t->env, &info) != 0 || mdb_env_stat(t->env, &stat) != 0)
        return 0;
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

void tree_tell_damage(const struct tree *t, const struct tree_guard *g, char *why, size_t why_size)
{
    snprintf(why, why_size,
             "%s: page %llu is damaged: %s; replace this node (ringctl replace), its data is on "
             "the others",
             t->path, (unsigned long long)g->damaged_page, g->damage);
}

/* ---- reading ---- */

/* Opens the shard's read transaction if it is not. */
static int begin_reading(struct tree *t)
{
    int result;

    if (t->reading)
        return 0;
    result =
        t->reader ? mdb_txn_renew(t->reader) : mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->reader);
    t->reading = result == 0;
    return result;
}

void tree_end_turn(struct tree *t)
{
    if (t->reading)
        mdb_txn_reset(t->reader);
    t->reading = false;
}

/* Where the records' pages are in the shard's read transaction: once for each snapshot. */
static bool locate_records(struct tree *t)
{
    MDB_val name = {sizeof(TREE_RECORDS_NAME) - 1, TREE_RECORDS_NAME}, row;
    size_t snapshot = mdb_txn_id(t->reader);

    if (t->located == snapshot)
        return true;
    if (!t->pages_known || mdb_get(t->reader, t->tables, &name, &row) != 0 ||
        !tree_file_of(t, &t->pages.file))
        return false;
    t->pages.snapshot = snapshot;
    if (tree_pages_locate(&t->pages, bytes_of(row.mv_data, row.mv_size)) != 0)
        return false;
    t->located = snapshot;
    return true;
}

/* LMDB believes what a page says of a value's size, and would have us read behind the end of the
 * file. A value begins on a page that carries its number; only one that has pages of its own goes
 * beyond that page. */
static bool ends_in_file(const struct tree *t, MDB_val value)
{
    size_t offset = (uintptr_t)value.mv_data % t->file.page_size;
    MDB_envinfo info;
    uint64_t number;

    if (offset + value.mv_size <= t->file.page_size)
        return true;
    if (value.mv_size > TREE_RECORD_SIZE_MAX || mdb_env_info(t->env, &info) != 0)
        return false;
    memcpy(&number, (const uint8_t *)value.mv_data - offset, sizeof(number));
    return number <= info.me_last_pgno &&
           offset + value.mv_size <= (info.me_last_pgno + 1 - number) * t->file.page_size;
}

/* A value that LMDB has found. None stands for one that cannot be true: no record is empty, so its
 * checksum is wrong. */
static struct bytes value_of(const struct tree *t, MDB_val value)
{
    return ends_in_file(t, value) ? bytes_of(value.mv_data, value.mv_size) : (struct bytes){0};
}

/* LMDB's own way, where the format of its pages is not known. */
static int get_by_lmdb(struct tree *t, struct bytes key, struct bytes *out)
{
    MDB_val k = {key.size, (void *)key.data}, value;
    int result = mdb_get(t->reader, t->records, &k, &value);

    if (!result)
        *out = value_of(t, value);
    return tree_error(result);
}

static int find_record(struct tree *t, struct bytes key, struct bytes *value)
{
    int error = tree_error(begin_reading(t));

    if (error)
        return error;
    if (!t->pages_known)
        return get_by_lmdb(t, key, value);
    return locate_records(t) ? tree_pages_find(&t->pages, key, value) : RK_CORRUPT;
}

int tree_get(struct tree *t, struct bytes key, struct store_record *out)
{
    struct bytes value;
    int error = find_record(t, key, &value);

    return error ? error : tree_record_read(key, value, out);
}

bool tree_peek(struct tree *t, struct bytes key, struct store_record *out)
{
    struct bytes value;

    return find_record(t, key, &value) == 0 && tree_record_peek(value, out);
}

void tree_expect(struct tree *t, const struct bytes *keys, size_t count)
{
    _Static_assert((int)STORE_EXPECTED_MAX <= (int)TREE_AHEAD_MAX, "all are gone ahead of at once");

    if (begin_reading(t) == 0 && locate_records(t))
        tree_pages_go_ahead(&t->pages, keys, count);
}

/* Said once: the same page would be met again and again. */
static void tell_damaged(struct tree *t, uint64_t page, const char *what)
{
    if (!__atomic_exchange_n(&t->told, true, __ATOMIC_RELAXED))
        log_error("store: a page is damaged file=%s page=%llu why=\"%s\"; replace this node "
                  "(ringctl replace)",
                  t->path, (unsigned long long)page, what);
}

/* Where a table of a read transaction begins. */
static int find_table(struct tree_cursor *c, MDB_txn *txn, const char *table,
                      struct tree_table *out)
{
    struct tree *t = c->tree;
    MDB_val name = {strlen(table), (void *)table}, row;

    if (mdb_get(txn, t->tables, &name, &row) != 0 || !tree_file_of(t, &c->file))
        return RK_IO;
    if (tree_table_read(&c->file, bytes_of(row.mv_data, row.mv_size), out) == 0)
        return 0;
    tell_damaged(t, 0, "a table's row cannot be true");
    return RK_IO;
}

int tree_cursor_open(struct tree_cursor *c, struct tree *t, MDB_txn *txn, MDB_dbi table)
{
    const struct {
        MDB_dbi table;
        const char *name;
        size_t key_size_max;
    } tables[] = {{t->records, TREE_RECORDS_NAME, STORE_KEY_SIZE_MAX},
                  {t->expiry, TREE_EXPIRY_NAME, EXPIRY_KEY_SIZE_MAX},
                  {t->states, TREE_STATES_NAME, TREE_STATE_KEY_SIZE}};
    int error = txn ? 0 : tree_error(begin_reading(t)), i = 0;
    struct tree_table found;

    while (tables[i].table != table)
        i++;
    c->tree = t;
    c->key_size_max = tables[i].key_size_max;
    c->lmdb = NULL;
    if (error)
        return RK_IO;
    if (!txn)
        txn = t->reader;
    if (!t->pages_known)
        return mdb_cursor_open(txn, table, &c->lmdb) == 0 ? 0 : RK_IO;
    error = find_table(c, txn, tables[i].name, &found);
    if (!error)
        tree_scan_begin(&c->scan, &c->file, found, c->key_size_max);
    return error;
}

void tree_cursor_close(struct tree_cursor *c)
{
    if (c->lmdb)
        mdb_cursor_close(c->lmdb);
    c->lmdb = NULL;
}

static int move_by_lmdb(struct tree_cursor *c, const struct bytes *from, struct bytes *key,
                        struct bytes *value)
{
    MDB_val k = {0}, v = {0};
    int result;

    if (from && from->size)
        k = (MDB_val){from->size, (void *)from->data};
    result = mdb_cursor_get(c->lmdb, &k, &v,
                            !from        ? MDB_NEXT
                            : from->size ? MDB_SET_RANGE
                                         : MDB_FIRST);
    if (result && tree_error(result) != RK_CORRUPT)
        return tree_error(result);
    if (result || k.mv_size == 0 || k.mv_size > c->key_size_max) {
        tell_damaged(c->tree, 0, result ? mdb_strerror(result) : "a key has a size that none has");
        return RK_IO;
    }
    *key = bytes_of(k.mv_data, k.mv_size);
    *value = value_of(c->tree, v);
    return 0;
}

int tree_cursor_move(struct tree_cursor *c, const struct bytes *from, struct bytes *key,
                     struct bytes *value)
{
    int error;

    if (c->lmdb)
        return move_by_lmdb(c, from, key, value);
    error = tree_scan_move(&c->scan, from, key, value);
    if (error != RK_CORRUPT)
        return error;
    tell_damaged(c->tree, c->scan.damaged_page, c->scan.damage);
    return RK_IO;
}

int tree_state(struct tree *t, uint32_t partition, struct bytes *out)
{
    uint8_t bytes[TREE_STATE_KEY_SIZE];
    struct bytes wanted = bytes_of(bytes, sizeof(bytes)), key, row;
    struct tree_cursor cursor;
    int error = tree_cursor_open(&cursor, t, NULL, t->states);

    tree_state_key(partition, bytes);
    if (!error)
        error = tree_cursor_move(&cursor, &wanted, &key, &row);
    tree_cursor_close(&cursor);
    if (error)
        return error;
    return bytes_equal(key, wanted) ? tree_state_read(partition, row, out) : RK_NOTFOUND;
}
