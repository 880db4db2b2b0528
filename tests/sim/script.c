#include "tests/sim/script.h"
#include "shared/error.h"
#include "tests/sim/target.h"
#include "tests/sim/world.h"
#include <errno.h>
#include <stdlib.h>

enum { WORDS_MAX = 12, WAIT_US = 1000000, STEP_US = 50 };

struct order {
    uint32_t line, count;
    char *words[WORDS_MAX]; /* into text */
    char *text;
    const struct verb *verb;
};

struct script {
    struct order *steps;
    size_t count;
    char *shape;
};

struct verb {
    const char *name;
    uint32_t words_min, words_max; /* with the verb */
    void (*run)(struct world *w, const struct order *step);
};

static void fail(struct world *w, const struct order *step, const char *why)
{
    world_violated(w, "script line %u: %s %s", step->line, step->words[0], why);
}

/* --- who ------------------------------------------------------------------------------------ */

/* The number behind a letter, below a bound; else the script fails, and it is 0. */
static uint32_t number_of(struct world *w, const struct order *step, uint32_t word, char letter,
                          uint32_t first, uint32_t count)
{
    const char *text = step->words[word];
    char *end = NULL;
    unsigned long n = text[0] == letter ? strtoul(text + 1, &end, 10) : 0;

    if (!end || *end || n < first || n >= first + count) {
        fail(w, step, "names nobody that there is");
        return 0;
    }
    return (uint32_t)n - first;
}

static uint32_t node_of(struct world *w, const struct order *step, uint32_t word)
{
    return number_of(w, step, word, 'n', 1, w->node_count);
}

static uint32_t client_of(struct world *w, const struct order *step)
{
    return number_of(w, step, 1, 'c', 0, w->shape.clients);
}

/* The place of partition 0 on a node, or a proxy. */
static struct place *place_of(struct world *w, const struct order *step, uint32_t word)
{
    if (step->words[word][0] == 'p')
        return &w->places[w->place_count - w->shape.proxies +
                          number_of(w, step, word, 'p', 0, w->shape.proxies)];
    return &w->places[w->nodes[node_of(w, step, word)].first_place];
}

static struct pipe *pipe_of(struct world *w, const struct order *step, int *side)
{
    struct pipe *pipe = net_pipe(w, place_of(w, step, 1), place_of(w, step, 2), side);

    if (!pipe)
        fail(w, step, "names two that have no connection");
    return pipe;
}

/* --- the network ---------------------------------------------------------------------------- */

static void block(struct world *w, const struct order *step, bool both, bool on)
{
    int side;
    struct pipe *pipe = pipe_of(w, step, &side);

    for (int i = 0; pipe && i < 1 + both; i++) {
        int from = i ? !side : side;

        if (on)
            net_block(w, pipe, from, UINT32_MAX);
        else
            net_unblock(w, pipe, from);
    }
}

static void run_mute(struct world *w, const struct order *step)
{
    block(w, step, false, true);
}

static void run_hear(struct world *w, const struct order *step)
{
    block(w, step, false, false);
}

static void run_cut(struct world *w, const struct order *step)
{
    block(w, step, true, true);
}

static void run_join(struct world *w, const struct order *step)
{
    block(w, step, true, false);
}

static void run_drop(struct world *w, const struct order *step)
{
    int side;
    struct pipe *pipe = pipe_of(w, step, &side);

    if (pipe)
        net_drop(w, pipe);
}

/* --- nodes ---------------------------------------------------------------------------------- */

static void run_kill(struct world *w, const struct order *step)
{
    uint32_t node = node_of(w, step, 1);

    w->nodes[node].doomed = true; /* no restart by itself */
    node_kill(w, node, strcmp(step->words[0], "power") == 0);
}

static void run_slow(struct world *w, const struct order *step)
{
    w->nodes[node_of(w, step, 1)].sync_factor = (uint32_t)strtoul(step->words[2], NULL, 10);
}

static void run_start(struct world *w, const struct order *step)
{
    node_start(w, node_of(w, step, 1));
}

static struct place *living(struct world *w, const struct order *step)
{
    struct place *p = place_of(w, step, 1);

    if (p->shard)
        return p;
    fail(w, step, "names a node that is down");
    return NULL;
}

static void run_tick(struct world *w, const struct order *step)
{
    struct place *p = living(w, step);

    if (p)
        node_tick(p);
}

static void run_lead(struct world *w, const struct order *step)
{
    struct place *p = living(w, step);

    if (!p)
        return;
    group_lead(p->shard, shard_group(p->shard, 0));
    node_turn_end(p);
}

static bool has_come(const struct place *p, const char *what)
{
    const struct group *g = shard_group(p->shard, 0);

    if (strcmp(what, "leads") == 0)
        return g->role == GROUP_PRIMARY;
    if (strcmp(what, "taught") == 0)
        return group_has_taught(p->shard, g);
    if (strcmp(what, "ready") == 0)
        return group_is_ready(p->shard, g);
    return p->shard->counters.chunks_sent > 0;
}

static void run_until(struct world *w, const struct order *step)
{
    struct place *p = living(w, step);
    uint64_t limit = w->now_us + WAIT_US;

    while (p && p->shard && !has_come(p, step->words[2]) && !w->violation[0]) {
        world_run_until(w, w->now_us + STEP_US);
        if (w->now_us > limit)
            fail(w, step, "waited in vain");
    }
}

/* --- the ring ------------------------------------------------------------------------------- */

static void run_target(struct world *w, const struct order *order)
{
    uint16_t numbers[WORDS_MAX];
    struct ring *target;

    for (uint32_t i = 1; i < order->count; i++)
        numbers[i - 1] = (uint16_t)(node_of(w, order, i) + 1);
    if (w->violation[0])
        return;
    target = target_of(w, numbers, order->count - 1);
    rings_begin_to(w, target);
    ring_free(target);
}

static void run_phase(struct world *w, const struct order *order)
{
    const char *letters = "sljm", *at = strchr(letters, order->words[1][0]);

    if (!at || !w->ring->change)
        fail(w, order, "names no phase, or nothing is being changed");
    else
        rings_go_on_to(w, (enum ring_phase)(at - letters));
}

static void run_cancel(struct world *w, const struct order *order)
{
    (void)order;
    rings_turn_back(w);
}

static void run_give(struct world *w, const struct order *order)
{
    bool is_proxy = order->words[1][0] == 'p';
    const struct place *p = place_of(w, order, 1);

    rings_arrive(w, p->owner, is_proxy, w->ring->epoch);
    world_run_until(w, w->now_us + 3000);
}

/* --- clients and time ----------------------------------------------------------------------- */

static void run_time(struct world *w, const struct order *step)
{
    world_run_until(w, w->now_us + strtoul(step->words[1], NULL, 10) * 1000);
}

static void run_ask(struct world *w, const struct order *step)
{
    const char *const *rest = (const char *const *)step->words + 3;

    if (workload_ask(w, client_of(w, step), step->words[2], rest, step->count - 3) != 0)
        fail(w, step, "cannot be understood");
}

static void run_answered(struct world *w, const struct order *step)
{
    const struct sim_client *c = &w->clients[client_of(w, step)];
    uint64_t limit = w->now_us + WAIT_US;

    while (c->first < c->end && !w->violation[0]) {
        world_run_until(w, w->now_us + STEP_US);
        if (w->now_us > limit)
            fail(w, step, "waited in vain");
    }
}

static void run_sees(struct world *w, const struct order *step)
{
    const struct sim_client *c = &w->clients[client_of(w, step)];
    const struct linear_op *l = c->end ? &w->ops[c->end - 1].linear : NULL;
    bool nil = strcmp(step->words[2], "nil") == 0;
    char text[32];

    if (!l || l->returned == LINEAR_NEVER) {
        fail(w, step, "has no answer to look at");
        return;
    }
    if (l->kind == REPLY_INTEGER)
        snprintf(text, sizeof(text), "%lld", (long long)l->integer);
    else
        snprintf(text, sizeof(text), "%.*s", (int)l->results[0].size,
                 l->results[0].data ? (const char *)l->results[0].data : "");
    if (nil ? l->kind != REPLY_NIL : strcmp(text, step->words[2]) != 0)
        fail(w, step, "was answered something else");
}

/* --- reading -------------------------------------------------------------------------------- */

static void run_shape(struct world *w, const struct order *step)
{
    (void)w;
    (void)step;
}

static const struct verb verbs[] = {
    {"target", 2, WORDS_MAX, run_target},
    {"phase", 2, 2, run_phase},
    {"cancel", 1, 1, run_cancel},
    {"give", 2, 2, run_give},
    {"shape", 2, 2, run_shape},
    {"run", 2, 2, run_time},
    {"mute", 3, 3, run_mute},
    {"hear", 3, 3, run_hear},
    {"cut", 3, 3, run_cut},
    {"join", 3, 3, run_join},
    {"drop", 3, 3, run_drop},
    {"kill", 2, 2, run_kill},
    {"power", 2, 2, run_kill},
    {"start", 2, 2, run_start},
    {"slow", 3, 3, run_slow},
    {"tick", 2, 2, run_tick},
    {"lead", 2, 2, run_lead},
    {"until", 3, 3, run_until},
    {"ask", 4, WORDS_MAX, run_ask},
    {"answered", 2, 2, run_answered},
    {"sees", 3, 3, run_sees},
};

static const struct verb *find_verb(const struct order *step)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, step->words[0]) == 0)
            return step->count >= verbs[i].words_min && step->count <= verbs[i].words_max
                       ? &verbs[i]
                       : NULL;
    return NULL;
}

/* Cuts a line into words. */
static void read_step(struct order *step, char *line)
{
    char *rest = line, *word;

    line[strcspn(line, "#\n")] = 0;
    while (step->count < WORDS_MAX && (word = strsep(&rest, " \t")) != NULL)
        if (*word)
            step->words[step->count++] = word;
}

static int add_step(struct script *s, uint32_t number, const char *line, char *why, size_t why_size)
{
    struct order step = {.line = number, .text = strdup(line)};

    if (!step.text)
        abort();
    read_step(&step, step.text);
    if (step.count == 0) {
        free(step.text);
        return 0;
    }
    s->steps = realloc(s->steps, (s->count + 1) * sizeof(step));
    if (!s->steps)
        abort();
    step.verb = find_verb(&step);
    s->steps[s->count++] = step;
    if (!step.verb || (step.verb->run == run_shape) != (s->count == 1)) {
        snprintf(why, why_size, "line %u is no step: %s", number, step.words[0]);
        return RK_INVALID;
    }
    if (s->count == 1)
        s->shape = step.words[1];
    return 0;
}

int script_read(const char *path, struct script **out, char *why, size_t why_size)
{
    struct script *s = calloc(1, sizeof(*s));
    FILE *in = fopen(path, "r");
    char line[1024];
    uint32_t number = 0;
    int error = 0;

    if (!s)
        abort();
    if (!in) {
        snprintf(why, why_size, "%s", strerror(errno));
        free(s);
        return RK_IO;
    }
    while (!error && fgets(line, sizeof(line), in))
        error = add_step(s, ++number, line, why, why_size);
    fclose(in);
    if (!error && !s->count) {
        snprintf(why, why_size, "there is no step in it");
        error = RK_INVALID;
    }
    if (error) {
        script_free(s);
        return error;
    }
    *out = s;
    return 0;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->steps[i].text);
    free(s->steps);
    free(s);
}

const char *script_shape(const struct script *s)
{
    return s->shape;
}

void script_run(const struct script *s, struct world *w)
{
    for (size_t i = 0; i < s->count && !w->violation[0]; i++) {
        const struct order *step = &s->steps[i];

        TRACE(w, "script line %u: %s %s %s", step->line, step->words[0],
              step->count > 1 ? step->words[1] : "", step->count > 2 ? step->words[2] : "");
        step->verb->run(w, step);
    }
}
