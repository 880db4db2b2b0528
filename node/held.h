/* Messages that wait for stable storage before they may leave, in the order of log positions. */
#ifndef RINGKV_NODE_HELD_H
#define RINGKV_NODE_HELD_H

#include "node/store.h"
#include "shared/buf.h"
#include <stdint.h>

enum held_kind {
    HELD_REPLY,   /* a frame for a client connection */
    HELD_SELF,    /* the primary's own copy of operation `at` */
    HELD_SIGNAL,  /* a promise, acknowledgement or the like for another member */
    HELD_PROMISE, /* a candidate's promise to itself */
};

struct held_item {
    uint64_t position; /* of the log, up to which all must be on stable storage */
    uint64_t to;       /* client, or member number */
    uint64_t view;
    struct version at;
    uint64_t epoch; /* HELD_SIGNAL: under which it was said */
    uint32_t partition;
    uint32_t size; /* bytes that follow: the frame */
    uint8_t kind;
    uint8_t signal; /* HELD_SIGNAL: enum signal_kind */
    uint8_t flags;
};

struct held {
    struct buf queue; /* items, each followed by its bytes */
    uint64_t newest;  /* position of the last item: positions never go down along the queue */
    uint64_t count;
};

/* Adds an item with its bytes; 0 or RK_NOMEM. */
int held_add(struct held *h, struct held_item item, struct bytes frame);

/* The oldest item if its position is at most `synced`: true. `frame` is valid until held_drop or
 * held_add. */
bool held_peek(const struct held *h, uint64_t synced, struct held_item *item, struct bytes *frame);
void held_drop(struct held *h);
void held_free(struct held *h);

#endif
