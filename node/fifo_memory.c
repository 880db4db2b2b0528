#include "node/fifo_memory.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = 16 };

struct fifo_block {
    struct fifo_block *next;
    size_t size, used;
    size_t pieces;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

enum { USUAL_SIZE = FIFO_BLOCK_SIZE - sizeof(struct fifo_block) };

static struct fifo_block *block_new(struct fifo_memory *f, size_t size)
{
    struct fifo_block *block = f->spare;

    if (size <= USUAL_SIZE && block) {
        f->spare = NULL;
        return block;
    }
    if (size < USUAL_SIZE)
        size = USUAL_SIZE;
    block = size <= SIZE_MAX - sizeof(*block) ? malloc(sizeof(*block) + size) : NULL;
    if (block)
        *block = (struct fifo_block){.size = size};
    return block;
}

static void block_drop(struct fifo_memory *f, struct fifo_block *block)
{
    if (f->spare || block->size != USUAL_SIZE) {
        free(block);
        return;
    }
    block->next = NULL;
    block->used = 0;
    f->spare = block;
}

void *fifo_memory_take(struct fifo_memory *f, size_t size)
{
    struct fifo_block *block = f->last;

    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!block || block->size - block->used < size) {
        block = block_new(f, size);
        if (!block)
            return NULL;
        if (f->last)
            f->last->next = block;
        else
            f->first = block;
        f->last = block;
    }

    void *piece = block->bytes + block->used;

    block->used += size;
    block->pieces++;
    return piece;
}

void fifo_memory_drop(struct fifo_memory *f)
{
    struct fifo_block *block = f->first;

    assert(block && block->pieces > 0);
    if (--block->pieces > 0)
        return;
    f->first = block->next;
    if (!f->first)
        f->last = NULL;
    block_drop(f, block);
}

void fifo_memory_free(struct fifo_memory *f)
{
    struct fifo_block *block = f->first;

    while (block) {
        struct fifo_block *next = block->next;

        free(block);
        block = next;
    }
    free(f->spare);
    *f = (struct fifo_memory){NULL, NULL, NULL};
}
