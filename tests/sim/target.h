/* What a change of the ring aims at, by chance. */
#ifndef RINGKV_TESTS_SIM_TARGET_H
#define RINGKV_TESTS_SIM_TARGET_H

#include "shared/ring.h"

struct world;

/* A finished ring that may follow on the present one, which has no change: members join, leave or
 * are replaced, replicas become more or fewer, partitions change hands. A member that has lost its
 * disk is replaced. NULL: it cannot be, there is no node left to join. `what` tells of it. */
struct ring *target_draw(struct world *w, char *what, size_t what_size);

#endif
