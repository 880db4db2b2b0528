/* The recent steps of a shard's partitions: to bring a replica up that missed some, and to answer a
 * request that comes again from what it was answered, instead of carrying it out twice.
 *
 * Bounded by bytes over the whole shard: the oldest step of any partition goes first, and as steps
 * are added in the order in which they are made, it is also the oldest of its partition.
 */
#ifndef RINGKV_NODE_HISTORY_H
#define RINGKV_NODE_HISTORY_H

#include "node/fifo_memory.h"
#include "node/store.h"
#include "shared/bytes.h"
#include <stddef.h>

struct history_entry {
    struct history_entry *next;         /* of the same partition */
    struct history_entry *next_overall; /* of the shard */
    struct history_entry *next_in_bucket;
    struct history_line *line; /* NULL: out of its line, waits to become the oldest */
    struct version from, at;
    uint64_t session, number; /* of the request; session 0: none */
    size_t size;
    uint8_t frame[]; /* an encoded STEP */
};

/* One partition's steps, oldest first, each beginning where the one before ended. */
struct history_line {
    struct history_entry *first, *last;
    struct version from; /* where the oldest begins; without looking at it, as it is in no cache */
    uint32_t count;
};

struct history {
    struct fifo_memory memory; /* of the entries, in their order overall */
    struct history_entry *first, *last;
    struct history_entry **buckets; /* by request, entries in a line only */
    size_t bucket_count;            /* a power of two, or 0 */
    size_t entry_count;
    size_t bytes, bytes_max;
    uint32_t line_max; /* steps of one partition */
    uint64_t dropped;  /* steps that went to keep the bounds */
};

void history_init(struct history *h, size_t bytes_max, uint32_t line_max);
void history_free(struct history *h);

/* Keeps a copy of a step; one that does not begin where the line ends clears the line first. 0 or
 * RK_NOMEM (the line is then cleared: it must have no hole). */
int history_add(struct history *h, struct history_line *line, struct version from,
                struct version at, uint64_t session, uint64_t number, struct bytes frame);

/* The step that begins at `from`, from which everything up to the line's end follows; NULL when it
 * is not kept. */
struct history_entry *history_find(const struct history_line *line, struct version from);

/* The step that a request became, or NULL. */
struct history_entry *history_find_request(const struct history *h, const struct history_line *line,
                                           uint64_t session, uint64_t number);

/* Forgets a line's steps (their memory is given back as they become the oldest). */
void history_clear(struct history *h, struct history_line *line);

#endif
