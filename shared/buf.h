/* A contiguous byte buffer: appended to at its end, consumed from its front.
 *
 * An empty buffer owns no memory, so that ten thousand idle connections cost next to nothing.
 * Pointers into it are valid until the next call that may grow it.
 */
#ifndef RINGKV_SHARED_BUF_H
#define RINGKV_SHARED_BUF_H

#include "shared/bytes.h"
#include <stdint.h>

struct buf {
    uint8_t *data;
    size_t start; /* first byte not yet consumed */
    size_t end;   /* one past the last byte */
    size_t size;  /* allocated */
};

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

/* The first byte; NULL when there never was one (NULL + 0 is undefined in C). */
static inline uint8_t *buf_head(const struct buf *b)
{
    return b->data ? b->data + b->start : NULL;
}

static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(buf_head(b), b->end - b->start);
}

/* Room for `size` more bytes. Returns where they go, or NULL: out of memory, the buffer unchanged.
 */
uint8_t *buf_reserve(struct buf *b, size_t size);

/* Says that `size` bytes were written where buf_reserve pointed. */
static inline void buf_commit(struct buf *b, size_t size)
{
    b->end += size;
}

/* Appends a copy. 0 or RK_NOMEM (then unchanged). */
int buf_append(struct buf *b, const void *data, size_t size);

/* Drops `size` bytes from the front; at most buf_len. */
void buf_consume(struct buf *b, size_t size);

/* Drops the last bytes so that `size` remain; undoes appends. */
static inline void buf_truncate(struct buf *b, size_t size)
{
    b->end = b->start + size;
}

/* Gives back memory that an emptied buffer holds beyond `keep` bytes. */
void buf_trim(struct buf *b, size_t keep);

void buf_free(struct buf *b);

#endif
