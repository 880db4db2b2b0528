#include "node/data_folder.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/file.h"
#include "shared/program.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    FORMAT_VERSION = 1,
    IDENTITY_FILE_MAX = 256,
    RING_FILE_MAX = 16 << 20,
    STALE_FILE_MAX = 1024
};

static char *path_in(const struct data_folder *d, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", d->path, name) < 0 ? NULL : path;
}

static int lock(struct data_folder *d, char *why, size_t why_size)
{
    char *path = path_in(d, "lock");
    int error = 0;

    if (!path)
        return RK_NOMEM;
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0) {
        error = errno == ENOSPC ? RK_NOSPACE : RK_IO;
        snprintf(why, why_size, "data folder %s: cannot make the lock file: %s", d->path,
                 strerror(errno));
    } else if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        error = errno == EWOULDBLOCK ? RK_BUSY : RK_IO;
        if (error == RK_BUSY)
            snprintf(why, why_size,
                     "data folder %s is in use by another ringnode; stop it, or give "
                     "this one a folder of its own (node.data)",
                     d->path);
        else
            snprintf(why, why_size, "data folder %s: cannot lock its file 'lock': %s", d->path,
                     strerror(errno));
    }
    free(path);
    return error;
}

/* What the file 'identity' holds. The checksum is over the lines before it. */
static void identity_text(const struct data_folder *d, char text[IDENTITY_FILE_MAX])
{
    char hex[2 * IDENTITY_SIZE + 1];
    int size;

    for (int i = 0; i < IDENTITY_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", d->identity[i]);
    size = snprintf(text, IDENTITY_FILE_MAX, "ringnode %d\nidentity %s\nshards %u\n",
                    FORMAT_VERSION, hex, d->shards);
    snprintf(text + size, IDENTITY_FILE_MAX - (size_t)size, "crc32c %08x\n",
             crc32c(0, text, (size_t)size));
}

static int make_identity(struct data_folder *d, const char *path, uint16_t shards, char *why,
                         size_t why_size)
{
    char text[IDENTITY_FILE_MAX];

    if (getrandom(d->identity, IDENTITY_SIZE, 0) != IDENTITY_SIZE) {
        snprintf(why, why_size, "no random bytes for an identity: %s", strerror(errno));
        return RK_IO;
    }
    d->shards = shards ? shards : (uint16_t)program_threads(SHARDS_MAX);
    identity_text(d, text);

    int error = file_replace(path, bytes_from(text), 0600);

    if (error)
        snprintf(why, why_size, "data folder %s: cannot write the identity: %s", d->path,
                 error == RK_IO ? strerror(errno) : rk_error_text(error));
    return error;
}

/* Takes only exactly what was written: a file that lost its last digit names another number of
 * shards, and one with a flipped bit another node. */
static int parse_identity(struct data_folder *d, struct bytes content, char *why, size_t why_size)
{
    char text[IDENTITY_FILE_MAX] = "", hex[2 * IDENTITY_SIZE + 1] = "";
    int version = FORMAT_VERSION;
    unsigned shards = 0;

    if (content.size)
        memcpy(text, content.data, content.size);
    if (sscanf(text, "ringnode %d\n", &version) == 1 && version != FORMAT_VERSION) {
        snprintf(why, why_size, "data folder %s has format %d, this ringnode reads format %d",
                 d->path, version, FORMAT_VERSION);
        return RK_VERSION;
    }
    if (sscanf(text, "ringnode %d identity %32[0-9a-f] shards %u", &version, hex, &shards) == 3) {
        for (int i = 0; i < IDENTITY_SIZE; i++) {
            unsigned byte = 0;

            sscanf(hex + 2 * i, "%2x", &byte);
            d->identity[i] = (uint8_t)byte;
        }
        d->shards = (uint16_t)shards;
        identity_text(d, text);
    }
    if (shards < 1 || shards > SHARDS_MAX || !bytes_equal(bytes_from(text), content)) {
        snprintf(why, why_size,
                 "data folder %s: the file 'identity' is damaged; put it back from "
                 "a backup, or empty the folder and replace this member of the ring",
                 d->path);
        return RK_CORRUPT;
    }
    return 0;
}

static int load_identity(struct data_folder *d, uint16_t shards, char *why, size_t why_size)
{
    char *path = path_in(d, "identity");
    struct buf text = {0};
    int error = path ? file_read(path, IDENTITY_FILE_MAX - 1, &text) : RK_NOMEM;

    if (error == RK_NOTFOUND) {
        error = make_identity(d, path, shards, why, why_size);
    } else if (!error) {
        error = parse_identity(d, buf_bytes(&text), why, why_size);
        if (!error && shards && shards != d->shards) {
            snprintf(why, why_size,
                     "data folder %s was made for %u shards, and that cannot be "
                     "changed; set node.shards = %u (or 0), not %u",
                     d->path, d->shards, d->shards, shards);
            error = RK_INVALID;
        }
    } else {
        snprintf(why, why_size, "data folder %s: cannot read the identity: %s", d->path,
                 error == RK_IO ? strerror(errno) : rk_error_text(error));
    }
    buf_free(&text);
    free(path);
    return error;
}

static int look_for_stale(const struct data_folder *d, char *why, size_t why_size)
{
    char *path = path_in(d, "stale");
    struct buf what = {0};
    int error = path ? file_read(path, STALE_FILE_MAX, &what) : RK_NOMEM;

    if (error == RK_NOTFOUND) {
        error = 0;
    } else if (!error || error == RK_TOOBIG) {
        snprintf(
            why, why_size,
            "data folder %s is an old copy, another member of the cluster said: %.*s; empty the "
            "folder, start the node, and put it in its own place: ringctl replace",
            d->path, (int)buf_len(&what), (const char *)buf_head(&what));
        error = RK_STALE;
    } else {
        snprintf(why, why_size,
                 "data folder %s: cannot read 'stale', which is there when another member has said "
                 "that the folder is an old copy: %s",
                 d->path, error == RK_IO ? strerror(errno) : rk_error_text(error));
    }
    buf_free(&what);
    free(path);
    return error;
}

void data_folder_condemn(const struct data_folder *d, struct bytes what)
{
    char *path = path_in(d, "stale");

    if (path)
        file_replace(path, what, 0600);
    free(path);
}

int data_folder_open(struct data_folder *d, const char *path, uint16_t shards, char *why,
                     size_t why_size)
{
    int error = RK_NOMEM;

    *d = (struct data_folder){.lock_fd = -1, .path = strdup(path)};
    snprintf(why, why_size, "out of memory");
    if (!d->path)
        return RK_NOMEM;
    error = file_make_folder(path, 0700);
    if (error)
        snprintf(why, why_size,
                 "data folder %s: cannot make it: %s; the folder that it lies in must be there, "
                 "and this process must be allowed to write in it",
                 path, error == RK_IO ? strerror(errno) : rk_error_text(error));
    if (!error)
        error = lock(d, why, why_size);
    if (!error)
        error = look_for_stale(d, why, why_size);
    if (!error)
        error = load_identity(d, shards, why, why_size);
    if (error)
        data_folder_close(d);
    return error;
}

void data_folder_close(struct data_folder *d)
{
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    d->lock_fd = -1;
    free(d->path);
    d->path = NULL;
}

char *data_folder_shard(const struct data_folder *d, uint16_t shard)
{
    char name[32];

    snprintf(name, sizeof(name), "shard-%u", shard);
    return path_in(d, name);
}

int data_folder_check_shards(const struct data_folder *d, char *why, size_t why_size)
{
    char *ring = path_in(d, "ring"), name[32];
    /* A ring is written down when all stores have been opened, with their names on stable storage.
     */
    bool was_member = ring && access(ring, F_OK) == 0;
    int error = ring ? 0 : RK_NOMEM;

    for (uint16_t i = 0; i < d->shards && was_member && !error; i++) {
        snprintf(name, sizeof(name), "shard-%u/tree", i);

        char *tree = path_in(d, name);

        if (!tree) {
            error = RK_NOMEM;
        } else if (access(tree, F_OK) != 0 && errno == ENOENT) {
            snprintf(
                why, why_size,
                "%s is missing, and with it what this node has acknowledged; bring it back, or "
                "empty the folder %s, start the node, and put it in its own place: ringctl "
                "replace",
                tree, d->path);
            error = RK_CORRUPT;
        }
        free(tree);
    }
    free(ring);
    if (error == RK_NOMEM)
        snprintf(why, why_size, "%s", rk_error_text(error));
    return error;
}

int data_folder_load_ring(const struct data_folder *d, struct ring **out, char *why,
                          size_t why_size)
{
    char *path = path_in(d, "ring");
    struct buf content = {0};
    char detail[256] = "";
    int error = path ? file_read(path, RING_FILE_MAX, &content) : RK_NOMEM;

    if (error == RK_IO) {
        snprintf(why, why_size, "%s: cannot be read: %s", path, strerror(errno));
    } else if (error && error != RK_NOTFOUND) {
        snprintf(why, why_size, "%s: %s", path ? path : "ring", rk_error_text(error));
    } else if (!error) {
        error = ring_decode(buf_bytes(&content), out, detail, sizeof(detail));
        if (error)
            snprintf(
                why, why_size,
                "%s: %s%s%s; move it away, start the node, and give it the ring of the others: "
                "ringctl resume",
                path, rk_error_text(error), detail[0] ? ": " : "", detail);
    }
    buf_free(&content);
    free(path);
    return error;
}

int data_folder_load_slot(const struct data_folder *d, struct ring_slot *out, char *why,
                          size_t why_size)
{
    char *path = path_in(d, "ring-slot");
    struct buf content = {0};
    int error = path ? file_read(path, RING_SLOT_ENCODED_MAX, &content) : RK_NOMEM;

    *out = (struct ring_slot){0};
    if (!error)
        error = ring_slot_decode(buf_bytes(&content), out);
    if (error == RK_NOTFOUND)
        error = 0;
    else if (error)
        snprintf(
            why, why_size,
            "%s: %s; it holds what this node has promised about the next ring: if a newer ring "
            "than its own is known by another member, remove this file, else replace the node "
            "(ringctl replace)",
            path ? path : "ring-slot", error == RK_IO ? strerror(errno) : rk_error_text(error));
    buf_free(&content);
    free(path);
    return error;
}

int data_folder_save_slot(const struct data_folder *d, const struct ring_slot *slot)
{
    char *path = path_in(d, "ring-slot");
    struct buf content = {0};
    int error = path ? ring_slot_encode(slot, &content) : RK_NOMEM;

    if (!error)
        error = file_replace(path, buf_bytes(&content), 0600);
    buf_free(&content);
    free(path);
    return error;
}

int data_folder_save_ring(const struct data_folder *d, const struct ring *ring)
{
    char *path = path_in(d, "ring");
    struct buf content = {0};
    int error = path ? ring_encode(ring, &content) : RK_NOMEM;

    if (!error)
        error = file_replace(path, buf_bytes(&content), 0600);
    buf_free(&content);
    free(path);
    return error;
}
