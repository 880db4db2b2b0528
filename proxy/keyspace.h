/* How many keys there are, for INFO keyspace: an estimate from what one node says of its own.
 *
 * Keys spread over the partitions by their hashes, so the partitions of one node stand for all. It
 * is exact (as of the node's last report) where every node has every partition; elsewhere it is
 * off by about the square root of the number, and by more where hash tags crowd a partition. DBSIZE
 * counts.
 */
#ifndef RINGKV_PROXY_KEYSPACE_H
#define RINGKV_PROXY_KEYSPACE_H

#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

struct keyspace {
    uint64_t keys;
    uint64_t expiring; /* those of them that will expire */
};

/* From the lines of a node's status, in a ring of so many partitions. False: the node has none of
 * them, or tells nonsense; *out is as it was. */
bool keyspace_estimate(struct bytes status, uint64_t partitions, struct keyspace *out);

#endif
