#include "node/memory_pool.h"
#include "shared/error.h"
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

/* Chunks that are not filled are lost, one or two a table: that should be little of the whole. */
enum { LARGE_CHUNKS_MIN = 16 };

void memory_pool_init(struct memory_pool *p, size_t bytes)
{
    bool large = bytes / LARGE_PAGE_SIZE >= LARGE_CHUNKS_MIN;

    *p = (struct memory_pool){.chunk_size = large ? MEMORY_LARGE_CHUNK_SIZE : MEMORY_CHUNK_SIZE};
}

void memory_pool_free(struct memory_pool *p)
{
    while (p->unused) {
        struct memory_chunk *next = p->unused->next;

        free(p->unused);
        p->unused = next;
    }
    p->unused_bytes = 0;
}

static size_t rest(const struct memory_arena *a)
{
    return a->chunks ? a->chunks->size - a->filled : 0;
}

static size_t spare_size(const struct memory_arena *a)
{
    return a->spare ? a->spare->size : 0;
}

size_t memory_arena_growth(const struct memory_arena *a, size_t size)
{
    size_t usual = a->pool->chunk_size, wanted = size > usual ? size : usual;

    /* A spare chunk that is too small is given back. */
    return rest(a) >= size || spare_size(a) >= size ? 0 : wanted - spare_size(a);
}

static struct memory_chunk *chunk_new(struct memory_pool *pool, size_t size)
{
    struct memory_chunk *chunk = size == pool->chunk_size ? pool->unused : NULL;

    if (chunk) {
        pool->unused = chunk->next;
        pool->unused_bytes -= chunk->size;
        return chunk;
    }
    chunk = large_memory_new(sizeof(*chunk) + size);
    if (chunk)
        chunk->size = size;
    return chunk;
}

static void chunk_free(struct memory_pool *pool, struct memory_chunk *chunk)
{
    if (chunk->size != pool->chunk_size) {
        free(chunk);
        return;
    }
    chunk->next = pool->unused;
    pool->unused = chunk;
    pool->unused_bytes += chunk->size;
}

int memory_arena_reserve(struct memory_arena *a, size_t size)
{
    size_t growth = memory_arena_growth(a, size);
    struct memory_chunk *chunk;

    if (!growth)
        return 0;
    chunk = chunk_new(a->pool, growth + spare_size(a));
    if (!chunk)
        return RK_NOMEM;
    if (a->spare)
        chunk_free(a->pool, a->spare);
    a->spare = chunk;
    a->bytes += growth;
    return 0;
}

void *memory_arena_take(struct memory_arena *a, size_t size)
{
    void *taken;

    size = memory_rounded(size);
    if (rest(a) < size) {
        assert(spare_size(a) >= size);
        a->spare->next = a->chunks;
        a->chunks = a->spare;
        a->spare = NULL;
        a->filled = 0;
    }
    taken = a->chunks->bytes + a->filled;
    a->filled += size;
    return taken;
}

void memory_arena_clear(struct memory_arena *a)
{
    if (a->spare)
        chunk_free(a->pool, a->spare);
    a->spare = NULL;
    while (a->chunks) {
        struct memory_chunk *chunk = a->chunks;

        a->chunks = chunk->next;
        chunk_free(a->pool, chunk);
    }
    a->filled = a->bytes = 0;
}
