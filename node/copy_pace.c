#include "node/copy_pace.h"

static const struct {
    uint64_t least, first, most;
} rates[COPY_KINDS] = {
    [COPY_REPAIR] = {COPY_REPAIR_MIN, COPY_REPAIR_FIRST, COPY_RATE_MAX},
    [COPY_CHANGE] = {COPY_CHANGE_MIN, COPY_CHANGE_FIRST, COPY_CHANGE_MAX},
};

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void note_requests(struct copy_pace *p, uint64_t passed_ms, bool asked)
{
    p->busy_ms = asked ? COPY_CALM_MS : p->busy_ms - lower(p->busy_ms, passed_ms);
}

/* Whether as much was sent as might be; a large chunk lasts for more than one tick. */
static bool was_used_up(const struct copy_pace *p, enum copy_kind kind)
{
    return p->left[kind] <= 0;
}

static uint64_t next_gentle(const struct copy_pace *p, enum copy_kind kind, bool late)
{
    uint64_t rate = p->gentle[kind];
    uint64_t most = p->bound[kind] ? p->bound[kind] : rates[kind].most;

    if (!p->busy_ms)
        return 0;
    if (!rate || !(p->sent[kind] || was_used_up(p, kind)))
        return rates[kind].first;
    if (late)
        return higher(rate / 2, rates[kind].least);
    return was_used_up(p, kind) ? higher(lower(rate + rate / 64, most), rates[kind].least) : rate;
}

static void refill(struct copy_pace *p, enum copy_kind kind, uint64_t passed_ms)
{
    uint64_t rate = p->busy_ms ? p->gentle[kind] : COPY_RATE_MAX;

    if (p->bound[kind])
        rate = lower(rate, p->bound[kind]);

    int64_t burst = (int64_t)(rate * COPY_BURST_MS / 1000) + 1;
    int64_t more = (int64_t)(rate * lower(passed_ms, COPY_BURST_MS) / 1000) + 1;

    p->left[kind] = p->left[kind] + more > burst ? burst : p->left[kind] + more;
}

void copy_pace_tick(struct copy_pace *p, uint64_t passed_ms, bool asked, bool late)
{
    note_requests(p, passed_ms, asked);
    for (enum copy_kind kind = 0; kind < COPY_KINDS; kind++) {
        p->gentle[kind] = next_gentle(p, kind, late);
        p->sent[kind] = false;
        refill(p, kind, passed_ms);
    }
}
