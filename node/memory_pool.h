/* Pure: the memory of a shard's two memory tables, in chunks that go back and forth between them.
 *
 * An arena takes chunks from the pool and gives them all back at once; a chunk larger than usual
 * goes back to the system. All of it belongs to one thread; memory that was handed out may be read
 * by others.
 */
#ifndef RINGKV_NODE_MEMORY_POOL_H
#define RINGKV_NODE_MEMORY_POOL_H

#include "node/large_memory.h"
#include <stddef.h>
#include <stdint.h>

enum { MEMORY_CHUNK_SIZE = 256 << 10, MEMORY_ALIGN = 8 };

/* A chunk that with its head fills a huge page. */
#define MEMORY_LARGE_CHUNK_SIZE (LARGE_PAGE_SIZE - sizeof(struct memory_chunk))

struct memory_chunk {
    struct memory_chunk *next;
    size_t size; /* of `bytes` */
    _Alignas(MEMORY_ALIGN) uint8_t bytes[];
};

struct memory_pool {
    size_t chunk_size; /* MEMORY_CHUNK_SIZE or MEMORY_LARGE_CHUNK_SIZE */
    struct memory_chunk *unused;
    size_t unused_bytes;
};

/* What is reserved is what pieces may take at the worst, often many times what they do take. So it
 * is kept in a chunk of its own, and the one being filled is not left because of it. */
struct memory_arena {
    struct memory_pool *pool;
    struct memory_chunk *chunks; /* the first is the one being filled */
    struct memory_chunk *spare;  /* filled next, or NULL */
    size_t filled;               /* of the first */
    size_t bytes;                /* of all its chunks, the spare one too */
};

/* For tables that hold so many bytes together. */
void memory_pool_init(struct memory_pool *p, size_t bytes);

/* Frees the chunks that no arena holds. */
void memory_pool_free(struct memory_pool *p);

/* How much room pieces of this size take. */
static inline size_t memory_rounded(size_t size)
{
    return (size + MEMORY_ALIGN - 1) & ~(size_t)(MEMORY_ALIGN - 1);
}

/* Makes sure that pieces of `size` bytes together, each rounded, can be taken. 0 or RK_NOMEM. */
int memory_arena_reserve(struct memory_arena *a, size_t size);

/* Takes a piece that was reserved; aligned, not zeroed, until memory_arena_clear. */
void *memory_arena_take(struct memory_arena *a, size_t size);

/* By how much memory_arena_reserve would enlarge `bytes`. */
size_t memory_arena_growth(const struct memory_arena *a, size_t size);

/* Gives everything back. */
void memory_arena_clear(struct memory_arena *a);

#endif
