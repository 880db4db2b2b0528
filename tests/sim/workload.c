/* The clients: what they ask, and the history of what they saw. */
#include "tests/sim/world.h"
#include <stdlib.h>

static const uint8_t operations[] = {
    OP_GET, OP_GET,  OP_MGET,   OP_EXISTS, OP_STRLEN, OP_SET,
    OP_SET, OP_MSET, OP_SETNX,  OP_GETSET, OP_GETSET, OP_GETSET,
    OP_DEL, OP_DEL,  OP_INCRBY, OP_INCRBY, OP_APPEND, OP_APPEND,
};

static struct sim_op *new_op(struct world *w, uint32_t client, uint8_t op, uint32_t key)
{
    struct sim_op *o;

    if (w->op_count == w->op_size) {
        w->op_size = w->op_size ? w->op_size * 2 : 256;
        w->ops = realloc(w->ops, w->op_size * sizeof(*w->ops));
        if (!w->ops)
            abort();
    }
    o = &w->ops[w->op_count++];
    *o = (struct sim_op){.client = client,
                         .partition = sim_key_partition(&w->keys->keys[key], w->shape.bits)};
    o->linear.op = op;
    o->linear.key_count = 1;
    o->linear.keys[0] = (uint16_t)key;
    o->linear.returned = LINEAR_NEVER;
    return o;
}

/* Every value is another, and an integer. */
static struct bytes new_value(struct world *w)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%zu00", w->op_count);

    return world_keep(w, bytes_of(text, (size_t)size));
}

static void add_keys(struct world *w, struct sim_op *o, uint32_t tag)
{
    uint32_t want = (uint32_t)sim_random_range(&w->random, 1, w->shape.keys);
    uint32_t first = (uint32_t)sim_random_below(&w->random, w->shape.keys);

    for (uint32_t k = 0; k < want; k++)
        o->linear.keys[k] = (uint16_t)(tag * KEYS_OF_TAG + (first + k) % w->shape.keys);
    o->linear.key_count = (uint8_t)want;
}

static uint32_t tags_in_use(const struct world *w)
{
    return w->shape.tags < KEYS_TAGS ? w->shape.tags : KEYS_TAGS;
}

static void draw_op(struct world *w, uint32_t client)
{
    uint8_t op = operations[sim_random_below(&w->random, sizeof(operations))];
    uint32_t tag = w->tags[sim_random_below(&w->random, tags_in_use(w))];
    uint32_t key = tag * KEYS_OF_TAG + (uint32_t)sim_random_below(&w->random, w->shape.keys);
    struct sim_op *o = new_op(w, client, op, key);

    if (operation_info(op)->args[1] == '*' || op == OP_MSET)
        add_keys(w, o, tag);
    for (uint8_t k = 0; k < o->linear.key_count && operation_info(op)->args[1] == 'v'; k++)
        o->linear.values[k] = op == OP_APPEND ? bytes_from("7") : new_value(w);
    o->linear.by = (int64_t)sim_random_range(&w->random, 1, 9);
}

/* The last phase: every key in use is read, and every partition takes a write. */
static void draw_must(struct world *w, uint32_t client)
{
    uint32_t at = (uint32_t)w->must_next++, reads = tags_in_use(w) * w->shape.keys;
    uint32_t tag =
        at < reads ? w->tags[at / w->shape.keys] : (at - reads) << (KEYS_BITS - w->shape.bits);
    uint32_t key = tag * KEYS_OF_TAG + (at < reads ? at % w->shape.keys : 0);
    struct sim_op *o = new_op(w, client, at < reads ? OP_GET : OP_GETSET, key);

    if (at >= reads)
        o->linear.values[0] = new_value(w);
    o->must = true;
}

static void start(struct world *w, uint32_t client)
{
    struct sim_client *c = &w->clients[client];

    c->busy = true;
    c->op = w->op_count - 1;
    w->ops[c->op].linear.invoked = ++w->clock;
    w->ops_open++;
    TRACE(w, "client%u: asks %s key=%s (operation %zu)", client,
          operation_info(w->ops[c->op].linear.op)->name,
          w->keys->keys[w->ops[c->op].linear.keys[0]].text, c->op);
    w->proxy_kind->start(w->proxies[c->proxy], client, c->op);
}

void workload_client(struct world *w, uint32_t client)
{
    if (w->clients[client].busy)
        return;
    if (w->must_end) {
        if (w->must_next == w->must_end)
            return;
        draw_must(w, client);
    } else {
        if (w->op_count >= w->ops_wanted)
            return;
        draw_op(w, client);
    }
    start(w, client);
}

static void keep_reply(struct world *w, struct linear_op *l, const struct reply *reply)
{
    struct bytes rest = reply->data;

    l->kind = reply->kind;
    l->integer = reply->integer;
    if (reply->kind == REPLY_BULK)
        l->results[0] = world_keep(w, reply->data);
    if (reply->kind != REPLY_ARRAY)
        return;
    if (reply->count != l->key_count) {
        world_violated(w, "an array of %u values for %u keys", reply->count, l->key_count);
        return;
    }
    for (uint8_t k = 0; k < l->key_count; k++) {
        bool nil;
        struct bytes value = message_next_arg(&rest, &nil);

        l->nils |= (uint8_t)(nil << k);
        l->results[k] = world_keep(w, value);
    }
}

static void trace_done(struct world *w, const struct sim_op *o, enum outcome outcome)
{
    const struct linear_op *l = &o->linear;
    static const char *const words[] = {"is answered", "is refused", "does not know"};

    if (outcome != OUTCOME_ANSWERED)
        TRACE(w, "client%u: %s (operation %zu)", o->client, words[outcome], o - w->ops);
    else
        TRACE(w, "client%u: %s kind=%u integer=%lld value=%.*s (operation %zu)", o->client,
              words[outcome], l->kind, (long long)l->integer, (int)l->results[0].size,
              l->results[0].data ? (const char *)l->results[0].data : "", o - w->ops);
}

void workload_done(struct world *w, uint32_t client, enum outcome outcome,
                   const struct reply *reply)
{
    struct sim_client *c = &w->clients[client];
    struct sim_op *o = &w->ops[c->op];

    if (outcome == OUTCOME_ANSWERED) {
        o->linear.returned = ++w->clock;
        keep_reply(w, &o->linear, reply);
    } else {
        o->dropped = outcome == OUTCOME_REFUSED;
        if (o->must)
            world_violated(w,
                           "partition %u does not work again after everything was healed "
                           "(operation %zu %s)",
                           o->partition, c->op,
                           outcome == OUTCOME_REFUSED ? "was refused" : "got no answer");
    }
    trace_done(w, o, outcome);
    c->busy = false;
    w->ops_open--;
    events_put(&w->events, w->now_us + sim_random_below(&w->random, w->shape.think_us),
               EVENT_CLIENT, client, 0, 0);
}

void workload_start(struct world *w)
{
    uint32_t tags = KEYS_TAGS;

    w->ops_wanted = w->shape.ops;
    for (uint32_t t = 0; t < tags; t++)
        w->tags[t] = (uint16_t)t;
    for (uint32_t t = 0; t < tags; t++) {
        uint32_t other = (uint32_t)sim_random_range(&w->random, t, tags - 1);
        uint16_t swapped = w->tags[t];

        w->tags[t] = w->tags[other];
        w->tags[other] = swapped;
    }
    for (uint32_t i = 0; i < w->shape.clients; i++) {
        w->clients[i].proxy = i % w->shape.proxies;
        events_put(&w->events, sim_random_below(&w->random, w->shape.think_us), EVENT_CLIENT, i, 0,
                   0);
    }
}

void workload_final(struct world *w)
{
    w->must_next = 0;
    w->must_end = (size_t)tags_in_use(w) * w->shape.keys + (1u << w->shape.bits);
    /* Enough for the slowest of clocks and the most of retries. */
    w->shape.timeout_us = 5000000;
    w->shape.attempt_us = 500000;
    w->shape.think_us = 100;
    for (uint32_t i = 0; i < w->shape.clients; i++)
        events_put(&w->events, w->now_us, EVENT_CLIENT, i, 0, 0);
}
