/* Pure: the bytes of a record and of a state row in the tree.
 *
 *   CRC-32C u32 of the key and all that follows, flags u8, view u64, operation u64,
 *   expiry i64 only if there is one, then the user's value
 *
 * A state row is the CRC-32C u32 of its key (the partition, 4 bytes big-endian) and the state, then
 * the state.
 */
#ifndef RINGKV_NODE_TREE_RECORD_H
#define RINGKV_NODE_TREE_RECORD_H

#include "node/store.h"
#include "shared/limits.h"

/* A record is no larger. */
enum { TREE_RECORD_HEAD_MAX = 29, TREE_RECORD_SIZE_MAX = TREE_RECORD_HEAD_MAX + VALUE_SIZE_MAX };

/* The part before the value. */
size_t tree_record_head_size(int64_t expire_ms);

/* Writes a record of tree_record_head_size() + value size bytes. */
void tree_record_write(struct bytes key, const struct store_record *record, uint8_t *to);

/* 0, or RK_CORRUPT with whatever could be read in *out. */
int tree_record_read(struct bytes key, struct bytes from, struct store_record *out);

/* The same without looking at the checksum, for what is about to be replaced: false if it is too
 * short. */
bool tree_record_peek(struct bytes from, struct store_record *out);

enum { TREE_STATE_KEY_SIZE = 4, TREE_STATE_SIZE_MAX = 4 + STORE_STATE_MAX };

void tree_state_key(uint32_t partition, uint8_t key[TREE_STATE_KEY_SIZE]);

/* Returns the size of the row. */
size_t tree_state_write(uint32_t partition, struct bytes state, uint8_t to[TREE_STATE_SIZE_MAX]);

/* 0 or RK_CORRUPT. */
int tree_state_read(uint32_t partition, struct bytes from, struct bytes *out);

#endif
