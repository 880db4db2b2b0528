/* Edge: a thread that did not get to run says so in the log when it does again: its process was
 * stopped, or the machine suspended. All else that it logs then is that the others have been
 * silent, who would be looked at in vain. */
#ifndef RINGKV_SHARED_STALL_H
#define RINGKV_SHARED_STALL_H

#include <stdint.h>

enum { STALL_TOLD_MS = 1000 /* a timer that comes later than this */ };

/* Begins with zeros. */
struct stall {
    uint64_t due_ms; /* when the timer should have come; 0: it was not set yet */
};

/* The timer has come; the thread is "NAME=NUMBER" in the log. Returns the lateness that it told of;
 * 0: none. */
uint64_t stall_look(const struct stall *s, uint64_t now_ms, const char *name, unsigned number);

/* It was set to come at this time. */
static inline void stall_expect(struct stall *s, uint64_t due_ms)
{
    s->due_ms = due_ms;
}

#endif
