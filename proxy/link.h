/* Edge: a thread's connection to one shard of one member; made anew for as long as the link lives.
 */
#ifndef RINGKV_PROXY_LINK_H
#define RINGKV_PROXY_LINK_H

#include "proxy/lane.h"
#include "shared/limits.h"
#include "shared/loop.h"
#include "shared/ring.h"
#include "shared/secret.h"
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct link_member;
struct worker;

struct link {
    struct lane lane; /* first, so that a lane is its link */
    struct worker *worker;
    struct conn *conn;        /* NULL between attempts */
    struct loop_timer *timer; /* the next attempt, or the end of patience with this one */
    struct link *next;
    uint64_t epoch;    /* of the newest ring that has this link */
    uint64_t up_ms;    /* when it was up last */
    uint32_t failures; /* attempts since it was up for a while */
    uint32_t told;     /* checksum of why the last one failed: it is told when it changes */
    uint16_t shard, port;
    uint8_t cluster[IDENTITY_SIZE], identity[IDENTITY_SIZE];
    char host[HOST_SIZE_MAX + 1];
    struct link_member *member; /* the news of all links to it */
    struct handshake handshake;
};

static inline struct link *link_of_lane(struct lane *lane)
{
    return (struct link *)lane;
}

/* Begins to connect. NULL: out of memory. */
struct link *link_new(struct worker *w, const struct ring *ring, const struct ring_member *member,
                      uint16_t shard);

/* Whether the link leads to this member as it is now. */
bool link_leads_to(const struct link *l, const struct ring_member *member);

/* Sends what the lane's output holds, at the end of the turn. */
void link_flush(struct link *l);

/* Gives up a connection on which requests time out and nothing arrives for `silence_ms`. */
void link_check(struct link *l, uint64_t now_ms, uint64_t silence_ms);

/* Closes and frees; requests in flight are answered as lost. No ring may have it any more. */
void link_free(struct link *l);

#endif
