/* What goes wrong, and how it is mended at the end. */
#include "node/store_memory.h"
#include "tests/sim/world.h"

enum fault {
    FAULT_KILL,
    FAULT_POWER,
    FAULT_RESET,
    FAULT_SILENCE,
    FAULT_ISOLATE,
    FAULT_PAUSE,
    FAULT_FULL,
    FAULT_MEMORY,
    FAULT_SYNC_FAIL,
    FAULT_SLOW,
    FAULT_PROXY_KILL,
    FAULT_PROXY_PAUSE,
    FAULT_WIPE,
    FAULTS,
};

static void weights(const struct shape *s, uint32_t out[FAULTS])
{
    out[FAULT_KILL] = s->kill;
    out[FAULT_POWER] = s->power;
    out[FAULT_RESET] = s->reset;
    out[FAULT_SILENCE] = s->silence;
    out[FAULT_ISOLATE] = s->isolate;
    out[FAULT_PAUSE] = s->pause;
    out[FAULT_FULL] = s->full;
    out[FAULT_MEMORY] = s->memory;
    out[FAULT_SYNC_FAIL] = s->sync_fail;
    out[FAULT_SLOW] = s->slow;
    out[FAULT_PROXY_KILL] = s->proxy_kill;
    out[FAULT_PROXY_PAUSE] = s->proxy_pause;
    out[FAULT_WIPE] = s->wipe;
}

static bool pick_fault(struct world *w, enum fault *out)
{
    uint32_t all[FAULTS], sum = 0;
    uint64_t at;

    weights(&w->shape, all);
    for (int i = 0; i < FAULTS; i++)
        sum += all[i];
    if (!sum)
        return false;
    at = sim_random_below(&w->random, sum);
    for (*out = 0; at >= all[*out]; at -= all[(*out)++])
        ;
    return true;
}

/* How long it lasts: often shorter than it takes to notice, sometimes much longer. */
static uint64_t span(struct world *w)
{
    uint64_t silence = w->shape.silence_us;

    return sim_random_chance(&w->random, 400) ? sim_random_range(&w->random, 100, silence)
                                              : sim_random_range(&w->random, silence, 5 * silence);
}

static void isolate(struct world *w, uint32_t node)
{
    uint64_t base = span(w);

    TRACE(w, "fault: n%u is cut off", node + 1);
    for (uint32_t i = 0; i < w->pipe_count; i++) {
        struct pipe *pipe = &w->pipes[i];

        for (int side = 0; side < 2; side++) {
            const struct place *p = pipe->sides[side].place;

            if (p->is_proxy || p->owner != node)
                continue;
            /* Cuts heal one by one. */
            net_block(w, pipe, side, base + sim_random_below(&w->random, base));
            net_block(w, pipe, !side, base + sim_random_below(&w->random, base));
        }
    }
}

static void silence(struct world *w, struct pipe *pipe)
{
    int from = (int)sim_random_below(&w->random, 2);
    char a[16], b[16];

    TRACE(w, "fault: %s is not heard by %s", place_name(pipe->sides[from].place, a),
          place_name(pipe->sides[!from].place, b));
    net_block(w, pipe, from, span(w));
}

static void reset(struct world *w, struct pipe *pipe)
{
    char a[16], b[16];

    TRACE(w, "fault: the connection of %s and %s breaks", place_name(pipe->sides[0].place, a),
          place_name(pipe->sides[1].place, b));
    net_reset(w, pipe);
}

static void disk_fault(struct world *w, uint32_t node, enum fault fault)
{
    struct sim_node *n = &w->nodes[node];
    uint32_t shard = (uint32_t)sim_random_below(&w->random, n->shards);

    TRACE(w, "fault: n%u's disk %s", node + 1,
          fault == FAULT_FULL     ? "is full"
          : fault == FAULT_MEMORY ? "is behind, its memory full"
          : fault == FAULT_SLOW   ? "is slow"
                                  : "will fail a sync");
    if (fault == FAULT_SYNC_FAIL) {
        w->places[n->first_place + shard].sync_fails = true;
        return;
    }
    for (uint32_t i = 0; i < n->shards; i++) {
        if (fault == FAULT_FULL)
            store_memory_set_nospace(w->places[n->first_place + i].store, true);
        if (fault == FAULT_MEMORY)
            store_memory_set_full(w->places[n->first_place + i].store, true);
    }
    if (fault == FAULT_SLOW)
        n->sync_factor = (uint32_t)sim_random_range(&w->random, 2, 30);
    events_put(&w->events, w->now_us + span(w), EVENT_DISK_FREE, node, 0, 0);
}

static void pause_node(struct world *w, uint32_t node)
{
    TRACE(w, "fault: n%u stands still", node + 1);
    w->nodes[node].paused_until_us = w->now_us + span(w);
}

static void proxy_fault(struct world *w, enum fault fault)
{
    uint32_t proxy = (uint32_t)sim_random_below(&w->random, w->shape.proxies);

    TRACE(w, "fault: proxy%u %s", proxy, fault == FAULT_PROXY_KILL ? "is killed" : "stands still");
    if (fault == FAULT_PROXY_PAUSE) {
        w->places[w->place_count - w->shape.proxies + proxy].paused_until_us = w->now_us + span(w);
        return;
    }
    proxy_kill(w->proxies[proxy]);
    workload_proxy_died(w, proxy);
    events_put(&w->events, w->now_us + span(w), EVENT_PROXY_RESTART, proxy, 0, 0);
}

/* Mostly a minority is down at a time; sometimes all of them. */
static bool may_die(struct world *w)
{
    uint32_t down = 0;

    for (uint32_t i = 0; i < w->ring->member_count; i++)
        down += !w->nodes[w->ring->members[i].number - 1].up;
    return down < (w->shape.replicas - 1) / 2 || sim_random_chance(&w->random, 150);
}

static void jump_clock(struct world *w, uint32_t node)
{
    w->nodes[node].wall_offset_ms = (int64_t)sim_random_below(&w->random, 20000000) - 10000000;
}

/* A replica half-way through a transfer is of no use until its end, so a partition that has one can
 * spare no disk: the two together are more than a minority (doc/replication.md). */
static bool has_partial(const struct world *w)
{
    for (uint32_t i = 0; i < w->place_count; i++) {
        const struct place *place = &w->places[i];

        if (place->is_proxy || w->nodes[place->owner].wiped)
            continue;
        for (uint32_t p = 0; p < ring_partitions(w->ring); p++) {
            uint8_t row[STORE_STATE_MAX];
            size_t size = 0;

            if (store_state(place->store, p, row, &size) == 0 &&
                group_row_is_partial(bytes_of(row, size)))
                return true;
        }
    }
    return false;
}

/* One is about to have one. */
static bool brings_somebody_up(const struct world *w, uint32_t node)
{
    const struct sim_node *n = &w->nodes[node];

    for (uint32_t i = 0; i < n->shards; i++) {
        const struct shard *shard = w->places[n->first_place + i].shard;

        if (shard && shard->transfers)
            return true;
    }
    return false;
}

/* One disk at a time, where two more have what was on it, and where somebody can replace it. */
static bool may_be_wiped(const struct world *w, uint32_t node)
{
    bool may = !w->ring->change && w->ring->next_number <= w->node_count &&
               ring_member_by_number(w->ring, (uint16_t)(node + 1)) >= 0;

    for (uint32_t i = 0; i < w->ring->member_count; i++)
        may = may && !w->nodes[w->ring->members[i].number - 1].wiped;
    for (uint32_t p = 0; p < ring_partitions(w->ring); p++)
        may = may && ring_replicas(w->ring, p)->count >= 3;
    return may && !brings_somebody_up(w, node) && !has_partial(w);
}

static void wipe(struct world *w, uint32_t node)
{
    if (!may_be_wiped(w, node))
        return;
    TRACE(w, "fault: n%u loses its disk", node + 1);
    node_kill(w, node, true);
    w->nodes[node].wiped = true;
}

void faults_next(struct world *w)
{
    uint32_t node = (uint32_t)sim_random_below(&w->random, w->node_count);
    struct pipe *pipe = &w->pipes[sim_random_below(&w->random, w->pipe_count)];
    enum fault fault;

    if (w->faults_over || !pick_fault(w, &fault))
        return;
    switch (fault) {
    case FAULT_KILL:
    case FAULT_POWER:
        if (may_die(w))
            node_kill(w, node, fault == FAULT_POWER);
        break;
    case FAULT_RESET:
        reset(w, pipe);
        break;
    case FAULT_SILENCE:
        silence(w, pipe);
        break;
    case FAULT_ISOLATE:
        isolate(w, node);
        break;
    case FAULT_PAUSE:
        pause_node(w, node);
        break;
    case FAULT_WIPE:
        wipe(w, node);
        break;
    case FAULT_PROXY_KILL:
    case FAULT_PROXY_PAUSE:
        proxy_fault(w, fault);
        break;
    default:
        disk_fault(w, node, fault);
    }
    jump_clock(w, (uint32_t)sim_random_below(&w->random, w->node_count));
    faults_start(w);
}

void faults_start(struct world *w)
{
    if (w->shape.fault_us)
        events_put(&w->events,
                   w->now_us + 1 + sim_random_below(&w->random, 2 * (uint64_t)w->shape.fault_us),
                   EVENT_FAULT, 0, 0, 0);
}

void faults_heal(struct world *w)
{
    TRACE(w, "everything is healed");
    w->faults_over = true;
    for (uint32_t i = 0; i < w->pipe_count; i++) {
        net_unblock(w, &w->pipes[i], OPENER);
        net_unblock(w, &w->pipes[i], ACCEPTOR);
    }
    for (uint32_t i = 0; i < w->node_count; i++) {
        node_disk_free(w, i);
        if (!w->nodes[i].up)
            node_start(w, i);
    }
    for (uint32_t i = 0; i < w->shape.proxies; i++) {
        proxy_start(w->proxies[i]);
        proxy_be_patient(w->proxies[i]);
    }
}
