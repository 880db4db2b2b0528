/* A router with a ring of three or five members with two shards each, its lanes as plain buffers,
 * and one client: what the tests of the proxy's routing share.
 *
 * The nodes behind the lanes know who leads a partition. A request to the primary that is addressed
 * to another view, or to a node that does not lead, they refuse by themselves, as nodes do, unless
 * a test takes requests as they come (rig_raw). Everything else a test answers.
 */
#ifndef RINGKV_TESTS_UNIT_ROUTER_RIG_H
#define RINGKV_TESTS_UNIT_ROUTER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/router.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/message_touched.h"
#include "shared/ring.h"
#include <cmocka.h>
#include <stdlib.h>

enum {
    RIG_MEMBERS_MAX = 5,
    RIG_SHARDS = 2,
    RIG_LANES = RIG_MEMBERS_MAX * RIG_SHARDS, /* lane = member * RIG_SHARDS + shard */
    RIG_BITS = 4,
    RIG_FIRST_NUMBER = 11, /* of the first member; an index is not taken for a number */
    RIG_VIEW_NUMBER = 3,   /* of every partition's view */
    RIG_OP = 20,           /* the newest operation that every primary has */
    RIG_TIMEOUT_MS = 2000,
    RIG_NODE_TIMEOUT_MS = 300,
    RIG_OUTPUT_MAX = 1 << 20,
    RIG_PROOF_KEYS_MAX = 8,
};

struct rig {
    struct router router;
    struct counters counters;
    struct ring *ring;
    uint8_t replicas;
    uint16_t members;
    uint64_t views[1 << RIG_BITS]; /* of each partition, what the nodes know */
    struct lane lanes[RIG_LANES];
    struct buf lane_out[RIG_LANES];
    size_t lane_read[RIG_LANES];    /* how far rig_raw got */
    unsigned lane_pings[RIG_LANES]; /* seen on the way; and: */
    unsigned lane_questions[RIG_LANES];
    struct touched_get lane_question[RIG_LANES]; /* the last one */
    struct session session;
    bool left; /* the client is gone */
    struct buf out;
};

/* The two legs of a majority read of three replicas. */
struct rig_read {
    struct request value, version;
    unsigned value_lane, version_lane;
};

/* Proofs that replicas gave; see shared/message.h. */
struct rig_proof {
    uint8_t data[PROOF_HEAD_SIZE + PROOF_VERSION_SIZE * RIG_PROOF_KEYS_MAX];
    size_t size;
};

/* All lanes up. With one or three replicas on three members, or five on five. */
void rig_start(struct rig *r, uint8_t replicas);

/* Frees everything; checks that no command is left unanswered unless the client has left. */
void rig_finish(struct rig *r);

/* The client goes. */
void rig_leave(struct rig *r);

/* A ring like the rig's with another epoch, taken over by the router. */
void rig_next_ring(struct rig *r, uint64_t epoch);

/* Another ring, which is the rig's from now on. Its members' numbers begin as the rig's do, and
 * tell their lanes. */
void rig_use_ring(struct rig *r, struct ring *ring);

/* The router has heard of every partition's view and newest operation. */
void rig_know_views(struct rig *r);

/* Lets time pass; what router_tick returned. */
uint64_t rig_after(struct rig *r, uint64_t ms);

/* Runs a command of words, separated by single spaces. */
void rig_run(struct rig *r, const char *words);

/* Likewise, with a key in place of "%s". */
void rig_run_key(struct rig *r, const char *format, const char *key);

/* A key "kN" whose partition lies in shard 0 or 1 of the member that leads it: which, `lane` tells.
 */
void rig_key(struct rig *r, unsigned lane, char key[16]);

/* The view with a number that a lane's member leads. */
uint64_t rig_view(unsigned lane, uint64_t number);

/* The lane of a key's `nth` replica; 0 is the one that leads. */
unsigned rig_replica(struct rig *r, const char *key, unsigned nth);

/* The next request that was sent on a lane, as it is; false: there is none. */
bool rig_raw(struct rig *r, unsigned lane, struct request *m);

/* The next one that its node does not refuse for its view. */
bool rig_request(struct rig *r, unsigned lane, struct request *m);

/* Likewise, on whichever lane has one. */
bool rig_any_request(struct rig *r, struct request *m, unsigned *lane);

/* The oldest majority read; it must be on its way. */
void rig_read(struct rig *r, struct rig_read *read);

/* The turn ends: questions about where replicas stand are put. */
void rig_turn(struct rig *r);

/* Answers the last question on a lane: with one partition that was touched, none (UINT32_MAX), or
 * any of them (UINT32_MAX - 1). */
void rig_touched(struct rig *r, unsigned lane, uint64_t touches, uint32_t partition);

/* A majority read's leg for the proof is answered with where the replica stands. */
void rig_version_at(struct rig *r, const struct rig_read *read, const struct rig_proof *proof,
                    uint64_t op, uint64_t touches);

/* Nothing was sent that was not taken. */
void rig_nothing_sent(struct rig *r);

/* Gives the router a reply; it must be taken. */
void rig_reply(struct rig *r, unsigned lane, const struct reply *m);
void rig_ok(struct rig *r, unsigned lane, uint64_t id);
void rig_bulk(struct rig *r, unsigned lane, uint64_t id, const char *value);
void rig_integer(struct rig *r, unsigned lane, uint64_t id, int64_t value);
void rig_refuse(struct rig *r, unsigned lane, uint64_t id, enum refusal why);
void rig_refuse_view(struct rig *r, unsigned lane, uint64_t id, enum refusal why, uint64_t view,
                     uint64_t op);

/* A proof of a state of a view, all keys of which have one version. */
struct rig_proof rig_proof(uint64_t view, uint64_t op, unsigned keys);

/* The answers of a majority read's legs. */
void rig_value(struct rig *r, const struct rig_read *read, const char *value,
               const struct rig_proof *proof);
void rig_version(struct rig *r, const struct rig_read *read, const struct rig_proof *proof);

/* Both, with equal proofs. */
void rig_agree(struct rig *r, const struct rig_read *read, const char *value);

/* A node says that a request waits there. */
void rig_waits(struct rig *r, unsigned lane, uint64_t id);

/* A node gives a sign of life that is no answer. */
void rig_heard(struct rig *r, unsigned lane);

/* A lane is lost, with everything in it, and up again. */
void rig_lane_lost(struct rig *r, unsigned lane);
void rig_lane_up(struct rig *r, unsigned lane);

/* What the client was sent must be this; it is taken away. */
void rig_expect(struct rig *r, const char *text);

/* The reply so far begins with this. It is taken away. */
void rig_expect_prefix(struct rig *r, const char *prefix);

#endif
