#include "tests/sim/world.h"
#include "node/store_memory.h"
#include <stdarg.h>
#include <stdlib.h>

enum {
    FAULTY_US_MAX = 4000000, /* the clients' time */
    QUIET_US_MAX = 20000000, /* until everything is quiet after healing */
    FINAL_US_MAX = 10000000,
    QUIET_STEP_US = 20000,
    QUIET_STEPS = 4,
    EVENTS_MAX = 3000000, /* beyond this a run goes round in circles */
};

void world_violated(struct world *w, const char *format, ...)
{
    va_list args;

    if (w->violation[0])
        return;
    va_start(args, format);
    vsnprintf(w->violation, sizeof(w->violation), format, args);
    va_end(args);
    TRACE(w, "VIOLATED: %s", w->violation);
}

struct bytes world_keep(struct world *w, struct bytes bytes)
{
    void *copy = malloc(bytes.size + 1);

    if (w->kept_count == w->kept_size) {
        w->kept_size = w->kept_size ? w->kept_size * 2 : 256;
        w->kept = realloc(w->kept, w->kept_size * sizeof(*w->kept));
    }
    if (!copy || !w->kept)
        abort();
    w->kept[w->kept_count++] = copy;
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    return bytes_of(copy, bytes.size);
}

const char *place_name(const struct place *p, char name[16])
{
    if (p->is_proxy)
        snprintf(name, 16, "proxy%u", p->owner);
    else
        snprintf(name, 16, "n%u/%u", p->owner + 1, p->shard_index);
    return name;
}

/* --- making ---------------------------------------------------------------------------------- */

static void make_ring(struct world *w)
{
    struct ring *r = ring_new(w->shape.nodes, (uint8_t)w->shape.bits);
    char why[200];

    if (!r)
        abort();
    r->cluster[0] = 1;
    r->epoch = 1;
    r->hash = POSITION_MD5;
    r->replicas = (uint8_t)w->shape.replicas;
    r->next_number = (uint16_t)(w->shape.nodes + 1);
    for (uint32_t i = 0; i < w->shape.nodes; i++) {
        struct ring_member *m = &r->members[i];

        m->identity[0] = (uint8_t)(i + 1);
        m->number = (uint16_t)(i + 1);
        m->port = (uint16_t)(i + 1);
        m->shards = w->nodes[i].shards;
        m->weight = 1;
        snprintf(m->name, sizeof(m->name), "n%u", i + 1);
        snprintf(m->host, sizeof(m->host), "h");
    }
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        r->owners[p] = (uint16_t)((p + w->seed) % w->shape.nodes);
    if (ring_finish(r, why, sizeof(why)) != 0) {
        fprintf(stderr, "sim: %s\n", why);
        abort();
    }
    rings_start(w, r);
}

static struct place *add_place(struct world *w)
{
    struct place *p = &w->places[w->place_count];

    p->index = w->place_count++;
    p->world = w;
    return p;
}

static void make_node(struct world *w, uint32_t index)
{
    struct sim_node *n = &w->nodes[index];

    n->shards = w->shape.shards == 3 ? (uint16_t)(1 + index % 2) : (uint16_t)w->shape.shards;
    n->rate = (uint32_t)sim_random_range(&w->random, 900, 1100);
    n->sync_factor = 1;
    n->first_place = w->place_count;
    for (uint16_t i = 0; i < n->shards; i++) {
        struct place *p = add_place(w);

        p->owner = index;
        p->shard_index = i;
        if (store_memory_new(w->seed + p->index, &p->store) != 0)
            abort();
    }
}

static void make_proxies(struct world *w)
{
    for (uint32_t i = 0; i < w->shape.proxies; i++) {
        struct place *p = add_place(w);

        p->is_proxy = true;
        p->owner = i;
    }
    net_build(w);
    for (uint32_t i = 0; i < w->shape.proxies; i++)
        w->proxies[i] = proxy_new(w, &w->places[w->place_count - w->shape.proxies + i]);
}

struct world *world_new(uint64_t seed, const char *settings, const struct script *script,
                        const struct sim_keys *keys, FILE *trace)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w)
        abort();
    w->seed = seed;
    w->keys = keys;
    w->trace = trace;
    sim_random_seed(&w->random, seed);
    w->script = script;
    if (script)
        shape_of_script(&w->shape, script_shape(script), settings);
    else
        shape_draw(&w->shape, &w->random, settings);
    /* Those that may join are there from the start, in no ring. */
    w->node_count = w->shape.changes ? NODES_MAX : w->shape.nodes;
    for (uint32_t i = 0; i < w->node_count; i++)
        make_node(w, i);
    make_ring(w);
    make_proxies(w);
    return w;
}

void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->place_count; i++) {
        shard_free(w->places[i].shard);
        if (w->places[i].store)
            store_close(w->places[i].store);
    }
    for (uint32_t i = 0; i < w->shape.proxies; i++)
        proxy_free(w->proxies[i]);
    net_free(w);
    events_free(&w->events);
    rings_free(w);
    for (size_t i = 0; i < w->kept_count; i++)
        free(w->kept[i]);
    free(w->kept);
    free(w->ops);
    free(w);
}

/* --- running --------------------------------------------------------------------------------- */

static struct place *proxy_place(struct world *w, uint32_t proxy)
{
    return &w->places[w->place_count - w->shape.proxies + proxy];
}

/* The place in which an event happens, or NULL. */
static struct place *place_of(struct world *w, const struct event *e)
{
    switch (e->kind) {
    case EVENT_DELIVER:
        return w->pipes[e->a].sides[!e->b].place;
    case EVENT_SILENCE:
    case EVENT_SIDE_DOWN:
    case EVENT_ROOM:
        return w->pipes[e->a].sides[e->b].place;
    case EVENT_OPEN:
    case EVENT_OPEN_TIMEOUT:
        return w->pipes[e->a].sides[OPENER].place;
    case EVENT_TICK:
    case EVENT_TURN_END:
    case EVENT_SYNC:
    case EVENT_SYNC_TOLD:
    case EVENT_PROXY:
    case EVENT_RING_SHARD:
        return &w->places[e->a];
    case EVENT_RING:
        return e->b ? proxy_place(w, e->a) : &w->places[w->nodes[e->a].first_place];
    case EVENT_CLIENT:
        return proxy_place(w, w->clients[e->a].proxy);
    default:
        return NULL;
    }
}

/* A process that stands still handles what happens to it when it goes on, in the same order. */
static bool postponed(struct world *w, const struct event *e)
{
    const struct place *p = place_of(w, e);
    uint64_t until_us;

    if (!p)
        return false;
    until_us = p->is_proxy ? p->paused_until_us : w->nodes[p->owner].paused_until_us;
    if (until_us <= w->now_us)
        return false;
    events_put(&w->events, until_us, e->kind, e->a, e->b, e->c);
    return true;
}

static void handle_net(struct world *w, const struct event *e)
{
    struct pipe *pipe = &w->pipes[e->a];
    struct side *s = &pipe->sides[e->b];

    switch (e->kind) {
    case EVENT_DELIVER:
        net_deliver(w, pipe, (int)e->b);
        break;
    case EVENT_OPEN:
        net_open(w, pipe);
        break;
    case EVENT_OPEN_TIMEOUT:
        net_open_timeout(w, pipe, (uint32_t)e->c);
        break;
    case EVENT_SILENCE:
        net_silence(w, pipe, (int)e->b, (uint32_t)e->c);
        break;
    case EVENT_SIDE_DOWN:
        if (s->connection == e->c)
            net_side_down(w, pipe, (int)e->b, true);
        break;
    case EVENT_ROOM:
        if (s->connection == e->c && !s->place->is_proxy && !pipe->sides[!e->b].place->is_proxy)
            node_room(s->place, pipe->sides[!e->b].place);
        break;
    default:
        net_unblock(w, pipe, (int)e->b);
    }
}

static void handle_node(struct world *w, const struct event *e)
{
    struct place *p = &w->places[e->a];

    if (p->life != e->c || !p->shard)
        return;
    switch (e->kind) {
    case EVENT_TICK:
        node_timer(p);
        break;
    case EVENT_TURN_END:
        node_turn_end(p);
        break;
    case EVENT_SYNC:
        node_sync(p);
        break;
    default:
        node_sync_told(p);
    }
}

static void handle(struct world *w, const struct event *e)
{
    switch (e->kind) {
    case EVENT_TICK:
    case EVENT_TURN_END:
    case EVENT_SYNC:
    case EVENT_SYNC_TOLD:
        handle_node(w, e);
        break;
    case EVENT_RESTART:
        node_start(w, e->a);
        break;
    case EVENT_PROXY_RESTART:
        proxy_start(w->proxies[e->a]);
        break;
    case EVENT_DISK_FREE:
        node_disk_free(w, e->a);
        break;
    case EVENT_FAULT:
        faults_next(w);
        break;
    case EVENT_RING:
        rings_arrive(w, e->a, e->b, e->c);
        break;
    case EVENT_RING_SHARD:
        node_ring_shard(&w->places[e->a]);
        break;
    case EVENT_DRIVE:
        rings_drive(w);
        break;
    case EVENT_CLIENT:
        workload_client(w, e->a);
        break;
    case EVENT_EXPIRY:
        workload_expiry(w, e->a, (int64_t)e->c);
        break;
    case EVENT_PROXY:
        proxy_timer(w->proxies[w->places[e->a].owner], e->c);
        break;
    default:
        handle_net(w, e);
    }
}

void world_run_until(struct world *w, uint64_t until_us)
{
    struct event e;

    while (!w->violation[0] && w->events.count && w->events.heap[0].at_us <= until_us) {
        events_take(&w->events, &e);
        w->now_us = e.at_us;
        if (postponed(w, &e))
            continue;
        if (++w->event_count > EVENTS_MAX)
            world_violated(w, "it goes round in circles");
        handle(w, &e);
    }
    if (w->now_us < until_us)
        w->now_us = until_us;
}

/* Nothing is left of partitions that are not this shard's any more. */
static bool is_cleared(const struct shard *s)
{
    for (uint32_t i = 0; s->me && i < s->group_count; i++)
        if (!s->groups[i].mine && (s->groups[i].partial || s->groups[i].last.view))
            return false;
    return true;
}

static bool is_connected(const struct pipe *pipe)
{
    const struct side *sides = pipe->sides;

    const struct place *from = sides[OPENER].place, *to = sides[ACCEPTOR].place;

    /* Of two members that left in different epochs, one may not know the other any more. */
    return (sides[OPENER].connection && sides[ACCEPTOR].connection) || !rings_join(from, to) ||
           (!from->is_proxy && !rings_join(to, from));
}

/* What still goes on; NULL: nothing but the passing of time. */
static const char *what_goes_on(struct world *w)
{
    if (w->messages || w->ops_open)
        return "messages or commands are on their way";
    if (!rings_settled(w))
        return "the ring is not settled";
    for (uint32_t i = 0; i < w->pipe_count; i++)
        if (!is_connected(&w->pipes[i]))
            return "a connection is missing";
    for (uint32_t i = 0; i < w->place_count; i++) {
        struct place *p = &w->places[i];
        int error = 0;

        if (p->is_proxy || ring_member_by_number(w->ring, (uint16_t)(p->owner + 1)) < 0)
            continue;
        if (!p->shard)
            return "a node is down";
        if (!is_cleared(p->shard))
            return "a node keeps what is not its own any more";
        if (p->turn_open || p->shard->held.count ||
            store_memory_applied(p->store) != store_poll(p->store, &error))
            return "something is not on stable storage";
    }
    return NULL;
}

/* Waits until nothing happens any more but the passing of time. */
static void become_quiet(struct world *w)
{
    uint64_t limit = w->now_us + QUIET_US_MAX;
    /* Long enough that partitions are handed back; clocks may be slow. */
    uint32_t wanted = QUIET_STEPS + 2 * w->shape.hand_back_us / QUIET_STEP_US, quiet = 0;
    const char *why = NULL;

    while (quiet < wanted && !w->violation[0]) {
        world_run_until(w, w->now_us + QUIET_STEP_US);
        why = what_goes_on(w);
        quiet = why ? 0 : quiet + 1;
        if (w->now_us > limit)
            world_violated(w, "it does not become quiet after everything was healed: %s", why);
    }
}

static void run_clients(struct world *w)
{
    while (!w->violation[0] && w->now_us < FAULTY_US_MAX &&
           (w->op_count < w->ops_wanted || w->ops_open))
        world_run_until(w, w->now_us + 2000);
    w->ops_wanted = w->op_count;
}

static void run_final(struct world *w)
{
    uint64_t limit = w->now_us + FINAL_US_MAX;

    workload_final(w);
    while (!w->violation[0] && (w->must_next < w->must_end || w->ops_open)) {
        world_run_until(w, w->now_us + 2000);
        if (w->now_us > limit)
            world_violated(w, "the last requests are not answered in time");
    }
}

void world_run(struct world *w)
{
    for (uint32_t i = 0; i < w->node_count; i++)
        node_start(w, i);
    for (uint32_t i = 0; i < w->shape.proxies; i++)
        proxy_start(w->proxies[i]);
    workload_start(w);
    if (w->script) {
        w->scripted = true;
        script_run(w->script, w);
        w->scripted = false;
    } else {
        faults_start(w);
    }
    run_clients(w);
    faults_heal(w);
    /* Connections that are broken already still end, and processes that stand still go on by
     * themselves. */
    world_run_until(w, w->now_us + 2 * (uint64_t)w->shape.silence_us);
    for (uint32_t i = 0; i < w->node_count; i++)
        world_run_until(w, w->nodes[i].paused_until_us);
    for (uint32_t i = 0; i < w->shape.proxies; i++)
        world_run_until(w, proxy_place(w, i)->paused_until_us);
    become_quiet(w);
    if (!w->violation[0])
        run_final(w);
    become_quiet(w);
    if (w->trace)
        trace_groups(w);
    /* A history that is wrong says more than replicas that differ. */
    if (!w->violation[0])
        verify_history(w);
    if (!w->violation[0])
        verify_replicas(w);
}
