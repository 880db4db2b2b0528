/* The first placement: owners in an order that keeps the same member, and the same zone, apart. */
#ifndef RINGKV_TOOLS_PLAN_FIRST_H
#define RINGKV_TOOLS_PLAN_FIRST_H

#include "tools/plan_share.h"

/* Gives member i targets[i] of the partitions; the targets add up to them. */
void plan_first(const struct plan_shares *s, uint32_t partitions, const uint32_t *targets,
                uint16_t *owners);

/* A number that looks random and is the same everywhere. */
uint64_t plan_mix(uint64_t a, uint64_t b);

#endif
