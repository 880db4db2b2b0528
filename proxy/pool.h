/* Items of one size that are taken and given back all the time: chunks and a free list.
 *
 * An item never moves and keeps its index, so that a number in a message can name it; its
 * generation changes whenever what the number named has passed, so that a late answer meets nobody.
 */
#ifndef RINGKV_PROXY_POOL_H
#define RINGKV_PROXY_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { POOL_CHUNK_ITEMS = 64 };

/* The head of every item. */
struct pool_item {
    struct pool_item *next_free;
    uint32_t index;
    uint32_t generation;
};

struct pool {
    size_t item_size;
    uint32_t max;   /* items that there may be */
    uint32_t count; /* items that there are */
    uint32_t used;
    void **chunks;
    struct pool_item *free;
};

/* `max` is rounded up to whole chunks. */
void pool_init(struct pool *p, size_t item_size, uint32_t max);

/* Frees the chunks, not what their items own. */
void pool_destroy(struct pool *p);

/* Makes another chunk; internal. 0, RK_FULL or RK_NOMEM. */
int pool_grow(struct pool *p);

/* An item with its contents as pool_put left them, or all zero when it is new; NULL: `max` are in
 * use, or out of memory. */
static inline void *pool_take(struct pool *p)
{
    struct pool_item *item;

    if (!p->free && pool_grow(p) != 0)
        return NULL;
    item = p->free;
    p->free = item->next_free;
    p->used++;
    return item;
}

static inline void pool_put(struct pool *p, void *item)
{
    struct pool_item *head = item;

    head->generation++;
    head->next_free = p->free;
    p->free = head;
    p->used--;
}

/* The item with an index, in use or not; NULL when there is none. */
static inline void *pool_at(const struct pool *p, uint32_t index)
{
    if (index >= p->count)
        return NULL;
    return (uint8_t *)p->chunks[index / POOL_CHUNK_ITEMS] + index % POOL_CHUNK_ITEMS * p->item_size;
}

#endif
