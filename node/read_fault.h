/* Edge: what happens when the disk cannot give a page of a tree. Trees are read through memory into
 * which their files are mapped, so there is no call that could fail: the kernel sends SIGBUS, which
 * ends a process without a word.
 */
#ifndef RINGKV_NODE_READ_FAULT_H
#define RINGKV_NODE_READ_FAULT_H

#include <stddef.h>
#include <stdint.h>

/* A file that is mapped. Its owner changes where while nobody reads it. */
struct mapped_file {
    const char *path;
    const uint8_t *at; /* NULL: not yet */
    size_t size;       /* of the map; the file may be shorter */
};

/* From now on the log says which file it was, and what to do, before the process ends with
 * status 1. Of memory that is in no such file the signal does what it did. */
void read_fault_catch(void);

/* A file is read from now on, or not any more. Those beyond SHARDS_MAX are not told of. */
void read_fault_add(const struct mapped_file *file);
void read_fault_remove(const struct mapped_file *file);

#endif
