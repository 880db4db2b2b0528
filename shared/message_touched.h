/* The messages by which a proxy learns, once a turn for all partitions of a shard, in which of them
 * the replica's state is still what it was: one for many reads (doc/replication.md, "Reads").
 *
 * A shard counts its touches: each time when the state of one of its replicas becomes another one.
 */
#ifndef RINGKV_SHARED_MESSAGE_TOUCHED_H
#define RINGKV_SHARED_MESSAGE_TOUCHED_H

#include "shared/message.h"

/* Partitions that one answer names; beyond it, it says that any may have been touched. */
enum { TOUCHED_MAX = 1024 };

/* proxy → shard: which partitions were touched behind that count? */
struct touched_get {
    uint64_t tag; /* comes back; answers come in the order of the questions */
    uint64_t since;
};

struct touched {
    uint64_t tag;
    uint64_t touches;        /* the count now */
    bool any;                /* it is not known which: it may be any of them */
    uint32_t count;          /* else: those that are named, some more than once */
    struct bytes partitions; /* u32 each: touched_partition */
};

int message_put_touched_get(struct buf *out, const struct touched_get *m);
int message_put_touched(struct buf *out, const struct touched *m);

/* 0 or RK_CORRUPT. */
int message_get_touched_get(struct bytes body, struct touched_get *m);
int message_get_touched(struct bytes body, struct touched *m);

/* The partition of that index, which the decoder has checked to be below PARTITIONS_MAX. */
uint32_t touched_partition(const struct touched *m, uint32_t index);

#endif
