/* Edge: a ring shared by threads. The ring itself never changes; the last one to put the reference
 * frees it. */
#ifndef RINGKV_SHARED_RING_REF_H
#define RINGKV_SHARED_RING_REF_H

#include "shared/ring.h"

struct ring_ref {
    const struct ring *ring;
    int count; /* used with atomic built-ins only */
};

/* Takes over a ring; the caller holds the one reference. NULL: out of memory (the ring is freed).
 */
struct ring_ref *ring_ref_new(struct ring *ring);
struct ring_ref *ring_ref_get(struct ring_ref *r); /* one more; returns r */
void ring_ref_put(struct ring_ref *r);             /* one less; NULL is fine */

#endif
