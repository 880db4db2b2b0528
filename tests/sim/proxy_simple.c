#include "shared/frame.h"
#include "shared/wire.h"
#include "tests/sim/mutant.h"
#include "tests/sim/world.h"
#include <stdlib.h>

enum { RETRY_US = 8000 };

/* What a majority read has heard from one replica. */
struct vote {
    uint64_t id; /* of the request; 0: none was sent */
    struct pipe *pipe;
    struct bytes proof; /* size 0: not answered */
};

/* One client's operation on its way. */
struct call {
    bool busy;
    bool sent;   /* an attempt is under way */
    bool doubt;  /* an earlier attempt may have taken effect, or may yet */
    bool reads;  /* a majority read is under way */
    bool lead;   /* the primary could not be reached: the next replica shall relay, or lead */
    bool picked; /* it was decided whether to try a majority read */
    bool based;  /* base is that of the first attempt */
    size_t op;
    uint64_t id;     /* of the newest attempt */
    uint64_t view;   /* that it is addressed to */
    uint64_t number; /* the request's, the same in every attempt */
    uint64_t timer;  /* the one that counts */
    uint64_t deadline_us;
    struct version base;
    struct pipe *pipe;
    struct vote votes[REPLICAS_MAX];
    struct buf value; /* the reply with the value, a whole frame's body */
    uint64_t old_id;  /* of the attempt before the newest */
};

struct simple {
    struct world *w;
    uint32_t index;
    struct place *place;
    uint64_t last_id, last_number, last_timer;
    struct known {
        uint64_t view;         /* 0: not known */
        struct version newest; /* operation heard of */
        uint32_t turn;         /* which replica is asked when the primary is not */
    } known[1 << KEYS_BITS];
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

static void drop_votes(struct call *c)
{
    for (uint32_t i = 0; i < REPLICAS_MAX; i++)
        c->votes[i] = (struct vote){0};
    buf_truncate(&c->value, 0);
    c->reads = false;
}

static void destroy(void *proxy)
{
    struct simple *x = proxy;

    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        buf_free(&x->calls[i].value);
    free(x);
}

static uint32_t partition_of(const struct simple *x, const struct call *c)
{
    return x->w->ops[c->op].partition;
}

static struct known *known_of(struct simple *x, const struct call *c)
{
    return &x->known[partition_of(x, c)];
}

static bool writes(const struct simple *x, const struct call *c)
{
    return operation_info(x->w->ops[c->op].linear.op)->writes;
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

/* --- asking --------------------------------------------------------------------------------- */

static void put_request(struct simple *x, const struct call *c, uint64_t id, uint8_t level,
                        struct buf *out)
{
    const struct sim_op *op = &x->w->ops[c->op];
    const struct linear_op *l = &op->linear;
    const char *args = operation_info(l->op)->args;
    bool write = writes(x, c);
    struct request m = {
        .id = id,
        .epoch = x->w->ring->epoch,
        .view = x->known[op->partition].view,
        .session = write ? x->index + 1 : 0,
        .number = write ? c->number : 0,
        .base_view = c->base.view,
        .base_op = c->base.op,
        .partition = op->partition,
        .op = l->op,
        .level = level,
        .flags = (uint8_t)((c->doubt ? REQUEST_RETRY : 0) | (c->lead ? REQUEST_LEAD : 0))};
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

/* The pipe to the replica of a partition on a node; *out NULL: it is down. */
static struct pipe *pipe_to(struct simple *x, uint32_t node, uint32_t partition, struct buf **out)
{
    struct world *w = x->w;
    const struct sim_node *n = &w->nodes[node];
    int side;
    struct pipe *pipe =
        net_pipe(w, x->place, &w->places[n->first_place + partition % n->shards], &side);

    *out = net_out(pipe, side);
    return pipe;
}

/* The member an attempt is sent to: the primary, or in turn one that may know it or become it. */
static uint32_t target_of(struct simple *x, struct call *c)
{
    const struct ring_replicas *set = ring_replicas(x->w->ring, partition_of(x, c));
    struct known *k = known_of(x, c);

    if (k->view && !c->lead)
        return view_member(k->view) - 1u;
    if (k->view && set->member[k->turn % set->count] == view_member(k->view) - 1u)
        k->turn++;
    return set->member[k->turn % set->count];
}

static void ask_primary(struct simple *x, struct call *c)
{
    struct known *k = known_of(x, c);
    struct buf *out;
    struct pipe *pipe = pipe_to(x, target_of(x, c), partition_of(x, c), &out);

    if (!out) {
        k->turn += c->lead;
        c->lead = true;
        set_timer(x, c, RETRY_US);
        return;
    }
    if (k->view && !c->based) {
        c->based = true;
        c->base = k->newest;
    }
    c->old_id = c->id;
    c->id = ++x->last_id;
    c->view = k->view;
    c->pipe = pipe;
    c->sent = true;
    put_request(x, c, c->id, LEVEL_LINEAR, out);
    net_flush(x->w, x->place);
    set_timer(x, c, x->w->shape.attempt_us);
}

/* The value from one replica, proofs from the others. */
static void ask_majority(struct simple *x, struct call *c)
{
    const struct ring_replicas *set = ring_replicas(x->w->ring, partition_of(x, c));
    uint64_t with_value = sim_random_below(&x->w->random, set->count);

    drop_votes(c);
    for (uint16_t i = 0; i < set->count; i++) {
        struct buf *out;
        struct pipe *pipe = pipe_to(x, set->member[i], partition_of(x, c), &out);

        if (!out)
            continue;
        c->votes[i] = (struct vote){.id = ++x->last_id, .pipe = pipe};
        put_request(x, c, c->votes[i].id, i == with_value ? LEVEL_VALUE : LEVEL_VERSION, out);
    }
    net_flush(x->w, x->place);
    c->reads = true;
    set_timer(x, c, x->w->shape.attempt_us);
}

static void attempt(struct simple *x, struct call *c)
{
    bool first = !c->picked;

    c->picked = true;
    if (first && !writes(x, c) && sim_random_chance(&x->w->random, x->w->shape.majority_reads))
        ask_majority(x, c);
    else
        ask_primary(x, c);
}

static void start(void *proxy, uint32_t client, size_t op)
{
    struct simple *x = proxy;
    struct call *c = &x->calls[client];

    drop_votes(c);
    *c = (struct call){.busy = true,
                       .op = op,
                       .number = ++x->last_number,
                       .deadline_us = x->w->now_us + x->w->shape.timeout_us,
                       .value = c->value};
    attempt(x, c);
}

/* --- an attempt without an answer ----------------------------------------------------------- */

/* The newest attempt has ended without an answer that counts. */
static void again(struct simple *x, struct call *c)
{
    c->sent = false;
    if (!c->doubt || x->w->shape.retries)
        set_timer(x, c, RETRY_US / 2 + sim_random_below(&x->w->random, RETRY_US));
    else
        end(x, c, OUTCOME_UNCERTAIN, NULL);
}

static void lost(struct simple *x, struct call *c)
{
    /* Without a view nobody carries it out. */
    c->doubt = c->doubt || (writes(x, c) && c->view);
    c->lead = true;
    known_of(x, c)->turn++;
}

static void lane(void *proxy, struct pipe *pipe, bool up)
{
    struct simple *x = proxy;

    for (uint32_t i = 0; i < CLIENTS_MAX && !up; i++) {
        struct call *c = &x->calls[i];

        if (!c->busy || !c->sent || c->pipe != pipe)
            continue;
        lost(x, c);
        again(x, c);
    }
}

static void timer(void *proxy, uint32_t client, uint64_t number)
{
    struct simple *x = proxy;
    struct call *c = &x->calls[client];

    if (!c->busy || c->timer != number)
        return;
    drop_votes(c);
    if (c->sent) {
        lost(x, c);
        c->sent = false;
    }
    if (x->w->now_us >= c->deadline_us)
        end(x, c, c->doubt ? OUTCOME_UNCERTAIN : OUTCOME_REFUSED, NULL);
    else if (c->doubt && !x->w->shape.retries)
        end(x, c, OUTCOME_UNCERTAIN, NULL);
    else
        attempt(x, c);
}

/* --- answers -------------------------------------------------------------------------------- */

static void learn(struct simple *x, struct call *c, uint64_t view, uint64_t op)
{
    struct known *k = known_of(x, c);
    struct version at = {view, op};

    if (view && version_compare(at, k->newest) > 0)
        k->newest = at;
}

static void elsewhere(struct simple *x, struct call *c, const struct reply *reply)
{
    struct known *k = known_of(x, c);

    learn(x, c, reply->view, reply->op);
    /* Nobody leads, as far as this one knows: one of them has to. */
    if (!reply->view) {
        k->turn++;
        c->lead = true;
    } else {
        c->lead = false;
    }
    k->view = reply->view;
    /* Nothing of this request is under way: what it could have followed is known better now. */
    if (!c->doubt)
        c->based = false;
}

static void refused(struct simple *x, struct call *c, const struct reply *reply)
{
    switch (reply->refusal) {
    case REFUSAL_ELSEWHERE:
        elsewhere(x, c, reply);
        break;
    case REFUSAL_UNCERTAIN:
        c->doubt = true;
        elsewhere(x, c, reply);
        break;
    case REFUSAL_FORGOTTEN:
        if (!c->doubt)
            world_violated(x->w, "a first attempt was forgotten");
        end(x, c, OUTCOME_UNCERTAIN, NULL);
        return;
    case REFUSAL_NOQUORUM:
        /* Another may have a majority. */
        c->lead = true;
        known_of(x, c)->turn++;
        break;
    case REFUSAL_NOSPACE:
    case REFUSAL_BUSY:
        break;
    default:
        world_violated(x->w, "a valid request was refused for reason %u", reply->refusal);
    }
    again(x, c);
}

static void answered(struct simple *x, struct call *c, const struct reply *reply)
{
    if (reply->kind == REPLY_REFUSED) {
        refused(x, c, reply);
        return;
    }
    if (reply->proof.size == PROOF_VERSION_SIZE)
        learn(x, c, wire_get_u64(reply->proof.data), wire_get_u64(reply->proof.data + 8));
    end(x, c, OUTCOME_ANSWERED, reply);
}

/* What two proofs have to have in common. */
static bool agree(const struct world *w, struct bytes a, struct bytes b)
{
    size_t from = w->shape.mutants & SIM_MUTANT_NO_VIEW_IN_READ ? PROOF_VIEW_SIZE : 0;

    return a.size == b.size && memcmp(a.data + from, b.data + from, a.size - from) == 0;
}

/* Looks whether a majority saw the same, among them the one with the value. */
static void count_votes(struct simple *x, struct call *c)
{
    uint16_t count = ring_replicas(x->w->ring, partition_of(x, c))->count, same = 0, missing = 0;
    struct reply reply;
    bool has_value = buf_len(&c->value) && message_get_reply(buf_bytes(&c->value), &reply) == 0;

    for (uint16_t i = 0; i < count; i++) {
        missing += c->votes[i].id && !c->votes[i].proof.size;
        same += has_value && c->votes[i].proof.size && agree(x->w, c->votes[i].proof, reply.proof);
    }
    if (2 * same > count)
        end(x, c, OUTCOME_ANSWERED, &reply);
    else if (!missing)
        ask_primary(x, c);
}

static void take_vote(struct simple *x, struct call *c, struct vote *v, struct bytes body,
                      const struct reply *reply)
{
    if (reply->kind == REPLY_REFUSED) {
        v->id = 0;
    } else if (reply->proof.size < PROOF_VIEW_SIZE) {
        world_violated(x->w, "half of a majority read came without a proof");
        return;
    } else {
        v->proof = world_keep(x->w, reply->proof);
        if (reply->kind != REPLY_VERSION && buf_append(&c->value, body.data, body.size) != 0)
            abort();
    }
    count_votes(x, c);
}

static void take_reply(struct simple *x, const struct pipe *pipe, struct bytes body,
                       const struct reply *reply)
{
    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        struct call *c = &x->calls[i];
        bool old = x->w->shape.mutants & SIM_MUTANT_OLD_ATTEMPT && c->old_id == reply->id &&
                   reply->kind != REPLY_REFUSED;

        if (!c->busy)
            continue;
        for (uint32_t k = 0; k < REPLICAS_MAX && c->reads; k++)
            if (c->votes[k].id == reply->id) {
                take_vote(x, c, &c->votes[k], body, reply);
                return;
            }
        /* Only the newest attempt's answer counts. */
        if ((c->sent && c->id == reply->id && c->pipe == pipe) || old) {
            answered(x, c, reply);
            return;
        }
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
        take_reply(x, pipe, f.body, &reply);
        in = bytes_of(in.data + size, in.size - (size_t)size);
    }
}

const struct proxy_kind proxy_simple = {create, destroy, start, lane, take_frames, timer};
