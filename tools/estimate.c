#include "tools/estimate.h"
#include "shared/error.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Sizes of single partitions are counted in parts, or those of a nearly empty ring would all be 0.
 */
enum { SIZE_PARTS = 1024 };

struct work {
    const struct ring *now, *next;
    const struct node_facts *facts;
    struct estimate *e;
    uint64_t dropped[2 * MEMBERS_MAX];                  /* per node: bytes, in parts */
    uint16_t of_now[MEMBERS_MAX], of_next[MEMBERS_MAX]; /* member index → node index */
};

__attribute__((format(printf, 2, 3))) static void warn(struct estimate *e, const char *format, ...)
{
    va_list args;

    if (e->warning_count == ESTIMATE_WARNINGS_MAX)
        return;
    va_start(args, format);
    vsnprintf(e->warnings[e->warning_count++], ESTIMATE_WARNING_SIZE, format, args);
    va_end(args);
}

/* --- nodes ---------------------------------------------------------------------------------- */

/* Merges the members of both rings, each of which is in ascending number. */
static void list_nodes(struct work *w, const struct node_facts *joining)
{
    uint32_t a = 0, b = 0;

    while (a < w->now->member_count || b < w->next->member_count) {
        struct estimate_node *n = &w->e->nodes[w->e->node_count];
        const struct ring_member *old = a < w->now->member_count ? &w->now->members[a] : NULL;
        const struct ring_member *new = b < w->next->member_count ? &w->next->members[b] : NULL;
        const struct node_facts *facts;

        n->before = old && (!new || old->number <= new->number);
        n->after = new && (!old || new->number <= old->number);
        facts = n->before ? &w->facts[a] : &joining[b];
        n->member = n->after ? new : old;
        n->up = facts->up;
        n->disk_peak = facts->disk_used;
        n->disk_free = facts->disk_free;
        n->disk_total = facts->disk_total;
        n->bytes_before = n->before ? facts->live_bytes : 0;
        if (n->before)
            w->of_now[a++] = (uint16_t)w->e->node_count;
        if (n->after)
            w->of_next[b++] = (uint16_t)w->e->node_count;
        w->e->node_count++;
    }
}

/* The same nodes in the same order, of which the first is the preferred primary. */
static bool same_order(const struct work *w, const struct ring_replicas *before,
                       const struct ring_replicas *after)
{
    bool same = before->count == after->count;

    for (uint16_t i = 0; i < before->count && same; i++)
        same = w->of_now[before->member[i]] == w->of_next[after->member[i]];
    return same;
}

static void count_places(struct work *w)
{
    for (uint32_t p = 0; p < ring_partitions(w->now); p++) {
        const struct ring_replicas *before = ring_replicas(w->now, p);
        const struct ring_replicas *after = ring_replicas(w->next, p);

        w->e->nodes[w->of_now[before->member[0]]].owned_before++;
        w->e->nodes[w->of_next[after->member[0]]].owned_after++;
        for (uint16_t i = 0; i < before->count; i++)
            w->e->nodes[w->of_now[before->member[i]]].held_before++;
        for (uint16_t i = 0; i < after->count; i++)
            w->e->nodes[w->of_next[after->member[i]]].held_after++;
    }
}

/* --- what moves ----------------------------------------------------------------------------- */

static bool node_in(const struct ring_replicas *set, const uint16_t *nodes, uint16_t node)
{
    for (uint16_t i = 0; i < set->count; i++)
        if (nodes[set->member[i]] == node)
            return true;
    return false;
}

/* The size of one partition in parts, by those of its replicas that are up. */
static void partition_size(const struct work *w, const struct ring_replicas *set, uint64_t *keys,
                           uint64_t *bytes)
{
    uint64_t count = 0;

    *keys = *bytes = 0;
    for (uint16_t i = 0; i < set->count; i++) {
        const struct node_facts *facts = &w->facts[set->member[i]];
        uint32_t held = w->e->nodes[w->of_now[set->member[i]]].held_before;

        if (!facts->up || held == 0)
            continue;
        *keys += facts->keys * SIZE_PARTS / held;
        *bytes += facts->live_bytes * SIZE_PARTS / held;
        count++;
    }
    if (count) {
        *keys /= count;
        *bytes /= count;
    }
}

/* The first replica that is up leads, and sends. */
static struct estimate_node *sender(const struct work *w, const struct ring_replicas *set)
{
    for (uint16_t i = 0; i < set->count; i++)
        if (w->facts[set->member[i]].up)
            return &w->e->nodes[w->of_now[set->member[i]]];
    return &w->e->nodes[w->of_now[set->member[0]]];
}

static void count_partition(struct work *w, uint32_t p)
{
    const struct ring_replicas *before = ring_replicas(w->now, p);
    const struct ring_replicas *after = ring_replicas(w->next, p);
    uint32_t copied = 0, dropped = 0;
    uint64_t keys, bytes;

    partition_size(w, before, &keys, &bytes);
    for (uint16_t i = 0; i < after->count; i++) {
        struct estimate_node *n = &w->e->nodes[w->of_next[after->member[i]]];

        if (node_in(before, w->of_now, w->of_next[after->member[i]]))
            continue;
        copied++;
        n->gained++;
        n->bytes_in += bytes;
        sender(w, before)->bytes_out += bytes;
    }
    for (uint16_t i = 0; i < before->count; i++) {
        uint16_t node = w->of_now[before->member[i]];

        if (node_in(after, w->of_next, node))
            continue;
        dropped++;
        w->dropped[node] += bytes;
    }
    w->e->partitions_changed += !same_order(w, before, after);
    w->e->partitions_moved += copied || dropped;
    w->e->owners_moved += w->of_now[before->member[0]] != w->of_next[after->member[0]];
    w->e->replicas_copied += copied;
    w->e->replicas_dropped += dropped;
    w->e->keys += copied * keys;
    w->e->bytes += copied * bytes;
}

/* From parts to bytes, and what follows from them. */
static void sum_up(struct work *w)
{
    struct estimate *e = w->e;

    e->keys /= SIZE_PARTS;
    e->bytes /= SIZE_PARTS;
    for (uint32_t i = 0; i < e->node_count; i++) {
        struct estimate_node *n = &e->nodes[i];
        uint64_t dropped = w->dropped[i] / SIZE_PARTS;

        n->bytes_in /= SIZE_PARTS;
        n->bytes_out /= SIZE_PARTS;
        n->disk_peak += n->bytes_in / 100 * ESTIMATE_FILL_PERCENT;
        n->bytes_after = n->after ? n->bytes_before + n->bytes_in : 0;
        n->bytes_after -= n->bytes_after < dropped ? n->bytes_after : dropped;
    }
}

/* All nodes send and receive at once; the busiest one ends last. */
static void estimate_time(struct estimate *e, uint64_t rate)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < e->node_count; i++) {
        const struct estimate_node *n = &e->nodes[i];

        most = n->bytes_in > most ? n->bytes_in : most;
        most = n->bytes_out > most ? n->bytes_out : most;
    }
    e->seconds = (most + rate - 1) / rate;
}

/* --- warnings ------------------------------------------------------------------------------- */

static uint32_t count_zones(const struct ring *r)
{
    uint32_t zones = 0;

    for (uint32_t i = 0; i < r->member_count; i++) {
        bool first = r->members[i].zone[0] != '\0';

        for (uint32_t j = 0; j < i && first; j++)
            first = strcmp(r->members[i].zone, r->members[j].zone) != 0;
        zones += first;
    }
    return zones;
}

static void warn_of_disks(struct estimate *e)
{
    for (uint32_t i = 0; i < e->node_count; i++) {
        const struct estimate_node *n = &e->nodes[i];
        uint64_t more = n->bytes_in / 100 * ESTIMATE_FILL_PERCENT;

        if (n->disk_total == 0 || more == 0)
            continue;
        if (more > n->disk_free)
            warn(e,
                 "%s would be over its disk: it needs about %" PRIu64 " MiB more and has %" PRIu64
                 " MiB free",
                 n->member->name, more >> 20, n->disk_free >> 20);
        else if (n->disk_free - more < n->disk_total / 10)
            warn(e, "%s would have less than a tenth of its disk left free", n->member->name);
    }
}

static void warn_of_shape(struct estimate *e, const struct work *w)
{
    uint32_t zones = count_zones(w->next);

    if (zones > 0 && zones < w->next->replicas)
        warn(e, "%u zones and %u replicas: zones have to hold more than one replica of a partition",
             zones, w->next->replicas);
    if (w->next->replicas > w->next->member_count)
        warn(e, "%u replicas are wanted and there are %u members: each partition has %u",
             w->next->replicas, w->next->member_count, w->next->member_count);
    if (w->next->replicas % 2 == 0)
        warn(e, "%u replicas survive no more dead nodes than %u would", w->next->replicas,
             w->next->replicas - 1);
    if (w->next->member_count > ring_partitions(w->next))
        warn(e, "%u partitions cannot give each of %u members one", ring_partitions(w->next),
             w->next->member_count);
}

static void warn_of_the_dead(struct estimate *e, const struct work *w)
{
    uint32_t silent = ring_without_majority(w->now, w->facts);

    for (uint32_t i = 0; i < e->node_count; i++) {
        const struct estimate_node *n = &e->nodes[i];

        if (n->up || !n->after)
            continue;
        if (n->gained)
            warn(e,
                 "%s is down: the change waits for it, since it is to get %u replicas; if its data "
                 "is lost, 'ringctl replace %s NEW=HOST:PORT' first",
                 n->member->name, n->gained, n->member->name);
        else
            warn(
                e,
                "%s is down: the change does not wait for it, and gives it nothing; if its data is "
                "lost, 'ringctl replace %s NEW=HOST:PORT' first",
                n->member->name, n->member->name);
    }
    if (silent)
        warn(e, "%u partitions have no majority of their replicas up: they wait until they have",
             silent);
}

uint32_t ring_without_majority(const struct ring *ring, const struct node_facts *facts)
{
    uint32_t count = 0;

    for (uint32_t p = 0; p < ring_partitions(ring); p++) {
        const struct ring_replicas *set = ring_replicas(ring, p);
        uint16_t up = 0;

        for (uint16_t i = 0; i < set->count; i++)
            up += facts[set->member[i]].up;
        count += 2 * up <= set->count;
    }
    return count;
}

/* --- the whole ------------------------------------------------------------------------------ */

static void fill_in(struct work *w, const struct node_facts *joining, uint64_t rate)
{
    list_nodes(w, joining);
    count_places(w);
    for (uint32_t p = 0; p < ring_partitions(w->now); p++)
        count_partition(w, p);
    sum_up(w);
    estimate_time(w->e, rate);
    warn_of_shape(w->e, w);
    warn_of_the_dead(w->e, w);
    warn_of_disks(w->e);
}

int estimate_change(const struct ring *now, const struct node_facts *facts, const struct ring *next,
                    const struct node_facts *joining, uint64_t rate, struct estimate *e)
{
    struct work *w = calloc(1, sizeof(*w));

    *e = (struct estimate){.partitions = ring_partitions(now)};
    e->nodes = calloc(now->member_count + next->member_count, sizeof(*e->nodes));
    if (!w || !e->nodes) {
        free(w);
        return RK_NOMEM;
    }
    w->now = now;
    w->next = next;
    w->facts = facts;
    w->e = e;
    fill_in(w, joining, rate ? rate : ESTIMATE_RATE);
    free(w);
    return 0;
}

void estimate_free(struct estimate *e)
{
    free(e->nodes);
    *e = (struct estimate){0};
}
