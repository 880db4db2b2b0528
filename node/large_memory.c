#include "node/large_memory.h"
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

void *large_memory_new(size_t size)
{
    const size_t page = LARGE_PAGE_SIZE;
    void *memory;

    if (size < page)
        return malloc(size);
    if (size > SIZE_MAX - page)
        return NULL;
    size = (size + page - 1) / page * page;
    memory = aligned_alloc(page, size);
    /* Where there are no huge pages it is the same memory in small ones. */
    if (memory)
        (void)madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}
