#include "node/tree.h"
#include "node/expiry_rank.h"
#include "node/tree_meta.h"
#include "node/tree_order.h"
#include "node/tree_record.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    TABLES = 4,
    READERS_MAX = 8, /* the shard's thread and the scrub are two */
    LOCK_FILE_SIZE = 8192,
    MAP_SIZE_MIN = 64 << 10,
    ENVIRONMENT_FLAGS = MDB_NOSUBDIR | MDB_NORDAHEAD | MDB_NOTLS,
};

#define RECORDS "records"

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

/* LMDB maps its lock file and writes to it: on a full disk that would be a SIGBUS, so it gets its
 * room first. */
static int reserve_lock_file(struct tree *t)
{
    const struct store_files *files = t->files;
    size_t size = strlen(t->path) + sizeof("-lock");
    char *path = malloc(size);
    int fd, result, error;

    if (!path)
        return ENOMEM;
    snprintf(path, size, "%s-lock", t->path);
    fd = files->open(files->arg, path, O_RDWR | O_CREAT);
    free(path);
    if (fd < 0)
        return errno;
    result = files->allocate(files->arg, fd, 0, LOCK_FILE_SIZE, 1);
    error = errno;
    files->close(files->arg, fd);
    return result == 0 ? 0 : error;
}

/* The map must hold what is there already. */
static size_t first_map_size(const struct tree *t, size_t map_size)
{
    struct stat st;
    size_t size = map_size > MAP_SIZE_MIN ? map_size : MAP_SIZE_MIN;

    if (stat(t->path, &st) == 0)
        while (size < (size_t)st.st_size * 2)
            size *= 2;
    return size;
}

static int open_environment(struct tree *t, size_t map_size)
{
    int result = reserve_lock_file(t);
    MDB_stat stat;

    if (!result)
        result = mdb_env_create(&t->env);
    if (!result)
        result = mdb_env_set_maxdbs(t->env, TABLES);
    if (!result)
        result = mdb_env_set_maxreaders(t->env, READERS_MAX);
    if (!result)
        result = mdb_env_set_mapsize(t->env, first_map_size(t, map_size));
    if (!result)
        result = mdb_env_open(t->env, t->path, ENVIRONMENT_FLAGS, 0600);
    if (!result)
        result = mdb_env_stat(t->env, &stat);
    if (!result)
        t->page_size = stat.ms_psize;
    return result;
}

static int read_meta(struct tree *t, MDB_txn *txn)
{
    MDB_val key = {5, (void *)"store"}, value;
    struct tree_meta meta = {0};
    uint8_t row[TREE_META_SIZE];
    MDB_stat expiry;
    int error, result = mdb_get(txn, t->meta, &key, &value);

    if (result == MDB_NOTFOUND) {
        tree_meta_write(&meta, row);
        value = (MDB_val){sizeof(row), row};
        return tree_error(mdb_put(txn, t->meta, &key, &value, 0));
    }
    if (result)
        return tree_error(result);
    error = tree_meta_read(bytes_of(value.mv_data, value.mv_size), &meta);
    t->position = meta.position;
    if (!error)
        error = tree_error(mdb_stat(txn, t->expiry, &expiry));
    if (!error)
        t->counts = (struct record_counts){.keys = meta.keys,
                                           .tombstones = meta.tombstones,
                                           .live_bytes = meta.live_bytes,
                                           .expiring = expiry.ms_entries};
    return error;
}

static int open_tables(struct tree *t)
{
    const struct {
        const char *name;
        MDB_dbi *table;
    } tables[TABLES] = {
        {RECORDS, &t->records}, {"expiry", &t->expiry}, {"states", &t->states}, {"meta", &t->meta}};
    MDB_txn *txn;
    int error = tree_error(mdb_txn_begin(t->env, NULL, 0, &txn));

    if (error)
        return error;
    for (int i = 0; i < TABLES && !error; i++)
        error = tree_error(mdb_dbi_open(txn, tables[i].name, MDB_CREATE, tables[i].table));
    if (!error)
        error = tree_error(mdb_dbi_open(txn, NULL, 0, &t->tables));
    if (!error)
        error = tree_error(mdb_set_compare(txn, t->records, tree_order));
    if (!error)
        error = read_meta(t, txn);
    if (error) {
        mdb_txn_abort(txn);
        return error;
    }
    return tree_error(t->files->commit(t->files->arg, txn));
}

static bool pages_known(void)
{
    int major, minor, patch;

    mdb_version(&major, &minor, &patch);
    return tree_pages_known() && major == 0 && minor == 9;
}

int tree_open(struct tree *t, const char *folder, size_t map_size, const struct store_files *files,
              char *why, size_t why_size)
{
    size_t size = strlen(folder) + sizeof("/tree");
    int result, error;

    *t = (struct tree){.files = files, .path = malloc(size), .pages_known = pages_known()};
    t->pages.hints = calloc(1, sizeof(*t->pages.hints));
    if (!t->path || !t->pages.hints) {
        tree_close(t);
        return RK_NOMEM;
    }
    snprintf(t->path, size, "%s/tree", folder);
    result = open_environment(t, map_size);
    error = tree_error(result);
    if (error) {
        snprintf(why, why_size, "%s: %s", t->path, mdb_strerror(result));
    } else {
        error = open_tables(t);
        if (error)
            snprintf(why, why_size, "%s: %s", t->path, rk_error_text(error));
    }
    if (error)
        tree_close(t);
    return error;
}

void tree_close(struct tree *t)
{
    if (t->reader)
        mdb_txn_abort(t->reader);
    if (t->env)
        mdb_env_close(t->env);
    free(t->path);
    free(t->pages.hints);
    *t = (struct tree){0};
}

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
    MDB_val name = {sizeof(RECORDS) - 1, RECORDS}, row;
    size_t snapshot = mdb_txn_id(t->reader);
    MDB_envinfo info;

    if (t->located == snapshot)
        return true;
    if (!t->pages_known || mdb_get(t->reader, t->tables, &name, &row) != 0 ||
        mdb_env_info(t->env, &info) != 0)
        return false;
    t->pages.page_size = t->page_size;
    t->pages.snapshot = snapshot;
    if (tree_pages_locate(&t->pages, bytes_of(row.mv_data, row.mv_size), info.me_last_pgno) != 0)
        return false;
    t->located = snapshot;
    return true;
}

/* LMDB believes what a page says of a value's size, and would have us read behind the end of the
 * file. A value begins on a page that carries its number; only one that has pages of its own goes
 * beyond that page. */
static bool ends_in_file(const struct tree *t, MDB_val value)
{
    size_t offset = (uintptr_t)value.mv_data % t->page_size;
    MDB_envinfo info;
    uint64_t number;

    if (offset + value.mv_size <= t->page_size)
        return true;
    if (value.mv_size > TREE_RECORD_SIZE_MAX || mdb_env_info(t->env, &info) != 0)
        return false;
    memcpy(&number, (const uint8_t *)value.mv_data - offset, sizeof(number));
    return number <= info.me_last_pgno &&
           offset + value.mv_size <= (info.me_last_pgno + 1 - number) * t->page_size;
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
    return locate_records(t) ? tree_pages_find(&t->pages, key, value) : get_by_lmdb(t, key, value);
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

int tree_state(struct tree *t, uint32_t partition, struct bytes *out)
{
    uint8_t bytes[TREE_STATE_KEY_SIZE];
    MDB_val key = {sizeof(bytes), bytes}, value;
    int result = begin_reading(t);

    tree_state_key(partition, bytes);
    if (!result)
        result = mdb_get(t->reader, t->states, &key, &value);
    return result ? tree_error(result)
                  : tree_state_read(partition, bytes_of(value.mv_data, value.mv_size), out);
}

int tree_cursor_open(struct tree *t, MDB_dbi table, MDB_cursor **out)
{
    int result = begin_reading(t);

    *out = NULL;
    if (!result)
        result = mdb_cursor_open(t->reader, table, out);
    return tree_error(result);
}

/* Said once: the same page would be met again and again. */
static void tell_damaged(struct tree *t, const char *what)
{
    if (!__atomic_exchange_n(&t->told, true, __ATOMIC_RELAXED))
        log_error(
            "store: a page is damaged file=%s why=\"%s\"; replace this node (ringctl replace)",
            t->path, what);
}

int tree_cursor_move(struct tree *t, MDB_cursor *cursor, const struct bytes *from,
                     struct bytes *key, struct bytes *value)
{
    size_t key_size_max =
        mdb_cursor_dbi(cursor) == t->expiry ? EXPIRY_KEY_SIZE_MAX : STORE_KEY_SIZE_MAX;
    MDB_val k = {0}, v = {0};
    int result;

    if (from && from->size)
        k = (MDB_val){from->size, (void *)from->data};
    result = mdb_cursor_get(cursor, &k, &v,
                            !from        ? MDB_NEXT
                            : from->size ? MDB_SET_RANGE
                                         : MDB_FIRST);
    if (result) {
        int error = tree_error(result);

        if (error != RK_CORRUPT)
            return error;
        tell_damaged(t, mdb_strerror(result));
        return RK_IO;
    }
    if (k.mv_size == 0 || k.mv_size > key_size_max) {
        tell_damaged(t, "a key has a size that none has");
        return RK_IO;
    }
    *key = bytes_of(k.mv_data, k.mv_size);
    *value = value_of(t, v);
    return 0;
}

uint64_t tree_file_bytes(const struct tree *t)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(t->env, &info) != 0 || mdb_env_stat(t->env, &stat) != 0)
        return 0;
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

int tree_grow(struct tree *t)
{
    MDB_envinfo info;
    int result = mdb_env_info(t->env, &info);

    t->located = 0; /* the map may move */
    if (!result)
        result = mdb_env_set_mapsize(t->env, info.me_mapsize * 2);
    return result ? RK_NOMEM : 0;
}
