/* One partition's replica: views, operations, and how replicas are brought up.
 *
 * After Viewstamped Replication Revisited (Liskov and Cowling, 2012), with two differences: a view
 * is (number, node), so that any replica may prepare one at any time; and there is no replicated
 * log, a replica's state is the partition's records with the (view, operation) they are complete up
 * to. doc/replication.md has the rules and why they are safe.
 *
 * A partition's history is a chain of steps: a view's start (from the state that its primary
 * adopted) and its operations. A replica takes a step only when it stands exactly where the step
 * begins. One that stands elsewhere tells the primary, which sends what is missing from its
 * history, or, when that does not reach back, the whole range.
 */
#ifndef RINGKV_NODE_GROUP_H
#define RINGKV_NODE_GROUP_H

#include "node/history.h"
#include "node/peer_message.h"
#include "node/store.h"
#include "node/transfer.h"
#include "shared/limits.h"
#include "shared/message.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;

enum group_role { GROUP_BACKUP, GROUP_CANDIDATE, GROUP_PRIMARY };

enum peer_state {
    PEER_DOWN,      /* no link */
    PEER_UNKNOWN,   /* asked where it stands */
    PEER_FOLLOWING, /* gets every step as it is made */
    PEER_TRANSFER,  /* gets the whole range */
    PEER_LAGGING,   /* its link is full: gets nothing until there is room */
};

struct group_peer {
    uint16_t member;     /* number */
    uint8_t state;       /* enum peer_state */
    bool promised;       /* my view, as candidate or primary */
    bool partial;        /* with the promise: its state is of no use */
    bool acked;          /* it holds my view up to acked_op */
    struct version last; /* with the promise */
    uint64_t acked_op;
    struct transfer_out *transfer;
};

/* A reply that waits until its operation is committed. */
struct pending {
    struct pending *next;
    uint64_t op;
    uint64_t client, id;
    bool writes;
    uint32_t size;
    uint8_t frame[];
};

struct group {
    uint32_t partition;
    bool mine;    /* this node is a replica of the partition */
    uint8_t role; /* enum group_role */

    /* Durable, one state row in the store. */
    uint64_t promised;
    struct version last;
    bool partial;
    uint64_t row_position; /* the log position of the newest row */

    uint64_t view;    /* mine, as candidate or primary */
    uint64_t highest; /* number of the highest view heard of */
    uint64_t leader;  /* the view whose primary was heard from since its link is up; 0: none */
    bool gap_told;    /* the primary knows that this replica cannot follow */
    bool self_acked, started; /* primary: own copy / a majority holds the view's start */
    uint64_t self_op;         /* primary: own copy is on stable storage up to here */
    uint64_t committed;       /* primary: up to here a majority holds the view's operations */
    struct pending *pending_first, *pending_last;
    uint32_t pending_count;

    uint8_t peer_count; /* the other replicas; the group's size is one more */
    struct group_peer peers[REPLICAS_MAX - 1];
    struct history_line line;
    struct transfer_in incoming;
};

enum { GROUP_PENDING_MAX = 65536 }; /* replies waiting in one group */

/* Reads the state row; 0 or RK_CORRUPT. */
int group_load(struct shard *s, struct group *g);
void group_free(struct shard *s, struct group *g);

/* Carries out a request that was checked to belong here. */
void group_request(struct shard *s, struct group *g, uint64_t client, const struct request *m);

/* Prepares a new view, to lead it. */
void group_lead(struct shard *s, struct group *g);

void group_peer_up(struct shard *s, struct group *g, uint16_t member);
void group_peer_down(struct shard *s, struct group *g, uint16_t member);
void group_peer_room(struct shard *s, struct group *g, uint16_t member);

void group_signal(struct shard *s, struct group *g, uint16_t from, const struct signal *m);
void group_step(struct shard *s, struct group *g, uint16_t from, const struct step *m);
void group_chunk(struct shard *s, struct group *g, uint16_t from, const struct chunk *m);

/* Something of this group that was held is on stable storage now. */
void group_self_synced(struct shard *s, struct group *g, uint64_t view, struct version at);
void group_self_promised(struct shard *s, struct group *g, uint64_t view);

void group_tick(struct shard *s, struct group *g);

/* --- for transfer.c ------------------------------------------------------------------------- */

/* Writes changes and the state row in one batch. 0 or the store's error, nothing changed then. */
int group_apply(struct shard *s, struct group *g, const struct store_change *changes, size_t count,
                uint64_t *position);
struct group_peer *group_peer(struct group *g, uint16_t member);

/* Sends a signal about this group once the store has reached `position`. */
void group_signal_held(struct shard *s, struct group *g, uint16_t to, enum signal_kind kind,
                       uint64_t view, struct version last, uint64_t position);

#endif
