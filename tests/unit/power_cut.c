#include "tests/unit/power_cut.h"
#include "tests/unit/store_support.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 4096, NAME_MAX_SIZE = 64, FDS_MAX = 1024 };

enum event_kind { CREATE, WRITE, SYNC, LENGTHEN, RENAME, UNLINK, SYNC_NAMES, COMMIT, NOTE };

struct event {
    enum event_kind kind;
    int file;
    char name[NAME_MAX_SIZE], to[NAME_MAX_SIZE]; /* CREATE, UNLINK: name; RENAME: both */
    off_t offset;                                /* WRITE; LENGTHEN: the end */
    uint8_t *data;                               /* WRITE, COMMIT */
    size_t size;
    uint64_t number; /* NOTE */
};

struct power_cut {
    struct store_files files;
    char folder[512];
    pthread_mutex_t lock;
    struct event *events;
    size_t count, size, base; /* base: the events that tell what was there at first */
    int file_count;
    int file_of_fd[FDS_MAX];
};

/* With the lock held. */
static struct event *add(struct power_cut *p, enum event_kind kind)
{
    if (p->count == p->size) {
        p->size = p->size ? p->size * 2 : 256;
        p->events = realloc(p->events, p->size * sizeof(*p->events));
        assert(p->events);
    }
    p->events[p->count] = (struct event){.kind = kind};
    return &p->events[p->count++];
}

static const char *name_of(const char *path)
{
    return strrchr(path, '/') + 1;
}

static bool is_recorded(const char *name)
{
    return strncmp(name, "log-", 4) == 0 || strncmp(name, "spare-", 6) == 0;
}

/* The file that has a name after the events so far, or -1. */
static int file_named(const struct power_cut *p, const char *name)
{
    int file = -1;

    for (size_t i = 0; i < p->count; i++) {
        const struct event *e = &p->events[i];

        if (e->kind == CREATE && strcmp(e->name, name) == 0)
            file = e->file;
        if (e->kind == RENAME && strcmp(e->to, name) == 0)
            file = e->file;
        if ((e->kind == RENAME || e->kind == UNLINK) && strcmp(e->name, name) == 0)
            file = -1;
    }
    return file;
}

static int cut_open(void *arg, const char *path, int flags)
{
    struct power_cut *p = arg;
    int fd = store_files_real.open(NULL, path, flags), file;

    if (fd < 0 || !is_recorded(name_of(path)))
        return fd;
    assert(fd < FDS_MAX);
    pthread_mutex_lock(&p->lock);
    file = file_named(p, name_of(path));
    if (file < 0) {
        struct event *e = add(p, CREATE);

        file = e->file = p->file_count++;
        assert(file < FILES_MAX);
        snprintf(e->name, sizeof(e->name), "%s", name_of(path));
    }
    p->file_of_fd[fd] = file;
    pthread_mutex_unlock(&p->lock);
    return fd;
}

static int cut_close(void *arg, int fd)
{
    struct power_cut *p = arg;

    pthread_mutex_lock(&p->lock);
    if (fd < FDS_MAX)
        p->file_of_fd[fd] = -1;
    pthread_mutex_unlock(&p->lock);
    return store_files_real.close(NULL, fd);
}

static ssize_t cut_read(void *arg, int fd, void *to, size_t size, off_t offset)
{
    (void)arg;
    return store_files_real.read(NULL, fd, to, size, offset);
}

static ssize_t cut_write(void *arg, int fd, const void *from, size_t size, off_t offset)
{
    struct power_cut *p = arg;
    struct event *e;

    pthread_mutex_lock(&p->lock);
    e = add(p, WRITE);
    e->file = p->file_of_fd[fd];
    e->offset = offset;
    e->data = malloc(size);
    e->size = size;
    memcpy(e->data, from, size);
    pthread_mutex_unlock(&p->lock);
    return store_files_real.write(NULL, fd, from, size, offset);
}

/* The folder may be one in memory; that it is synced is in the record alone. */
static int cut_sync(void *arg, int fd)
{
    struct power_cut *p = arg;

    pthread_mutex_lock(&p->lock);
    add(p, SYNC)->file = p->file_of_fd[fd];
    pthread_mutex_unlock(&p->lock);
    return 0;
}

static off_t cut_size(void *arg, int fd)
{
    (void)arg;
    return store_files_real.size(NULL, fd);
}

static int cut_allocate(void *arg, int fd, off_t offset, off_t size, int longer)
{
    struct power_cut *p = arg;

    pthread_mutex_lock(&p->lock);
    if (longer && p->file_of_fd[fd] >= 0) {
        struct event *e = add(p, LENGTHEN);

        e->file = p->file_of_fd[fd];
        e->offset = offset + size;
    }
    pthread_mutex_unlock(&p->lock);
    return store_files_real.allocate(NULL, fd, offset, size, longer);
}

static int cut_rename(void *arg, const char *from, const char *to)
{
    struct power_cut *p = arg;
    struct event *e;
    int file;

    pthread_mutex_lock(&p->lock);
    file = file_named(p, name_of(from));
    e = add(p, RENAME);
    e->file = file;
    snprintf(e->name, sizeof(e->name), "%s", name_of(from));
    snprintf(e->to, sizeof(e->to), "%s", name_of(to));
    pthread_mutex_unlock(&p->lock);
    return store_files_real.rename(NULL, from, to);
}

static int cut_unlink(void *arg, const char *path)
{
    struct power_cut *p = arg;
    struct event *e;

    pthread_mutex_lock(&p->lock);
    e = add(p, UNLINK);
    snprintf(e->name, sizeof(e->name), "%s", name_of(path));
    pthread_mutex_unlock(&p->lock);
    return store_files_real.unlink(NULL, path);
}

static int cut_sync_folder(void *arg, const char *path)
{
    struct power_cut *p = arg;

    (void)path;
    pthread_mutex_lock(&p->lock);
    add(p, SYNC_NAMES);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

static void record_tree(struct power_cut *p)
{
    char path[1024];
    struct event *e;

    snprintf(path, sizeof(path), "%s/tree", p->folder);
    e = add(p, COMMIT);
    if (access(path, F_OK) == 0)
        e->data = test_file_read(path, &e->size);
}

static int cut_commit(void *arg, struct MDB_txn *txn)
{
    struct power_cut *p = arg;
    int result = store_files_real.commit(NULL, txn);

    pthread_mutex_lock(&p->lock);
    record_tree(p);
    pthread_mutex_unlock(&p->lock);
    return result;
}

/* What is there at first is told by events: all of it synced. */
static void record_base(struct power_cut *p)
{
    DIR *folder = opendir(p->folder);
    struct dirent *entry;

    assert(folder);
    while ((entry = readdir(folder))) {
        char path[1024];
        struct event *e;

        if (!is_recorded(entry->d_name))
            continue;
        snprintf(path, sizeof(path), "%s/%s", p->folder, entry->d_name);
        e = add(p, CREATE);
        e->file = p->file_count;
        snprintf(e->name, sizeof(e->name), "%.63s", entry->d_name);
        e = add(p, WRITE);
        e->file = p->file_count;
        e->data = test_file_read(path, &e->size);
        add(p, SYNC)->file = p->file_count++;
    }
    closedir(folder);
    record_tree(p);
    add(p, SYNC_NAMES);
    p->base = p->count;
}

static struct power_cut *cut_new(const char *folder)
{
    struct power_cut *p = calloc(1, sizeof(*p));

    assert(p);
    snprintf(p->folder, sizeof(p->folder), "%s", folder);
    pthread_mutex_init(&p->lock, NULL);
    p->files = (struct store_files){.arg = p,
                                    .open = cut_open,
                                    .close = cut_close,
                                    .read = cut_read,
                                    .write = cut_write,
                                    .sync = cut_sync,
                                    .size = cut_size,
                                    .allocate = cut_allocate,
                                    .rename = cut_rename,
                                    .unlink = cut_unlink,
                                    .sync_folder = cut_sync_folder,
                                    .commit = cut_commit};
    for (int i = 0; i < FDS_MAX; i++)
        p->file_of_fd[i] = -1;
    return p;
}

struct power_cut *power_cut_new(const char *folder)
{
    struct power_cut *p = cut_new(folder);

    record_base(p);
    return p;
}

struct power_cut *power_cut_killed(const struct power_cut *p, size_t events, const char *to)
{
    struct power_cut *next = cut_new(to);

    power_cut_make(p, events, LOSE_NOTHING, 0, to);
    for (size_t i = 0; i < p->base + events; i++) {
        struct event *e = add(next, p->events[i].kind);

        *e = p->events[i];
        if (!e->data)
            continue;
        e->data = malloc(e->size);
        assert(e->data);
        memcpy(e->data, p->events[i].data, e->size);
    }
    next->file_count = p->file_count;
    next->base = next->count;
    return next;
}

void power_cut_free(struct power_cut *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->events[i].data);
    free(p->events);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

const struct store_files *power_cut_files(struct power_cut *p)
{
    return &p->files;
}

void power_cut_note(struct power_cut *p, uint64_t told)
{
    pthread_mutex_lock(&p->lock);
    add(p, NOTE)->number = told;
    pthread_mutex_unlock(&p->lock);
}

size_t power_cut_count(const struct power_cut *p)
{
    return p->count - p->base;
}

/* ---- making the states ---- */

struct disk {
    const struct power_cut *cut;
    size_t end; /* events that happened */
    enum power_cut_loss loss;
    uint64_t random;
    struct file {
        uint8_t *data;
        size_t size;
    } files[FILES_MAX];
    struct name {
        char text[NAME_MAX_SIZE];
        int file; /* -1: none */
    } names[FILES_MAX];
    size_t name_count;
};

/* Whether a sync that came later covers event i. */
static bool is_safe(const struct disk *d, size_t i)
{
    const struct event *e = &d->cut->events[i];
    bool content = e->kind == WRITE || e->kind == LENGTHEN;

    for (size_t j = i + 1; j < d->end; j++) {
        const struct event *later = &d->cut->events[j];

        if (content ? later->kind == SYNC && later->file == e->file : later->kind == SYNC_NAMES)
            return true;
    }
    return false;
}

static bool survives(struct disk *d, size_t i)
{
    if (is_safe(d, i) || d->loss == LOSE_NOTHING)
        return true;
    return d->loss == LOSE_AT_RANDOM && model_random(&d->random) % 2;
}

static void lengthen(struct file *f, size_t size)
{
    if (size <= f->size)
        return;
    f->data = realloc(f->data, size);
    assert(f->data);
    memset(f->data + f->size, 0, size - f->size);
    f->size = size;
}

static void write_data(struct file *f, const uint8_t *data, size_t size, size_t offset)
{
    lengthen(f, offset + size);
    if (size)
        memcpy(f->data + offset, data, size);
}

/* A write that was not synced may be torn: of its bytes a run at the front, at the end or between
 * is there. */
static void apply_write(struct disk *d, size_t i)
{
    const struct event *e = &d->cut->events[i];
    size_t from = 0, to = e->size;

    if (e->file < 0 || !survives(d, i))
        return;
    if (d->loss == LOSE_AT_RANDOM && !is_safe(d, i)) {
        if (model_random(&d->random) % 2)
            from = model_random(&d->random) % (e->size + 1);
        if (model_random(&d->random) % 2)
            to = from + model_random(&d->random) % (e->size - from + 1);
    }
    write_data(&d->files[e->file], e->data + from, to - from, (size_t)e->offset + from);
}

static struct name *find_name(struct disk *d, const char *text)
{
    for (size_t i = 0; i < d->name_count; i++)
        if (strcmp(d->names[i].text, text) == 0)
            return &d->names[i];
    assert(d->name_count < FILES_MAX);
    snprintf(d->names[d->name_count].text, NAME_MAX_SIZE, "%s", text);
    d->names[d->name_count].file = -1;
    return &d->names[d->name_count++];
}

static void apply_name(struct disk *d, size_t i)
{
    const struct event *e = &d->cut->events[i];

    if (!survives(d, i))
        return;
    /* A rename whose name never came to be has nothing to move. */
    if (e->kind == RENAME && find_name(d, e->name)->file != e->file)
        return;
    if (e->kind == CREATE)
        find_name(d, e->name)->file = e->file;
    if (e->kind == RENAME)
        find_name(d, e->to)->file = e->file;
    if (e->kind != CREATE)
        find_name(d, e->name)->file = -1;
}

static void write_out(struct disk *d, const char *to)
{
    char path[1024];

    test_folder_copy(to, to, "nothing"); /* empties it */
    for (size_t i = 0; i < d->name_count; i++) {
        const struct name *name = &d->names[i];

        if (name->file < 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", to, name->text);
        test_file_write(path, d->files[name->file].data, d->files[name->file].size);
    }
}

uint64_t power_cut_make(const struct power_cut *p, size_t events, enum power_cut_loss loss,
                        uint64_t seed, const char *to)
{
    struct disk *d = calloc(1, sizeof(*d));
    const struct event *tree = NULL;
    uint64_t told = 0;
    char path[1024];

    assert(d);
    *d = (struct disk){.cut = p, .end = p->base + events, .loss = loss, .random = seed};
    for (size_t i = 0; i < d->end; i++) {
        const struct event *e = &p->events[i];

        if (e->kind == WRITE)
            apply_write(d, i);
        if (e->kind == LENGTHEN && survives(d, i))
            lengthen(&d->files[e->file], (size_t)e->offset);
        if (e->kind == CREATE || e->kind == RENAME || e->kind == UNLINK)
            apply_name(d, i);
        if (e->kind == COMMIT)
            tree = e;
        if (e->kind == NOTE)
            told = e->number;
    }
    write_out(d, to);
    if (tree && tree->data) {
        snprintf(path, sizeof(path), "%s/tree", to);
        test_file_write(path, tree->data, tree->size);
    }
    for (int i = 0; i < p->file_count; i++)
        free(d->files[i].data);
    free(d);
    return told;
}
