/* What must hold of a ring's fields, whoever filled them in. */
#ifndef RINGKV_SHARED_RING_CHECK_H
#define RINGKV_SHARED_RING_CHECK_H

#include "shared/ring.h"

/* Fills in what need not be said while nothing is changed: what members are in the target, and that
 * partitions never changed. ring_finish begins with it. */
void ring_fill_in(struct ring *r);

/* 0, or RK_INVALID with the reason in `why` (may be NULL). Looks at everything but `sets`. */
int ring_check(const struct ring *r, char *why, size_t why_size);

/* A number for each member's zone, equal where the zones are: the index of the zone's first member.
 * Zones as they are, or as they are in the target of a change. Of a ring that passed ring_check. */
void ring_zones(const struct ring *r, bool target, uint16_t zones[MEMBERS_MAX]);

#endif
