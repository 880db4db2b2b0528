/* What a replica proves of a read: half of a majority read (doc/replication.md, "Reads").
 *
 *   0  u64  the view of its state
 *   8  u64  an operation of that view: of who gives the value, the newest that its state has; of
 * who gives versions alone, the one that PROOF_UNCHANGED is about, or 0 16       for each key: the
 * version of its record (u64 view, u64 operation; 0, 0 when there is no trace of it). Of who gives
 * versions alone it may be PROOF_UNCHANGED, 0 instead: in its state the key has not changed since
 * that operation.
 *
 * Numbers are little-endian.
 */
#ifndef RINGKV_SHARED_PROOF_H
#define RINGKV_SHARED_PROOF_H

#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

/* In place of a version's view. */
#define PROOF_UNCHANGED UINT64_MAX

void proof_put_head(uint8_t head[16], uint64_t view, uint64_t op);
void proof_put_version(uint8_t version[16], uint64_t view, uint64_t op);

/* Whether both are proofs of as many keys in states of one view, and the value's state has all that
 * led to what is unchanged in the other one. */
bool proof_same_state(struct bytes of_value, struct bytes of_versions);

/* Whether a replica that stands at that operation of that view has the same record of every key as
 * who gave the value: its state has come as far, and has changed none of them since. */
bool proof_is_within(struct bytes of_value, uint64_t view, uint64_t op);

/* Whether then who gave versions has the same record of every key as who gave the value. */
bool proof_same_records(struct bytes of_value, struct bytes of_versions);

#endif
