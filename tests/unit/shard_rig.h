/* A few nodes of one shard each around the daemons' replication code, with stores in memory and
 * links that deliver when they are told to: to look at one exchange closely. One partition, all
 * nodes its replicas, n0 the preferred primary. */
#ifndef RINGKV_TESTS_SHARD_RIG_H
#define RINGKV_TESTS_SHARD_RIG_H

#include "node/shard.h"
#include "node/store_memory.h"
#include "shared/buf.h"
#include "shared/operation.h"

enum { RIG_NODES_MAX = 3, RIG_CLIENT = 1 };

struct shard_rig;

struct rig_node {
    struct shard_rig *rig;
    struct store *store;
    struct shard *shard; /* NULL: the process is dead */
    bool stopped;        /* it stands still in the middle of a turn; what it has sent arrives */
    struct buf out[RIG_NODES_MAX];
    struct buf replies;             /* to its client */
    uint64_t sent[RIG_NODES_MAX];   /* bytes that went over the link */
    unsigned breaks[RIG_NODES_MAX]; /* how often it was to end */
};

struct shard_rig {
    int count;
    struct rig_node nodes[RIG_NODES_MAX];
    struct ring *ring;
    uint64_t now_ms;
    uint64_t requests;
    uint16_t wait_ms; /* that requests may wait in line; 0 at first */
    uint32_t history_steps;
    bool records;      /* keep what is delivered: */
    struct buf record; /* u8 from, u8 to, then the frame, one behind the other */
};

void rig_begin(struct shard_rig *r, int nodes, uint32_t history_steps);
void rig_end(struct shard_rig *r);

/* The process dies (its links with it), and comes back with what its store has. */
void rig_kill(struct shard_rig *r, int node);
void rig_start(struct shard_rig *r, int node);

/* Delivers what is under way, once (false: nothing was), or with all that comes of it. */
bool rig_deliver_once(struct shard_rig *r);
void rig_deliver(struct shard_rig *r);
/* Time passes: one tick, or until everything is at rest. */
void rig_tick(struct shard_rig *r);
void rig_settle(struct shard_rig *r);

struct shard *rig_shard(struct shard_rig *r, int node);

/* Whether a node's store has no room for writes. */
void rig_set_full(struct shard_rig *r, int node, bool full);

/* A change to so many replicas, all partitions alike: begun, in which they learn; put into a phase;
 * ended; turned back. All living nodes take each ring, and everything comes to rest. */
void rig_begin_change(struct shard_rig *r, uint8_t replicas);
void rig_use_phase(struct shard_rig *r, enum ring_phase phase);
void rig_finish_change(struct shard_rig *r);
void rig_cancel_change(struct shard_rig *r);

/* The node that leads, or -1. */
int rig_leader(const struct shard_rig *r);

/* A request at a node, and its reply once all is delivered; points into the rig until the next one.
 * The key is made from the number, so that numbers are in key order. */
struct reply rig_request(struct shard_rig *r, int node, enum operation op, uint8_t level, int key,
                         struct bytes value);
/* A request under the next number, not waited for; and how many answers have come since
 * rig_forget_replies that say OK. */
void rig_send(struct shard_rig *r, int node, enum operation op, uint8_t level, int key,
              struct bytes value, uint8_t flags);
void rig_send_set(struct shard_rig *r, int node, int key, struct bytes value);
void rig_forget_replies(struct shard_rig *r, int node);
int rig_count_ok(const struct shard_rig *r, int node);
/* The last request once more, as a proxy repeats it that cannot reach the leader. */
struct reply rig_request_again(struct shard_rig *r, int node, enum operation op, int key,
                               struct bytes value);
/* At the leader, which must say OK. */
void rig_set(struct shard_rig *r, int key, struct bytes value);
struct bytes rig_key(int number, uint8_t room[STORE_KEY_SIZE_MAX]);

/* Past all rules: writes to a node's store. */
void rig_write(struct shard_rig *r, int node, const struct store_change *change);

/* Whether all living nodes have the same records, and stand at the same version. */
void rig_check_equal(struct shard_rig *r);

#endif
