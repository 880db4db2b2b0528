/* Random rings and changes for the planner's tests, and a judge of its plans that shares nothing
 * with the planner: it uses floating point, and looks only at finished rings. */
#ifndef RINGKV_TESTS_PLAN_RIG_H
#define RINGKV_TESTS_PLAN_RIG_H

#include "shared/ring.h"

struct plan_rig {
    uint64_t random;
    uint16_t next_number;
    uint32_t zones;      /* new members get one of so many; 0: none */
    uint32_t weight_max; /* new members weigh 1 to so much; 1: all the same */
};

enum change { ADD, ADD_MANY, REMOVE, REMOVE_MANY, REPLACE, REWEIGH, REPLICAS, SPLIT, CHANGE_COUNT };

extern const char *const change_names[CHANGE_COUNT];

uint64_t rig_random(struct plan_rig *rig);

/* A ring with new members, whose owners are still to be planned. */
struct ring *rig_ring(struct plan_rig *rig, uint32_t members, uint8_t bits, uint8_t replicas);

/* A changed copy, to be planned, with heirs for it; NULL when the change is not possible. */
struct ring *rig_change(struct plan_rig *rig, const struct ring *now, enum change change,
                        uint16_t heirs[MEMBERS_MAX]);

struct verdict {
    bool replicas_short;     /* a partition without all its replicas */
    bool zones_short;        /* or without all the zones it could have */
    double lightest;         /* the smallest share of partitions that a member has, by weight */
    double primary_off;      /* largest distance from a share of partitions, in partitions */
    double replica_over;     /* largest distance from a share of replicas beyond 2 and 2 % of it */
    uint64_t moved;          /* replicas that move */
    uint64_t least;          /* no fewer would do, in any ring with the shares within bounds */
    uint32_t broken_windows; /* as many owners in a row as there are replicas, one of them twice */
};

/* Both finished; `now` may be NULL, `heirs` never unless it is. */
struct verdict rig_judge(const struct ring *now, const uint16_t *heirs, const struct ring *next);

#endif
