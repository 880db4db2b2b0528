#include "node/copy_pace.h"

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether as much was sent as might be. */
static bool was_used_up(const struct copy_pace *p)
{
    for (int kind = 0; kind < COPY_KINDS; kind++)
        if (p->left[kind] <= 0)
            return true;
    return false;
}

static void adjust(struct copy_pace *p, bool busy, bool late)
{
    if (!busy)
        p->gentle = 0;
    else if (p->gentle == 0 || !p->sent)
        p->gentle = COPY_RATE_FIRST;
    else if (late)
        p->gentle = p->gentle / 2 < COPY_RATE_MIN ? COPY_RATE_MIN : p->gentle / 2;
    else if (was_used_up(p))
        p->gentle = lower(p->gentle + p->gentle / 64, COPY_RATE_MAX);
    p->sent = false;
}

void copy_pace_tick(struct copy_pace *p, uint64_t passed_ms, bool busy, bool late)
{
    adjust(p, busy, late);
    for (int kind = 0; kind < COPY_KINDS; kind++) {
        uint64_t rate = p->gentle ? p->gentle : COPY_RATE_MAX;

        if (p->bound[kind])
            rate = lower(rate, p->bound[kind]);

        int64_t burst = (int64_t)(rate * COPY_BURST_MS / 1000) + 1;
        int64_t more = (int64_t)(rate * lower(passed_ms, COPY_BURST_MS) / 1000) + 1;

        p->left[kind] = p->left[kind] + more > burst ? burst : p->left[kind] + more;
    }
}
