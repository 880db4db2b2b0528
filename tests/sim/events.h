/* What is to happen, by simulated time; at the same time, in the order in which it was put in. */
#ifndef RINGKV_TESTS_SIM_EVENTS_H
#define RINGKV_TESTS_SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
    EVENT_DELIVER,       /* a: pipe, b: sending side */
    EVENT_OPEN,          /* a: pipe */
    EVENT_OPEN_TIMEOUT,  /* a: pipe, c: connection */
    EVENT_SILENCE,       /* a: pipe, b: side that hears nothing, c: connection */
    EVENT_SIDE_DOWN,     /* a: pipe, b: side, c: connection */
    EVENT_UNBLOCK,       /* a: pipe, b: sending side */
    EVENT_ROOM,          /* a: pipe, b: side that has room again, c: connection */
    EVENT_TICK,          /* a: place, c: life */
    EVENT_TURN_END,      /* a: place, c: life */
    EVENT_SYNC,          /* a: place, c: life */
    EVENT_SYNC_TOLD,     /* a: place, c: life */
    EVENT_RESTART,       /* a: node */
    EVENT_PROXY_RESTART, /* a: proxy */
    EVENT_DISK_FREE,     /* a: node */
    EVENT_FAULT,
    EVENT_RING,       /* a: node or proxy, b: proxy, c: epoch */
    EVENT_RING_SHARD, /* a: place, c: life */
    EVENT_DRIVE,
    EVENT_CLIENT, /* a: client */
    EVENT_EXPIRY, /* a: key, c: the time that has come */
    EVENT_PROXY,  /* a: place, c: number */
};

struct event {
    uint64_t at_us, order;
    uint32_t kind, a, b;
    uint64_t c;
};

struct events {
    struct event *heap;
    size_t count, size;
    uint64_t next_order;
};

/* Out of memory ends the program. */
void events_put(struct events *e, uint64_t at_us, enum event_kind kind, uint32_t a, uint32_t b,
                uint64_t c);
/* Removes the next one; false: there is none. */
bool events_take(struct events *e, struct event *out);
void events_free(struct events *e);

#endif
