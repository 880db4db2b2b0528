#include "node/write_pace.h"

enum {
    BURST_PART = 8, /* of the bound goes free; smaller tables tell nothing of a checkpoint's rate */
    MARGIN_PART = 8, /* by such a part checkpoints may be late, without more delay at their end */
};

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* a * b / c without overflow, at most UINT64_MAX. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 result = (unsigned __int128)a * b / (c ? c : 1);

    return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

void write_pace_begin(struct write_pace *p, uint64_t now_us, uint64_t memory, uint64_t logged)
{
    uint64_t us_per_mib = p->us_per_mib ? p->us_per_mib : WRITE_PACE_FIRST_US_PER_MIB;

    p->busy = true;
    p->memory = memory;
    p->logged = logged;
    p->begun_us = p->looked_us = now_us;
    p->whole_us = p->needed_us = scale(us_per_mib, memory, 1 << 20);
}

void write_pace_look(struct write_pace *p, uint64_t now_us, uint64_t done, uint64_t all)
{
    if (!p->busy || done == 0 || done > all)
        return;
    p->whole_us = (p->whole_us + scale(now_us - p->begun_us, all, done)) / 2;
    p->needed_us = scale(p->whole_us, all - done, all);
    p->looked_us = now_us;
}

void write_pace_end(struct write_pace *p, uint64_t now_us)
{
    uint64_t took = scale(now_us - p->begun_us, 1 << 20, p->memory);

    p->busy = false;
    if (p->memory < p->bound / BURST_PART)
        return;
    p->us_per_mib = p->us_per_mib ? (p->us_per_mib + took) / 2 : took;
}

static uint64_t left_us(const struct write_pace *p, uint64_t now_us)
{
    uint64_t passed = now_us - p->looked_us;
    uint64_t left = passed < p->needed_us ? p->needed_us - passed : 0;

    return left + p->whole_us / MARGIN_PART;
}

void write_pace_take(struct write_pace *p, uint64_t now_us, uint64_t logged, uint64_t used)
{
    uint64_t now_ns = now_us * 1000, latest_ns = now_ns + (uint64_t)STORE_DELAY_US_MAX * 1000;
    uint64_t room = used < p->bound ? p->bound - used : 0, memory, share_ns;

    if (!p->busy || used < p->memory + p->bound / BURST_PART)
        return;
    memory = scale(logged, p->memory, p->logged);
    share_ns = lower(scale(memory, left_us(p, now_us) * 1000, room), latest_ns - now_ns);
    p->leave_ns = lower((p->leave_ns > now_ns ? p->leave_ns : now_ns) + share_ns, latest_ns);
}

uint64_t write_pace_delay_us(const struct write_pace *p, uint64_t now_us)
{
    uint64_t leave_us = p->leave_ns / 1000;

    return leave_us > now_us + WRITE_PACE_FREE_US ? leave_us - now_us : 0;
}
