/* Who has a vote in a partition, and what a majority is.
 *
 * While the replicas of a partition change from one set to another, both sets vote, and what needs
 * a majority needs one of each. A member may be in both. Learners are in neither.
 */
#ifndef RINGKV_NODE_VOTE_H
#define RINGKV_NODE_VOTE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    VOTE_CURRENT = 1, /* in the set that serves the partition */
    VOTE_TARGET = 2,  /* in the one that it changes to */
    VOTE_SETS = 2,
};

/* How many of each set. */
struct tally {
    uint8_t count[VOTE_SETS];
};

static inline void tally_add(struct tally *t, uint8_t votes)
{
    for (int i = 0; i < VOTE_SETS; i++)
        t->count[i] += votes >> i & 1;
}

/* Whether `t` is more than half of each set that has members in `all`. No members: no majority. */
static inline bool tally_is_majority(const struct tally *t, const struct tally *all)
{
    bool any = false;

    for (int i = 0; i < VOTE_SETS; i++) {
        if (all->count[i] && 2 * t->count[i] <= all->count[i])
            return false;
        any = any || all->count[i];
    }
    return any;
}

#endif
