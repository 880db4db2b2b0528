/* SCAN's cursor, and which keys one call of SCAN gives.
 *
 * A cursor is a place in the order of positions: 46 bits of the position, which make a group of
 * keys, and 6 bits for a bucket within it, so that it stays below 2^53, what clients with floating
 * point numbers can hold. Nothing is kept between calls: any proxy understands it, whatever nodes
 * lead meanwhile.
 *
 * The keys of a group are given in one call, as there is no place between them. Nearly always that
 * is one key; but keys with the same hash tag share their position. When a group has more than
 * SCAN_GROUP_MAX keys, it is given in SCAN_BUCKETS calls, each with the keys whose checksum falls
 * into one bucket: a key's bucket never changes, so what is there all the time is not missed.
 */
#ifndef RINGKV_PROXY_SCAN_H
#define RINGKV_PROXY_SCAN_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    SCAN_GROUP_MAX = 1024,     /* keys of one group that are given at once */
    SCAN_REQUESTS_MAX = 64,    /* of one call, when many records are no keys any more */
    SCAN_PARTITIONS_MAX = 128, /* likewise, when many have no keys, or COUNT */
    SCAN_BYTES_MAX = 1 << 20,  /* of keys, whatever COUNT says */
};

struct scan {
    uint64_t group;       /* the one that is being read */
    uint64_t first_group; /* of this call */
    int bucket;           /* of `group`, when it is given by buckets; else -1 */
    int64_t wanted;       /* keys to look at: COUNT */
    int64_t looked, seen; /* so far, before the present piece */
    uint32_t requests;    /* that did not reach the end of their partition */
    uint32_t partitions;  /* whose end was reached */
    uint32_t idle;        /* requests in a row that met no key, only what is left of keys */
    uint32_t in_group;    /* keys since `group` began */
    bool within;          /* the last piece ended in the middle of it */
    size_t keys_size;     /* what had been found before it, to be gone back to */
    uint32_t key_count;
    uint64_t cursor; /* to be given to the client */
};

/* Begins a call at a client's cursor. False: it is none that SCAN gives. */
bool scan_begin(struct scan *s, uint64_t cursor, int64_t wanted);

/* The position at which it goes on, and how many records to look at. */
uint64_t scan_position(const struct scan *s);
int64_t scan_records(const struct scan *s);

/* What a piece that was read means. */
enum scan_step {
    SCAN_MORE,  /* the partition has more to be read, from `next` on */
    SCAN_AGAIN, /* the group must be read from its beginning, by buckets */
    SCAN_OVER,  /* the partition is read to its end */
    SCAN_DONE,  /* the call ends, with s->cursor */
};

/* What has been found: RESP's bulks, and their number. */
struct scan_found {
    struct buf keys;
    uint32_t count;
};

/* Notes a key of the piece, which `found` may get. False: it is none of this call. */
bool scan_key(struct scan *s, uint64_t position, const struct scan_found *found);

/* The piece ends; the next record is at `next`, or there is none in this partition, and the next
 * partition begins at `behind` (0: there is none). */
enum scan_step scan_end(struct scan *s, const uint64_t *next, uint64_t behind,
                        struct scan_found *found);

#endif
