#include "proxy/command_stats.h"
#include "proxy/counters.h"
#include "shared/resp.h"
#include <assert.h>

static uint32_t place_of(const struct command *c)
{
    return (uint32_t)(((uint64_t)(uintptr_t)c * 0x9e3779b97f4a7c15) >> 55);
}

_Static_assert(COMMAND_STATS_SIZE == 1 << 9, "place_of gives the uppermost 9 bits");

struct command_stat *command_stats_row(struct command_stats *s, const struct command *c)
{
    uint32_t place = place_of(c);

    for (uint32_t tries = 0; tries < COMMAND_STATS_SIZE; tries++) {
        struct command_stat *row = &s->rows[place];
        const struct command *there = atomic_load_explicit(&row->command, memory_order_relaxed);

        if (there == c)
            return row;
        if (!there) {
            atomic_store_explicit(&row->command, c, memory_order_relaxed);
            return row;
        }
        place = (place + 1) % COMMAND_STATS_SIZE;
    }
    assert(!"there are more commands than places");
    return NULL;
}

void command_stats_answered(struct command_stat *row, uint64_t took_ms)
{
    unsigned step = took_ms ? 64 - (unsigned)__builtin_clzll(took_ms) : 0;

    counter_add(&row->took_ms, took_ms);
    counter_add(&row->steps[step < COMMAND_STATS_STEPS ? step : COMMAND_STATS_STEPS - 1], 1);
}

uint64_t command_stats_answers(const struct command_stat *row)
{
    uint64_t sum = 0;

    for (unsigned step = 0; step < COMMAND_STATS_STEPS; step++)
        sum += counter_read(&row->steps[step]);
    return sum;
}

/* Redis's steps double from 1024 ns on, and it names each by the largest time that it cannot tell
 * from that: in microseconds 1, 2, 4, 8, 16, 33 and so on. Those from its eleventh on are ours. */
static int64_t step_us(unsigned step)
{
    return ((INT64_C(1032) << (10 + step)) - 1) / 1000;
}

int command_stats_put_histogram(const struct command_stat *row, struct buf *out, int version)
{
    uint64_t so_far = 0;
    size_t used = 0;
    int error = resp_put_map(out, 2, version);

    for (unsigned step = 0; step < COMMAND_STATS_STEPS; step++)
        used += counter_read(&row->steps[step]) > 0;
    error = error ? error : resp_put_bulk(out, bytes_from("calls"));
    error = error ? error : resp_put_integer(out, (int64_t)command_stats_answers(row));
    error = error ? error : resp_put_bulk(out, bytes_from("histogram_usec"));
    error = error ? error : resp_put_map(out, used, version);
    for (unsigned step = 0; step < COMMAND_STATS_STEPS && !error; step++) {
        uint64_t calls = counter_read(&row->steps[step]);

        if (!calls)
            continue;
        so_far += calls;
        error = resp_put_integer(out, step_us(step));
        error = error ? error : resp_put_integer(out, (int64_t)so_far);
    }
    return error;
}

static void change(_Atomic uint64_t *to, const _Atomic uint64_t *by, bool add)
{
    uint64_t value = atomic_load_explicit(by, memory_order_relaxed);
    uint64_t before = atomic_load_explicit(to, memory_order_relaxed);

    atomic_store_explicit(to, add ? before + value : before - value, memory_order_relaxed);
}

static void combine(struct command_stats *sum, const struct command_stats *other, bool add)
{
    for (uint32_t i = 0; i < COMMAND_STATS_SIZE; i++) {
        const struct command_stat *from = &other->rows[i];
        const struct command *c = atomic_load_explicit(&from->command, memory_order_relaxed);
        struct command_stat *to;

        if (!c)
            continue;
        to = command_stats_row(sum, c);
        change(&to->calls, &from->calls, add);
        change(&to->took_ms, &from->took_ms, add);
        for (unsigned step = 0; step < COMMAND_STATS_STEPS; step++)
            change(&to->steps[step], &from->steps[step], add);
        change(&to->failed, &from->failed, add);
        change(&to->rejected, &from->rejected, add);
    }
}

void command_stats_add(struct command_stats *sum, const struct command_stats *other)
{
    combine(sum, other, true);
}

void command_stats_subtract(struct command_stats *sum, const struct command_stats *other)
{
    combine(sum, other, false);
}
