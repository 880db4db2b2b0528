#include "proxy/pool.h"
#include "shared/error.h"
#include <stdlib.h>

void pool_init(struct pool *p, size_t item_size, uint32_t max)
{
    *p = (struct pool){.item_size = item_size, .max = max};
}

void pool_destroy(struct pool *p)
{
    for (uint32_t i = 0; i < p->count / POOL_CHUNK_ITEMS; i++)
        free(p->chunks[i]);
    free(p->chunks);
    *p = (struct pool){0};
}

int pool_grow(struct pool *p)
{
    uint32_t chunk_count = p->count / POOL_CHUNK_ITEMS;
    uint8_t *chunk;
    void **chunks;

    if (p->count >= p->max)
        return RK_FULL;
    /* Doubles at powers of two, so that growing costs a constant for each item. */
    if ((chunk_count & (chunk_count - 1)) == 0) {
        chunks = realloc(p->chunks, (chunk_count ? chunk_count * 2 : 1) * sizeof(*chunks));
        if (!chunks)
            return RK_NOMEM;
        p->chunks = chunks;
    }
    chunk = calloc(POOL_CHUNK_ITEMS, p->item_size);
    if (!chunk)
        return RK_NOMEM;
    p->chunks[chunk_count] = chunk;
    /* Backwards, so that the first taken is the first in memory. */
    for (uint32_t i = POOL_CHUNK_ITEMS; i-- > 0;) {
        struct pool_item *item = (struct pool_item *)(chunk + i * p->item_size);

        item->index = p->count + i;
        item->next_free = p->free;
        p->free = item;
    }
    p->count += POOL_CHUNK_ITEMS;
    return 0;
}
