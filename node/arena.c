#include "node/arena.h"
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 4096, ALIGNMENT = alignof(max_align_t) };

struct arena_block {
    struct arena_block *older;
    size_t size, used;
    alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_block *b = a->newest;
    void *room;

    if (!b || b->size - b->used < rounded) {
        size_t block_size = rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE;

        b = malloc(sizeof(*b) + block_size);
        if (!b)
            return NULL;
        *b = (struct arena_block){a->newest, block_size, 0};
        a->newest = b;
    }
    room = b->data + b->used;
    b->used += rounded;
    return room;
}

void *arena_copy(struct arena *a, const void *data, size_t size)
{
    void *room = arena_alloc(a, size);

    if (room && size)
        memcpy(room, data, size);
    return room;
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->newest;

    while (b && (b->older || b->size > ARENA_KEPT_SIZE)) {
        a->newest = b->older;
        free(b);
        b = a->newest;
    }
    if (b)
        b->used = 0;
}

void arena_free(struct arena *a)
{
    while (a->newest) {
        struct arena_block *b = a->newest;

        a->newest = b->older;
        free(b);
    }
}
