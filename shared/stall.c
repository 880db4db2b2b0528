#include "shared/stall.h"
#include "shared/log.h"

uint64_t stall_look(const struct stall *s, uint64_t now_ms, const char *name, unsigned number)
{
    uint64_t late_ms = s->due_ms && now_ms > s->due_ms ? now_ms - s->due_ms : 0;

    if (late_ms < STALL_TOLD_MS)
        return 0;
    log_warn("worker: %s=%u did not run for %.1f s: the process was stopped, or the machine was "
             "suspended or had no time or memory for it",
             name, number, (double)late_ms / 1000);
    return late_ms;
}
