#include "shared/frame.h"
#include "tests/sim/world.h"
#include <stdlib.h>

enum { RETRY_US = 8000 };

/* One client's operation on its way. */
struct call {
    bool busy;
    bool sent;  /* a request is at a node, which has not answered */
    bool doubt; /* an earlier attempt may still take effect */
    size_t op;
    uint64_t id;     /* of the newest attempt */
    uint64_t number; /* the request's, the same in every attempt */
    uint64_t timer;  /* the one that counts */
    uint64_t deadline_us;
    struct pipe *pipe;
};

struct simple {
    struct world *w;
    uint32_t index;
    struct place *place;
    uint64_t last_id, last_number, last_timer;
    uint64_t views[1 << KEYS_BITS]; /* of partitions, as far as known */
    uint32_t turns[1 << KEYS_BITS]; /* which replica is asked without one */
    struct call calls[CLIENTS_MAX];
};

static void *create(struct world *w, uint32_t index)
{
    struct simple *x = calloc(1, sizeof(*x));

    if (!x)
        abort();
    x->w = w;
    x->index = index;
    for (uint32_t i = 0; i < w->place_count; i++)
        if (w->places[i].is_proxy && w->places[i].owner == index)
            x->place = &w->places[i];
    return x;
}

static void set_timer(struct simple *x, struct call *c, uint64_t us)
{
    uint64_t at = x->w->now_us + us;

    c->timer = ++x->last_timer;
    events_put(&x->w->events, at < c->deadline_us ? at : c->deadline_us, EVENT_PROXY,
               (uint32_t)(c - x->calls), 0, c->timer);
}

static void end(struct simple *x, struct call *c, enum outcome outcome, const struct reply *reply)
{
    c->busy = false;
    c->timer = 0;
    workload_done(x->w, (uint32_t)(c - x->calls), outcome, reply);
}

/* The member that an operation is sent to. */
static uint32_t target_of(struct simple *x, uint32_t partition)
{
    const struct ring *ring = x->w->ring;
    const struct ring_replicas *set = ring_replicas(ring, partition);
    uint64_t view = x->views[partition];

    if (view && view_member(view) >= 1 && view_member(view) <= ring->member_count)
        return view_member(view) - 1u;
    return set->member[x->turns[partition] % set->count];
}

static void put_request(struct simple *x, struct call *c, struct buf *out)
{
    const struct sim_op *op = &x->w->ops[c->op];
    const struct linear_op *l = &op->linear;
    const char *args = operation_info(l->op)->args;
    struct request m = {.id = c->id,
                        .epoch = x->w->ring->epoch,
                        .view = x->views[op->partition],
                        .session = x->index + 1,
                        .number = c->number,
                        .partition = op->partition,
                        .op = l->op,
                        .level = LEVEL_LINEAR};
    size_t begun = message_begin_request(out, &m);
    int error = begun == SIZE_MAX;

    for (uint8_t k = 0; k < l->key_count && !error; k++) {
        const struct sim_key *key = &x->w->keys->keys[l->keys[k]];
        uint8_t by[8];

        memcpy(by, &l->by, 8);
        error = message_add_key(out, begun, key->position, bytes_from(key->text));
        if (args[1] == 'v' && !error)
            error = message_add_arg(out, begun, l->values[k]);
        if (args[1] == 'i' && !error)
            error = message_add_arg(out, begun, bytes_of(by, 8));
    }
    if (error || message_end_request(out, begun) != 0)
        abort();
}

static void attempt(struct simple *x, struct call *c)
{
    struct world *w = x->w;
    uint32_t partition = w->ops[c->op].partition;
    const struct sim_node *n = &w->nodes[target_of(x, partition)];
    int side;
    struct pipe *pipe =
        net_pipe(w, x->place, &w->places[n->first_place + partition % n->shards], &side);
    struct buf *out = net_out(pipe, side);

    if (!out) {
        x->views[partition] = 0;
        set_timer(x, c, RETRY_US);
        return;
    }
    c->id = ++x->last_id;
    c->pipe = pipe;
    c->sent = true;
    put_request(x, c, out);
    net_flush(w, x->place);
    set_timer(x, c, w->shape.retries ? w->shape.attempt_us : w->shape.timeout_us);
}

static void start(void *proxy, uint32_t client, size_t op)
{
    struct simple *x = proxy;
    struct call *c = &x->calls[client];

    *c = (struct call){.busy = true,
                       .op = op,
                       .number = ++x->last_number,
                       .deadline_us = x->w->now_us + x->w->shape.timeout_us};
    attempt(x, c);
}

/* The newest attempt has ended without an answer that counts. */
static void again(struct simple *x, struct call *c)
{
    c->sent = false;
    if (!c->doubt || x->w->shape.retries)
        set_timer(x, c, RETRY_US / 2 + sim_random_below(&x->w->random, RETRY_US));
    else
        end(x, c, OUTCOME_UNCERTAIN, NULL);
}

static bool writes(const struct simple *x, const struct call *c)
{
    return operation_info(x->w->ops[c->op].linear.op)->writes;
}

static void lane(void *proxy, struct pipe *pipe, bool up)
{
    struct simple *x = proxy;

    for (uint32_t i = 0; i < CLIENTS_MAX && !up; i++) {
        struct call *c = &x->calls[i];

        if (!c->busy || !c->sent || c->pipe != pipe)
            continue;
        c->doubt = c->doubt || writes(x, c);
        x->views[x->w->ops[c->op].partition] = 0;
        again(x, c);
    }
}

static void timer(void *proxy, uint32_t client, uint64_t number)
{
    struct simple *x = proxy;
    struct call *c = &x->calls[client];
    uint32_t partition;

    if (!c->busy || c->timer != number)
        return;
    partition = x->w->ops[c->op].partition;
    if (c->sent) {
        c->doubt = c->doubt || writes(x, c);
        c->sent = false;
        x->views[partition] = 0;
        x->turns[partition] += x->w->shape.retries != 0;
    }
    if (x->w->now_us >= c->deadline_us)
        end(x, c, c->doubt ? OUTCOME_UNCERTAIN : OUTCOME_REFUSED, NULL);
    else
        attempt(x, c);
}

static void refused(struct simple *x, struct call *c, const struct reply *reply)
{
    uint32_t partition = x->w->ops[c->op].partition;

    switch (reply->refusal) {
    case REFUSAL_ELSEWHERE:
        x->views[partition] = reply->view;
        x->turns[partition] += x->w->shape.retries != 0;
        break;
    case REFUSAL_UNCERTAIN:
        c->doubt = true;
        x->views[partition] = 0;
        break;
    case REFUSAL_NOQUORUM:
    case REFUSAL_NOSPACE:
    case REFUSAL_BUSY:
        break;
    default:
        world_violated(x->w, "a valid request was refused for reason %u", reply->refusal);
    }
    again(x, c);
}

static void take_reply(struct simple *x, const struct pipe *pipe, const struct reply *reply)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        struct call *c = &x->calls[i];

        /* Only the newest attempt's answer counts. */
        if (!c->busy || !c->sent || c->id != reply->id || c->pipe != pipe)
            continue;
        if (reply->kind == REPLY_REFUSED)
            refused(x, c, reply);
        else
            end(x, c, OUTCOME_ANSWERED, reply);
        return;
    }
}

static void take_frames(void *proxy, struct pipe *pipe, struct bytes in)
{
    struct simple *x = proxy;

    while (in.size) {
        struct frame f;
        struct reply reply;
        int64_t size = frame_read(in, FRAME_BODY_MAX, &f);

        if (size <= 0 || f.type != MESSAGE_REPLY || message_get_reply(f.body, &reply) != 0) {
            world_violated(x->w, "a node wrote what is no reply");
            return;
        }
        take_reply(x, pipe, &reply);
        in = bytes_of(in.data + size, in.size - (size_t)size);
    }
}

const struct proxy_kind proxy_simple = {create, free, start, lane, take_frames, timer};
