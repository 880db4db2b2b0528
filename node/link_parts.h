/* What the files of the links share; for node/link*.c only. */
#ifndef RINGKV_NODE_LINK_PARTS_H
#define RINGKV_NODE_LINK_PARTS_H

#include "node/link.h"

enum { LINK_BACKOFF_MS_MIN = 20, LINK_BACKOFF_MS_MAX = 1000 }; /* before a link is opened again */

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_GREETING, LINK_UP, LINK_REFUSING };

struct link {
    struct links *links;
    struct conn *conn;
    const struct ring_member *member; /* of the present ring */
    uint16_t shard;                   /* of the other node */
    uint8_t state;                    /* enum link_state */
    bool meets;                       /* there are partitions that lie in both shards */
    bool broken;                      /* something was not said on it, for want of memory */
    bool told_up;                     /* the log has it that it is up */
    uint64_t up_ms;                   /* since when it is up */
    uint64_t heard_ms, said_ms, retry_ms, backoff_ms;
    uint64_t durable; /* the most that the other shard has said of its log; 0: nothing yet */
    struct handshake handshake;
    int told_error; /* the last failure that was logged, so that a dead node fills no log */
};

struct links {
    struct loop *loop;
    struct shard *shard;
    struct links_options options;
    const struct ring *ring;
    int me;
    struct link **all;
    size_t count;
    uint32_t *base; /* per member index: its first link */
    struct links_counters counters;
};

/* The link that messages about a partition travel on to a member, or NULL. */
struct link *links_find(struct links *s, uint16_t member, uint32_t partition);

/* Closes a link's connection, if there is one, and lets the shard know; it is opened again after a
 * pause. */
void links_close(struct link *l);

#endif
