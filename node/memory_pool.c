#include "node/memory_pool.h"
#include "shared/error.h"
#include <assert.h>
#include <stdlib.h>

void memory_pool_free(struct memory_pool *p)
{
    while (p->unused) {
        struct memory_chunk *next = p->unused->next;

        free(p->unused);
        p->unused = next;
    }
    p->unused_bytes = 0;
}

size_t memory_arena_growth(const struct memory_arena *a, size_t size)
{
    if (a->chunks && a->chunks->size - a->filled >= size)
        return 0;
    return size > MEMORY_CHUNK_SIZE ? size : MEMORY_CHUNK_SIZE;
}

int memory_arena_reserve(struct memory_arena *a, size_t size)
{
    size_t wanted = memory_arena_growth(a, size);
    struct memory_chunk *chunk;

    if (!wanted)
        return 0;
    if (wanted == MEMORY_CHUNK_SIZE && a->pool->unused) {
        chunk = a->pool->unused;
        a->pool->unused = chunk->next;
        a->pool->unused_bytes -= chunk->size;
    } else {
        chunk = malloc(sizeof(*chunk) + wanted);
        if (!chunk)
            return RK_NOMEM;
        chunk->size = wanted;
    }
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->filled = 0;
    a->bytes += wanted;
    return 0;
}

void *memory_arena_take(struct memory_arena *a, size_t size)
{
    void *taken;

    size = memory_rounded(size);
    assert(a->chunks && a->chunks->size - a->filled >= size);
    taken = a->chunks->bytes + a->filled;
    a->filled += size;
    return taken;
}

void memory_arena_clear(struct memory_arena *a)
{
    while (a->chunks) {
        struct memory_chunk *chunk = a->chunks;

        a->chunks = chunk->next;
        if (chunk->size == MEMORY_CHUNK_SIZE) {
            chunk->next = a->pool->unused;
            a->pool->unused = chunk;
            a->pool->unused_bytes += chunk->size;
        } else {
            free(chunk);
        }
    }
    a->filled = a->bytes = 0;
}
