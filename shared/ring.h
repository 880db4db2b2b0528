/* The ring: who owns which slice of the positions, as of one epoch.
 *
 * The positions are cut into 2^bits equal partitions, the virtual nodes. Each has an owner. The
 * replicas of a partition are found by walking the owners clockwise from it, once around:
 *   1. the first member met of each zone, until there are `replicas` of them or no zone is left;
 *   2. if there are fewer than `replicas`, again from the partition: the first members met that are
 *      not yet taken, whatever their zone.
 * The first one taken, the owner, is the preferred primary. Either every member has a zone or none
 * has; with none, only step 2 counts. A member that owns no partition is not met, so it is nobody's
 * replica: a partition has as many replicas as wanted or as there are owners, whichever is less.
 *
 * A ring is immutable once made and may be read by any thread; every change makes a new one with
 * the next epoch.
 */
#ifndef RINGKV_SHARED_RING_H
#define RINGKV_SHARED_RING_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/limits.h"
#include "shared/position.h"
#include <stdbool.h>
#include <stdint.h>

struct ring_member {
    uint8_t identity[IDENTITY_SIZE]; /* made by the node at its first start; never all zero */
    uint16_t number;                 /* 1..65534, unique, never used again in this cluster */
    uint16_t port;                   /* 1..65535; host and port together are unique */
    uint16_t shards;                 /* 1..SHARDS_MAX */
    uint32_t weight;                 /* 1..WEIGHT_MAX */
    char name[NAME_SIZE_MAX + 1];    /* letters, digits, - _ . ; unique */
    char zone[NAME_SIZE_MAX + 1];    /* likewise; "" when zones are not used */
    char host[HOST_SIZE_MAX + 1];    /* name or address: letters, digits, - _ . : % */
};

/* A replica set as indexes into ring->members. */
struct ring_replicas {
    uint16_t count;
    uint16_t member[REPLICAS_MAX];
};

static inline bool ring_replicas_has(const struct ring_replicas *set, uint16_t member)
{
    for (uint16_t i = 0; i < set->count; i++)
        if (set->member[i] == member)
            return true;
    return false;
}

struct ring {
    uint8_t cluster[IDENTITY_SIZE]; /* never all zero */
    uint64_t epoch;                 /* from 1 */
    enum position_hash hash;
    uint8_t bits;         /* partitions = 1 << bits */
    uint8_t replicas;     /* 1..REPLICAS_MAX wanted; may be more than there are members */
    uint16_t next_number; /* for the next member that joins; above every member's */
    uint32_t member_count;
    struct ring_member *members; /* in ascending number */
    uint16_t *owners;            /* per partition: index into members */
    struct ring_replicas *sets;  /* per partition: derived by ring_finish */
};

static inline uint32_t ring_partitions(const struct ring *r)
{
    return 1u << r->bits;
}

static inline uint32_t ring_partition(const struct ring *r, uint64_t position)
{
    return r->bits ? (uint32_t)(position >> (64 - r->bits)) : 0;
}

/* The first and last position of a partition. */
uint64_t ring_first_position(const struct ring *r, uint32_t partition);
uint64_t ring_last_position(const struct ring *r, uint32_t partition);

/* An empty ring with room for the given counts (at most MEMBERS_MAX and PARTITION_BITS_MAX, which
 * the caller has checked); everything else zero. NULL: out of memory. */
struct ring *ring_new(uint32_t member_count, uint8_t bits);
void ring_free(struct ring *r);

/* Checks every field and relation, then derives the replica sets. 0, or RK_INVALID with what is
 * wrong, and what would be right, in `why` (may be NULL). To be called once the fields are filled
 * in and before anything else is asked of the ring. */
int ring_finish(struct ring *r, char *why, size_t why_size);

/* The replicas of a partition, preferred primary first. */
static inline const struct ring_replicas *ring_replicas(const struct ring *r, uint32_t partition)
{
    return &r->sets[partition];
}

/* The index of a member, or -1. */
int ring_member_by_identity(const struct ring *r, const uint8_t identity[IDENTITY_SIZE]);
int ring_member_by_name(const struct ring *r, const char *name);
int ring_member_by_number(const struct ring *r, uint16_t number);

enum {
    RING_FORMAT_VERSION = 1,
    RING_HEADER_SIZE = 64,
    RING_MEMBER_SIZE_MAX = IDENTITY_SIZE + 16 + 2 * NAME_SIZE_MAX + HOST_SIZE_MAX,
    RING_ENCODED_MAX =
        RING_HEADER_SIZE + MEMBERS_MAX * RING_MEMBER_SIZE_MAX + 2 * PARTITIONS_MAX + 4,
};

_Static_assert(RING_ENCODED_MAX < FRAME_BODY_MAX / 2, "a ring fits in a message");

/* The ring's one format, in messages and in files (ring_format.c describes it), of at most
 * RING_ENCODED_MAX bytes. Appends to `out`. 0 or RK_NOMEM (then `out` is unchanged). */
int ring_encode(const struct ring *r, struct buf *out);

/* The reverse, checked throughout (ring_finish included). 0; RK_NOMEM; RK_VERSION: made by another
 * version; RK_CORRUPT: not a ring, cut, or damaged; RK_INVALID: whole, but not a possible ring. The
 * reason is put in `why` (may be NULL). On 0, *out is a finished ring that the caller frees; else
 * it is NULL. */
int ring_decode(struct bytes in, struct ring **out, char *why, size_t why_size);

/* Names as members and zones have them: 1..NAME_SIZE_MAX of letters, digits, '-', '_', '.'. */
bool ring_name_valid(const char *name);

#endif
