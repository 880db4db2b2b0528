/* Edge: a node's data folder: whose it is, who uses it, and the ring it last saw.
 *
 *   DIR/lock       held (flock) while a ringnode uses the folder
 *   DIR/identity   made at the first start: format version, identity, shards, checksum
 *   DIR/ring       the newest ring this node knows (ring_encode)
 *   DIR/ring-slot  what it has promised about the next one (ring_slot_encode)
 *   DIR/stale      there when another member has said that the folder is an old copy
 *   DIR/shard-K/   one shard's store
 */
#ifndef RINGKV_NODE_DATA_FOLDER_H
#define RINGKV_NODE_DATA_FOLDER_H

#include "node/ring_slot.h"
#include "shared/limits.h"
#include "shared/ring.h"
#include <stddef.h>
#include <stdint.h>

struct data_folder {
    char *path;
    int lock_fd;
    uint8_t identity[IDENTITY_SIZE];
    uint16_t shards;
};

/* Opens, or makes, the folder at `path` for `shards` shards (0: as many as it was made for, or
 * program_threads). 0, or an error with a text that names the folder and what would help: RK_BUSY,
 * RK_VERSION, RK_INVALID (another number of shards), RK_CORRUPT, RK_STALE (it was condemned),
 * RK_IO, RK_NOSPACE. */
int data_folder_open(struct data_folder *d, const char *path, uint16_t shards, char *why,
                     size_t why_size);
void data_folder_close(struct data_folder *d);

/* Whether all shards are there, if the node is in a ring. One that is gone would be made anew,
 * empty, and vote on data that it no longer has; the other nodes notice that only if they have
 * heard from it since their own start. 0, RK_NOMEM or RK_CORRUPT with a text. */
int data_folder_check_shards(const struct data_folder *d, char *why, size_t why_size);

/* The folder is an old copy, as another member said it: it is not opened any more. Best effort. */
void data_folder_condemn(const struct data_folder *d, struct bytes what);

/* "DIR/shard-K", malloced; NULL: out of memory. */
char *data_folder_shard(const struct data_folder *d, uint16_t shard);

/* The stored ring: 0; RK_NOTFOUND when there is none; RK_CORRUPT and others with a text. Saved is
 * on stable storage: 0, RK_NOMEM, RK_NOSPACE, RK_IO. */
int data_folder_load_ring(const struct data_folder *d, struct ring **out, char *why,
                          size_t why_size);
int data_folder_save_ring(const struct data_folder *d, const struct ring *ring);

/* Likewise the slot; an empty one when there is none. Saved is on stable storage: 0, RK_NOMEM,
 * RK_NOSPACE, RK_IO. */
int data_folder_load_slot(const struct data_folder *d, struct ring_slot *out, char *why,
                          size_t why_size);
int data_folder_save_slot(const struct data_folder *d, const struct ring_slot *slot);

#endif
