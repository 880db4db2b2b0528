/* Where replicas stand, as far as a proxy thread has been told: for each partition and each of its
 * replicas, in the ring's order, the version of its state.
 *
 * It was so when it was told. That it still is, a read has to find out (proxy/majority.c).
 */
#ifndef RINGKV_PROXY_STANDS_H
#define RINGKV_PROXY_STANDS_H

#include "shared/ring.h"
#include <stdint.h>

struct stand {
    uint64_t view, op; /* view 0: not known */
    uint32_t era;      /* of the lane by which it was told */
};

struct stands {
    struct stand *all;
    uint16_t replicas; /* of each partition, at most */
};

/* Nothing is known yet. 0 or RK_NOMEM. */
int stands_init(struct stands *s, const struct ring *ring);
void stands_free(struct stands *s);

/* The place of one replica. What it says counts only if its era is that of the replica's lane. */
static inline struct stand *stands_at(const struct stands *s, uint32_t partition, uint8_t replica)
{
    return &s->all[(size_t)partition * s->replicas + replica];
}

#endif
