/* One shard of a node: its partitions' groups and what they share.
 *
 * Pure: messages come in as function calls, go out into buffers that the host gives, time is passed
 * in, the store is the interface of node/store.h. The daemon's worker thread (node/worker.c) and
 * the simulator drive the same code.
 *
 * The order of effects is a contract: a message that tells of something written is not put out
 * before the store has it on stable storage. It waits in the held queue (node/held.h) for its log
 * position.
 */
#ifndef RINGKV_NODE_SHARD_H
#define RINGKV_NODE_SHARD_H

#include "node/copy_pace.h"
#include "node/execute.h"
#include "node/expiry_sweep.h"
#include "node/group.h"
#include "node/held.h"
#include "node/history.h"
#include "node/line.h"
#include "node/peer_message.h"
#include "node/store.h"
#include "node/verify.h"
#include "shared/message_touched.h"
#include "shared/ring.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    RELAYS_MAX = 4096, /* requests passed on and not answered yet; an older one is forgotten */
    VIEWS_PER_TICK =
        32, /* partitions that change hands in one tick, so that requests get through between */
    WAITING_MAX = 8 << 20, /* bytes that wait on one link until the store has room for them */
};

/* A client that is another replica, which relays: this bit, the number of the link that the request
 * came on (31 bits), the partition, the member's number. */
#define SHARD_CLIENT_RELAY (UINT64_C(1) << 63)

struct shard_host {
    /* Where frames for a client connection (a proxy) go; NULL when it is gone. */
    struct buf *(*client_out)(void *arg, uint64_t client);
    /* Where frames for the replica of this partition on another member go; NULL when there is no
     * link. */
    struct buf *(*peer_out)(void *arg, uint16_t member, uint32_t partition);
    /* False while so much is queued for the member that no more steps should be sent. */
    bool (*peer_has_room)(void *arg, uint16_t member, uint32_t partition);
    /* Whether something was heard from the member within node_timeout. */
    bool (*peer_alive)(void *arg, uint16_t member, uint32_t partition);
    /* What was to go to that replica found no memory: its link is to end, so that both sides begin
     * anew instead of one waiting for what the other holds for said. Until it has ended peer_out
     * may be NULL; shard_peer_down is not called from within. */
    void (*peer_break)(void *arg, uint16_t member, uint32_t partition);
    /* Somebody knows a newer ring than this shard: that member, or (0) a proxy. */
    void (*newer_epoch)(void *arg, uint64_t epoch, uint16_t member);
    void *arg;
};

struct shard_options {
    uint16_t index, count;  /* this shard, and how many the node has */
    uint32_t value_max;     /* bytes */
    size_t history_bytes;   /* recent steps kept over all partitions */
    uint32_t history_steps; /* and for one */
    size_t held_max;        /* bytes of messages that wait for stable storage; beyond it requests
                               wait in line */
    uint64_t candidate_ms;  /* a candidate that does not lead by then gives up */
    uint64_t hand_back_ms;  /* how long the preferred primary keeps up before it leads again */
    uint32_t chunk_records; /* of a transfer's chunk, at most; 0: CHUNK_RECORDS */
    uint32_t tick_ms;       /* how often shard_tick is called; 0: not known */
    uint64_t transfer_rate; /* bytes a second, at most, of the copies that are sent; 0: no bound */
#ifdef RINGKV_MUTANTS
    uint64_t mutants; /* node/mutant.h */
#endif
};

struct shard_counters {
    uint64_t reads, writes, refused_epoch, refused_elsewhere, refused_noquorum, refused_nospace,
        refused_busy, refused_malformed, damaged, uncertain, forgotten, answered_again, relayed;
    uint64_t steps_sent, steps_applied, gaps, transfers, chunks_sent, chunks_taken, ranges_differ,
        chunks_again, records_differ, records_repaired, view_changes, bad_messages,
        tombstones_swept, records_dropped, expired;
    uint64_t steps_waited, steps_dropped;                 /* steps and chunks: shard_waiting.c */
    uint64_t requests_waited, waited_too_long, line_full; /* requests: shard_line.c */
    uint64_t records_copied, bytes_copied;                /* to learners */
    uint64_t touched_told;                                /* shard_touched.c */
};

struct shard {
    struct shard_options options;
    struct shard_host host;
    struct store *store;
    const struct ring *ring; /* NULL before there is one */
    uint16_t me;             /* this node's member number */
    int64_t wall_ms;         /* Unix time, for expiry only */
    uint64_t now_ms;         /* monotonic */
    uint64_t ran_ms;         /* likewise, but the process' own: it goes on little while that stands
                                still, and cannot hear the others */
    uint64_t turn;           /* counts them, and the moments within them when signals leave */
    uint64_t synced;         /* the store's position up to which all is on stable storage */
    struct group *groups;    /* of the ring's partitions p with p % count == index, at p / count */
    uint32_t group_count;
    struct held held;
    struct history history;
    uint64_t touches;              /* shard_touched.c; from 1 on */
    uint32_t touched[TOUCHED_MAX]; /* the partition of each of the last ones, at its number modulo
                                      that */
    struct effect effect;          /* scratch of the write being executed */
    struct buf scratch, proof;
    struct relay *relays; /* RELAYS_MAX, by id */
    uint64_t next_relay;
    uint32_t last_link;   /* links are numbered, so that no reply reaches a member's next process */
    uint32_t tick_group;  /* where the next tick begins, so that all partitions get their turn */
    uint32_t drop_group;  /* before it nothing is left of partitions that are not this node's */
    uint32_t sweep_group; /* where the sweep for tombstones is */
    uint8_t sweep_cursor[STORE_KEY_SIZE_MAX];
    size_t sweep_cursor_size;
    struct expiry_sweep expiry;
    uint64_t next_transfer;
    struct copy_pace pace;
    uint64_t asked;                 /* requests up to the last tick */
    struct transfer_out *transfers; /* those that run */
    struct verify verify;
    struct buf transfer_answers; /* held back while the store is slowed down */
    bool transfer_may_begin;     /* one that waits */
    bool some_wait;              /* an outbox may have something waiting */
    struct line line;            /* requests that wait for room, */
    uint64_t told_ms;            /* when clients were told last that their requests wait */
    bool serving;                /* and it is the turn of one of them */
    struct outbox {              /* the signals of this turn to one shard of a member */
        struct outbox *next_open;
        struct buf frame;
        size_t count;
        uint32_t partition; /* any of those on that link */
        uint32_t link;      /* number of the link that is up, or was last */
        struct buf waiting; /* frames that came on it, until the store has room for them */
        uint16_t member;
        bool up;
        uint64_t acked_ms; /* when that shard acknowledged something last */
    } * outboxes, *outboxes_open;
    uint32_t *outbox_base; /* per member index: its first outbox */
    size_t outbox_count;
    struct shard_counters counters;
};

/* NULL: out of memory. The store stays the caller's. */
struct shard *shard_new(const struct shard_options *options, const struct shard_host *host,
                        struct store *store);
void shard_free(struct shard *s);

/* Takes a ring (kept by the caller until the next one was taken) and this node's number in it; 0:
 * it has no place there any more. Before the first one shard_tick has told the time, since which
 * the others are away then; and with it the partitions' states are read from the store. A later one
 * must be of the same cluster, with as many partitions; what does not change, goes on as it was:
 * links, roles, requests under way. 0, RK_NOMEM (nothing was changed), RK_CORRUPT (a state row
 * cannot be read). */
int shard_set_ring(struct shard *s, const struct ring *ring, uint16_t me);

/* Says that these requests, at most STORE_EXPECTED_MAX, come next: what they need first comes from
 * memory now, for all of them at the same time. */
void shard_expect(const struct shard *s, const struct request *const *m, size_t count);

/* A request from a proxy. Its answer goes to client_out(client), now or later. */
void shard_request(struct shard *s, uint64_t client, const struct request *m);

/* A proxy asks which partitions were touched. 0; RK_CORRUPT: since a time to come; RK_NOMEM. */
int shard_tell_touched(struct shard *s, uint64_t client, const struct touched_get *m);

/* The links to the other members: up (the handshake is done), down, and what arrives. A partition's
 * messages travel on one link, in order. shard_peer_message takes a body as frame_read gave it (its
 * header stands before it): 0, or RK_CORRUPT: close that link. */
void shard_peer_up(struct shard *s, uint16_t member, uint16_t shard_of_peer, uint16_t peer_shards);
void shard_peer_down(struct shard *s, uint16_t member, uint16_t shard_of_peer,
                     uint16_t peer_shards);
void shard_peer_room(struct shard *s, uint16_t member, uint16_t shard_of_peer,
                     uint16_t peer_shards);
int shard_peer_message(struct shard *s, uint16_t member, uint8_t type, struct bytes body);

/* The store's synced position has moved: lets go what waited for it. */
void shard_synced(struct shard *s, uint64_t position);

/* The clocks, and all that goes on by itself; to be called about every 25 ms (options.tick_ms), or
 * twice as often. s->wall_ms has to be set besides before the requests of a turn. */
void shard_tick(struct shard *s, uint64_t now_ms, int64_t wall_ms);

/* Whether there may be more expired records than a tick takes away. */
bool shard_is_sweeping(const struct shard *s);

/* Takes the steps and requests that wait for the store, in turns and as far as it has room; a
 * bounded part of them, so that the loop goes on. Returns whether any was taken: then there is
 * something to submit, and there may be more to take in the next turn. With every tick; and at once
 * after store_submit, which may have made room, so that they come before newer writes. */
bool shard_take_waiting(struct shard *s);

/* Puts out the signals that gathered; at the end of every turn. */
void shard_turn_end(struct shard *s);

/* How many groups are in which state; for status. */
struct shard_summary {
    uint32_t primary, backup, behind, transfer, idle, learning;
};
void shard_summary(const struct shard *s, struct shard_summary *out);

/* Appends an entry (message_add_progress) for each partition that is led here and whose replicas
 * are changing; none when the ring is not. 0 or RK_NOMEM. */
int shard_progress(const struct shard *s, uint32_t *count, struct buf *entries);

/* --- for the groups ------------------------------------------------------------------------- */

/* The group of a partition of this shard, or NULL. */
struct group *shard_group(const struct shard *s, uint32_t partition);

/* Whether the link is up that messages about a partition travel on to a member. */
bool shard_has_link(const struct shard *s, uint16_t member, uint32_t partition);

/* Whether something that came on that link waits until the store has room for it. */
bool shard_waits(const struct shard *s, uint16_t member, uint32_t partition);

/* Whether a request for room has to go behind others: a write behind all that waits, a read behind
 * the requests of its group. */
bool shard_is_in_line(const struct shard *s, const struct group *g, bool writes);

/* The state of a partition's replica has become another one; or that of any of them. */
void shard_touch(struct shard *s, uint32_t partition);
void shard_touch_all(struct shard *s);

/* Tells a client that its request waits. */
void shard_say_waits(struct shard *s, uint64_t client, uint64_t id);

/* A member has acknowledged something; and whether it has within the last candidate_ms. */
void shard_note_ack(struct shard *s, uint16_t member, uint32_t partition);
bool shard_acks_come(const struct shard *s, uint16_t member, uint32_t partition);

/* Queues a signal for a member; goes out with the turn. */
void shard_signal(struct shard *s, uint16_t member, const struct signal *signal);

void shard_refuse(struct shard *s, uint64_t client, uint64_t id, enum refusal refusal,
                  uint64_t view, uint64_t op);

/* Where a reply goes: to a proxy's connection, or to the replica that relayed its request. NULL
 * when that is gone. */
struct buf *shard_client_out(struct shard *s, uint64_t client);

/* Where a step or chunk for the replica of a partition on a member goes, behind the signals queued
 * so far: what a group says arrives in the order in which it was said. NULL: there is no link. */
struct buf *shard_peer_out(struct shard *s, uint16_t member, uint32_t partition);

/* Passes a request on to the primary; its answer goes to the client when it comes. */
void shard_relay(struct shard *s, uint16_t primary, uint64_t client, const struct request *m);

/* This replica tries to lead the partition: whoever waits for what was passed on to a leader that
 * is silent is told to ask again. One that is not answers all of it, as it stops leading, and knows
 * what it has done. */
void shard_relays_over(struct shard *s, uint32_t partition);

#endif
