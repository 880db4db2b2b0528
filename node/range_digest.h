/* A digest of records, to compare two replicas' ranges without sending them.
 *
 * 128 bits in two lanes that share nothing but their input. Each takes a word at a time and folds
 * the 128-bit product with a constant of its own, as wyhash and its relatives do, so it runs at
 * some gigabytes a second. It stands against chance (two different ranges in 2^128), not against
 * somebody who looks for two values with the same digest: records are told apart by their versions
 * too, and those nobody chooses.
 */
#ifndef RINGKV_NODE_RANGE_DIGEST_H
#define RINGKV_NODE_RANGE_DIGEST_H

#include "node/store.h"
#include <stdbool.h>
#include <stdint.h>

/* Zero: of no records. */
struct range_digest {
    uint64_t lanes[2];
    uint32_t count; /* records */
};

/* Adds a record with all that it has: key, version, tombstone, expiry, value. The order counts. */
void range_digest_add(struct range_digest *d, struct bytes key, const struct store_record *record);

bool range_digest_equal(const struct range_digest *a, const struct range_digest *b);

#endif
