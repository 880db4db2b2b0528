#include "shared/buf.h"
#include "shared/error.h"
#include <assert.h>
#include <stdlib.h>

enum { BUF_SIZE_MIN = 512 };

uint8_t *buf_reserve(struct buf *b, size_t size)
{
    if (b->size - b->end >= size && b->data)
        return b->data + b->end;

    size_t length = buf_len(b);

    if (size > SIZE_MAX / 4 - length)
        return NULL;
    /* Moving down is cheaper than growing, but only while it frees at least half: otherwise a
     * large backlog would be moved again and again for a few bytes each. */
    if (b->start >= length && b->size - length >= size && b->data) {
        memmove(b->data, b->data + b->start, length);
        b->start = 0;
        b->end = length;
        return b->data + b->end;
    }

    size_t wanted = b->size ? b->size : BUF_SIZE_MIN;

    /* Half of it free, so that a long backlog is not copied again for the next few bytes. */
    while (wanted < length + size || wanted / 2 < length)
        wanted *= 2;

    uint8_t *data = malloc(wanted);

    if (!data)
        return NULL;
    if (length)
        memcpy(data, b->data + b->start, length);
    free(b->data);
    *b = (struct buf){data, 0, length, wanted};
    return data + length;
}

int buf_append(struct buf *b, const void *data, size_t size)
{
    if (size == 0)
        return 0;

    uint8_t *to = buf_reserve(b, size);

    if (!to)
        return RK_NOMEM;
    memcpy(to, data, size);
    b->end += size;
    return 0;
}

void buf_consume(struct buf *b, size_t size)
{
    assert(size <= buf_len(b));
    b->start += size;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void buf_trim(struct buf *b, size_t keep)
{
    if (b->start == b->end && b->size > keep)
        buf_free(b);
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}
