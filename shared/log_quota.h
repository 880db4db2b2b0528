/* Bounds how many lines an event that others cause may put into the log. */
#ifndef RINGKV_SHARED_LOG_QUOTA_H
#define RINGKV_SHARED_LOG_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_QUOTA_LINES = 10, LOG_QUOTA_MS = 60000 };

/* Begins with zeros. */
struct log_quota {
    uint64_t since_ms; /* the present stretch of LOG_QUOTA_MS */
    uint32_t lines;    /* written in it */
    uint64_t unsaid;   /* left out since the last line */
};

/* Whether one more line may be written. If so, *unsaid tells how many were left out before it. */
bool log_quota_take(struct log_quota *q, uint64_t now_ms, uint64_t *unsaid);

#endif
