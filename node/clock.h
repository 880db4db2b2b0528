/* Edge: the machine's clocks, for what has no event loop to ask. */
#ifndef RINGKV_NODE_CLOCK_H
#define RINGKV_NODE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Of the monotonic clock, to the microsecond. */
static inline uint64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t clock_ms(void)
{
    return clock_us() / 1000;
}

/* Unix time, to the millisecond, not to the kernel's tick: from the moment when a key expires
 * nobody is told of it. */
static inline int64_t clock_unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
