/* Takes expired records away, some with each tick: the primary of a partition makes operations of
 * deletes, which every replica carries out.
 *
 * The keys go without a tombstone. That is safe because a record is only taken when it has been
 * expired for longer than clocks may differ: a replica that does not have the delete yet, or a
 * primary that never got it, answers as if it had. */
#ifndef RINGKV_NODE_EXPIRY_SWEEP_H
#define RINGKV_NODE_EXPIRY_SWEEP_H

#include "node/arena.h"
#include "node/execute.h"
#include "node/expiry_rank.h"
#include "node/store.h"

struct shard;

enum {
    EXPIRY_MARGIN_MS = 2 * EXECUTE_CLOCK_MS, /* expired for so long */
    EXPIRY_LOOKS = 576,    /* entries of the order of expiry looked at in one tick */
    EXPIRY_DELETES = 144,  /* records taken in one tick */
    EXPIRY_PASS_MS = 1000, /* from the beginning of a pass to that of the next, at least */
};

/* Zero-initialise. */
struct expiry_sweep {
    struct expiry_place place; /* of the pass */
    uint64_t pass_ms;          /* when it began */
    bool resting;              /* it is over */
    size_t count;
    struct store_change changes[EXPIRY_DELETES];
    struct arena arena; /* their keys */
};

void expiry_sweep_tick(struct shard *s);
void expiry_sweep_free(struct expiry_sweep *w);

#endif
