/* The inside of the log, for its three parts: store_log.c (the shard's side), log_writer.c (the
 * helper thread) and log_release.c (giving up segments). */
#ifndef RINGKV_NODE_STORE_LOG_PARTS_H
#define RINGKV_NODE_STORE_LOG_PARTS_H

#include "node/store_log.h"
#include "shared/buf.h"
#include "shared/log_quota.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    SPARES_MAX = 4,
    PIECE_MERGE_MAX = 64 << 10, /* smaller pieces are copied behind the one that waits */
    PIECE_KEEP_MAX = 4 << 20,   /* a larger buffer is not kept for the next group */
    FILL_SIZE = 128 << 10,      /* zeros written ahead at a time, where a segment is new */
    FILL_MARGIN = 16 << 10,     /* when so few are left */
    MARK_IDLE_MS = 20,          /* nothing was appended for that long: a mark of its own is due */
    RETRY_MS = 100,             /* between attempts to get room on a full disk */
    WHY_SIZE = 512,
    TAIL_SIZE =
        LOG_MARK_SIZE + LOG_RECORD_HEAD_SIZE, /* left free at a segment's end: mark and zeros */
};

/* Bytes that go to one place in one segment. */
struct piece {
    struct piece *next;
    struct log_segment *segment;
    uint64_t offset;
    uint64_t last_position; /* of its batches; 0: it holds a mark alone */
    struct buf data;
};

struct piece_list {
    struct piece *first, *last;
};

struct store_log {
    struct store_log_options options;
    const struct log_folder *folder;
    pthread_t thread;

    /* The shard's thread alone. */
    struct log_segment *current; /* where the next batch goes; NULL before the first */
    uint64_t offset;             /* in it */
    struct piece *filling;       /* what was appended and not yet handed over; NULL: nothing */
    struct piece_list ready;     /* the same, in segments that are full */
    uint64_t ready_bytes;
    uint64_t applied, marked, retry_ms;
    bool told_no_room;
    uint64_t idle_position, idle_ms; /* applied when nothing was to be submitted, and since when */

    /* The helper thread alone. */
    struct log_segment *open;
    uint64_t written_end; /* in it */
    uint64_t synced_ms, last_number;
    bool dirty;
    struct log_quota slow; /* lines about slow syncs */

    /* Both. */
    _Atomic uint64_t written, durable, syncs, sync_us, spare_number, queued;
    atomic_int error;

    /* Below the lock. */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct piece_list queue;
    struct piece *unused; /* one piece with its buffer, to use again */
    uint64_t wanted;      /* to be synced whatever the mode */
    struct log_segment *spares,
        *coming; /* coming: in use by the shard's thread, not yet put in place */
    size_t spare_count;
    struct log_ranges ranges;
    bool stop;
    char why[WHY_SIZE];
};

/* A clock for intervals, exact to a few milliseconds. */
uint64_t log_now_ms(void);

/* Ends the log: the first failure is the one that is told. */
void log_fail(struct store_log *log, const char *what, const char *path, int system_error);

/* With the lock held: */
void log_add_spare(struct store_log *log, struct log_segment *spare);
void log_keep_piece(struct store_log *log,
                    struct piece *piece); /* for the next group, or frees it */

/* The helper thread, its argument the log. */
void *log_writer(void *arg);

/* Writes one piece, putting its segment in place if need be. For the helper thread, or when that
 * has ended. */
int log_write_piece(struct store_log *log, struct piece *piece);

#endif
