#include "proxy/latency.h"
#include "shared/error.h"
#include "shared/resp.h"
#include <inttypes.h>
#include <stdio.h>

static const char *const names[] = {
#define X(name, text) text,
    LATENCY_EVENTS(X)
#undef X
};

/* Sample `i` of a series, the oldest first. */
#define SAMPLE(s, i) ((s)->samples[((s)->first + (i)) % LATENCY_SAMPLES])

void latency_add(struct latency *l, enum latency_event event, uint64_t unix_s, uint64_t ms)
{
    struct latency_series *s = &l->series[event];

    if (ms > s->worst_ms)
        s->worst_ms = ms;
    if (s->count && SAMPLE(s, s->count - 1).unix_s == unix_s) {
        if (ms > SAMPLE(s, s->count - 1).ms)
            SAMPLE(s, s->count - 1).ms = ms;
        return;
    }
    if (s->count == LATENCY_SAMPLES)
        s->first = (s->first + 1) % LATENCY_SAMPLES;
    else
        s->count++;
    SAMPLE(s, s->count - 1).unix_s = unix_s;
    SAMPLE(s, s->count - 1).ms = ms;
}

static uint32_t count_series(const struct latency *l)
{
    uint32_t count = 0;

    for (int i = 0; i < LATENCY_EVENT_COUNT; i++)
        count += l->series[i].count > 0;
    return count;
}

int latency_put_latest(const struct latency *l, struct buf *out)
{
    int error = resp_put_array(out, count_series(l));

    for (int i = 0; i < LATENCY_EVENT_COUNT; i++) {
        const struct latency_series *s = &l->series[i];

        if (!s->count)
            continue;
        error = error ? error : resp_put_array(out, 4);
        error = error ? error : resp_put_bulk(out, bytes_from(names[i]));
        error = error ? error : resp_put_integer(out, (int64_t)SAMPLE(s, s->count - 1).unix_s);
        error = error ? error : resp_put_integer(out, (int64_t)SAMPLE(s, s->count - 1).ms);
        error = error ? error : resp_put_integer(out, (int64_t)s->worst_ms);
    }
    return error;
}

static int index_of(struct bytes event)
{
    for (int i = 0; i < LATENCY_EVENT_COUNT; i++)
        if (bytes_equal(event, bytes_from(names[i])))
            return i;
    return RK_NOTFOUND;
}

int latency_put_history(const struct latency *l, struct bytes event, struct buf *out)
{
    int index = index_of(event);
    const struct latency_series *s = index < 0 ? NULL : &l->series[index];
    int error = resp_put_array(out, s ? s->count : 0);

    for (uint32_t i = 0; s && i < s->count; i++) {
        error = error ? error : resp_put_array(out, 2);
        error = error ? error : resp_put_integer(out, (int64_t)SAMPLE(s, i).unix_s);
        error = error ? error : resp_put_integer(out, (int64_t)SAMPLE(s, i).ms);
    }
    return error;
}

uint32_t latency_reset(struct latency *l, const struct bytes *event)
{
    uint32_t count = 0;

    for (int i = 0; i < LATENCY_EVENT_COUNT; i++) {
        if (event && index_of(*event) != i)
            continue;
        count += l->series[i].count > 0;
        l->series[i] = (struct latency_series){0};
    }
    return count;
}

static int put_line(struct buf *out, const char *name, const struct latency_series *s)
{
    uint64_t sum = 0;
    char line[256];
    int size;

    for (uint32_t i = 0; i < s->count; i++)
        sum += SAMPLE(s, i).ms;
    size = snprintf(line, sizeof(line),
                    "%s: in %u seconds there was one; the worst took %" PRIu64
                    " ms, the worst of such a second %" PRIu64 " ms on the average.\n",
                    name, s->count, s->worst_ms, sum / s->count);
    return buf_append(out, line, (size_t)size);
}

int latency_put_report(const struct latency *l, int64_t threshold_ms, struct buf *out)
{
    static const char off[] =
        "Latency monitoring is disabled. Use \"CONFIG SET latency-monitor-threshold "
        "<milliseconds>\" to enable it.\n";
    static const char quiet[] = "No command took that long.\n";
    static const char advice[] =
        "\nSLOWLOG GET tells which commands they were. 'ringctl status' and the log tell whether a "
        "node was down or slow; INFO ringkv counts retries, node_timeouts and leads.\n";
    int error = 0;

    if (count_series(l) == 0)
        return threshold_ms ? buf_append(out, quiet, sizeof(quiet) - 1)
                            : buf_append(out, off, sizeof(off) - 1);
    for (int i = 0; i < LATENCY_EVENT_COUNT && !error; i++)
        if (l->series[i].count)
            error = put_line(out, names[i], &l->series[i]);
    return error ? error : buf_append(out, advice, sizeof(advice) - 1);
}
