/* Edge: the append-only log: what was applied goes to stable storage in groups.
 *
 * The shard's thread appends and submits; a helper thread writes what was submitted and syncs it.
 * While one sync runs, the next group gathers. A failed write or sync is final: nothing is written
 * after it.
 */
#ifndef RINGKV_NODE_STORE_LOG_H
#define RINGKV_NODE_STORE_LOG_H

#include "node/log_replay.h"
#include "node/log_segment.h"
#include "node/store.h"

enum store_sync {
    STORE_SYNC_ALWAYS,   /* store_log_poll tells a position once it is on stable storage */
    STORE_SYNC_INTERVAL, /* ... once it is written; synced every interval: a power cut loses that
                            much */
    STORE_SYNC_NEVER     /* ... once it is written; synced only before a checkpoint */
};

struct store_log_options {
    const struct log_folder *folder; /* outlives the log */
    enum store_sync sync;
    uint64_t interval_ms;
    uint64_t segment_size;   /* bytes of a file; a larger batch gets a file of its own */
    uint64_t queue_max;      /* bytes that may wait for the disk */
    void (*wake)(void *arg); /* called by the helper thread when there is news */
    void *wake_arg;
};

struct store_log;

/* Goes on where a replay ended; takes over its ranges. 0, RK_NOMEM. */
int store_log_open(const struct store_log_options *options, struct log_replay *replay,
                   struct store_log **out);

/* Writes and syncs what is left, ends the thread, frees. */
void store_log_close(struct store_log *log);

/* For the shard's thread. */

/* Queues a batch. 0 and its position, one more than the last; RK_NOSPACE, RK_FULL (the disk is
 * behind), RK_NOMEM, RK_IO; nothing is changed then. */
int store_log_append(struct store_log *log, const struct store_batch *batch, uint64_t *position);

/* Hands over what was queued. RK_NOMEM cannot happen: what it needs was made before. */
void store_log_submit(struct store_log *log);

/* The position up to which replies may tell of what was written (enum store_sync). *error: 0, or
 * RK_IO from the first failed write or sync on. */
uint64_t store_log_poll(struct store_log *log, int *error);

/* The position of the newest batch. */
uint64_t store_log_applied(const struct store_log *log);

/* For any thread. */

/* Waits until a submitted position is on stable storage, whatever the mode. 0 or RK_IO. */
int store_log_wait(struct store_log *log, uint64_t position);

/* The tree holds everything up to this position: gives up segments. RK_IO: the log has failed. */
int store_log_release(struct store_log *log, uint64_t up_to);

struct store_log_stats {
    uint64_t bytes, syncs, sync_us; /* sync_us: all syncs together */
    bool no_room;                   /* for the next segment, when one was last needed */
};

void store_log_stats(struct store_log *log, struct store_log_stats *out);

/* What went wrong, once store_log_poll gives RK_IO. */
void store_log_why(struct store_log *log, char *why, size_t why_size);

#endif
