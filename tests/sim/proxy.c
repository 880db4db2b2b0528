#include "tests/sim/proxy.h"
#include "proxy/facts.h"
#include "proxy/router.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "tests/sim/world.h"
#include <stdlib.h>

enum { PATIENT_REQUEST_MS = 5000, PATIENT_NODE_MS = 500 };

struct sim_proxy {
    struct world *w;
    struct place *place;
    struct router router;
    struct counters counters;
    struct lane lanes[PLACES_MAX]; /* by the index of the place they lead to */
    struct session sessions[CLIENTS_MAX];
    struct buf outs[CLIENTS_MAX];
    uint64_t offset_us; /* of its clock */
    uint32_t rate;      /* of its clock, thousandths */
    uint64_t tick_at_us, last_tick;
};

/* --- time ----------------------------------------------------------------------------------- */

static uint64_t clock_ms(const struct sim_proxy *x)
{
    return (x->offset_us + x->w->now_us * x->rate / 1000) / 1000;
}

static void tick_later(struct sim_proxy *x, uint64_t after_ms)
{
    uint64_t at_us;

    if (after_ms == UINT64_MAX)
        return;
    at_us = x->w->now_us + 1 + after_ms * 1000000 / x->rate;
    if (at_us >= x->tick_at_us)
        return;
    x->tick_at_us = at_us;
    events_put(&x->w->events, at_us, EVENT_PROXY, x->place->index, 0, ++x->last_tick);
}

/* --- replies -------------------------------------------------------------------------------- */

static void give_replies(struct sim_proxy *x, struct session *s)
{
    uint32_t client = (uint32_t)(s - x->sessions);

    if (s->broken)
        world_violated(x->w, "a proxy ran out of memory");
    while (buf_len(s->out) && !x->w->violation[0]) {
        size_t size = workload_reply(x->w, client, buf_bytes(s->out));

        if (!size)
            return;
        buf_consume(s->out, size);
    }
}

void proxy_turn_end(struct sim_proxy *x)
{
    struct session *s;
    struct lane *lane;

    while ((s = router_next_ready(&x->router)) != NULL)
        give_replies(x, s);
    while ((lane = router_next_dirty(&x->router)) != NULL) {
        int side;
        struct pipe *pipe = net_pipe(x->w, x->place, &x->w->places[lane - x->lanes], &side);

        net_out(pipe, side);
    }
    net_flush(x->w, x->place);
    if (x->router.ring_wanted) {
        x->router.ring_wanted = false;
        rings_fetch(x->w, x->place->owner, true);
    }
    tick_later(x, router_next_ms(&x->router));
}

void proxy_timer(struct sim_proxy *x, uint64_t number)
{
    if (number != x->last_tick || !x->place->life)
        return;
    x->tick_at_us = UINT64_MAX;
    router_tick(&x->router, clock_ms(x));
    proxy_turn_end(x);
}

bool proxy_holds(const struct sim_proxy *x, uint32_t client)
{
    return x->sessions[client].holding;
}

void proxy_command(struct sim_proxy *x, uint32_t client, const struct bytes *args, uint32_t count)
{
    x->router.now_ms = clock_ms(x);
    router_execute(&x->router, &x->sessions[client], args, count);
}

uint64_t proxy_losses(const struct sim_proxy *x)
{
    return counter_read(&x->counters.node_timeouts) + counter_read(&x->counters.links_lost);
}

/* --- nodes ---------------------------------------------------------------------------------- */

void proxy_lane(struct sim_proxy *x, struct pipe *pipe, enum lane_news news)
{
    struct lane *lane = &x->lanes[pipe->sides[ACCEPTOR].place->index];

    x->router.now_ms = clock_ms(x);
    if (news == LANE_NEWS_UP)
        router_lane_up(&x->router, lane, &pipe->sides[OPENER].out);
    else if (news == LANE_NEWS_LOST)
        router_lane_lost(&x->router, lane);
    else
        router_lane_failed(&x->router, lane);
    proxy_turn_end(x);
}

static int take_answer(struct sim_proxy *x, struct lane *lane, const struct frame *f)
{
    if (f->type == MESSAGE_WAITS)
        return router_waits(&x->router, lane, f->body);
    if (f->type == MESSAGE_TOUCHED)
        return router_touched(&x->router, lane, f->body);
    return f->type == MESSAGE_REPLY ? router_reply(&x->router, lane, f->body) : RK_CORRUPT;
}

void proxy_frames(struct sim_proxy *x, struct pipe *pipe, struct bytes frames)
{
    struct lane *lane = &x->lanes[pipe->sides[ACCEPTOR].place->index];

    lane->heard_ms = x->router.now_ms = clock_ms(x);
    while (frames.size) {
        struct frame f;
        int64_t size = frame_read(frames, FRAME_BODY_MAX, &f);

        if (size > 0 && f.type == MESSAGE_PONG)
            lane->unanswered = 0;
        else if (size <= 0 || take_answer(x, lane, &f) != 0) {
            world_violated(x->w, "a node wrote what is no reply");
            return;
        }
        frames = bytes_of(frames.data + size, frames.size - (size_t)size);
    }
    proxy_turn_end(x);
}

/* --- life ----------------------------------------------------------------------------------- */

static void no_facts(void *arg, struct facts *out)
{
    (void)arg;
    *out = (struct facts){0};
}

/* The lanes of a ring's members, as the router wants them. */
static void use_ring(struct sim_proxy *x, const struct ring *ring)
{
    struct lane **lanes = calloc(PLACES_MAX, sizeof(struct lane *));
    uint32_t *lane_first = calloc(ring->member_count, sizeof(*lane_first)), count = 0;

    if (!lanes || !lane_first)
        abort();
    for (uint32_t m = 0; m < ring->member_count; m++) {
        const struct sim_node *n = &x->w->nodes[ring->members[m].number - 1];

        lane_first[m] = count;
        for (uint16_t i = 0; i < n->shards; i++)
            lanes[count++] = &x->lanes[n->first_place + i];
    }
    if (router_set_ring(&x->router, ring, lanes, lane_first, clock_ms(x)) != 0)
        abort();
    x->place->ring = ring;
}

void proxy_use_ring(struct sim_proxy *x, const struct ring *ring)
{
    char name[16];

    if (!x->place->life)
        return;
    TRACE(x->w, "%s: takes the ring of epoch %llu", place_name(x->place, name),
          (unsigned long long)ring->epoch);
    use_ring(x, ring);
    net_ring_changed(x->w, x->place);
    proxy_turn_end(x);
}

/* From whichever node it asks first. */
static const struct ring *first_ring(struct world *w)
{
    uint32_t from = (uint32_t)sim_random_below(&w->random, w->node_count);

    for (uint32_t i = 0; i < w->node_count; i++)
        if (w->nodes[(from + i) % w->node_count].ring)
            return w->nodes[(from + i) % w->node_count].ring;
    abort();
}

void proxy_start(struct sim_proxy *x)
{
    struct world *w = x->w;
    struct router_ports ports = {.arg = x, .facts = no_facts};
    char name[16];

    if (x->place->life)
        return;
    TRACE(w, "%s: starts", place_name(x->place, name));
    x->place->life = 1;
    x->counters = (struct counters){0};
    x->offset_us = sim_random_below(&w->random, 1000000);
    x->rate = (uint32_t)sim_random_range(&w->random, 900, 1100);
    x->tick_at_us = UINT64_MAX;
    router_init(&x->router, &ports, &x->counters);
    x->router.request_timeout_ms = w->faults_over ? PATIENT_REQUEST_MS : w->shape.timeout_us / 1000;
    x->router.node_timeout_ms = w->faults_over ? PATIENT_NODE_MS : w->shape.attempt_us / 1000;
    x->router.lane_output_max = 1 << 20;
    x->router.session = sim_random_next(&w->random) | 1;
    x->router.spin = w->script ? 0 : (uint32_t)sim_random_below(&w->random, 100);
#ifdef RINGKV_MUTANTS
    x->router.mutants = w->shape.mutants;
#endif
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        session_init(&x->sessions[i], i, &x->outs[i]);
    for (uint32_t i = 0; i < PLACES_MAX; i++)
        x->lanes[i] = (struct lane){0};
    use_ring(x, first_ring(w));
    net_place_began(w, x->place);
}

static void end(struct sim_proxy *x)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        router_leave(&x->router, &x->sessions[i]);
        session_destroy(&x->sessions[i]);
        buf_free(&x->outs[i]);
    }
    router_destroy(&x->router);
    x->place->life = 0;
    x->last_tick++;
}

void proxy_kill(struct sim_proxy *x)
{
    if (!x->place->life)
        return;
    end(x);
    net_place_died(x->w, x->place, true);
}

void proxy_be_patient(struct sim_proxy *x)
{
    x->router.request_timeout_ms = PATIENT_REQUEST_MS;
    x->router.node_timeout_ms = PATIENT_NODE_MS;
}

struct sim_proxy *proxy_new(struct world *w, struct place *place)
{
    struct sim_proxy *x = calloc(1, sizeof(*x));

    if (!x)
        abort();
    x->w = w;
    x->place = place;
    return x;
}

void proxy_free(struct sim_proxy *x)
{
    if (x->place->life)
        end(x);
    free(x);
}
