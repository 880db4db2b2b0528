/* A placement under work: the owners, the replicas that follow from them, and what is wrong with
 * them as one number, kept up to date while owners are changed one at a time. */
#ifndef RINGKV_TOOLS_PLAN_STATE_H
#define RINGKV_TOOLS_PLAN_STATE_H

#include "shared/ring.h"
#include "shared/ring_walk.h"
#include "tools/plan_origin.h"
#include "tools/plan_share.h"

/* What one unit of each fault costs. A replica out of bounds is worth a few moves, and a move is
 * worth more than any tidiness. */
enum {
    PLAN_COST_PRIMARY = 10000, /* a partition owned beyond the range */
    PLAN_COST_REPLICA = 400,   /* a replica held beyond the range */
    PLAN_COST_MOVE = 40,       /* a replica that its member does not have now */
    PLAN_COST_OWNER = 6,       /* a partition whose owner, the preferred primary, is another one */
    PLAN_COST_CLOSE = 4,       /* a member, or a zone, twice within a window */
    PLAN_COST_UNEVEN = 1,      /* a replica held away from the share, within the range */
};

struct plan_state {
    const struct plan_shares *shares;
    uint32_t partitions;
    uint8_t replicas;
    uint8_t member_window, zone_window; /* owners in a row that should be distinct */
    uint16_t *owners;
    struct ring_walk *walks;
    struct ring_replicas *sets;
    const struct plan_origin *origin; /* what is held now and costs no move; NULL: nothing costs */
    uint32_t owned[MEMBERS_MAX];
    uint32_t held[MEMBERS_MAX];
    int64_t cost;
    int64_t replica_cost; /* PLAN_COST_REPLICA, or more */
    uint64_t moved;       /* replicas that their members do not have now */
    uint64_t work;        /* partitions looked at so far, for bounding the search */
};

/* Makes the state for a ring's owners, each of which is a member. What it points to has to stay.
 * 0 or RK_NOMEM. */
int plan_state_init(struct plan_state *s, const struct ring *r, const struct plan_shares *shares,
                    const struct plan_origin *origin);
void plan_state_free(struct plan_state *s);

/* Makes a replica held beyond the range cost as much from now on. */
void plan_state_set_replica_cost(struct plan_state *s, int64_t cost);

/* Gives a partition to another member. Assigning back restores the state exactly. */
void plan_state_assign(struct plan_state *s, uint32_t partition, uint16_t member);

/* All of them. */
static inline void plan_state_set(struct plan_state *s, const uint16_t *owners)
{
    for (uint32_t p = 0; p < s->partitions; p++)
        plan_state_assign(s, p, owners[p]);
}

static inline void plan_state_swap(struct plan_state *s, uint32_t a, uint32_t b)
{
    uint16_t owner = s->owners[a];

    plan_state_assign(s, a, s->owners[b]);
    plan_state_assign(s, b, owner);
}

#endif
