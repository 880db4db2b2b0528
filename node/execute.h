/* Carries out one operation on the keys of one partition: reads become a reply, writes become
 * record changes and a reply. Writes are executed once, at the primary; what is replicated is their
 * effect. */
#ifndef RINGKV_NODE_EXECUTE_H
#define RINGKV_NODE_EXECUTE_H

#include "node/arena.h"
#include "node/change_list.h"
#include "node/store.h"
#include "shared/buf.h"
#include "shared/message.h"
#include "shared/ring.h"

/* The state an operation sees. */
struct execute_view {
    struct store *store;
    int64_t now_ms;       /* Unix time: expired records are not there */
    uint32_t value_max;   /* bytes of a value */
    bool keep_tombstones; /* a delete leaves its version behind (more than one replica) */
    struct buf *proof;    /* scratch */
    const struct ring *ring;
    struct version last;      /* where the replica stands */
    uint64_t touches;         /* LEVEL_VERSION: what its reply tells */
    uint64_t unchanged_since; /* LEVEL_VERSION: the operation since which what the store has not
                                 seen lately is unchanged in this state */
    struct version forgotten; /* at the primary: since then no key has gone without a trace */
    uint64_t mutants;         /* node/mutant.h */
};

/* Clocks of replicas are taken to differ by less. A record that is nearer to its expiry, or past
 * it, is judged by the primary alone: so it does not come back once it was seen to be gone, and a
 * write that saw it, and is being committed yet, comes before a read that does not. */
enum { EXECUTE_CLOCK_MS = 500 };

/* What a read saw, to be waited for before its reply may leave. */
struct execute_seen {
    uint64_t position;     /* of the store's log, 0: synced already */
    struct version newest; /* of the records it read */
    bool traceless;        /* a key of which there is nothing, not even that it was deleted */
};

/* Appends a reply frame to `out`. 0; RK_NOMEM, RK_TOOBIG (the values together are more than a frame
 * holds), RK_CORRUPT (a damaged record), RK_UNSETTLED (LEVEL_VALUE: a record is about to expire, or
 * has; the primary knows), RK_IO: `out` unchanged. */
int execute_read(const struct execute_view *v, const struct request *m, struct buf *out,
                 struct execute_seen *seen);

/* What a write does. Zero-initialise once and use again; effect_free at the end. */
struct effect {
    struct change_list changes; /* keys and values point into the request, into `arena` or into the
                                   store */
    struct reply reply;         /* kind, integer, count, data; data points where changes do, or to
                                   `results` */
    struct arena arena;         /* what it made, until the next */
    /* Of a transaction: */
    struct effect *inner; /* what its present operation does */
    struct buf answer;    /* the reply of a read among its operations */
    struct buf results;
};

/* Computes the effect of a write. `version` is given to every changed record. An effect may be
 * without changes (SETNX of a key that is there, an error): it is an operation all the same, so
 * that a late copy of the request cannot come to another result. 0, or as execute_read. */
int execute_write(const struct execute_view *v, const struct request *m, struct version version,
                  struct effect *e);
void effect_clear(struct effect *e);
void effect_free(struct effect *e);

#endif
