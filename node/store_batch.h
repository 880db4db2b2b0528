/* Pure: the bytes of a batch, as the log keeps them, and the bounds that every batch must keep.
 *
 *   partition u32, changes u32, state size u16, reserved u16 (0), state, then each change:
 *   kind u8 (0 put, 1 forget, 2 put of a tombstone), reserved u8 (0), key size u16, value size u32,
 *   for puts view u64, operation u64, expiry i64; then key and value.
 */
#ifndef RINGKV_NODE_STORE_BATCH_H
#define RINGKV_NODE_STORE_BATCH_H

#include "node/store.h"
#include "shared/bytes.h"

/* 0 when the batch may be applied: RK_INVALID (no key, or a kind or partition that cannot be),
 * RK_TOOBIG.
 */
int store_batch_check(const struct store_batch *batch);

/* How many bytes store_batch_write writes. */
size_t store_batch_size(const struct store_batch *batch);

/* Writes a checked batch. */
void store_batch_write(const struct store_batch *batch, uint8_t *to);

/* Reads a batch; it points into `from` and into `changes`. 0 or RK_CORRUPT. */
int store_batch_read(struct bytes from, struct store_change changes[STORE_CHANGES_MAX],
                     struct store_batch *out);

#endif
