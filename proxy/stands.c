#include "proxy/stands.h"
#include "shared/error.h"
#include <stdlib.h>

int stands_init(struct stands *s, const struct ring *ring)
{
    *s = (struct stands){.replicas = 1};
    for (uint32_t p = 0; p < ring_partitions(ring); p++)
        if (ring_replicas(ring, p)->count > s->replicas)
            s->replicas = ring_replicas(ring, p)->count;
    s->all = calloc((size_t)ring_partitions(ring) * s->replicas, sizeof(*s->all));
    return s->all ? 0 : RK_NOMEM;
}

void stands_free(struct stands *s)
{
    free(s->all);
    *s = (struct stands){0};
}
