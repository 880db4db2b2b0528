/* What a change of the ring aims at, by chance. */
#ifndef RINGKV_TESTS_SIM_TARGET_H
#define RINGKV_TESTS_SIM_TARGET_H

#include "shared/ring.h"

struct world;

/* A finished ring that may follow on the present one, which has no change: members join, leave or
 * are replaced, replicas become more or fewer, partitions change hands. A member that has lost its
 * disk is replaced. NULL: it cannot be, there is no node left to join. `what` tells of it. */
struct ring *target_draw(struct world *w, char *what, size_t what_size);

/* The same for a script: these members, in ascending order, of which each owns a partition in turn,
 * beginning with the first one. */
struct ring *target_of(struct world *w, const uint16_t *numbers, uint32_t count);

#endif
