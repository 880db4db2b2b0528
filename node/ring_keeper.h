/* Edge: the ring that this node goes by. Kept in the data folder, told to the workers, and changed
 * in three ways: a RING_PUT from ringctl, a ring fetched from a member who knows a newer one, and,
 * before either, this node's part in deciding what the next one is (node/ring_slot.h).
 *
 * On the main thread, but for ring_keeper_hear.
 */
#ifndef RINGKV_NODE_RING_KEEPER_H
#define RINGKV_NODE_RING_KEEPER_H

#include "node/node.h"
#include "shared/loop.h"
#include "shared/message_ring.h"
#include "shared/ring.h"

struct ring_keeper;

/* NULL: out of memory. */
struct ring_keeper *ring_keeper_new(struct node *node, struct loop *loop);
void ring_keeper_free(struct ring_keeper *k);

/* Reads what the data folder has; once, when the workers are there. 0, or an error with a text. */
int ring_keeper_load(struct ring_keeper *k, char *why, size_t why_size);

/* The ring, until the loop's next turn; NULL: this node is in none yet. */
const struct ring *ring_keeper_ring(const struct ring_keeper *k);

/* This node was in a ring and is not in the present one. */
bool ring_keeper_is_out(const struct ring_keeper *k);

/* Goes by a ring from now on. 0, or with a text that says what is wrong: RK_EPOCH (the node is at
 * another epoch than m->expected_epoch), RK_CLUSTER, RK_MEMBER (a first ring without this node),
 * RK_INVALID (it cannot follow the present ring), RK_CORRUPT, RK_VERSION, RK_NOMEM, or, when it
 * cannot be written down, RK_NOSPACE, RK_IO. */
int ring_keeper_put(struct ring_keeper *k, const struct ring_put *m, char *why, size_t why_size);

/* Promises a ballot, if it may; out->error says. out->ring points into the keeper, until the next
 * call. */
void ring_keeper_prepare(struct ring_keeper *k, const struct ring_prepare *m,
                         struct ring_promise *out);

/* Accepts a ring under a ballot. Errors as of ring_keeper_put; RK_REFUSED: a higher ballot was
 * promised; RK_EPOCH: another epoch is to be decided here. */
int ring_keeper_accept(struct ring_keeper *k, const struct ring_accept *m, char *why,
                       size_t why_size);

/* From any thread: there is a ring of this epoch, which the member of this number has; 0: who has
 * it is not known. */
void ring_keeper_hear(struct ring_keeper *k, uint64_t epoch, uint16_t member);

/* The newest epoch that was heard of. */
uint64_t ring_keeper_heard(const struct ring_keeper *k);

#endif
