#include "proxy/histogram.h"
#include "proxy/counters.h"
#include "shared/resp.h"

enum { FINE = 1 << HISTOGRAM_FINE_BITS, LEVELS = HISTOGRAM_DOUBLINGS + 1 };

static uint32_t step_of(uint64_t us)
{
    uint32_t doublings, step;

    if (us < FINE)
        return us ? (uint32_t)us : 1;
    doublings = 63 - (uint32_t)__builtin_clzll(us) - HISTOGRAM_FINE_BITS;
    if (doublings >= HISTOGRAM_DOUBLINGS)
        return HISTOGRAM_STEPS - 1;
    step = ((doublings + 1) << HISTOGRAM_FINE_BITS) + (uint32_t)(us >> doublings) % FINE;
    return step < HISTOGRAM_STEPS ? step : HISTOGRAM_STEPS - 1;
}

/* The shortest time of a step. */
static uint64_t step_us(uint32_t step)
{
    if (step < FINE)
        return step;
    return (uint64_t)(FINE + step % FINE) << (step / FINE - 1);
}

static uint64_t longest_us(uint32_t step)
{
    return step_us(step + 1) - 1;
}

void histogram_add(struct histogram *h, uint64_t us)
{
    counter_add(&h->steps[step_of(us)], 1);
}

void histogram_combine(struct histogram *to, const struct histogram *from, bool add)
{
    for (uint32_t i = 0; i < HISTOGRAM_STEPS; i++) {
        uint64_t count = counter_read(&from->steps[i]);

        if (count)
            counter_add(&to->steps[i], add ? count : -count);
    }
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < HISTOGRAM_STEPS; i++)
        count += counter_read(&h->steps[i]);
    return count;
}

uint64_t histogram_quantile(const struct histogram *h, uint32_t thousandths)
{
    uint64_t wanted = (histogram_count(h) * thousandths + 500) / 1000, so_far = 0;

    wanted = wanted ? wanted : 1;
    for (uint32_t i = 0; i < HISTOGRAM_STEPS; i++) {
        so_far += counter_read(&h->steps[i]);
        if (so_far >= wanted)
            return longest_us(i);
    }
    return 0;
}

/* Redis's levels double from 1024 ns on, and it names each by the largest time that it cannot tell
 * from that: in microseconds 1, 2, 4, 8, 16, 33 and so on. */
static int64_t level_us(uint32_t level)
{
    return ((INT64_C(1032) << level) - 1) / 1000;
}

int histogram_put(const struct histogram *h, struct buf *out, int version)
{
    uint64_t counts[LEVELS] = {0}, so_far = 0;
    uint32_t level = 0, used = 0;
    int error;

    for (uint32_t i = 0; i < HISTOGRAM_STEPS; i++) {
        while (level < LEVELS - 1 && longest_us(i) > (uint64_t)level_us(level))
            level++;
        counts[level] += counter_read(&h->steps[i]);
    }
    for (level = 0; level < LEVELS; level++)
        used += counts[level] > 0;
    error = resp_put_map(out, used, version);
    for (level = 0; level < LEVELS && !error; level++) {
        so_far += counts[level];
        if (counts[level])
            error = resp_put_integer(out, level_us(level));
        if (counts[level] && !error)
            error = resp_put_integer(out, (int64_t)so_far);
    }
    return error;
}
