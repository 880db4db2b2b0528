/* What is shown of a change, as text; headway_view.c puts it on the terminal. */
#include "tools/headway.h"
#include "tools/human.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of a partition's way, in 1/1000: when it is copied, and when both sets vote. */
enum { LEARNED_MILLI = 900, JOINT_MILLI = 950 };

enum { BAR_MIN = 10, BAR_MAX = 40 };

enum { GAINED_MIN = 20 }; /* of 1000: less tells no pace */

/* Fits every number. */
enum { FACTS_SIZE = 256 };

#define WAITS ", waits"

enum { WAITING_MAX = 800 }; /* characters */

enum { RATE_SHOWN_MIN = 50000 }; /* bytes a second: less would be shown as nothing */

static bool moves(const struct ring *ring, uint32_t p)
{
    const struct ring_replicas *from = &ring->sets[p], *to = &ring->change->sets[p];

    return from->count != to->count ||
           memcmp(from->member, to->member, from->count * sizeof(from->member[0])) != 0;
}

void headway_of_ring(const struct ring *ring, struct headway *p)
{
    *p = (struct headway){0};
    if (!ring->change)
        return;
    p->paused = ring->change->paused;
    p->cancelled = ring->change->cancelled;
    for (uint32_t i = 0; i < ring_partitions(ring); i++) {
        p->total += moves(ring, i);
        p->joint += ring_phase(ring, i) == RING_JOINT;
        p->moved += moves(ring, i) && ring_phase(ring, i) == RING_MOVED;
    }
}

uint32_t headway_milli(const struct headway *p)
{
    uint64_t done = 1000ull * p->moved + (uint64_t)JOINT_MILLI * p->joint +
                    (uint64_t)LEARNED_MILLI * p->learned;
    uint64_t bytes = p->bytes_total ? 1000 * p->bytes_sent / p->bytes_total : 0;
    uint32_t milli = p->total ? (uint32_t)(done / p->total) : 1000;

    /* Before the first partition is through, bytes tell that something happens. */
    bytes = bytes > LEARNED_MILLI ? LEARNED_MILLI : bytes;
    if (bytes > milli && p->moved < p->total)
        milli = (uint32_t)bytes;
    return milli > 1000 ? 1000 : milli;
}

uint64_t headway_seconds_left(const struct headway *p)
{
    uint64_t milli = headway_milli(p);
    uint64_t gained = milli > p->begun_milli ? milli - p->begun_milli : 0;

    if (milli >= 1000)
        return 0;
    if (p->bytes_total && p->rate && p->bytes_sent < p->bytes_total)
        return (p->bytes_total - p->bytes_sent) / p->rate;
    if (gained < GAINED_MIN || p->seconds == 0)
        return UINT64_MAX;
    return p->seconds * (1000 - milli) / gained;
}

/* What stands behind the bar. */
static int facts(const struct headway *p, char *to, size_t size)
{
    char bytes[HUMAN_SIZE], rate[HUMAN_SIZE], left[HUMAN_SIZE];
    uint64_t seconds = headway_seconds_left(p);
    int used = snprintf(to, size, "%u/%u partitions, %s", p->moved, p->total,
                        human_bytes(p->bytes_sent, bytes));

    if (p->rate >= RATE_SHOWN_MIN)
        used += snprintf(to + used, size - (size_t)used, ", %s", human_rate(p->rate, rate));
    if (p->paused)
        used += snprintf(to + used, size - (size_t)used, ", paused");
    else if (seconds == 0 && !p->waiting)
        used += snprintf(to + used, size - (size_t)used, ", nearly done");
    else if (seconds != UINT64_MAX && !p->waiting)
        used += snprintf(to + used, size - (size_t)used, ", %s left", human_seconds(seconds, left));
    return used;
}

void headway_bar(const struct headway *p, unsigned width, char line[HEADWAY_LINE_SIZE])
{
    char text[FACTS_SIZE], bar[BAR_MAX + 1];
    unsigned milli = headway_milli(p), used, cells;

    used = (unsigned)facts(p, text, sizeof(text) - strlen(WAITS));
    if (p->waiting)
        used += (unsigned)snprintf(text + used, sizeof(text) - used, WAITS);
    used += 9; /* of the bar's frame and the percents */
    cells = width > used ? width - used : 0;

    cells = cells > BAR_MAX ? BAR_MAX : cells;
    if (cells < BAR_MIN) {
        snprintf(line, HEADWAY_LINE_SIZE, "%3u %% %s", milli / 10, text);
    } else {
        for (unsigned i = 0; i < cells; i++)
            bar[i] = i < cells * milli / 1000 ? '#' : '.';
        bar[cells] = '\0';
        snprintf(line, HEADWAY_LINE_SIZE, "[%s] %3u %% %s", bar, milli / 10, text);
    }
    if (width < HEADWAY_LINE_SIZE)
        line[width] = '\0';
}

void headway_text(const struct headway *p, char line[HEADWAY_LINE_SIZE])
{
    int used = snprintf(line, HEADWAY_LINE_SIZE, "%s%3u %% ", p->cancelled ? "going back: " : "",
                        headway_milli(p) / 10);

    used += facts(p, line + used, HEADWAY_LINE_SIZE - (size_t)used);
    if (p->waiting)
        snprintf(line + used, HEADWAY_LINE_SIZE - (size_t)used, "; %.*s", WAITING_MAX, p->waiting);
}

/* As the inside of a JSON string, of at most `size` bytes with its end. What is no plain text
 * becomes a question mark: it is for people. */
static void put_escaped(const char *text, char *to, size_t size)
{
    size_t used = 0;

    for (; *text && used + 3 < size; text++) {
        if (*text == '"' || *text == '\\')
            to[used++] = '\\';
        to[used++] = (char)(*text < ' ' || *text > '~' ? '?' : *text);
    }
    to[used] = '\0';
}

void headway_json(const struct headway *p, uint64_t epoch, char line[HEADWAY_LINE_SIZE])
{
    uint64_t left = headway_seconds_left(p);
    char waiting[WAITING_MAX];
    int used = snprintf(line, HEADWAY_LINE_SIZE,
                        "{\"event\": \"progress\", \"epoch\": %" PRIu64 ", \"done_percent\": %u, "
                        "\"partitions\": %u, \"partitions_moved\": %u, \"partitions_joint\": %u, "
                        "\"keys_sent\": %" PRIu64 ", \"bytes_sent\": %" PRIu64
                        ", \"bytes_per_second\": %" PRIu64 ", \"paused\": %s, \"cancelled\": %s",
                        epoch, headway_milli(p) / 10, p->total, p->moved, p->joint, p->keys_sent,
                        p->bytes_sent, p->rate, p->paused ? "true" : "false",
                        p->cancelled ? "true" : "false");

    if (left != UINT64_MAX)
        used += snprintf(line + used, HEADWAY_LINE_SIZE - (size_t)used,
                         ", \"seconds_left\": %" PRIu64, left);
    if (p->waiting) {
        put_escaped(p->waiting, waiting, sizeof(waiting));
        used += snprintf(line + used, HEADWAY_LINE_SIZE - (size_t)used, ", \"waiting\": \"%s\"",
                         waiting);
    }
    snprintf(line + used, HEADWAY_LINE_SIZE - (size_t)used, "}");
}
