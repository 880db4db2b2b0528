/* A node: its shards' processes around the daemon's replication code, as node/worker.c is in truth.
 */
#include "node/store_memory.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "tests/sim/world.h"
#include <stdlib.h>

enum { FETCH_US = 2000 }; /* between two questions for a newer ring, at least */

/* --- the shard's host ----------------------------------------------------------------------- */

/* A client's name: its pipe and connection. */
static struct buf *client_out(void *arg, uint64_t client)
{
    struct place *p = arg;
    struct pipe *pipe = &p->world->pipes[client >> 32];

    return pipe->sides[ACCEPTOR].connection == (uint32_t)client ? net_out(pipe, ACCEPTOR) : NULL;
}

static struct pipe *peer_pipe(struct place *p, uint16_t member, uint32_t partition, int *side)
{
    struct world *w = p->world;
    const struct sim_node *peer = &w->nodes[member - 1];

    return net_pipe(w, p, &w->places[peer->first_place + partition % peer->shards], side);
}

static struct buf *peer_out(void *arg, uint16_t member, uint32_t partition)
{
    int side;
    struct pipe *pipe = peer_pipe(arg, member, partition, &side);

    return pipe ? net_out(pipe, side) : NULL;
}

static bool peer_has_room(void *arg, uint16_t member, uint32_t partition)
{
    struct place *p = arg;
    int side;
    struct pipe *pipe = peer_pipe(p, member, partition, &side);

    return pipe && net_has_room(p->world, pipe, side);
}

/* A peer that was silent for a while is held for dead before its link is. */
static bool peer_alive(void *arg, uint16_t member, uint32_t partition)
{
    struct place *p = arg;
    struct world *w = p->world;
    int side;
    struct pipe *pipe = peer_pipe(p, member, partition, &side);
    const struct way *heard = pipe ? &pipe->ways[!side] : NULL;

    return pipe && pipe->sides[side].connection &&
           !(heard->blocked && w->now_us - heard->blocked_since_us > w->shape.silence_us / 4);
}

/* For want of memory, of which there is enough here. */
static void peer_break(void *arg, uint16_t member, uint32_t partition)
{
    (void)arg;
    (void)member;
    (void)partition;
    abort();
}

static void newer_epoch(void *arg, uint64_t epoch, uint16_t member)
{
    struct place *p = arg;
    struct sim_node *n = &p->world->nodes[p->owner];

    (void)member;
    (void)epoch;
    if (p->world->now_us < n->fetched_us + FETCH_US)
        return;
    n->fetched_us = p->world->now_us;
    rings_fetch(p->world, p->owner, false);
}

/* --- time ----------------------------------------------------------------------------------- */

static void set_clocks(struct place *p)
{
    const struct sim_node *n = &p->world->nodes[p->owner];
    uint64_t now_us = n->offset_us + p->world->now_us * n->rate / 1000;

    p->shard->wall_ms = p->world->shape.ttl ? world_wall_ms(p->world)
                                            : (int64_t)(now_us / 1000) + n->wall_offset_ms;
}

void node_tick(struct place *p)
{
    struct world *w = p->world;
    const struct sim_node *n = &w->nodes[p->owner];

    set_clocks(p);
    shard_tick(p->shard, (n->offset_us + w->now_us * n->rate / 1000) / 1000, p->shard->wall_ms);
    node_turn_end(p);
}

void node_timer(struct place *p)
{
    struct world *w = p->world;

    events_put(&w->events, w->now_us + (uint64_t)w->shape.tick_us * 1000 / w->nodes[p->owner].rate,
               EVENT_TICK, p->index, 0, p->life);
    if (!w->scripted)
        node_tick(p);
}

/* --- the loop's turns and the sync thread --------------------------------------------------- */

static void begin_sync(struct place *p)
{
    struct world *w = p->world;
    int error = 0;

    if (p->syncing || store_memory_submitted(p->store) <= store_poll(p->store, &error) || error)
        return;
    p->syncing = true;
    p->sync_to = store_memory_submitted(p->store);
    events_put(&w->events,
               w->now_us + 1 +
                   sim_random_below(&w->random, 2 * (uint64_t)w->shape.sync_us *
                                                    w->nodes[p->owner].sync_factor),
               EVENT_SYNC, p->index, 0, p->life);
}

void node_turn_end(struct place *p)
{
    p->turn_open = false;
    store_submit(p->store);
    if (shard_take_waiting(p->shard))
        store_submit(p->store);
    shard_turn_end(p->shard);
    net_flush(p->world, p);
    begin_sync(p);
}

/* Something was handled: the turn ends now, or others come into it first. */
static void handled(struct place *p)
{
    struct world *w = p->world;

    if (p->turn_open)
        return;
    if (sim_random_chance(&w->random, 600)) {
        node_turn_end(p);
        return;
    }
    p->turn_open = true;
    events_put(&w->events, w->now_us + 1 + sim_random_below(&w->random, 300), EVENT_TURN_END,
               p->index, 0, p->life);
}

void node_sync(struct place *p)
{
    struct world *w = p->world;

    p->syncing = false;
    if (p->sync_fails)
        store_memory_fail_sync(p->store);
    p->sync_fails = false;
    store_memory_sync(p->store, p->sync_to);
    events_put(&w->events, w->now_us + 1 + sim_random_below(&w->random, 50), EVENT_SYNC_TOLD,
               p->index, 0, p->life);
    begin_sync(p);
}

void node_sync_told(struct place *p)
{
    int error = 0;
    uint64_t position = store_poll(p->store, &error);

    if (error) {
        TRACE(p->world, "n%u: a sync has failed", p->owner + 1);
        node_kill(p->world, p->owner, false);
        return;
    }
    shard_synced(p->shard, position);
    handled(p);
}

/* --- links and messages --------------------------------------------------------------------- */

static uint16_t member_of(const struct place *p)
{
    return (uint16_t)(p->owner + 1);
}

void node_link_up(struct place *p, struct place *other)
{
    shard_peer_up(p->shard, member_of(other), other->shard_index,
                  p->world->nodes[other->owner].shards);
    handled(p);
}

void node_link_down(struct place *p, struct place *other)
{
    shard_peer_down(p->shard, member_of(other), other->shard_index,
                    p->world->nodes[other->owner].shards);
    handled(p);
}

void node_room(struct place *p, struct place *other)
{
    shard_peer_room(p->shard, member_of(other), other->shard_index,
                    p->world->nodes[other->owner].shards);
    handled(p);
}

/* A proxy that waits for answers asks for a sign of life. */
static int take_ping(struct pipe *pipe, struct bytes body)
{
    uint64_t tag;
    int error = message_get_tag(body, &tag);

    return error ? error : message_put_pong(net_out(pipe, ACCEPTOR), tag);
}

static int take_frame(struct place *p, struct pipe *pipe, struct place *from, const struct frame *f)
{
    uint64_t client = (uint64_t)pipe->index << 32 | pipe->sides[ACCEPTOR].connection;
    struct touched_get get;
    struct request m;

    if (!from->is_proxy)
        return shard_peer_message(p->shard, member_of(from), f->type, f->body);
    if (f->type == MESSAGE_PING)
        return take_ping(pipe, f->body);
    if (f->type == MESSAGE_TOUCHED_GET)
        return message_get_touched_get(f->body, &get) != 0
                   ? RK_CORRUPT
                   : shard_tell_touched(p->shard, client, &get);
    if (f->type != MESSAGE_REQUEST || message_get_request(f->body, &m) != 0)
        return RK_CORRUPT;
    shard_request(p->shard, client, &m);
    return 0;
}

void node_frames(struct place *p, struct pipe *pipe, struct place *from, struct bytes frames)
{
    set_clocks(p);
    while (frames.size) {
        struct frame f;
        int64_t size = frame_read(frames, FRAME_BODY_MAX, &f);

        if (size <= 0 || take_frame(p, pipe, from, &f) != 0) {
            world_violated(p->world, "n%u refuses a frame that a ringkv program wrote",
                           p->owner + 1);
            return;
        }
        frames = bytes_of(frames.data + size, frames.size - (size_t)size);
    }
    handled(p);
}

/* --- life and death ------------------------------------------------------------------------- */

static void start_shard(struct world *w, struct place *p)
{
    struct shard_options options = {.index = p->shard_index,
                                    .count = w->nodes[p->owner].shards,
                                    .value_max = 1 << 16,
                                    .history_bytes = 1 << 14,
                                    .history_steps = w->shape.history_steps,
                                    .held_max = 1 << 16,
                                    .candidate_ms = 1 + w->shape.silence_us / 1000,
                                    .hand_back_ms = 1 + w->shape.hand_back_us / 1000,
                                    .chunk_records = w->shape.chunk_records};
    struct shard_host host = {client_out,  peer_out, peer_has_room, peer_alive, peer_break,
                              newer_epoch, p};

    const struct ring *ring = w->nodes[p->owner].ring;

    /* In no ring, or not any more: it waits, and serves nobody. */
    if (!ring || ring_member_by_number(ring, member_of(p)) < 0)
        return;
#ifdef RINGKV_MUTANTS
    options.mutants = w->shape.mutants;
#endif
    p->shard = shard_new(&options, &host, p->store);
    p->life++;
    p->turn_open = p->syncing = false;
    if (!p->shard || shard_set_ring(p->shard, ring, member_of(p)) != 0) {
        world_violated(w, "n%u cannot read its own state", p->owner + 1);
        return;
    }
    p->ring = ring;
    set_clocks(p);
    events_put(&w->events, w->now_us + sim_random_below(&w->random, w->shape.tick_us), EVENT_TICK,
               p->index, 0, p->life);
    net_place_began(w, p);
}

void node_start(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->nodes[node];

    if (n->up || n->wiped)
        return;
    TRACE(w, "n%u: starts", node + 1);
    n->up = true;
    n->doomed = false;
    n->paused_until_us = 0;
    n->offset_us = sim_random_below(&w->random, 1000000);
    for (uint32_t i = 0; i < n->shards; i++)
        start_shard(w, &w->places[n->first_place + i]);
}

void node_use_ring(struct world *w, uint32_t node, const struct ring *ring)
{
    struct sim_node *n = &w->nodes[node];

    TRACE(w, "n%u: takes the ring of epoch %llu", node + 1, (unsigned long long)ring->epoch);
    n->ring = ring;
    for (uint32_t i = 0; i < n->shards; i++)
        events_put(&w->events, w->now_us + sim_random_below(&w->random, 2000), EVENT_RING_SHARD,
                   n->first_place + i, 0, 0);
}

void node_ring_shard(struct place *p)
{
    struct sim_node *n = &p->world->nodes[p->owner];
    int member;

    if (!n->up || p->ring == n->ring)
        return;
    if (!p->shard) {
        start_shard(p->world, p);
        return;
    }
    member = ring_member_by_number(n->ring, member_of(p));
    if (shard_set_ring(p->shard, n->ring, member < 0 ? 0 : member_of(p)) != 0) {
        world_violated(p->world, "n%u cannot take a ring", p->owner + 1);
        return;
    }
    p->ring = n->ring;
    net_ring_changed(p->world, p);
    handled(p);
}

static void end_shard(struct world *w, struct place *p, bool tell)
{
    int error = 0;
    uint64_t synced = store_poll(p->store, &error), submitted = store_memory_submitted(p->store);

    net_place_died(w, p, tell);
    shard_free(p->shard);
    p->shard = NULL;
    p->ring = NULL;
    p->life++;
    /* What the sync thread was at may have got there; in a script it has not. */
    if (!error && submitted > synced && !w->script && sim_random_chance(&w->random, 500))
        store_memory_sync(p->store, sim_random_range(&w->random, synced, submitted));
    store_memory_crash(p->store);
}

void node_kill(struct world *w, uint32_t node, bool power)
{
    struct sim_node *n = &w->nodes[node];

    if (!n->up)
        return;
    TRACE(w, "n%u: %s", node + 1, power ? "loses its power" : "is killed");
    n->up = false;
    n->paused_until_us = 0;
    for (uint32_t i = 0; i < n->shards; i++)
        end_shard(w, &w->places[n->first_place + i], !power);
    if (!n->doomed) {
        n->doomed = true;
        events_put(&w->events,
                   w->now_us + sim_random_range(&w->random, 1, 4 * (uint64_t)w->shape.silence_us),
                   EVENT_RESTART, node, 0, 0);
    }
}

void node_disk_free(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->nodes[node];

    n->sync_factor = 1;
    for (uint32_t i = 0; i < n->shards; i++) {
        w->places[n->first_place + i].sync_fails = false;
        store_memory_set_nospace(w->places[n->first_place + i].store, false);
        store_memory_set_full(w->places[n->first_place + i].store, false);
    }
}
