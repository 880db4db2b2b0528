/* Connections from ringctl to many nodes at once.
 *
 * A round: ask as many nodes as there are, each one thing, then wait for all of them. A node that
 * is dead, or hangs, costs the timeout once: from then on it is still asked, but no round waits for
 * it, until it has answered again. Connections stay open between rounds.
 */
#ifndef RINGKV_TOOLS_FLEET_H
#define RINGKV_TOOLS_FLEET_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/message.h"
#include "shared/ring.h"
#include "shared/secret.h"
#include <stdint.h>

enum { FLEET_WHY_SIZE = 512 };

struct fleet;

/* `secret` is the cluster's, and outlives the fleet. NULL: out of memory. */
struct fleet *fleet_new(int timeout_ms, const struct secret *secret);
void fleet_free(struct fleet *f);
uint32_t fleet_count(const struct fleet *f);

/* The node at an address, added if it is not there yet. `identity`: who has to answer there; NULL:
 * whoever does. Two identities at one address are two nodes. RK_NOMEM, or its number. */
int fleet_add(struct fleet *f, const char *host, uint16_t port, const uint8_t *identity);

/* Every member of a ring; numbers[i] is that of ring->members[i]. 0 or RK_NOMEM. */
int fleet_add_ring(struct fleet *f, const struct ring *ring, uint32_t numbers[MEMBERS_MAX]);

/* Likewise one shard of a member, which takes requests on keys: the answers are MESSAGE_REPLY, and
 * their request's id is the tag. `cluster`: that of its ring. */
int fleet_add_shard(struct fleet *f, const struct ring_member *m, const uint8_t *cluster,
                    uint16_t shard);

/* The tag to encode into the next request: the answer has to carry it. */
uint64_t fleet_tag(struct fleet *f);

/* Asks a node in this round. `request` is a whole frame, of which a copy is taken; `type` is what
 * answers it. A node that still owes an answer is asked nothing new, and has none in this round:
 * what it may still say was asked before. */
void fleet_ask(struct fleet *f, uint32_t node, uint8_t type, uint64_t tag, struct bytes request);

/* Only connects and shakes hands: fleet_welcome tells who is there. */
void fleet_greet(struct fleet *f, uint32_t node);

/* Ends the round: waits until everybody asked has answered, failed, or had the timeout. */
void fleet_wait(struct fleet *f);

/* What became of the last thing asked: 0, with the answer's body, which stays valid until the node
 * is asked again; or an error (RK_TIMEOUT, RK_IO, RK_REFUSED, RK_PROTOCOL, RK_VERSION...), with
 * what a person should know in `why`, naming the address. */
int fleet_answer(const struct fleet *f, uint32_t node, struct bytes *body);
const char *fleet_why(const struct fleet *f, uint32_t node);

/* Between which times (of fleet_now_ms) the last answer was made. */
void fleet_when(const struct fleet *f, uint32_t node, int64_t *asked_ms, int64_t *answered_ms);

/* The node's handshake; NULL when it has not been greeted. */
const struct welcome *fleet_welcome(const struct fleet *f, uint32_t node);
const char *fleet_address(const struct fleet *f, uint32_t node);

/* Milliseconds of a clock that only goes forward. */
int64_t fleet_now_ms(void);

#endif
