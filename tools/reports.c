#include "tools/reports.h"
#include "shared/error.h"
#include "shared/message_ring.h"
#include "tools/change_step.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_EVERY_MS = 500 };

_Static_assert((int)STEP_LEARNED == PROGRESS_LEARNED && (int)STEP_READY == PROGRESS_READY,
               "what nodes report is what a step knows");

struct sent {
    bool seen;
    uint64_t keys, bytes; /* the node's counters, as of the last poll */
};

void reports_free(struct reports *r)
{
    free(r->known);
    free(r->silent);
    free(r->sent);
    *r = (struct reports){0};
}

static int make_room(struct reports *r, const struct survey *s)
{
    uint32_t count = fleet_count(s->fleet);
    uint8_t *known = realloc(r->known, ring_partitions(s->ring));
    bool *silent;
    struct sent *sent;

    if (!known)
        return RK_NOMEM;
    r->known = known;
    memset(known, 0, ring_partitions(s->ring));
    silent = realloc(r->silent, s->ring->member_count * sizeof(*silent));
    if (!silent)
        return RK_NOMEM;
    r->silent = silent;
    if (count <= r->sent_count)
        return 0;
    sent = realloc(r->sent, count * sizeof(*sent));
    if (!sent)
        return RK_NOMEM;
    r->sent = sent;
    memset(sent + r->sent_count, 0, (count - r->sent_count) * sizeof(*sent));
    r->sent_count = count;
    return 0;
}

/* A node that was started again counts from 0. */
static uint64_t growth(uint64_t now, uint64_t before)
{
    return now >= before ? now - before : now;
}

static void take_sent(struct reports *r, uint32_t node, const struct progress *m)
{
    struct sent *sent = &r->sent[node];

    if (sent->seen) {
        r->keys += growth(m->records_copied, sent->keys);
        r->bytes += growth(m->bytes_copied, sent->bytes);
    }
    *sent = (struct sent){true, m->records_copied, m->bytes_copied};
}

/* What a node says under another epoch than the ring's is of no use for the next one. */
static void take_entries(struct reports *r, const struct ring *ring, const struct progress *m)
{
    struct bytes entries = m->entries;
    struct progress_entry e;

    if (m->epoch != ring->epoch)
        return;
    while (message_next_progress(&entries, &e))
        if (e.partition < ring_partitions(ring))
            r->known[e.partition] |= e.flags;
}

static void take(struct reports *r, struct survey *s, uint32_t i)
{
    struct progress m;
    struct bytes body;

    r->silent[i] =
        fleet_answer(s->fleet, s->nodes[i], &body) != 0 || message_get_progress(body, &m) != 0;
    if (r->silent[i])
        return;
    s->epochs[i] = m.epoch;
    if (m.epoch > r->newest_epoch) {
        r->newest_epoch = m.epoch;
        r->newest_from = s->nodes[i];
    }
    take_sent(r, s->nodes[i], &m);
    take_entries(r, s->ring, &m);
}

static void take_rate(struct reports *r)
{
    int64_t now = fleet_now_ms();
    uint64_t fresh;

    if (r->rate_ms == 0) {
        r->rate_ms = now;
        r->rate_bytes = r->bytes;
    }
    if (now < r->rate_ms + RATE_EVERY_MS)
        return;
    fresh = (r->bytes - r->rate_bytes) * 1000 / (uint64_t)(now - r->rate_ms);
    r->rate = r->rate ? (r->rate + fresh) / 2 : fresh;
    r->rate_ms = now;
    r->rate_bytes = r->bytes;
}

int reports_poll(struct reports *r, struct survey *s)
{
    struct buf request = {0};
    uint64_t tag = fleet_tag(s->fleet);
    int error = make_room(r, s);

    if (!error)
        error = message_put_progress_get(&request, tag);
    for (uint32_t i = 0; i < s->ring->member_count && !error; i++)
        fleet_ask(s->fleet, s->nodes[i], MESSAGE_PROGRESS, tag, buf_bytes(&request));
    buf_free(&request);
    if (error)
        return error;
    fleet_wait(s->fleet);
    r->newest_epoch = 0;
    for (uint32_t i = 0; i < s->ring->member_count; i++)
        take(r, s, i);
    r->learned = 0;
    for (uint32_t p = 0; p < ring_partitions(s->ring); p++)
        r->learned += ring_phase(s->ring, p) == RING_LEARNING && r->known[p] & STEP_LEARNED;
    take_rate(r);
    return 0;
}

void reports_headway(const struct reports *r, const struct ring *ring, struct headway *h)
{
    struct headway before = *h;

    headway_of_ring(ring, h);
    h->waiting = before.waiting;
    h->bytes_total = before.bytes_total;
    h->seconds = before.seconds;
    h->begun_milli = before.begun_milli;
    h->learned = r->learned;
    h->bytes_sent = r->bytes;
    h->keys_sent = r->keys;
    h->rate = r->rate;
}

/* Whether a partition that has not arrived needs the member. */
static bool is_needed(const struct ring *ring, uint16_t member)
{
    for (uint32_t p = 0; p < ring_partitions(ring); p++) {
        enum ring_phase phase = ring_phase(ring, p);

        if ((phase == RING_LEARNING || phase == RING_JOINT) &&
            ring_replicas_has(&ring->change->sets[p], member))
            return true;
    }
    return false;
}

uint32_t reports_stuck(const struct reports *r, const struct ring *ring)
{
    uint32_t stuck = 0;

    for (uint32_t p = 0; ring->change && p < ring_partitions(ring); p++) {
        const struct ring_replicas *target = &ring->change->sets[p];
        enum ring_phase phase = ring_phase(ring, p);
        uint16_t there = 0;

        for (uint16_t i = 0; i < target->count; i++)
            there += !r->silent[target->member[i]];
        stuck += (phase == RING_LEARNING || phase == RING_JOINT) && 2 * there <= target->count;
    }
    return stuck;
}

void reports_missing(const struct reports *r, const struct ring *ring, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; ring->change && i < ring->member_count; i++) {
        if (!r->silent[i] || !is_needed(ring, (uint16_t)i))
            continue;
        if (used + NAME_SIZE_MAX + 8 > size)
            return;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                 ring->members[i].name);
    }
}
