#include "node/tree.h"
#include "node/damage_note.h"
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TABLES = 4,
    READERS_MAX = 8, /* the shard's thread and the scrub are two */
    LOCK_FILE_SIZE = 8192,
    MAP_SIZE_MIN = 64 << 10,
    ENVIRONMENT_FLAGS = MDB_NOSUBDIR | MDB_NORDAHEAD | MDB_NOTLS,
};

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

/* LMDB is about to call abort(). */
static void give_up(MDB_env *env, const char *what)
{
    const struct tree *t = mdb_env_get_userctx(env);

    log_error("store: LMDB has met what cannot be file=%s what=\"%s\"; the node stops now; if it "
              "happens again, replace it (ringctl replace)",
              t->path, what);
    _exit(1);
}

static int open_environment(struct tree *t, size_t map_size)
{
    int result = reserve_lock_file(t);
    MDB_stat stat;

    if (!result)
        result = mdb_env_create(&t->env);
    if (!result)
        result = mdb_env_set_userctx(t->env, t);
    if (!result)
        result = mdb_env_set_assert(t->env, give_up);
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
        t->file.page_size = stat.ms_psize;
    return result;
}

/* ---- where the pages are ---- */

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

void tree_tell_damage(const struct tree *t, const struct tree_guard *g, char *why, size_t why_size)
{
    snprintf(why, why_size,
             "%s: page %llu is damaged: %s; replace this node (ringctl replace), its data is on "
             "the others",
             t->path, (unsigned long long)g->damaged_page, g->damage);
}

/* Reads the head of a snapshot, and checks the page in which the tables' rows stand, before LMDB
 * looks into it: it is so far not known where the map is. */
static int check_root(struct tree *t, size_t snapshot, struct tree_guard *g)
{
    const struct store_files *files = t->files;
    size_t size = t->file.page_size;
    uint8_t *page = malloc(size);
    mdb_filehandle_t fd;
    int error = page && mdb_env_get_fd(t->env, &fd) == 0 ? 0 : RK_NOMEM;

    g->damage = NULL;
    g->damaged_page = snapshot % 2;
    if (!error)
        error = store_files_read(files, fd, page, size, (off_t)(g->damaged_page * size)) != 0
                    ? RK_IO
                    : tree_head_read(page, &g->head);
    if (error == RK_CORRUPT || (!error && g->head.snapshot != snapshot)) {
        g->damage = "it is not the head of the newest snapshot";
        error = RK_CORRUPT;
    }
    if (!error && g->head.tables.root != TREE_EMPTY) {
        g->damaged_page = g->head.tables.root;
        if (g->damaged_page >= (uint64_t)files->size(files->arg, fd) / size)
            g->damage = "it lies behind the end of the file";
        else if (store_files_read(files, fd, page, size, (off_t)(g->damaged_page * size)) != 0)
            error = RK_IO;
        else
            g->damage = g->head.tables.depth != 1 ? "it is of another kind than where it stands"
                                                  : tree_page_check(&t->file, page, g->damaged_page,
                                                                    TREE_LEAF, TREE_NODE_TABLE);
    }
    free(page);
    return g->damage ? RK_CORRUPT : error;
}

/* Finds the map, which LMDB does not tell: it finds a row of the table of tables through its root,
 * whose number the file's head says. Nothing that the page says of itself is asked. A file without
 * tables has its map found later. */
static int find_map(struct tree *t, MDB_txn *txn, size_t snapshot, struct tree_guard *g)
{
    MDB_val name = {sizeof(TREE_RECORDS_NAME) - 1, TREE_RECORDS_NAME}, row;
    MDB_envinfo info;
    int error, result;

    t->file.map = t->mapped.at = NULL;
    if (!t->pages_known)
        return 0;
    error = check_root(t, snapshot, g);
    if (error || g->head.tables.root == TREE_EMPTY)
        return error;
    result = mdb_get(txn, t->tables, &name, &row);
    if (result)
        return result == MDB_NOTFOUND ? 0 : tree_error(result);
    t->file.map = (const uint8_t *)row.mv_data - (uintptr_t)row.mv_data % t->file.page_size -
                  g->head.tables.root * t->file.page_size;
    if (mdb_env_info(t->env, &info) == 0)
        t->mapped = (struct mapped_file){t->path, t->file.map, info.me_mapsize};
    return 0;
}

/* ---- open and close ---- */

/* The guard's snapshot is the newest, so that what is here found damaged is so for everybody. */
static int check_meta(struct tree *t, size_t snapshot, struct tree_guard *g)
{
    struct tree_file file;

    if (!tree_file_of(t, &file))
        return 0;
    if (tree_guard_begin(g, &file, snapshot) != 0)
        return RK_CORRUPT;
    return tree_walk_to(&g->walks[TREE_META], bytes_from("store")) == 0
               ? 0
               : tree_guard_damaged(g, TREE_META);
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

static int open_tables_in(struct tree *t, MDB_txn *txn, struct tree_guard *g)
{
    const struct {
        const char *name;
        MDB_dbi *table;
    } tables[TABLES] = {{TREE_RECORDS_NAME, &t->records},
                        {TREE_EXPIRY_NAME, &t->expiry},
                        {TREE_STATES_NAME, &t->states},
                        {TREE_META_NAME, &t->meta}};
    size_t snapshot = mdb_txn_id(txn) - 1;
    int error = tree_error(mdb_dbi_open(txn, NULL, 0, &t->tables));

    if (!error)
        error = find_map(t, txn, snapshot, g);
    if (!error)
        error = check_meta(t, snapshot, g);
    for (int i = 0; i < TABLES && !error; i++)
        error = tree_error(mdb_dbi_open(txn, tables[i].name, MDB_CREATE, tables[i].table));
    if (!error)
        error = tree_error(mdb_set_compare(txn, t->records, tree_order));
    return error ? error : read_meta(t, txn);
}

/* Finds the map with a transaction of its own. */
static int find_map_again(struct tree *t, struct tree_guard *g)
{
    MDB_txn *txn;
    int error = tree_error(mdb_txn_begin(t->env, NULL, MDB_RDONLY, &txn));

    if (error)
        return error;
    error = find_map(t, txn, mdb_txn_id(txn), g);
    mdb_txn_abort(txn);
    return error;
}

/* What would help, where LMDB itself cannot read the file. */
#define DAMAGED                                                                                \
    "; if the disk is well, the file is damaged or was exchanged: replace this node (ringctl " \
    "replace), its data is on the others"

static int open_tables(struct tree *t, char *why, size_t why_size)
{
    struct tree_guard guard = {.damage = NULL};
    MDB_txn *txn;
    int error = tree_error(mdb_txn_begin(t->env, NULL, 0, &txn));

    if (error)
        return error;
    error = open_tables_in(t, txn, &guard);
    if (error)
        mdb_txn_abort(txn);
    else
        error = tree_error(t->files->commit(t->files->arg, txn));
    if (!error && !t->file.map)
        error = find_map_again(t, &guard);
    if (guard.damage)
        tree_tell_damage(t, &guard, why, why_size);
    else if (error)
        snprintf(why, why_size, "%s: %s%s", t->path, rk_error_text(error),
                 error == RK_NOSPACE || error == RK_NOMEM ? "" : DAMAGED);
    return error;
}

static bool pages_known(void)
{
    int major, minor, patch;

    mdb_version(&major, &minor, &patch);
    return tree_pages_known() && major == 0 && minor == 9;
}

#define NO_ADDRESSES                                                                              \
    "there is no address space for a map of %zu bytes: raise what this process may have (ulimit " \
    "-v, LimitAS) and start it again"

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
    read_fault_add(&t->mapped);
    error = damage_note_look(t->path, why, why_size);
    if (error) {
        tree_close(t);
        return error;
    }
    result = open_environment(t, map_size);
    error = tree_error(result);
    if (error == RK_NOMEM)
        snprintf(why, why_size, "%s: " NO_ADDRESSES, t->path, first_map_size(t, map_size));
    else if (error)
        snprintf(why, why_size, "%s: %s%s", t->path, mdb_strerror(result),
                 result < 0 ? DAMAGED : "");
    else
        error = open_tables(t, why, why_size);
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
    read_fault_remove(&t->mapped);
    free(t->path);
    free(t->pages.hints);
    *t = (struct tree){0};
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

uint64_t tree_file_bytes(const struct tree *t)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(t->env, &info) != 0 || mdb_env_stat(t->env, &stat) != 0)
        return 0;
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

/* Whether the map can be made so much larger. LMDB gives up the old one before it makes the new
 * one, and cannot go on without. */
static bool has_addresses(size_t more)
{
    void *at = mmap(NULL, more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return false;
    munmap(at, more);
    return true;
}

int tree_grow(struct tree *t, char *why, size_t why_size)
{
    struct tree_guard guard = {.damage = NULL};
    MDB_envinfo info;
    int error = tree_error(mdb_env_info(t->env, &info));

    if (!error && !has_addresses(info.me_mapsize)) {
        snprintf(why, why_size, "%s: " NO_ADDRESSES, t->path, 2 * info.me_mapsize);
        return RK_NOMEM;
    }
    t->located = 0; /* the map may move */
    if (!error && mdb_env_set_mapsize(t->env, info.me_mapsize * 2) != 0)
        give_up(t->env, "no address space for its map");
    if (!error)
        error = find_map_again(t, &guard);
    if (guard.damage)
        tree_tell_damage(t, &guard, why, why_size);
    else if (error)
        snprintf(why, why_size, "%s: %s", t->path, rk_error_text(error));
    return error;
}
