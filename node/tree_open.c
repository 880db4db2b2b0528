/* Opening a tree: its environment, where its pages are mapped, its tables; and a larger map. */
#include "node/damage_note.h"
#include "node/tree.h"
#include "node/tree_meta.h"
#include "node/tree_order.h"
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

/* ---- where the map is ---- */

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

/* ---- a larger map ---- */

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
