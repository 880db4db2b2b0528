/* What the nodes report of a change that is under way, gathered poll by poll. */
#ifndef RINGKV_TOOLS_REPORTS_H
#define RINGKV_TOOLS_REPORTS_H

#include "tools/headway.h"
#include "tools/survey.h"

struct sent; /* what one node has sent */

struct reports {
    uint8_t *known;   /* per partition: STEP_ bits under the ring's epoch (tools/change_step.h) */
    bool *silent;     /* per member of the ring: it did not answer the last poll */
    uint32_t learned; /* partitions that have learned */
    uint64_t newest_epoch; /* that any node has */
    uint32_t newest_from;  /* its number in the fleet */
    struct sent *sent;     /* per node of the fleet */
    uint32_t sent_count;
    uint64_t keys, bytes, rate; /* since the first poll; bytes a second now */
    uint64_t rate_bytes;        /* when the rate was taken last, */
    int64_t rate_ms;            /* and that moment */
};

/* All zero before the first poll. */
void reports_free(struct reports *r);

/* Asks every member of the survey's ring once. 0 or RK_NOMEM. */
int reports_poll(struct reports *r, struct survey *s);

/* What there is to show. `waiting` is left alone. */
void reports_headway(const struct reports *r, const struct ring *ring, struct headway *h);

/* Partitions that have not arrived, and whose target's members that do not answer leave no majority
 * of it: where nobody else can be waited for, they never arrive. */
uint32_t reports_stuck(const struct reports *r, const struct ring *ring);

/* The members that take part in what still moves and do not answer, by name: "n3, n5"; "" when all
 * do. */
void reports_missing(const struct reports *r, const struct ring *ring, char *text, size_t size);

#endif
