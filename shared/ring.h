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
 * While a ring is being changed it has a second configuration, the target, and each partition is in
 * one phase of the way there (enum ring_phase): so a change goes partition by partition, each
 * served by a majority of those who are sure to have its data. doc/replication.md tells why that is
 * safe, shared/ring_change.h how one ring follows from another.
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

/* Whose configuration a member belongs to. All have both bits while nothing is changed; one that
 * joins has only the target's, one that leaves only the current one's. */
enum { RING_MEMBER_CURRENT = 1, RING_MEMBER_TARGET = 2 };

struct ring_member {
    uint8_t identity[IDENTITY_SIZE]; /* made by the node at its first start; never all zero */
    uint16_t number;                 /* 1..65534, unique, never used again in this cluster */
    uint16_t port;                   /* 1..65535; host and port together are unique */
    uint16_t shards;                 /* 1..SHARDS_MAX */
    uint32_t weight;                 /* 1..WEIGHT_MAX */
    char name[NAME_SIZE_MAX + 1];    /* letters, digits, - _ . ; unique */
    char zone[NAME_SIZE_MAX + 1];    /* likewise; "" when zones are not used */
    char host[HOST_SIZE_MAX + 1];    /* name or address: letters, digits, - _ . : % */
    /* ring_finish fills these in from the above while nothing is changed. */
    uint8_t flags;                     /* RING_MEMBER_CURRENT, RING_MEMBER_TARGET */
    uint32_t next_weight;              /* in the target; weight is that of the current one */
    char next_zone[NAME_SIZE_MAX + 1]; /* likewise */
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

/* How far a partition is on its way from the current to the target configuration. */
enum ring_phase {
    RING_SETTLED = 0,  /* voters: the current set; nobody copies */
    RING_LEARNING = 1, /* voters: the current set. The target's others are learners: they get a copy
                          and every operation, and count for nothing */
    RING_JOINT = 2,    /* voters: both sets; what needs a majority needs one of each */
    RING_MOVED = 3,    /* voters: the target set; the current one's others drop what they have */
};

enum {
    RING_WHAT_MAX = 512, /* bytes of text that tells what was asked for */
    RING_WHO_MAX = 128,  /* bytes of text that tells who asked */
    RING_LOG_MAX = 32,   /* changes remembered; the oldest goes */
};

/* A change that is under way. */
struct ring_change {
    uint8_t replicas;             /* wanted in the target */
    bool paused;                  /* no partition begins to learn or moves on */
    bool cancelled;               /* the target is what the ring was before */
    uint64_t rate;                /* bytes a second that each node may send for it; 0: no bound */
    uint64_t begun_epoch;         /* the first epoch of the change */
    int64_t begun_ms;             /* Unix time */
    char what[RING_WHAT_MAX + 1]; /* printable ASCII */
    char who[RING_WHO_MAX + 1];   /* printable ASCII */
    uint16_t *owners;             /* per partition, of the target: index into members */
    struct ring_replicas *sets;   /* per partition, of the target: derived by ring_finish */
    uint8_t *phases;              /* per partition: enum ring_phase */
};

/* A change that has ended. */
struct ring_event {
    uint64_t begun_epoch, ended_epoch;
    int64_t begun_ms, ended_ms; /* Unix time */
    bool cancelled;
    char what[RING_WHAT_MAX + 1], who[RING_WHO_MAX + 1];
};

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
    /* Per partition: the epoch in which its voters changed last, 1 at first. What is said about a
     * partition carries it, so that an epoch disturbs only the partitions that it changes. 0 is
     * taken for 1 by ring_finish. */
    uint64_t *changed;
    struct ring_change *change; /* NULL: nothing is being changed */
    uint8_t log_count;          /* the newest is the last */
    struct ring_event *log;     /* RING_LOG_MAX */
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

/* Adds an empty change to a ring that has none: owners and phases all 0. 0 or RK_NOMEM. */
int ring_add_change(struct ring *r);

/* An empty ring with room for the given counts (at most MEMBERS_MAX and PARTITION_BITS_MAX, which
 * the caller has checked); everything else zero. NULL: out of memory. */
struct ring *ring_new(uint32_t member_count, uint8_t bits);
void ring_free(struct ring *r);

/* Checks every field and relation, then derives the replica sets. 0, or RK_INVALID with what is
 * wrong, and what would be right, in `why` (may be NULL). To be called once the fields are filled
 * in and before anything else is asked of the ring. */
int ring_finish(struct ring *r, char *why, size_t why_size);

static inline enum ring_phase ring_phase(const struct ring *r, uint32_t partition)
{
    return r->change ? (enum ring_phase)r->change->phases[partition] : RING_SETTLED;
}

/* The replicas of a partition that requests and majority reads go to, preferred primary first. */
static inline const struct ring_replicas *ring_replicas(const struct ring *r, uint32_t partition)
{
    return ring_phase(r, partition) == RING_MOVED ? &r->change->sets[partition]
                                                  : &r->sets[partition];
}

/* The second set of voters of a joint partition; NULL: there is none. */
static inline const struct ring_replicas *ring_joint(const struct ring *r, uint32_t partition)
{
    return ring_phase(r, partition) == RING_JOINT ? &r->change->sets[partition] : NULL;
}

/* The set whose members learn, as far as they are not in ring_replicas; NULL: nobody learns. */
static inline const struct ring_replicas *ring_learners(const struct ring *r, uint32_t partition)
{
    return ring_phase(r, partition) == RING_LEARNING ? &r->change->sets[partition] : NULL;
}

/* The index of the member that should lead a partition. */
static inline uint16_t ring_preferred(const struct ring *r, uint32_t partition)
{
    return ring_phase(r, partition) >= RING_JOINT ? r->change->sets[partition].member[0]
                                                  : r->sets[partition].member[0];
}

/* The epoch in which the voters of a partition changed last. */
static inline uint64_t ring_changed(const struct ring *r, uint32_t partition)
{
    return r->changed[partition];
}

/* The index of a member, or -1. */
int ring_member_by_identity(const struct ring *r, const uint8_t identity[IDENTITY_SIZE]);
int ring_member_by_name(const struct ring *r, const char *name);
int ring_member_by_number(const struct ring *r, uint16_t number);

enum {
    RING_FORMAT_VERSION = 2,
    RING_HEADER_SIZE = 64,
    RING_MEMBER_SIZE_MAX = IDENTITY_SIZE + 16 + 2 * NAME_SIZE_MAX + HOST_SIZE_MAX,
    RING_TEXTS_MAX = 3 + RING_WHAT_MAX + RING_WHO_MAX,
    RING_LOG_SIZE_MAX = 1 + RING_LOG_MAX * (33 + RING_TEXTS_MAX),
    RING_CHANGE_SIZE_MAX =
        26 + RING_TEXTS_MAX + 3 * PARTITIONS_MAX + MEMBERS_MAX * (6 + NAME_SIZE_MAX),
    RING_ENCODED_MAX = RING_HEADER_SIZE + MEMBERS_MAX * RING_MEMBER_SIZE_MAX + 2 * PARTITIONS_MAX +
                       8 * PARTITIONS_MAX + RING_LOG_SIZE_MAX + RING_CHANGE_SIZE_MAX + 4,
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
