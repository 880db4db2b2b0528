/* Edge: the connections between this shard and the shards of other nodes.
 *
 * There is one link for each pair of shards, used in both directions, so that what a pair tells
 * each other stays in order. The member with the lower number opens it. A link counts as down when
 * nothing was heard on it for LINK_SILENCE_FACTOR times node_timeout; each side sends signs of
 * life.
 *
 * With each sign of life goes how far the sender's log is on stable storage, from the link's
 * beginning on. It never goes back, unless an old copy of a data folder was put in its place; then
 * the link is refused, and the other node stops (doc/replication.md, "An old copy of a data
 * folder").
 */
#ifndef RINGKV_NODE_LINK_H
#define RINGKV_NODE_LINK_H

#include "shared/conn.h"
#include "shared/message.h"
#include "shared/ring.h"
#include "shared/secret.h"
#include <stdbool.h>
#include <stdint.h>

struct links;
struct shard;

struct links_options {
    /* Somebody knows a newer ring. */
    void (*newer_epoch)(void *arg, uint64_t epoch, uint16_t member);
    /* How far this shard's log is on stable storage, whatever happens to the machine; 0: unknown.
     */
    uint64_t (*durable)(void *arg);
    /* Another node was told more than that before: this data folder is an old copy. `what` is how
     * it was said. Does not return. */
    void (*stale)(void *arg, struct bytes what);
    void *arg;                /* of these three */
    int64_t (*wall_ms)(void); /* the time by which what comes is judged */
    const uint8_t *identity;  /* this node's */
    const struct secret *secret;
    uint16_t shard; /* this shard */
    uint64_t node_timeout_ms;
    size_t out_max; /* bytes queued for one link before it counts as full */
};

struct links_counters {
    uint64_t up; /* at this moment */
    uint64_t opened, lost, refused, bytes_in;
};

/* NULL: out of memory. */
struct links *links_new(struct loop *l, struct shard *shard, const struct links_options *options);
void links_free(struct links *s);

/* Makes the links of this ring (kept by the caller until the next one was taken), in which `me` is
 * this node's index; below 0: it is in none. Links to members that stay where they were go on, the
 * others are closed; links_tick opens what is missing. To be called when the shard has taken the
 * ring. 0 or RK_NOMEM (nothing was changed). */
int links_set_ring(struct links *s, const struct ring *ring, int me);

/* Takes over a connection that another node opened; `hello` was checked by the front, WELCOME is
 * sent here. */
void links_adopt(struct links *s, int fd, struct bytes rest, const struct hello *hello,
                 const struct welcome *welcome);

/* For struct shard_host. */
struct buf *links_out(struct links *s, uint16_t member, uint32_t partition);
bool links_alive(struct links *s, uint16_t member, uint32_t partition);
bool links_have_room(struct links *s, uint16_t member, uint32_t partition);
/* Nothing more goes out on that link, and the next tick ends it. */
void links_break(struct links *s, uint16_t member, uint32_t partition);

/* Opens what is down, sends signs of life, ends what is silent. About every 25 ms. */
void links_tick(struct links *s);

void links_counters(const struct links *s, struct links_counters *out);

#endif
