/* How few replicas a change can do with. */
#ifndef RINGKV_TOOLS_PLAN_LEAST_H
#define RINGKV_TOOLS_PLAN_LEAST_H

#include "tools/plan_origin.h"
#include "tools/plan_share.h"

/* No ring that keeps to the shares' ranges, whatever its owners, gets there from `origin` with
 * fewer replicas moved. Such a ring may still not exist. */
uint64_t plan_least(const struct plan_shares *shares, const struct plan_origin *origin,
                    uint32_t partitions);

#endif
