/* A ring of one member, for tests of what takes rings over from other threads. */
#ifndef RINGKV_TESTS_LONE_RING_H
#define RINGKV_TESTS_LONE_RING_H

#include "shared/ring.h"
#include "shared/ring_ref.h"

/* One replica, 2^bits partitions. NULL: without memory, or it is no valid ring. */
static inline struct ring_ref *lone_ring(uint64_t epoch, uint8_t bits,
                                         const struct ring_member *member)
{
    struct ring *ring = ring_new(1, bits);

    if (!ring)
        return NULL;
    ring->cluster[0] = 1;
    ring->epoch = epoch;
    ring->hash = POSITION_MD5;
    ring->replicas = 1;
    ring->next_number = 2;
    ring->members[0] = *member;
    if (ring_finish(ring, NULL, 0) != 0) {
        ring_free(ring);
        return NULL;
    }
    return ring_ref_new(ring);
}

#endif
