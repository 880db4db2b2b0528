/* Edge: a shard's store on disk: log (store_log.h), memory tables (memory_table.h), tree (tree.h).
 *
 * A write goes to the log and to the active memory table. When that is half of what memory may
 * hold, or old enough, the worker writes it down into the tree while a new one fills. Reads look in
 * the active table, the one being written, the tree. One folder holds it all:
 *
 *   lock, log-N, spare-N, tree, tree-lock, tree-damaged (damage_note.h)
 */
#ifndef RINGKV_NODE_STORE_DISK_H
#define RINGKV_NODE_STORE_DISK_H

#include "node/store.h"
#include "node/store_files.h"
#include "node/store_log.h"

/* The defaults are what 0 stands for in store_disk_options. The daemon never asks for them: its own
 * are in node/options.c. */
enum {
    STORE_MEMORY_DEFAULT = 128 << 20,
    STORE_MEMORY_MIN = 2 << 20,
    STORE_SEGMENT_DEFAULT = 16 << 20,
    STORE_SEGMENT_MIN = 4 << 10,
    STORE_MAP_DEFAULT = 1 << 30,
    STORE_CHECKPOINT_MS_DEFAULT = 30000,
    STORE_WHY_SIZE = 512,
};

struct store_disk_options {
    const char *folder; /* of this shard; it must be there */
    enum store_sync sync;
    uint64_t sync_interval_ms;
    size_t memory_table;    /* bytes of both memory tables; 0: the default, as for what follows */
    size_t log_segment;     /* bytes of a log file */
    size_t map_size;        /* bytes of address space for the tree to begin with; it grows */
    uint64_t scrub_rate;    /* bytes a second; 0: no scrub */
    uint64_t checkpoint_ms; /* a write is in the tree after that long; 0: the default;
                               UINT64_MAX: when memory fills */
    const struct store_files *files; /* NULL: the real ones */
    /* Called by helper threads when store_poll or store_submit has something to do. It must not
     * call the store. */
    void (*wake)(void *arg);
    void *wake_arg;
};

/* Opens or makes the store. 0, or with the reason in `why` (STORE_WHY_SIZE bytes): RK_BUSY (in use
 * by another process), RK_READONLY, RK_NOSPACE, RK_VERSION, RK_CORRUPT (damaged: names file, offset
 * and what to do), RK_NOMEM, RK_IO, RK_INVALID (an option out of range). */
int store_disk_open(const struct store_disk_options *options, struct store **out, char *why,
                    size_t why_size);

/* What made store_poll give RK_IO: names the file and the error. Empty before. */
void store_disk_why(struct store *s, char *why, size_t why_size);

#endif
