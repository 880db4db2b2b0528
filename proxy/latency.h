/* When commands took long: LATENCY. For each kind of event a sample for each second in which there
 * was one, the worst of it. */
#ifndef RINGKV_PROXY_LATENCY_H
#define RINGKV_PROXY_LATENCY_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdint.h>

/* Redis's names. */
#define LATENCY_EVENTS(X) \
    X(COMMAND, "command") \
    X(FAST_COMMAND, "fast-command")

enum latency_event {
#define X(name, text) LATENCY_##name,
    LATENCY_EVENTS(X)
#undef X
        LATENCY_EVENT_COUNT
};

enum { LATENCY_SAMPLES = 160 };

struct latency {
    struct latency_series {
        struct {
            uint64_t unix_s, ms;
        } samples[LATENCY_SAMPLES]; /* of the last ones, from `first` on, around the end */
        uint32_t first, count;
        uint64_t worst_ms; /* since the beginning, or a reset */
    } series[LATENCY_EVENT_COUNT];
};

void latency_add(struct latency *l, enum latency_event event, uint64_t unix_s, uint64_t ms);

/* Append what LATENCY LATEST, and LATENCY HISTORY for an event, answer. 0 or RK_NOMEM. */
int latency_put_latest(const struct latency *l, struct buf *out);
int latency_put_history(const struct latency *l, struct bytes event, struct buf *out);

/* Forgets the samples of an event, or of all when `event` is NULL; how many series had some. */
uint32_t latency_reset(struct latency *l, const struct bytes *event);

/* Appends a report for people; `threshold_ms` 0: nothing is watched. 0 or RK_NOMEM. */
int latency_put_report(const struct latency *l, int64_t threshold_ms, struct buf *out);

#endif
