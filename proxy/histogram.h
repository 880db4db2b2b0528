/* Durations, counted in steps that grow with them, eight to each doubling: a duration read from
 * here is off by an eighth at most, from a microsecond to two minutes.
 *
 * One thread writes, any thread may read.
 */
#ifndef RINGKV_PROXY_HISTOGRAM_H
#define RINGKV_PROXY_HISTOGRAM_H

#include "shared/buf.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HISTOGRAM_DOUBLINGS = 27, /* of a microsecond; the last step has what is over */
    HISTOGRAM_FINE_BITS = 3,
    HISTOGRAM_STEPS = (HISTOGRAM_DOUBLINGS - HISTOGRAM_FINE_BITS + 1) << HISTOGRAM_FINE_BITS,
};

struct histogram {
    _Atomic uint64_t steps[HISTOGRAM_STEPS];
};

/* Something took so long; less than a microsecond counts as one. */
void histogram_add(struct histogram *h, uint64_t us);

/* Adds another one's counts, or takes them away. */
void histogram_combine(struct histogram *to, const struct histogram *from, bool add);

uint64_t histogram_count(const struct histogram *h);

/* The microseconds that so many thousandths of all did not exceed; 0: there are none. */
uint64_t histogram_quantile(const struct histogram *h, uint32_t thousandths);

/* Appends a map from microseconds to how many took no longer, in the steps of LATENCY HISTOGRAM:
 * those that add some. `version` is that of RESP. 0 or RK_NOMEM. */
int histogram_put(const struct histogram *h, struct buf *out, int version);

#endif
