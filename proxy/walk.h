/* Commands that walk over partitions (SCAN, KEYS, DBSIZE, RANDOMKEY, FLUSHALL): some calls at a
 * time, each for a bounded piece of a partition. When one is answered it goes on where the piece
 * ended, or with another partition.
 *
 * request_timeout counts from the newest answer, so that a walk may take longer than other
 * commands. The client's next command is not begun before the walk is over.
 */
#ifndef RINGKV_PROXY_WALK_H
#define RINGKV_PROXY_WALK_H

#include "proxy/execution.h"
#include "proxy/scan.h"

enum { WALK_CALLS_MAX = 16 }; /* of one walk at a time */

/* What comes after a piece. */
enum walk_step {
    WALK_ON,    /* what lies behind it, in the same partition or the next */
    WALK_AGAIN, /* the same partition from the position w->again on */
    WALK_DONE,  /* nothing: the walk is over */
    WALK_NO_MEMORY,
};

/* What a node has told of a piece. */
struct walk_piece {
    struct bytes values; /* of an array, `count` of them, the place to go on at left out */
    uint32_t count;
    struct bytes next; /* the place to go on at, a store key; size 0: the partition has ended */
    uint64_t behind;   /* where the partition behind begins; 0: there is none */
};

struct walk;

struct walk_kind {
    uint8_t op; /* enum operation */
    bool writes;
    /* Pieces are taken in the order of positions, from partitions that were asked at once, few at
     * first. */
    bool ordered;
    int64_t (*records)(const struct walk *w); /* to be looked at in the next piece */
    enum walk_step (*take)(struct walk *w, const struct walk_piece *piece);
    int (*put_reply)(const struct walk *w, struct buf *out, int resp); /* 0 or RK_NOMEM */
};

struct walk {
    const struct walk_kind *kind;
    uint32_t partition; /* ordered: of the round's first call; else the next one to begin */
    uint32_t left;      /* partitions from there on, in a circle */
    uint32_t round;     /* ordered: calls asked for at once */
    struct buf resume;  /* ordered: where the first call of the round begins; empty: where its
                           partition does */
    bool done;
    uint64_t again;

    /* What the command wants and has found. */
    struct scan scan;
    struct scan_found found;
    int64_t sum;
    uint64_t random;
    size_t keys_max;      /* bytes of keys */
    const char *error;    /* the reply instead */
    bool none;            /* no key matches */
    struct bytes pattern; /* NULL data: all match */
    uint8_t copy[];       /* of the pattern */
};

/* NULL: out of memory. */
struct walk *walk_new(const struct walk_kind *kind, const struct bytes *pattern);
void walk_free(struct walk *w);

/* Walks over so many partitions from a position on, in a circle. The reply follows. The walk is
 * freed, now or with its slot. */
void walk_begin(struct execution *x, struct walk *w, uint64_t position, uint32_t partitions);

/* For answer.c: a call of a walk was answered; its slot may be gone afterwards. */
void walk_answered(struct router *r, struct call *c, const struct reply *reply);

/* Appends the key of a store key to those found, if it matches. 0 or RK_NOMEM. */
int walk_add_key(struct walk *w, struct bytes store_key);

#endif
