/* Memory for the length of one operation: what was given stays where it is until the reset. */
#ifndef RINGKV_NODE_ARENA_H
#define RINGKV_NODE_ARENA_H

#include <stddef.h>

/* What a reset keeps for the next operation; more goes back to the system. */
enum { ARENA_KEPT_SIZE = 64 << 10 };

struct arena_block;

/* Zero-initialise. */
struct arena {
    struct arena_block *newest;
};

/* Room for `size` bytes, of any alignment; NULL: out of memory. */
void *arena_alloc(struct arena *a, size_t size);

/* A copy of `size` bytes at `data`; NULL: out of memory. */
void *arena_copy(struct arena *a, const void *data, size_t size);

/* Takes everything back. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
