/* The clients: what they ask, and the history of what they saw. */
#include "shared/error.h"
#include "tests/sim/client_reply.h"
#include "tests/sim/world.h"
#include <stdlib.h>

static const uint8_t operations[] = {
    OP_GET, OP_GET,    OP_MGET,   OP_EXISTS, OP_STRLEN, OP_SET,
    OP_SET, OP_MSET,   OP_SETNX,  OP_GETSET, OP_GETSET, OP_GETSET,
    OP_DEL, OP_GETDEL, OP_INCRBY, OP_INCRBY, OP_APPEND, OP_APPEND,
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

/* Every operation's values are others, and integers. */
static struct bytes new_value(struct world *w, uint8_t key)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%zu%u0", w->op_count, key);

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

/* What somebody has written to the key lately, so that it may be what is there. */
static struct bytes recent_value(const struct world *w, uint32_t key)
{
    struct bytes value = bytes_from("0");

    for (size_t i = w->op_count; i > 0 && i + 16 > w->op_count; i--) {
        const struct linear_op *l = &w->ops[i - 1].linear;

        for (uint8_t k = 0; k < l->key_count; k++)
            if (l->keys[k] == key && l->op != OP_APPEND && l->op != OP_CAS && l->values[k].data)
                return l->values[k];
    }
    return value;
}

static void draw_transaction(struct world *w, uint32_t client)
{
    static const uint8_t operations_of[] = {
        [STYLE_ONE] = OP_CAS, [STYLE_EXEC] = OP_EXEC, [STYLE_WATCH] = OP_SET};

    uint8_t style = (uint8_t)sim_random_below(&w->random, 3);
    uint32_t tag = w->tags[sim_random_below(&w->random, tags_in_use(w))];
    uint32_t key = tag * KEYS_OF_TAG + (uint32_t)sim_random_below(&w->random, w->shape.keys);
    struct bytes expected = recent_value(w, key);
    struct sim_op *o = new_op(w, client, operations_of[style], key);

    o->style = style;
    if (style == STYLE_EXEC)
        add_keys(w, o, tag);
    for (uint8_t k = 0; k < o->linear.key_count; k++)
        o->linear.values[k] = new_value(w, k);
    if (style == STYLE_ONE) {
        o->linear.values[1] = o->linear.values[0];
        o->linear.values[0] = expected;
    }
}

/* When something is to expire: mostly soon, sometimes not within the run, or long ago. */
static int64_t draw_expiry(struct world *w)
{
    static const uint64_t spans_ms[] = {20, 60, 60, 600, 3000};
    uint64_t span = spans_ms[sim_random_below(&w->random, sizeof(spans_ms) / sizeof(spans_ms[0]))];

    return world_wall_ms(w) - 5 + (int64_t)sim_random_below(&w->random, span);
}

/* Gives an operation its time, whose moment becomes a point of the history. */
static void set_expiry(struct world *w, struct sim_op *o, int64_t when_ms)
{
    uint64_t at_us = when_ms > WALL_BASE_MS ? (uint64_t)(when_ms - WALL_BASE_MS) * 1000 : 0;

    o->linear.by = when_ms;
    events_put(&w->events, at_us > w->now_us ? at_us : w->now_us, EVENT_EXPIRY, o->linear.keys[0],
               0, (uint64_t)when_ms);
}

static void draw_timed(struct world *w, uint32_t client)
{
    static const uint8_t timed[] = {OP_SETX,   OP_SETX,    OP_SETX,
                                    OP_EXPIRE, OP_PERSIST, OP_PEXPIRETIME};

    uint8_t op = timed[sim_random_below(&w->random, sizeof(timed))];
    uint32_t tag = w->tags[sim_random_below(&w->random, tags_in_use(w))];
    uint32_t key = tag * KEYS_OF_TAG + (uint32_t)sim_random_below(&w->random, w->shape.keys);
    struct sim_op *o = new_op(w, client, op, key);

    if (op == OP_SETX)
        o->linear.values[0] = new_value(w, 0);
    if (op == OP_SETX || op == OP_EXPIRE)
        set_expiry(w, o, draw_expiry(w));
}

static void draw_op(struct world *w, uint32_t client)
{
    if (w->shape.ttl && sim_random_chance(&w->random, w->shape.ttl)) {
        draw_timed(w, client);
        return;
    }
    if (w->shape.transactions && sim_random_chance(&w->random, w->shape.transactions)) {
        draw_transaction(w, client);
        return;
    }

    uint8_t op = operations[sim_random_below(&w->random, sizeof(operations))];
    uint32_t tag = w->tags[sim_random_below(&w->random, tags_in_use(w))];
    uint32_t key = tag * KEYS_OF_TAG + (uint32_t)sim_random_below(&w->random, w->shape.keys);
    struct sim_op *o = new_op(w, client, op, key);

    if (operation_info(op)->args[1] == '*' || op == OP_MSET)
        add_keys(w, o, tag);
    if (op == OP_GET && sim_random_chance(&w->random, w->shape.old_reads))
        o->level = sim_random_chance(&w->random, 500) ? LEVEL_PRIMARY : LEVEL_ANY;
    for (uint8_t k = 0; k < o->linear.key_count && operation_info(op)->args[1] == 'v'; k++)
        o->linear.values[k] = op == OP_APPEND ? bytes_from("7") : new_value(w, k);
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
        o->linear.values[0] = new_value(w, 0);
    o->must = true;
}

/* The same once more. */
static void draw_again(struct world *w, uint32_t client, size_t at)
{
    uint8_t op = w->ops[at].linear.op;
    struct sim_op *o = new_op(w, client, op, w->ops[at].linear.keys[0]);

    if (op == OP_GETSET)
        o->linear.values[0] = new_value(w, 0);
    o->must = o->again = true;
}

/* --- asking --------------------------------------------------------------------------------- */

enum { HISTORY_SHORT = 12 }; /* in steps */
enum { WORDS_MAX = 3 + 2 * LINEAR_OP_KEYS_MAX };

/* A read that may be old goes out as LEVELGET. */
static const char *const level_words[] = {[LEVEL_PRIMARY] = "0", [LEVEL_ANY] = "1"};

static void ask_words(struct world *w, struct sim_proxy *proxy, const struct sim_op *o,
                      const char *name, uint32_t keys, const struct bytes *values)
{
    struct bytes words[WORDS_MAX];
    uint32_t count = 0;

    words[count++] = bytes_from(name);
    if (keys)
        words[count++] = bytes_from(w->keys->keys[o->linear.keys[keys - 1]].text);
    if (values)
        words[count++] = *values;
    proxy_command(proxy, o->client, words, count);
}

/* MULTI, the GETSETs, EXEC. */
static void ask_exec(struct world *w, struct sim_proxy *proxy, const struct sim_op *o)
{
    uint32_t at = o->asked;

    if (at == 0)
        ask_words(w, proxy, o, "MULTI", 0, NULL);
    else if (at <= o->linear.key_count)
        ask_words(w, proxy, o, "GETSET", at, &o->linear.values[at - 1]);
    else
        ask_words(w, proxy, o, "EXEC", 0, NULL);
}

enum { WATCH_WATCH, WATCH_GET, WATCH_MULTI, WATCH_SET, WATCH_EXEC, WATCH_COMMANDS };

static void ask_watch(struct world *w, struct sim_proxy *proxy, const struct sim_op *o)
{
    static const char *const names[] = {"WATCH", "GET", "MULTI", "SET", "EXEC"};
    bool with_key = o->asked != WATCH_MULTI && o->asked != WATCH_EXEC;

    ask_words(w, proxy, o, names[o->asked], with_key,
              o->asked == WATCH_SET ? &o->linear.values[0] : NULL);
}

static uint32_t commands_of(const struct sim_op *o)
{
    return o->style == STYLE_ONE    ? 1
           : o->style == STYLE_EXEC ? 2u + o->linear.key_count
                                    : WATCH_COMMANDS;
}

/* The operation as a client's command. */
static void ask_one(struct world *w, struct sim_proxy *proxy, const struct sim_op *o)
{
    const struct linear_op *l = &o->linear;
    bool old = o->level == LEVEL_PRIMARY || o->level == LEVEL_ANY;
    struct bytes words[WORDS_MAX];
    uint32_t count = 0;
    char number[24];

    words[count++] = bytes_from(old                  ? "LEVELGET"
                                : l->op == OP_SETX   ? "SET"
                                : l->op == OP_EXPIRE ? "PEXPIREAT"
                                                     : operation_info(l->op)->name);
    for (uint8_t k = 0; k < l->key_count; k++) {
        words[count++] = bytes_from(w->keys->keys[l->keys[k]].text);
        if (operation_info(l->op)->args[1] == 'v')
            words[count++] = l->values[k];
    }
    if (l->op == OP_CAS)
        words[count++] = l->values[1];
    if (l->op == OP_SETX)
        words[count++] = bytes_from("PXAT");
    if (l->op == OP_INCRBY || l->op == OP_SETX || l->op == OP_EXPIRE) {
        snprintf(number, sizeof(number), "%lld", (long long)l->by);
        words[count++] = bytes_from(number);
    }
    if (old)
        words[count++] = bytes_from(level_words[o->level]);
    proxy_command(proxy, o->client, words, count);
}

/* Asks what is drawn and not asked yet, as far as no command must wait for an answer. */
static void go_on_asking(struct world *w, uint32_t client)
{
    struct sim_client *c = &w->clients[client];
    struct sim_proxy *proxy = w->proxies[c->proxy];

    while (c->asking < c->end && !proxy_holds(proxy, client)) {
        struct sim_op *o = &w->ops[c->asking];

        if (o->style == STYLE_EXEC)
            ask_exec(w, proxy, o);
        else if (o->style == STYLE_WATCH)
            ask_watch(w, proxy, o);
        else
            ask_one(w, proxy, o);
        o->asked++;
        c->asking += o->asked == commands_of(o);
    }
}

/* Asks what was drawn last, from w->ops[first] on, without waiting in between. */
static void start(struct world *w, uint32_t client, size_t first)
{
    struct sim_client *c = &w->clients[client];
    uint32_t line = w->op_count - first > 1 ? (uint32_t)first + 1 : 0;

    c->first = c->asking = first;
    c->end = w->op_count;
    c->losses = proxy_losses(w->proxies[c->proxy]);
    for (size_t i = first; i < c->end; i++) {
        struct sim_op *o = &w->ops[i];

        o->linear.invoked = ++w->clock;
        o->linear.line = o->level == LEVEL_LINEAR ? line : 0;
        w->ops_open++;
        TRACE(w, "client%u: asks proxy%u %s key=%s level=%u (operation %zu)", client, c->proxy,
              operation_info(o->linear.op)->name, w->keys->keys[o->linear.keys[0]].text, o->level,
              i);
    }
    go_on_asking(w, client);
    proxy_turn_end(w->proxies[c->proxy]);
}

static bool is_up(const struct world *w, uint32_t proxy)
{
    return w->places[w->place_count - w->shape.proxies + proxy].life != 0;
}

static void client_later(struct world *w, uint32_t client)
{
    events_put(&w->events, w->now_us + 1 + sim_random_below(&w->random, w->shape.think_us),
               EVENT_CLIENT, client, 0, 0);
}

void workload_client(struct world *w, uint32_t client)
{
    struct sim_client *c = &w->clients[client];
    size_t first = w->op_count, wanted;

    if (c->first < c->end)
        return;
    if (w->must_end ? w->must_next == w->must_end && !c->must_again : w->op_count >= w->ops_wanted)
        return;
    if (!is_up(w, c->proxy)) {
        /* It goes to another one, or comes again. */
        c->proxy = (c->proxy + 1) % w->shape.proxies;
        client_later(w, client);
        return;
    }
    if (c->must_again) {
        c->must_again = false;
        w->ops_open--;
        draw_again(w, client, c->first - 1);
        start(w, client, first);
        return;
    }
    wanted = w->must_end ? 1 : sim_random_range(&w->random, 1, w->shape.pipeline);
    for (size_t i = 0; i < wanted; i++) {
        if (w->must_end)
            draw_must(w, client);
        else
            draw_op(w, client);
    }
    start(w, client, first);
}

/* A key as a script names it, in partition 0; false: there is none such. */
static bool read_key(const struct world *w, const char *word, uint16_t *key)
{
    char *end;
    unsigned long tag = strtoul(word, &end, 10), k = *end == '.' ? strtoul(end + 1, &end, 10) : 99;

    *key = (uint16_t)(tag * KEYS_OF_TAG + k);
    return *end == 0 && tag < KEYS_TAGS && k < w->shape.keys &&
           sim_key_partition(&w->keys->keys[*key], w->shape.bits) == 0;
}

/* Adds a key, and its value when it has one; how many words that took, 0: it cannot be read. */
static uint32_t read_operand(struct world *w, struct linear_op *l, const char *const *words,
                             uint32_t count)
{
    char kind = operation_info(l->op)->args[1];
    bool with_value = kind == 'v' || kind == 'i';

    if (l->key_count == LINEAR_OP_KEYS_MAX || count < 1u + with_value ||
        !read_key(w, words[0], &l->keys[l->key_count]))
        return 0;
    if (kind == 'v')
        l->values[l->key_count] = world_keep(w, bytes_from(words[1]));
    if (kind == 'i')
        l->by = strtol(words[1], NULL, 10);
    l->key_count++;
    return 1 + with_value;
}

int workload_ask(struct world *w, uint32_t client, const char *name, const char *const *words,
                 uint32_t count)
{
    uint8_t op = 0;
    struct sim_op *o;

    for (unsigned number = 1; number < UINT8_MAX && !op; number++)
        if (operation_info((uint8_t)number) &&
            strcmp(operation_info((uint8_t)number)->name, name) == 0)
            op = (uint8_t)number;
    if (!op || !count || w->clients[client].first < w->clients[client].end)
        return RK_INVALID;
    o = new_op(w, client, op, 0);
    o->partition = 0;
    o->linear.key_count = 0;
    while (count) {
        uint32_t taken = read_operand(w, &o->linear, words, count);

        if (!taken)
            return RK_INVALID;
        words += taken;
        count -= taken;
    }
    if (op == OP_EXPIRE)
        set_expiry(w, o, world_wall_ms(w) + o->linear.by);
    start(w, client, w->op_count - 1);
    return 0;
}

/* --- what came of it ------------------------------------------------------------------------ */

static void trace_done(struct world *w, const struct sim_op *o, const struct client_reply *reply)
{
    static const char *const words[] = {"is answered", "is refused", "does not know", "is wrong"};

    TRACE(
        w, "client%u: %s kind=%u integer=%lld value=%.*s %.*s (operation %zu)", o->client,
        words[reply->outcome], reply->kind, (long long)reply->integer, (int)reply->results[0].size,
        reply->results[0].data ? (const char *)reply->results[0].data : "", (int)reply->error.size,
        reply->error.data ? (const char *)reply->error.data : "", o - w->ops);
}

static void keep_reply(struct world *w, struct linear_op *l, const struct client_reply *reply)
{
    l->returned = ++w->clock;
    l->kind = reply->kind;
    l->integer = reply->integer;
    l->nils = reply->nils;
    if (reply->kind == REPLY_ARRAY && reply->count != l->key_count)
        world_violated(w, "an array of %u values for %u keys", reply->count, l->key_count);
    for (uint8_t k = 0; k < LINEAR_OP_KEYS_MAX; k++)
        if (reply->results[k].data)
            l->results[k] = world_keep(w, reply->results[k]);
}

/* Takes the answer to one of several commands. False: there is another to come. */
static bool take_part(struct world *w, struct sim_op *o, const struct client_reply *reply)
{
    bool answered = reply->outcome == OUTCOME_ANSWERED && reply->kind != REPLY_ERROR;

    if (++o->answered == commands_of(o))
        return true;
    if (o->style == STYLE_WATCH && o->answered - 1 == WATCH_WATCH)
        o->watched = answered;
    if (o->style == STYLE_WATCH && o->answered - 1 == WATCH_GET && answered) {
        o->seen = true;
        o->linear.kind = reply->kind;
        o->linear.results[0] =
            reply->results[0].data ? world_keep(w, reply->results[0]) : (struct bytes){0};
    }
    return false;
}

/* What the last answer says of a transaction behind WATCH: nothing was done, or, what the GET gave
 * was there until then. */
static struct client_reply of_watch(struct sim_op *o, const struct client_reply *exec)
{
    struct client_reply reply = *exec;

    if (exec->outcome != OUTCOME_ANSWERED)
        return reply;
    if (exec->kind == REPLY_NIL) {
        reply.outcome = OUTCOME_REFUSED;
    } else if (exec->kind != REPLY_ARRAY || exec->count != 1) {
        reply.outcome = OUTCOME_WRONG;
    } else if (o->watched && o->seen) {
        o->linear.op = OP_GETSET;
        reply.kind = o->linear.kind;
        reply.results[0] = o->linear.results[0];
    } else {
        reply.kind = REPLY_OK;
        reply.results[0] = (struct bytes){0};
    }
    return reply;
}

/* A node that remembers next to nothing may not know, when its view ends, whether a request of the
 * last phase was done, and says so: that is an answer, and its partition works. Once, though. */
static bool may_ask_again(const struct world *w, const struct sim_op *o,
                          const struct client_reply *reply)
{
    return o->must && !o->again && reply->outcome == OUTCOME_UNCERTAIN &&
           w->shape.history_steps < HISTORY_SHORT;
}

static void done(struct world *w, uint32_t client, const struct client_reply *reply)
{
    struct sim_client *c = &w->clients[client];
    struct sim_op *o = &w->ops[c->first];

    trace_done(w, o, reply);
    /* What was refused, its refusal lost, may be done after what was not refused behind it. */
    if (proxy_losses(w->proxies[c->proxy]) != c->losses)
        for (size_t i = c->first; i < c->end; i++)
            w->ops[i].linear.line = 0;
    if (reply->outcome == OUTCOME_ANSWERED)
        keep_reply(w, &o->linear, reply);
    o->dropped = reply->outcome == OUTCOME_REFUSED;
    if (may_ask_again(w, o, reply)) {
        /* Open until then. */
        c->first++;
        c->must_again = true;
        client_later(w, client);
        return;
    }
    if (o->must && reply->outcome != OUTCOME_ANSWERED)
        world_violated(w,
                       "partition %u does not work again after everything was healed (operation "
                       "%zu: %.*s)",
                       o->partition, c->first, (int)reply->error.size,
                       reply->error.data ? (const char *)reply->error.data : "");
    w->ops_open--;
    if (++c->first == c->end)
        client_later(w, client);
}

size_t workload_reply(struct world *w, uint32_t client, struct bytes in)
{
    struct sim_client *c = &w->clients[client];
    struct client_reply reply;
    int64_t size = client_reply_read(in, &reply);

    if (size < 0 || (size && (c->first == c->end || reply.outcome == OUTCOME_WRONG)))
        world_violated(w, "client%u cannot understand: %.*s", client,
                       (int)(in.size < 100 ? in.size : 100), (const char *)in.data);
    if (size <= 0 || w->violation[0])
        return 0;
    if (take_part(w, &w->ops[c->first], &reply)) {
        if (w->ops[c->first].style == STYLE_WATCH)
            reply = of_watch(&w->ops[c->first], &reply);
        if (reply.outcome == OUTCOME_WRONG)
            world_violated(w, "client%u: a transaction's answer is none", client);
        done(w, client, &reply);
    }
    if (c->first < c->end)
        go_on_asking(w, client);
    return (size_t)size;
}

void workload_expiry(struct world *w, uint32_t key, int64_t when_ms)
{
    struct linear_op *l = &new_op(w, 0, LINEAR_EXPIRY, key)->linear;

    l->by = when_ms;
    l->kind = REPLY_OK;
    l->invoked = ++w->clock;
    l->returned = ++w->clock;
    /* It is nobody's operation. */
    w->ops_wanted++;
}

void workload_proxy_died(struct world *w, uint32_t proxy)
{
    struct client_reply reply = {.outcome = OUTCOME_UNCERTAIN};

    for (uint32_t i = 0; i < w->shape.clients; i++)
        while (w->clients[i].proxy == proxy && w->clients[i].first < w->clients[i].end)
            done(w, i, &reply);
}

/* --- phases --------------------------------------------------------------------------------- */

void workload_start(struct world *w)
{
    uint32_t tags = KEYS_TAGS;

    w->ops_wanted = w->shape.ops;
    for (uint32_t t = 0; t < tags; t++)
        w->tags[t] = (uint16_t)t;
    for (uint32_t t = 0; t < tags && !w->script; t++) {
        uint32_t other = (uint32_t)sim_random_range(&w->random, t, tags - 1);
        uint16_t swapped = w->tags[t];

        w->tags[t] = w->tags[other];
        w->tags[other] = swapped;
    }
    for (uint32_t i = 0; i < w->shape.clients; i++) {
        w->clients[i].proxy = i % w->shape.proxies;
        client_later(w, i);
    }
}

void workload_final(struct world *w)
{
    w->must_next = 0;
    w->must_end = (size_t)tags_in_use(w) * w->shape.keys + (1u << w->shape.bits);
    w->shape.think_us = 100;
    for (uint32_t i = 0; i < w->shape.clients; i++)
        events_put(&w->events, w->now_us, EVENT_CLIENT, i, 0, 0);
}
