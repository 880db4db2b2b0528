/* The inside of the store on disk, for its parts: store_disk.c (the functions), store_disk_open.c
 * and store_scan.c. */
#ifndef RINGKV_NODE_STORE_DISK_PARTS_H
#define RINGKV_NODE_STORE_DISK_PARTS_H

#include "node/memory_table.h"
#include "node/store_disk.h"
#include "node/store_worker.h"
#include "node/tree.h"
#include "node/write_pace.h"

struct store_disk {
    struct store store;
    struct store_disk_options options; /* with the defaults filled in */
    const struct store_files *files;
    struct log_folder folder;
    int lock_fd;
    struct memory_pool pool;
    struct memory_table tables[2];
    struct memory_table *active; /* what is written to */
    struct memory_table *frozen; /* the other one, while it is written down; else NULL */
    uint64_t settled;            /* all that was written behind it is in the tables */
    bool hurry;                  /* the log lacks room, which a checkpoint gives back */
    uint64_t log_bytes;          /* written since the active table began */
    uint64_t written;            /* records of the frozen one, when last looked at */
    struct write_pace pace;
    struct tree tree;
    struct store_log *log;
    struct store_worker *worker;
    uint64_t writes, slowdowns, held_back_us, full_refusals, nospace_refusals;
};

extern const struct store_functions store_disk_functions;

struct store_disk *store_disk_of(struct store *s);

/* Whether a batch may be put into the active table: 0, RK_FULL, RK_NOMEM. The room is then
 * reserved. */
int store_disk_reserve(struct store_disk *d, const struct store_batch *batch);

/* Puts in a batch for which there is room. */
void store_disk_put(struct store_disk *d, const struct store_batch *batch, uint64_t position);

/* What is to be done between two turns: takes note of a complete checkpoint, grows the map, starts
 * a checkpoint when it is time, or `now`. */
void store_disk_turn(struct store_disk *d, bool now);

/* The functions `scan` and `expiring` of the table. */
int store_disk_scan(struct store *s, struct bytes from, struct bytes to,
                    int (*each)(void *arg, struct bytes key, const struct store_record *record),
                    void *arg);
int store_disk_expiring(struct store *s, struct expiry_place *place, uint32_t looks_max,
                        int (*each)(void *arg, struct bytes key, const struct store_record *record),
                        void *arg);

/* The function `close`; of a half opened store as well. */
void store_disk_close(struct store *s);

#endif
