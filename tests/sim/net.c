#include "tests/sim/net.h"
#include "shared/frame.h"
#include "tests/sim/world.h"
#include <stdlib.h>

enum message_kind { MESSAGE_DATA, MESSAGE_OPEN, MESSAGE_OPENED, MESSAGE_CLOSE };

struct message {
    struct message *next;
    uint32_t connection;
    uint8_t kind;
    size_t size;
    uint8_t data[];
};

/* --- pipes ---------------------------------------------------------------------------------- */

static bool shards_meet(const struct world *w, const struct place *a, const struct place *b)
{
    uint32_t a_shards = w->nodes[a->owner].shards, b_shards = w->nodes[b->owner].shards;

    for (uint32_t p = a->shard_index; p < 1u << w->shape.bits; p += a_shards)
        if (p % b_shards == b->shard_index)
            return true;
    return false;
}

/* The member with the lower number opens a link; proxies open all of theirs. */
static bool opens(const struct world *w, const struct place *a, const struct place *b)
{
    if (a->is_proxy || b->is_proxy)
        return a->is_proxy && !b->is_proxy;
    return a->owner < b->owner && shards_meet(w, a, b);
}

void net_build(struct world *w)
{
    w->pipes = calloc((size_t)w->place_count * w->place_count, sizeof(*w->pipes));
    if (!w->pipes)
        abort();
    for (uint32_t a = 0; a < w->place_count; a++)
        for (uint32_t b = 0; b < w->place_count; b++) {
            if (a == b || !opens(w, &w->places[a], &w->places[b]))
                continue;

            struct pipe *pipe = &w->pipes[w->pipe_count];

            pipe->index = w->pipe_count++;
            pipe->sides[OPENER].place = &w->places[a];
            pipe->sides[ACCEPTOR].place = &w->places[b];
            w->pipe_of[a][b] = w->pipe_of[b][a] = (uint16_t)w->pipe_count;
        }
}

void net_free(struct world *w)
{
    for (uint32_t i = 0; i < w->pipe_count; i++)
        for (int side = 0; side < 2; side++) {
            struct message *m = w->pipes[i].ways[side].first;

            while (m) {
                struct message *next = m->next;

                free(m);
                m = next;
            }
            buf_free(&w->pipes[i].sides[side].out);
        }
    free(w->pipes);
}

struct pipe *net_pipe(struct world *w, const struct place *from, const struct place *to, int *side)
{
    uint16_t index = w->pipe_of[from->index][to->index];

    if (!index)
        return NULL;
    *side = w->pipes[index - 1].sides[OPENER].place == from ? OPENER : ACCEPTOR;
    return &w->pipes[index - 1];
}

/* --- sending -------------------------------------------------------------------------------- */

static uint64_t delay(struct world *w)
{
    uint64_t most = sim_random_chance(&w->random, 50) ? w->shape.delay_rare_us : w->shape.delay_us;

    return 1 + sim_random_below(&w->random, most);
}

static void send(struct world *w, struct pipe *pipe, int from, enum message_kind kind,
                 uint32_t connection, struct bytes data)
{
    struct way *way = &pipe->ways[from];
    struct message *m = malloc(sizeof(*m) + data.size);

    if (!m)
        abort();
    *m = (struct message){NULL, connection, (uint8_t)kind, data.size};
    if (data.size)
        memcpy(m->data, data.data, data.size);
    if (way->last)
        way->last->next = m;
    else
        way->first = m;
    way->last = m;

    uint64_t due = w->now_us + delay(w);

    if (due <= way->last_due_us)
        due = way->last_due_us + 1;
    way->last_due_us = due;
    w->messages++;
    events_put(&w->events, due, EVENT_DELIVER, pipe->index, (uint32_t)from, 0);
}

struct buf *net_out(struct pipe *pipe, int side)
{
    struct side *s = &pipe->sides[side];

    if (!s->connection)
        return NULL;
    if (!s->dirty) {
        s->dirty = true;
        s->place->dirty[s->place->dirty_count++] = (uint16_t)pipe->index;
    }
    return &s->out;
}

bool net_has_room(struct world *w, struct pipe *pipe, int side)
{
    const struct side *s = &pipe->sides[side];

    return s->connection && s->in_flight + buf_len(&s->out) <= w->shape.room;
}

static void flush(struct world *w, struct pipe *pipe, int side)
{
    struct side *s = &pipe->sides[side];
    struct bytes rest = buf_bytes(&s->out);
    bool apart = sim_random_chance(&w->random, 300);

    s->dirty = false;
    if (w->trace && rest.size)
        trace_frames(w, s->place, pipe->sides[!side].place, rest, "sends");
    s->in_flight += rest.size;
    while (rest.size) {
        struct frame f;
        int64_t size = apart ? frame_read(rest, FRAME_BODY_MAX, &f) : (int64_t)rest.size;

        if (size <= 0) {
            world_violated(w, "a place wrote what is no frame");
            break;
        }
        send(w, pipe, side, MESSAGE_DATA, s->connection, bytes_of(rest.data, (size_t)size));
        rest = bytes_of(rest.data + size, rest.size - (size_t)size);
    }
    buf_truncate(&s->out, 0);
    if (s->in_flight > w->shape.room)
        s->full = true;
}

void net_flush(struct world *w, struct place *p)
{
    for (uint32_t i = 0; i < p->dirty_count; i++) {
        struct pipe *pipe = &w->pipes[p->dirty[i]];

        flush(w, pipe, pipe->sides[OPENER].place == p ? OPENER : ACCEPTOR);
    }
    p->dirty_count = 0;
}

/* --- up and down ---------------------------------------------------------------------------- */

static bool alive(const struct world *w, const struct place *p)
{
    (void)w;
    return p->is_proxy ? p->life != 0 : p->shard != NULL;
}

/* The handshake tells each side which ring the other one has. */
static void compare_rings(struct world *w, const struct place *p, const struct place *other)
{
    if (p->ring && other->ring && other->ring->epoch > p->ring->epoch)
        rings_fetch(w, p->owner, p->is_proxy);
}

static void tell_up(struct world *w, struct pipe *pipe, int side)
{
    struct place *p = pipe->sides[side].place, *other = pipe->sides[!side].place;
    char a[16], b[16];

    TRACE(w, "%s: connection %u with %s is up", place_name(p, a), pipe->sides[side].connection,
          place_name(other, b));
    compare_rings(w, p, other);
    if (p->is_proxy)
        proxy_lane(w->proxies[p->owner], pipe, LANE_NEWS_UP);
    else if (!other->is_proxy)
        node_link_up(p, other);
}

static void tell_down(struct world *w, struct pipe *pipe, int side)
{
    struct place *p = pipe->sides[side].place, *other = pipe->sides[!side].place;
    char a[16], b[16];

    TRACE(w, "%s: the connection with %s is down", place_name(p, a), place_name(other, b));
    if (p->is_proxy)
        proxy_lane(w->proxies[p->owner], pipe, LANE_NEWS_LOST);
    else if (!other->is_proxy)
        node_link_down(p, other);
}

static void open_later(struct world *w, struct pipe *pipe)
{
    events_put(&w->events, w->now_us + sim_random_range(&w->random, 1000, 12000), EVENT_OPEN,
               pipe->index, 0, 0);
}

/* A connection that was asked for does not come up. */
static void open_failed(struct world *w, struct pipe *pipe)
{
    struct place *p = pipe->sides[OPENER].place;

    pipe->opening = 0;
    compare_rings(w, p, pipe->sides[ACCEPTOR].place);
    open_later(w, pipe);
    if (p->is_proxy)
        proxy_lane(w->proxies[p->owner], pipe, LANE_NEWS_FAILED);
}

/* The side's half of the connection is gone; its owner is not told here. */
static uint32_t forget(struct pipe *pipe, int side)
{
    struct side *s = &pipe->sides[side];
    uint32_t connection = s->connection;

    s->connection = 0;
    s->in_flight = 0;
    s->full = false;
    buf_truncate(&s->out, 0);
    return connection;
}

void net_side_down(struct world *w, struct pipe *pipe, int side, bool tell)
{
    uint32_t connection = forget(pipe, side);

    if (!connection)
        return;
    if (tell)
        send(w, pipe, side, MESSAGE_CLOSE, connection, (struct bytes){0});
    if (!alive(w, pipe->sides[side].place))
        return;
    tell_down(w, pipe, side);
    if (side == OPENER)
        open_later(w, pipe);
}

void net_open(struct world *w, struct pipe *pipe)
{
    if (!alive(w, pipe->sides[OPENER].place) || pipe->sides[OPENER].connection || pipe->opening ||
        !rings_join(pipe->sides[OPENER].place, pipe->sides[ACCEPTOR].place))
        return;
    pipe->opening = ++w->next_connection;
    send(w, pipe, OPENER, MESSAGE_OPEN, pipe->opening, (struct bytes){0});
    events_put(&w->events, w->now_us + w->shape.silence_us, EVENT_OPEN_TIMEOUT, pipe->index, 0,
               pipe->opening);
}

void net_open_timeout(struct world *w, struct pipe *pipe, uint32_t connection)
{
    if (pipe->opening != connection)
        return;
    send(w, pipe, OPENER, MESSAGE_CLOSE, connection, (struct bytes){0});
    open_failed(w, pipe);
}

void net_silence(struct world *w, struct pipe *pipe, int side, uint32_t connection)
{
    const struct way *heard = &pipe->ways[!side];

    if (pipe->sides[side].connection != connection)
        return;
    if ((heard->blocked && w->now_us - heard->blocked_since_us >= w->shape.silence_us) ||
        pipe->sides[!side].connection != connection)
        net_side_down(w, pipe, side, true);
}

/* --- what arrives --------------------------------------------------------------------------- */

static void accept_open(struct world *w, struct pipe *pipe, uint32_t connection)
{
    struct place *p = pipe->sides[ACCEPTOR].place, *from = pipe->sides[OPENER].place;
    bool known = alive(w, p) && (from->is_proxy || rings_join(p, from));

    if (!known) {
        if (alive(w, p) || sim_random_chance(&w->random, 500))
            send(w, pipe, ACCEPTOR, MESSAGE_CLOSE, connection, (struct bytes){0});
        if (alive(w, p))
            compare_rings(w, p, from);
        return;
    }
    net_side_down(w, pipe, ACCEPTOR, false);
    pipe->sides[ACCEPTOR].connection = connection;
    send(w, pipe, ACCEPTOR, MESSAGE_OPENED, connection, (struct bytes){0});
    tell_up(w, pipe, ACCEPTOR);
}

static void take_opened(struct world *w, struct pipe *pipe, uint32_t connection)
{
    if (pipe->opening != connection)
        return;
    pipe->opening = 0;
    pipe->sides[OPENER].connection = connection;
    /* The acceptor may have died in the meantime: then nothing more is heard from it. */
    if (pipe->sides[ACCEPTOR].connection != connection)
        events_put(&w->events, w->now_us + w->shape.silence_us, EVENT_SILENCE, pipe->index, OPENER,
                   connection);
    tell_up(w, pipe, OPENER);
}

static void take_close(struct world *w, struct pipe *pipe, int side, uint32_t connection)
{
    if (pipe->sides[side].connection == connection) {
        net_side_down(w, pipe, side, false);
    } else if (side == OPENER && pipe->opening == connection) {
        open_failed(w, pipe);
    }
}

static void take_data(struct world *w, struct pipe *pipe, int side, const struct message *m)
{
    struct place *p = pipe->sides[side].place, *other = pipe->sides[!side].place;

    if (pipe->ways[!side].broken == m->connection || !alive(w, p))
        return;
    if (pipe->sides[side].connection != m->connection) {
        send(w, pipe, side, MESSAGE_CLOSE, m->connection, (struct bytes){0});
        return;
    }
    if (w->trace)
        trace_frames(w, p, other, bytes_of(m->data, m->size), "takes");
    if (p->is_proxy)
        proxy_frames(w->proxies[p->owner], pipe, bytes_of(m->data, m->size));
    else
        node_frames(p, pipe, other, bytes_of(m->data, m->size));
}

static void arrived(struct world *w, struct pipe *pipe, int from, const struct message *m)
{
    struct side *s = &pipe->sides[from];

    if (m->kind != MESSAGE_DATA || s->connection != m->connection)
        return;
    s->in_flight -= m->size;
    if (s->full && s->in_flight <= w->shape.room / 2) {
        s->full = false;
        events_put(&w->events, w->now_us, EVENT_ROOM, pipe->index, (uint32_t)from, s->connection);
    }
}

void net_deliver(struct world *w, struct pipe *pipe, int from)
{
    struct way *way = &pipe->ways[from];
    struct message *m = way->first;

    if (way->blocked) {
        way->stalled++;
        return;
    }
    way->first = m->next;
    if (!m->next)
        way->last = NULL;
    w->messages--;
    arrived(w, pipe, from, m);
    switch (m->kind) {
    case MESSAGE_OPEN:
        accept_open(w, pipe, m->connection);
        break;
    case MESSAGE_OPENED:
        take_opened(w, pipe, m->connection);
        break;
    case MESSAGE_CLOSE:
        take_close(w, pipe, !from, m->connection);
        break;
    default:
        take_data(w, pipe, !from, m);
    }
    free(m);
}

/* --- faults --------------------------------------------------------------------------------- */

void net_block(struct world *w, struct pipe *pipe, int from, uint64_t us)
{
    struct way *way = &pipe->ways[from];

    if (way->blocked)
        return;
    way->blocked = true;
    way->blocked_since_us = w->now_us;
    events_put(&w->events, w->now_us + us, EVENT_UNBLOCK, pipe->index, (uint32_t)from, 0);
    events_put(&w->events, w->now_us + w->shape.silence_us, EVENT_SILENCE, pipe->index,
               (uint32_t)!from, pipe->sides[!from].connection);
}

void net_unblock(struct world *w, struct pipe *pipe, int from)
{
    struct way *way = &pipe->ways[from];
    uint64_t at = w->now_us;

    if (!way->blocked)
        return;
    way->blocked = false;
    for (; way->stalled; way->stalled--) {
        at += 1 + sim_random_below(&w->random, 50);
        events_put(&w->events, at, EVENT_DELIVER, pipe->index, (uint32_t)from, 0);
    }
    if (way->last_due_us < at)
        way->last_due_us = at;
}

void net_reset(struct world *w, struct pipe *pipe)
{
    for (int side = 0; side < 2; side++) {
        uint32_t connection = pipe->sides[side].connection;

        if (!connection)
            continue;
        if (sim_random_chance(&w->random, 600))
            pipe->ways[side].broken = connection;
        events_put(&w->events, w->now_us + sim_random_below(&w->random, w->shape.silence_us),
                   EVENT_SIDE_DOWN, pipe->index, (uint32_t)side, connection);
    }
}

void net_drop(struct world *w, struct pipe *pipe)
{
    for (int side = 0; side < 2; side++) {
        pipe->ways[side].broken = pipe->sides[side].connection;
        net_side_down(w, pipe, side, false);
    }
}

static void end_died(struct world *w, struct pipe *pipe, int side, bool tell)
{
    uint32_t connection;

    if (side == OPENER && pipe->opening) {
        send(w, pipe, side, MESSAGE_CLOSE, pipe->opening, (struct bytes){0});
        pipe->opening = 0;
    }
    connection = forget(pipe, side);
    if (!connection)
        return;
    if (tell)
        send(w, pipe, side, MESSAGE_CLOSE, connection, (struct bytes){0});
    if (!tell || sim_random_chance(&w->random, 300))
        pipe->ways[side].broken = connection;
    if (!tell)
        events_put(&w->events, w->now_us + w->shape.silence_us, EVENT_SILENCE, pipe->index,
                   (uint32_t)!side, connection);
}

void net_place_died(struct world *w, struct place *p, bool tell)
{
    for (uint32_t i = 0; i < w->pipe_count; i++)
        for (int side = 0; side < 2; side++)
            if (w->pipes[i].sides[side].place == p) {
                w->pipes[i].sides[side].dirty = false;
                end_died(w, &w->pipes[i], side, tell);
            }
    p->dirty_count = 0;
}

static bool is_wanted(const struct pipe *pipe, int side)
{
    const struct place *p = pipe->sides[side].place, *other = pipe->sides[!side].place;

    return (side == ACCEPTOR && other->is_proxy) || rings_join(p, other);
}

void net_ring_changed(struct world *w, struct place *p)
{
    for (uint32_t i = 0; i < w->pipe_count; i++)
        for (int side = 0; side < 2; side++)
            if (w->pipes[i].sides[side].place == p && !is_wanted(&w->pipes[i], side))
                net_side_down(w, &w->pipes[i], side, true);
    net_place_began(w, p);
}

void net_place_began(struct world *w, struct place *p)
{
    for (uint32_t i = 0; i < w->pipe_count; i++)
        if (w->pipes[i].sides[OPENER].place == p)
            events_put(&w->events, w->now_us + sim_random_below(&w->random, 2000), EVENT_OPEN, i, 0,
                       0);
}
