/* The network: one pipe for every two places that talk. Over a pipe run connections, one after
 * another. A connection keeps order in each direction, loses only its end, and each side learns by
 * itself, at its own time, that it is over. */
#ifndef RINGKV_TESTS_SIM_NET_H
#define RINGKV_TESTS_SIM_NET_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;
struct place;

enum { OPENER = 0, ACCEPTOR = 1 };

struct message;

struct side {
    struct place *place;
    uint32_t connection; /* 0: down */
    struct buf out;      /* of this turn */
    size_t in_flight;    /* bytes sent and not yet arrived */
    bool full, dirty;
};

/* One direction, from the side of the same index. */
struct way {
    struct message *first, *last;
    uint64_t last_due_us;
    uint32_t broken; /* this connection's messages do not arrive any more */
    bool blocked;
    uint64_t blocked_since_us;
    uint32_t stalled; /* messages that are due, but blocked */
};

struct pipe {
    uint32_t index;
    uint32_t opening; /* connection that waits for its welcome */
    struct side sides[2];
    struct way ways[2];
};

/* Makes the pipes of all places. */
void net_build(struct world *w);
void net_free(struct world *w);

/* The pipe between two places, or NULL, and which side of it `from` is. */
struct pipe *net_pipe(struct world *w, const struct place *from, const struct place *to, int *side);

/* Where output for the other side goes; NULL: down. It leaves with net_flush. */
struct buf *net_out(struct pipe *pipe, int side);
bool net_has_room(struct world *w, struct pipe *pipe, int side);
void net_flush(struct world *w, struct place *p);

void net_open(struct world *w, struct pipe *pipe);
void net_open_timeout(struct world *w, struct pipe *pipe, uint32_t connection);
void net_deliver(struct world *w, struct pipe *pipe, int from);
void net_silence(struct world *w, struct pipe *pipe, int side, uint32_t connection);
void net_side_down(struct world *w, struct pipe *pipe, int side, bool tell);
void net_block(struct world *w, struct pipe *pipe, int from, uint64_t us);
void net_unblock(struct world *w, struct pipe *pipe, int from);

/* The connection breaks: what is on the way may be lost, both sides notice in their time. */
void net_reset(struct world *w, struct pipe *pipe);

/* It ends here and now, with all that is on the way. */
void net_drop(struct world *w, struct pipe *pipe);

/* A place's process ends; tell: the system tells its peers. */
void net_place_died(struct world *w, struct place *p, bool tell);
/* Its ring has changed: opens what it has to open, and ends what leads to nobody in it. */
void net_ring_changed(struct world *w, struct place *p);
/* It begins: opens what it has to open. */
void net_place_began(struct world *w, struct place *p);

#endif
