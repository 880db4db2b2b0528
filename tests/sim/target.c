#include "tests/sim/target.h"
#include "tests/sim/world.h"
#include <stdlib.h>

struct draft {
    uint16_t numbers[NODES_MAX]; /* of the members, ascending */
    uint32_t count;
    uint8_t replicas;
    uint16_t next_number;
};

static void leave(struct draft *d, uint32_t at)
{
    d->count--;
    memmove(&d->numbers[at], &d->numbers[at + 1], (d->count - at) * sizeof(d->numbers[0]));
}

static bool may_join(const struct world *w, const struct draft *d)
{
    return d->next_number <= w->node_count;
}

static void join(struct draft *d)
{
    d->numbers[d->count++] = d->next_number++;
}

/* Where in the draft a member is that has lost its disk; the count: none has. */
static uint32_t find_wiped(const struct world *w, const struct draft *d)
{
    uint32_t at = 0;

    while (at < d->count && !w->nodes[d->numbers[at] - 1].wiped)
        at++;
    return at;
}

enum kind { KIND_JOIN, KIND_LEAVE, KIND_REPLACE, KIND_REPLICAS, KIND_SHUFFLE, KINDS };

static const char *change_draft(struct world *w, struct draft *d)
{
    static const uint8_t replicas[] = {1, 2, 3, 3, 3, 4, 5};
    enum kind kind = (enum kind)sim_random_below(&w->random, KINDS);
    uint32_t wiped = find_wiped(w, d), at = (uint32_t)sim_random_below(&w->random, d->count);

    if (wiped < d->count) {
        kind = KIND_REPLACE;
        at = wiped;
    }
    if ((kind == KIND_JOIN || kind == KIND_REPLACE) && !may_join(w, d)) {
        if (wiped < d->count)
            return NULL;
        kind = KIND_SHUFFLE;
    }
    if (kind == KIND_LEAVE && d->count <= 2)
        kind = KIND_REPLICAS;
    switch (kind) {
    case KIND_JOIN:
        join(d);
        return "join";
    case KIND_LEAVE:
        leave(d, at);
        return "leave";
    case KIND_REPLACE:
        leave(d, at);
        join(d);
        return "replace";
    case KIND_REPLICAS:
        d->replicas = replicas[sim_random_below(&w->random, sizeof(replicas))];
        return "replicas";
    default:
        return "shuffle";
    }
}

static void fill_member(const struct world *w, struct ring_member *m, uint16_t number)
{
    m->identity[0] = (uint8_t)number;
    m->number = m->port = number;
    m->shards = w->nodes[number - 1].shards;
    m->weight = 1;
    snprintf(m->name, sizeof(m->name), "n%u", number);
    snprintf(m->host, sizeof(m->host), "h");
}

/* Some partitions stay where they are, if they can; every member owns one, if there are enough. */
static void draw_owners(struct world *w, struct ring *t)
{
    uint32_t partitions = ring_partitions(t), owned[NODES_MAX] = {0};
    uint64_t stay = sim_random_below(&w->random, 1001);

    for (uint32_t p = 0; p < partitions; p++) {
        int kept = ring_member_by_number(t, w->ring->members[w->ring->owners[p]].number);
        bool stays = kept >= 0 && sim_random_chance(&w->random, stay);

        t->owners[p] =
            stays ? (uint16_t)kept : (uint16_t)sim_random_below(&w->random, t->member_count);
        owned[t->owners[p]]++;
    }
    for (uint16_t m = 0; m < t->member_count; m++)
        for (uint32_t p = 0; p < partitions && !owned[m]; p++)
            if (owned[t->owners[p]] > 1) {
                owned[t->owners[p]]--;
                t->owners[p] = m;
                owned[m]++;
            }
}

/* Everything but the owners. */
static struct ring *new_target(const struct world *w, const struct draft *d)
{
    const struct ring *now = w->ring;
    struct ring *t = ring_new(d->count, now->bits);

    if (!t)
        abort();
    memcpy(t->cluster, now->cluster, sizeof(t->cluster));
    t->epoch = now->epoch;
    t->hash = now->hash;
    t->replicas = d->replicas;
    t->next_number = d->next_number;
    for (uint32_t i = 0; i < d->count; i++)
        fill_member(w, &t->members[i], d->numbers[i]);
    return t;
}

static struct ring *finished(struct world *w, struct ring *t)
{
    char why[200];

    if (ring_finish(t, why, sizeof(why)) != 0)
        world_violated(w, "a target is no ring: %s", why);
    return t;
}

struct ring *target_of(struct world *w, const uint16_t *numbers, uint32_t count)
{
    struct draft d = {
        .count = count, .replicas = w->ring->replicas, .next_number = w->ring->next_number};
    struct ring *t;

    for (uint32_t i = 0; i < count; i++) {
        d.numbers[i] = numbers[i];
        d.next_number = numbers[i] < d.next_number ? d.next_number : (uint16_t)(numbers[i] + 1);
    }
    t = new_target(w, &d);
    for (uint32_t p = 0; p < ring_partitions(t); p++)
        t->owners[p] = (uint16_t)(p % count);
    return finished(w, t);
}

struct ring *target_draw(struct world *w, char *what, size_t what_size)
{
    const struct ring *now = w->ring;
    struct draft d = {
        .count = now->member_count, .replicas = now->replicas, .next_number = now->next_number};
    const char *kind;
    struct ring *t;

    for (uint32_t i = 0; i < d.count; i++)
        d.numbers[i] = now->members[i].number;
    kind = change_draft(w, &d);
    if (!kind)
        return NULL;
    snprintf(what, what_size, "%s: %u members, %u replicas", kind, d.count, d.replicas);
    t = new_target(w, &d);
    draw_owners(w, t);
    return finished(w, t);
}
