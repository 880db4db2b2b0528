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

void command_stats_answered(struct command_stat *row, uint64_t took_us)
{
    counter_add(&row->took_us, took_us);
    histogram_add(&row->answered, took_us);
}

int command_stats_put_histogram(const struct command_stat *row, struct buf *out, int version)
{
    int error = resp_put_map(out, 2, version);

    error = error ? error : resp_put_bulk(out, bytes_from("calls"));
    error = error ? error : resp_put_integer(out, (int64_t)histogram_count(&row->answered));
    error = error ? error : resp_put_bulk(out, bytes_from("histogram_usec"));
    return error ? error : histogram_put(&row->answered, out, version);
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
        change(&to->took_us, &from->took_us, add);
        histogram_combine(&to->answered, &from->answered, add);
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
