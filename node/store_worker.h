/* Edge: the thread that writes memory tables down, and scrubs the tree when there is nothing to
 * write. */
#ifndef RINGKV_NODE_STORE_WORKER_H
#define RINGKV_NODE_STORE_WORKER_H

#include "node/memory_table.h"
#include "node/store_log.h"
#include "node/tree.h"

struct store_worker_options {
    struct tree *tree;
    uint64_t scrub_rate;     /* bytes a second; 0: no scrub */
    uint64_t checkpoint_ms;  /* how long a write may wait for its checkpoint; 0: for ever */
    void (*wake)(void *arg); /* called by the thread when store_worker_turn has something to do */
    void *wake_arg;
};

struct store_worker;

/* 0 or RK_NOMEM. */
int store_worker_start(const struct store_worker_options *options, struct store_worker **out);

/* Ends the thread; a checkpoint under way is left, the log has it. */
void store_worker_stop(struct store_worker *w);

/* From now on a checkpoint waits for this log, and gives up its segments. */
void store_worker_set_log(struct store_worker *w, struct store_log *log);

/* ---- for the shard's thread ---- */

/* Starts a checkpoint of a table that does not change any more; none is under way. */
void store_worker_write(struct store_worker *w, const struct memory_table *table);

/* To be called once a turn with no read transaction open in this thread: grows the map when the
 * checkpoint asks for it. True: the checkpoint that was started is complete, once. */
bool store_worker_turn(struct store_worker *w);

/* How much of the table that is being written down is in the tree: records, of how many. */
void store_worker_progress(const struct store_worker *w, uint64_t *done, uint64_t *all);

/* Waits until store_worker_turn has something to do. */
void store_worker_wait(struct store_worker *w);

/* It is time for a checkpoint, if anything is there to be written. */
bool store_worker_due(const struct store_worker *w);

/* The checkpoint under way waits for room on the disk. */
bool store_worker_no_room(const struct store_worker *w);

/* 0, or RK_IO from the first failed write or sync on, with what happened in `why`. */
int store_worker_error(struct store_worker *w, char *why, size_t why_size);

/* ---- for any thread ---- */

void store_worker_damaged(struct store_worker *w, struct bytes key);
int store_worker_take_damaged(struct store_worker *w, uint8_t key[STORE_KEY_SIZE_MAX],
                              size_t *size);

/* Fills in what it knows: keys, tombstones, live_bytes, expiring (of the tree alone), written_down,
 * checkpoints, scrub_records, scrub_damaged; and, as of the same moment, the progress. */
void store_worker_stats(struct store_worker *w, struct store_stats *out, uint64_t *done,
                        uint64_t *all);

#endif
