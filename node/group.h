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
 *
 * Who is a replica, and who has a vote, the ring says; it may change under way (group_set_ring).
 * Learners get everything and acknowledge it, and count for nothing.
 */
#ifndef RINGKV_NODE_GROUP_H
#define RINGKV_NODE_GROUP_H

#include "node/history.h"
#include "node/peer_message.h"
#include "node/store.h"
#include "node/transfer.h"
#include "node/vote.h"
#include "shared/limits.h"
#include "shared/message.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;

/* Two sets of replicas while they change, this node in at least one of them. */
enum { GROUP_PEERS_MAX = 2 * REPLICAS_MAX - 1 };

enum group_role { GROUP_BACKUP, GROUP_CANDIDATE, GROUP_PRIMARY };

enum peer_state {
    PEER_DOWN,      /* no link */
    PEER_UNKNOWN,   /* asked where it stands */
    PEER_FOLLOWING, /* gets every step as it is made */
    PEER_WAITING,   /* for its turn to be compared and brought up by a transfer */
    PEER_TRANSFER,  /* is brought up by one */
    PEER_LAGGING,   /* its link is full: gets nothing until there is room */
};

struct group_peer {
    uint16_t member; /* number */
    uint8_t state;   /* enum peer_state */
    uint8_t votes;   /* node/vote.h; 0: a learner */
    bool current;    /* it has followed my view under the group's epoch */
    bool located;    /* it has said where it stands, in answer to my view and under that epoch */
    bool promised;   /* my view, as candidate or primary */
    bool partial;    /* its state is of no use */
    bool no_past;    /* it remembers nothing, it said with its promise */
    bool acked;      /* it holds my view up to acked_op, it said under that epoch */
    struct version last; /* where it said that it stands, with its promise or later */
    uint64_t acked_op;
    uint64_t source_op; /* PEER_WAITING: what this node must have itself before it gives it away */
    uint64_t confirmed; /* the newest round in which it said that my view is the highest it knows */
    uint64_t asked_ms;  /* when it was last asked for a promise or where it stands */
    uint64_t since_ms;  /* when it began to follow */
    uint64_t down_ms;   /* since when, of the shard's ran_ms, there is no link */
    uint64_t over;      /* the views of its own below this one are, it said while its link is up */
    struct transfer_out *transfer;
};

/* A reply that waits until its operation is committed and its round confirmed. */
struct pending {
    struct pending *next;
    uint64_t op, round;
    uint64_t client, id;
    bool writes;
    uint32_t size;
    uint8_t frame[];
};

struct group {
    uint32_t partition;
    bool mine;           /* this node is a replica of the partition, or learns to be one */
    uint8_t role;        /* enum group_role */
    uint8_t votes;       /* this node's own */
    struct tally voters; /* with this node */
    uint64_t epoch;      /* in which the voters changed last: what is said about the group has it */

    /* Durable, one state row in the store. */
    uint64_t promised;
    struct version last;
    bool partial;
    uint64_t row_position;      /* the log position of the newest row */
    uint64_t promised_position; /* of the row since which `promised` is what it is */
    uint64_t view_position;     /* likewise, last.view and partial */

    /* A state that this replica has had, and the position of its row: what was not written behind
     * it has not changed since. */
    struct version since;
    uint64_t since_position;

    uint64_t view;        /* mine, as candidate or primary */
    uint64_t highest;     /* number of the highest view heard of */
    uint64_t leader;      /* the view whose primary was heard from since its link is up; 0: none */
    uint64_t unled;       /* the highest view above these that a request was bound to, and since */
    uint64_t unled_ms;    /* when: nobody may lead it */
    uint64_t since_ms;    /* when the role began */
    uint64_t promised_ms; /* when another node was last promised a view; 0: not yet */
    bool gap_told;        /* the primary knows that this replica cannot follow */
    bool write_failed; /* what the primary sent could not be written: it is told with the next tick
                        */
    uint8_t damaged_tells; /* a record here cannot be read: so often the primary is still asked */
    uint64_t damaged_ms;   /* when it was last */
    bool self_promised;    /* candidate: the own promise is on stable storage */

    /* Primary. */
    bool self_acked, started; /* own copy / a majority holds the view's start */
    uint64_t epoch_op;        /* the newest operation when the group's epoch came */
    uint64_t self_op;         /* own copy is on stable storage up to here */
    struct version forgotten; /* since then no key has gone without a trace */
    uint64_t committed;       /* up to here a majority holds the view's operations */
    uint64_t expiry_op;       /* the newest one that took expired records away */
    uint64_t round;           /* of confirmations, the newest asked for */
    uint64_t round_turn;      /* the turn in which it was */
    uint64_t
        handing_ms; /* since when no writes are taken, to hand the partition back; 0: they are */
    bool handed;    /* and the preferred primary was asked to lead */
    uint64_t hand_not_before_ms; /* it has not come to it: not at once again */
    uint64_t abstained_ms;       /* when another one was last asked to lead without this node */
    struct pending *pending_first, *pending_last;
    uint32_t pending_count, pending_writes;
    size_t pending_bytes; /* of those replies */
    uint32_t in_line;     /* requests that wait in the shard's line */

    uint8_t peer_count; /* the other replicas and learners */
    struct group_peer peers[GROUP_PEERS_MAX];
    struct history_line line;
    struct transfer_in incoming;
};

enum {
    GROUP_PENDING_MAX = 65536,      /* replies waiting in one group, */
    GROUP_PENDING_BYTES = 64 << 20, /* and their bytes; the last may go beyond it */
    GROUP_DAMAGED_MS = 1000,        /* between requests to repair */
    GROUP_DAMAGED_TELLS = 3,        /* then it has to be found again */
    GROUP_ASK_MS = 100,             /* between questions that were not answered */
    GROUP_SWEEP_RECORDS = 512,      /* looked at for tombstones in one step of the sweep */
    GROUP_DROP_RECORDS = 1024,      /* taken away in one step where a partition has left */
    GROUP_MISSED_PARTS = 5, /* times hand_back_ms: then a dead member is not waited for any more */
};

/* Whether a state row, as store_state gives it, is that of a replica half-way through a transfer.
 */
bool group_row_is_partial(struct bytes row);
/* Reads the state row; 0 or RK_CORRUPT. */
int group_load(struct shard *s, struct group *g);
void group_free(struct shard *s, struct group *g);

/* Takes the group's place in the shard's ring, at first or after another one. */
void group_set_ring(struct shard *s, struct group *g);

/* How far a change of the ring is with a partition that is led here: every learner follows, but for
 * those that are not waited for; of its two sets the target can be left alone. */
bool group_has_taught(const struct shard *s, const struct group *g);
bool group_is_ready(const struct shard *s, const struct group *g);

/* Takes some of the records away that are left of a partition that is not this node's any more: at
 * most GROUP_DROP_RECORDS, fewer while there are requests. Returns whether there were any. */
bool group_drop(struct shard *s, struct group *g);

/* Carries out a request that was checked to belong here: 0, it is answered or will be. RK_FULL: it
 * has to wait for room, or behind others that do; nothing happened. */
int group_request(struct shard *s, struct group *g, uint64_t client, const struct request *m);

/* Prepares a new view, to lead it. */
void group_lead(struct shard *s, struct group *g);

/* The link to a member came up, went down, or has room again. */
void group_peer_up(struct shard *s, struct group *g, uint16_t member);
void group_peer_down(struct shard *s, struct group *g, uint16_t member);
void group_peer_room(struct shard *s, struct group *g, uint16_t member);

/* Takes a signal of a member, said under the group's epoch. */
void group_signal(struct shard *s, struct group *g, uint16_t from, const struct signal *m);
/* `frame`: the message as it came, to be kept. 0, or RK_FULL: the store has no room for it at this
 * moment; nothing happened, and it has to come again before what was said behind it. */
int group_step(struct shard *s, struct group *g, uint16_t from, const struct step *m,
               struct bytes frame);
/* A step that is kept and not applied (MESSAGE_PAST). */
void group_past(struct shard *s, struct group *g, uint16_t from, const struct step *m,
                struct bytes frame);
/* 0 or RK_FULL, likewise. */
int group_chunk(struct shard *s, struct group *g, uint16_t from, const struct chunk *m);
/* A step or chunk was lost here: its primary is told, with a tick. */
void group_not_written(struct group *g);

/* Tells clients whose replies wait for replicas that live that they are not forgotten. */
void group_tell_pending(struct shard *s, struct group *g);

/* Something of this group that was held is on stable storage now. */
void group_self_synced(struct shard *s, struct group *g, uint64_t view, struct version at);
void group_self_promised(struct shard *s, struct group *g, uint64_t view);

/* Leads what should be led here, gives back what should be led elsewhere. Returns whether a view
 * changed hands, so that the caller does not do all partitions at once. */
bool group_tick(struct shard *s, struct group *g);

/* Looks at some records behind `cursor` (a store key of this partition, or size 0) for tombstones
 * that every replica holds, and forgets them in one operation. Returns true when the partition's
 * end was reached. */
bool group_sweep(struct shard *s, struct group *g, uint8_t cursor[STORE_KEY_SIZE_MAX],
                 size_t *cursor_size);

#endif
