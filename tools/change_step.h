/* Driving a change: from the ring and what the nodes report to what the next ring should be. A pure
 * step function; ringctl calls it in a loop, the simulator as well. It may be given up at any point
 * and taken up by anybody: the ring itself says how far the change has come.
 *
 * Learners get their copies all at once (the nodes bound how many they send at a time), since that
 * disturbs nobody. Voters change in batches: few epochs, and never many partitions at once that
 * need the majority of two sets.
 */
#ifndef RINGKV_TOOLS_CHANGE_STEP_H
#define RINGKV_TOOLS_CHANGE_STEP_H

#include "shared/ring.h"
#include <stdint.h>

enum {
    STEP_JOINT_PART = 8,  /* at most one partition in so many is joint at a time */
    STEP_BATCH_PART = 24, /* an epoch waits until one in so many can go on... */
    STEP_WAIT_MS = 150,   /* ...but for no longer than this... */
    STEP_WAIT_PART = 40,  /* ...or, when the change has run long, one in so much of that time */
};

/* What is known of a partition, in bits; from its primary's report under the ring's own epoch. */
enum { STEP_LEARNED = 1, STEP_READY = 2 };

enum change_step {
    STEP_DONE,    /* nothing is being changed */
    STEP_WAIT,    /* ask again a little later */
    STEP_PAUSED,  /* nothing is to be done before 'resume' */
    STEP_ADVANCE, /* ring_advance with the phases */
    STEP_FINISH,  /* ring_finish_change */
};

/* known: per partition, STEP_ bits. since_ms: since the ring's epoch began; running_ms: since the
 * change was begun or taken up. phases: room for every partition; filled in for STEP_ADVANCE. */
enum change_step change_step(const struct ring *now, const uint8_t *known, int64_t since_ms,
                             int64_t running_ms, uint8_t *phases);

#endif
