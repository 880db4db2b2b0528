#include "shared/ring_ref.h"
#include <stdlib.h>

struct ring_ref *ring_ref_new(struct ring *ring)
{
    struct ring_ref *r = malloc(sizeof(*r));

    if (!r) {
        ring_free(ring);
        return NULL;
    }
    *r = (struct ring_ref){ring, 1};
    return r;
}

struct ring_ref *ring_ref_get(struct ring_ref *r)
{
    __atomic_add_fetch(&r->count, 1, __ATOMIC_RELAXED);
    return r;
}

void ring_ref_put(struct ring_ref *r)
{
    if (!r || __atomic_sub_fetch(&r->count, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    ring_free((struct ring *)r->ring);
    free(r);
}
