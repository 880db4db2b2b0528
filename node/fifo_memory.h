/* Memory for pieces that are given back in the order in which they were taken: cut from blocks one
 * behind the other, so that neighbours in time are neighbours in memory, and nothing is searched
 * for. */
#ifndef RINGKV_NODE_FIFO_MEMORY_H
#define RINGKV_NODE_FIFO_MEMORY_H

#include <stddef.h>

enum { FIFO_BLOCK_SIZE = 64 << 10 }; /* larger pieces get a block of their own */

struct fifo_block;

/* Zero-initialise. */
struct fifo_memory {
    struct fifo_block *first, *last;
    struct fifo_block *spare; /* the next one, so that a steady flow makes none */
};

/* A piece aligned to 16 bytes; NULL: out of memory. */
void *fifo_memory_take(struct fifo_memory *f, size_t size);

/* Gives the oldest piece back; there must be one. */
void fifo_memory_drop(struct fifo_memory *f);

/* Gives all memory back, that of pieces included. */
void fifo_memory_free(struct fifo_memory *f);

#endif
