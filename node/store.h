/* One shard's storage: what the replication code sees of it.
 *
 * A store is driven by one thread, the shard's loop. A write is applied at once, in memory, and
 * gets a log position; it is on stable storage when store_poll() has reached that position.
 * Nothing that tells of a write may leave the node before (design rule "durable before reply"): the
 * caller keeps its messages until then.
 *
 * Two implementations stand behind the table of functions: store_disk (log, memory table, LMDB
 * tree), and store_memory, its twin for the simulator and for tests, which forgets what was not
 * synced.
 */
#ifndef RINGKV_NODE_STORE_H
#define RINGKV_NODE_STORE_H

#include "node/expiry_rank.h"
#include "shared/bytes.h"
#include "shared/limits.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record's place in its partition's history: the view (number and node in one word, see
 * shared/message.h) and the operation within it. Compared view first. */
struct version {
    uint64_t view;
    uint64_t op;
};

static inline int version_compare(struct version a, struct version b)
{
    if (a.view != b.view)
        return a.view < b.view ? -1 : 1;
    return (a.op > b.op) - (a.op < b.op);
}

enum {
    STORE_STATE_MAX = 128, /* bytes of a partition's state row */
    STORE_CHANGES_MAX = 4096,
    STORE_BATCH_SIZE_MAX = 2 * FRAME_BODY_MAX, /* bytes of all its parts */
    STORE_DAMAGED_MAX = 256,
    STORE_DELAY_US_MAX = 100000,
    STORE_EXPECTED_MAX = 8, /* keys */
};

struct store_record {
    struct version version;
    int64_t expire_ms;  /* Unix time in milliseconds; 0: never */
    bool deleted;       /* a tombstone: the key is absent, its version is still told */
    struct bytes value; /* valid until the next call into the store */
};

enum store_change_kind {
    STORE_PUT,    /* the record, tombstones included */
    STORE_FORGET, /* the key goes without a trace */
};

struct store_change {
    enum store_change_kind kind;
    struct bytes key;           /* a store key: position, 8 bytes big-endian, then the user's key */
    struct store_record record; /* for STORE_PUT */
};

/* What is written in one piece: after a crash either all of it is there or nothing. */
struct store_batch {
    uint32_t partition;
    struct bytes state; /* the partition's new state row; size 0: as it was */
    const struct store_change *changes;
    size_t change_count;
};

struct store_stats {
    uint64_t keys; /* live records: tombstones not counted; estimated, see doc/storage.md */
    uint64_t tombstones;
    uint64_t live_bytes; /* keys and values of the live records */
    uint64_t expiring;   /* records with an expiry; likewise */
    uint64_t file_bytes; /* tree files */
    uint64_t log_bytes;
    uint64_t memory_bytes; /* memory tables, and their bound */
    uint64_t memory_max;
    uint64_t delay_us;      /* as store_delay_us() tells at this moment */
    uint64_t sync_us;       /* all syncs of the log together took so long */
    uint64_t held_back_us;  /* all delays of the writes that `slowdowns` counts */
    uint64_t full_refusals; /* RK_FULL */
    uint64_t no_room;       /* 1: the disk had none when the log or a checkpoint last needed some */
    uint64_t applied;       /* the last position, and up to where the tree holds everything */
    uint64_t written_down;
    uint64_t writes, syncs, checkpoints, slowdowns, nospace_refusals, scrub_records, scrub_damaged;
};

struct store;

struct store_functions {
    void (*close)(struct store *s);
    int (*get)(struct store *s, struct bytes key, struct store_record *out, uint64_t *position);
    int (*get_recent)(struct store *s, struct bytes key, struct store_record *out,
                      uint64_t *position);
    uint64_t (*settled)(struct store *s);
    void (*expect)(struct store *s, const struct bytes *keys, size_t count, bool get);
    int (*apply)(struct store *s, const struct store_batch *batch, uint64_t *position);
    void (*submit)(struct store *s);
    uint64_t (*poll)(struct store *s, int *error);
    int (*state)(struct store *s, uint32_t partition, uint8_t state[STORE_STATE_MAX], size_t *size);
    int (*scan)(struct store *s, struct bytes from, struct bytes to,
                int (*each)(void *arg, struct bytes key, const struct store_record *record),
                void *arg);
    int (*expiring)(struct store *s, struct expiry_place *place, uint32_t looks_max,
                    int (*each)(void *arg, struct bytes key, const struct store_record *record),
                    void *arg);
    void (*stats)(struct store *s, struct store_stats *out);
    uint64_t (*delay_us)(struct store *s);
    int (*damaged)(struct store *s, uint8_t key[STORE_KEY_SIZE_MAX], size_t *size);
};

/* The head of every implementation. */
struct store {
    const struct store_functions *functions;
};

/* Ends the store; unsynced writes are synced first (disk) or forgotten (memory). */
static inline void store_close(struct store *s)
{
    s->functions->close(s);
}

/* Reads one record as of now, unsynced writes included. 0; RK_NOTFOUND; RK_CORRUPT (its checksum is
 * wrong: never served), RK_IO. *position: what must be synced before the answer may leave, 0 when
 * it is already; set for RK_NOTFOUND as well. Expiry is the caller's business. */
static inline int store_get(struct store *s, struct bytes key, struct store_record *out,
                            uint64_t *position)
{
    return s->functions->get(s, key, out, position);
}

/* As store_get, but looks at what was written lately alone, which takes no walk through the tree.
 * RK_UNCHANGED: the key was not written after store_settled(). */
static inline int store_get_recent(struct store *s, struct bytes key, struct store_record *out,
                                   uint64_t *position)
{
    return s->functions->get_recent(s, key, out, position);
}

/* The position behind which store_get_recent finds all that was written. It ascends, and is on
 * stable storage. */
static inline uint64_t store_settled(struct store *s)
{
    return s->functions->settled(s);
}

/* Says that these keys, at most STORE_EXPECTED_MAX, will be looked at in a moment, so that what is
 * needed for it comes from memory now, for all of them at the same time. `get`: by store_get; else
 * it is a write or store_get_recent, which mostly need nothing but what was written lately. */
static inline void store_expect(struct store *s, const struct bytes *keys, size_t count, bool get)
{
    s->functions->expect(s, keys, count, get);
}

/* Applies a batch in memory and queues it for the log. 0 and its position (positions ascend, from
 * 1); RK_NOSPACE: no room on the disk is left for it; RK_FULL: the memory tables are full and the
 * checkpoint is behind (try again later); RK_NOMEM; RK_IO (the store has failed). On any error
 * nothing was changed. */
static inline int store_apply(struct store *s, const struct store_batch *batch, uint64_t *position)
{
    return s->functions->apply(s, batch, position);
}

/* Hands what was applied so far to the sync thread; once a loop turn. Never waits. */
static inline void store_submit(struct store *s)
{
    s->functions->submit(s);
}

/* To be called on the loop's thread after the store's wake function was: the position up to which
 * all is on stable storage. *error 0, or RK_IO for ever after a failed write or sync: the node must
 * stop. */
static inline uint64_t store_poll(struct store *s, int *error)
{
    return s->functions->poll(s, error);
}

/* The state row of a partition: 0, or RK_NOTFOUND (size 0) when none was ever written. */
static inline int store_state(struct store *s, uint32_t partition, uint8_t state[STORE_STATE_MAX],
                              size_t *size)
{
    return s->functions->state(s, partition, state, size);
}

/* Walks records with from <= key <= to in key order (tombstones included). Stops when `each`
 * returns other than 0, which is then the result, so that the caller bounds a chunk by count, bytes
 * or time and goes on after the last key it saw. Shows the state of the moment of the call. `each`
 * must not call into the store. 0, what `each` returned, RK_CORRUPT (after the damaged record's key
 * was given with record NULL, the walk goes on; the result tells), RK_IO. */
static inline int
store_scan(struct store *s, struct bytes from, struct bytes to,
           int (*each)(void *arg, struct bytes key, const struct store_record *record), void *arg)
{
    return s->functions->scan(s, from, to, each, arg);
}

/* Walks the records with an expiry in order of expiry, from *place on, likewise. Looks at no more
 * than looks_max entries, which may be many more than there are records: entries of replaced
 * records go with a later checkpoint. Unless all were walked, *place is where to go on: behind the
 * record for which `each` returned other than 0, or where looks_max was reached (RK_MORE). */
static inline int store_expiring(struct store *s, struct expiry_place *place, uint32_t looks_max,
                                 int (*each)(void *arg, struct bytes key,
                                             const struct store_record *record),
                                 void *arg)
{
    return s->functions->expiring(s, place, looks_max, each, arg);
}

static inline void store_stats(struct store *s, struct store_stats *out)
{
    s->functions->stats(s, out);
}

/* By how many microseconds the reply of the last write should be held back at this moment, so that
 * writers slow down evenly to what the checkpoint can carry (write_pace.h): 0 while there is room,
 * at most STORE_DELAY_US_MAX. Cheap. stats.slowdowns counts the writes that were
 * applied while it was not 0. */
static inline uint64_t store_delay_us(struct store *s)
{
    return s->functions->delay_us(s);
}

/* Takes one store key out of the list of records that the scrub, a get or a scan found damaged, so
 * that the caller can repair it (a put or a forget of that key replaces what is damaged). 0 or
 * RK_NOTFOUND: there is none. The list keeps the first STORE_DAMAGED_MAX; a record that is still
 * damaged is found again. */
static inline int store_damaged(struct store *s, uint8_t key[STORE_KEY_SIZE_MAX], size_t *size)
{
    return s->functions->damaged(s, key, size);
}

#endif
