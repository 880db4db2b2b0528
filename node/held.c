#include "node/held.h"
#include "shared/error.h"

int held_add(struct held *h, struct held_item item, struct bytes frame)
{
    uint8_t *to = buf_reserve(&h->queue, sizeof(item) + frame.size);

    if (!to)
        return RK_NOMEM;
    /* What waits for an older position than the one before it leaves a little later than it could.
     */
    if (item.position < h->newest)
        item.position = h->newest;
    h->newest = item.position;
    item.size = (uint32_t)frame.size;
    memcpy(to, &item, sizeof(item));
    if (frame.size)
        memcpy(to + sizeof(item), frame.data, frame.size);
    buf_commit(&h->queue, sizeof(item) + frame.size);
    h->count++;
    return 0;
}

bool held_peek(const struct held *h, uint64_t synced, struct held_item *item, struct bytes *frame)
{
    if (buf_len(&h->queue) == 0)
        return false;
    memcpy(item, buf_head(&h->queue), sizeof(*item));
    if (item->position > synced)
        return false;
    *frame = bytes_of(buf_head(&h->queue) + sizeof(*item), item->size);
    return true;
}

void held_drop(struct held *h)
{
    struct held_item item;

    memcpy(&item, buf_head(&h->queue), sizeof(item));
    buf_consume(&h->queue, sizeof(item) + item.size);
    h->count--;
}

void held_free(struct held *h)
{
    buf_free(&h->queue);
}
