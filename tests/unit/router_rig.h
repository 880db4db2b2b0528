/* A router with a ring of two members with two shards each, its lanes as plain buffers, and one
 * client: what the tests of the proxy's routing share. */
#ifndef RINGKV_TESTS_UNIT_ROUTER_RIG_H
#define RINGKV_TESTS_UNIT_ROUTER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/router.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/ring.h"
#include <cmocka.h>
#include <stdlib.h>

enum { RIG_LANES = 4, RIG_BITS = 4, RIG_TIMEOUT_MS = 2000, RIG_OUTPUT_MAX = 1 << 20 };

struct rig {
    struct router router;
    struct counters counters;
    struct ring *ring;
    struct lane lanes[RIG_LANES];
    struct buf lane_out[RIG_LANES];
    size_t lane_read[RIG_LANES]; /* how far rig_request got */
    struct session session;
    struct buf out;
};

/* All lanes up. */
void rig_start(struct rig *r);

/* Frees everything; checks that no command is left unanswered unless the client has left. */
void rig_finish(struct rig *r);

/* A ring like the rig's with another epoch, taken over by the router. */
void rig_next_ring(struct rig *r, uint64_t epoch);

/* Runs a command of words, separated by single spaces. */
void rig_run(struct rig *r, const char *words);

/* A key "kN" whose partition lies in shard 0 or 1 of member 0 or 1. */
void rig_key(struct rig *r, unsigned lane, char key[16]);

/* The next request that was sent on a lane; false: there is none. */
bool rig_request(struct rig *r, unsigned lane, struct request *m);

/* Likewise, on whichever lane has one. */
bool rig_any_request(struct rig *r, struct request *m, unsigned *lane);

/* Gives the router a reply; it must be taken. */
void rig_reply(struct rig *r, unsigned lane, const struct reply *m);
void rig_bulk(struct rig *r, unsigned lane, uint64_t id, const char *value);
void rig_integer(struct rig *r, unsigned lane, uint64_t id, int64_t value);
void rig_refuse(struct rig *r, unsigned lane, uint64_t id, enum refusal why);

/* What the client was sent must be this; it is taken away. */
void rig_expect(struct rig *r, const char *text);

/* The reply so far begins with this. It is taken away. */
void rig_expect_prefix(struct rig *r, const char *prefix);

#endif
