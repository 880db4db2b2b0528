#include "tests/sim/shape.h"
#include "shared/error.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t pick(struct sim_random *r, uint32_t low, uint32_t high)
{
    return (uint32_t)sim_random_range(r, low, high);
}

/* Mostly absent, else of some weight: runs with few kinds of faults show what a kind can do. */
static uint32_t weight(struct sim_random *r)
{
    return sim_random_chance(r, 500) ? 0 : pick(r, 1, 10);
}

static void draw_cluster(struct shape *s, struct sim_random *r)
{
    static const uint32_t replicas[] = {3, 3, 3, 3, 3, 3, 5, 5, 5, 1};

    s->replicas = replicas[sim_random_below(r, 10)];
    s->nodes = s->replicas == 5 ? pick(r, 5, 7) : pick(r, 3, 5);
    s->shards = pick(r, 1, 3);
    s->bits = pick(r, 2, 4);
    s->proxies = pick(r, 1, 3);
    s->clients = pick(r, 2, 8);
    s->ops = pick(r, 30, 150);
    s->keys = pick(r, 1, 4);
    s->tags = pick(r, 1, 6);
    s->pipeline = sim_random_chance(r, 600) ? 1 : pick(r, 2, 6);
    s->old_reads = sim_random_chance(r, 500) ? 0 : pick(r, 1, 300);
    s->history_steps = sim_random_chance(r, 500) ? pick(r, 1, 12) : pick(r, 12, 100);
    s->chunk_records = pick(r, 1, 6);
}

static void draw_times(struct shape *s, struct sim_random *r)
{
    s->think_us = pick(r, 1, 20) * 1000;
    s->timeout_us = pick(r, 50, 400) * 1000;
    s->attempt_us = pick(r, 10, 80) * 1000;
    s->delay_us = pick(r, 50, 1500);
    s->delay_rare_us = pick(r, 1, 30) * 1000;
    s->silence_us = pick(r, 20, 150) * 1000;
    s->sync_us = pick(r, 50, 4000);
    s->hand_back_us = pick(r, 20, 400) * 1000;
    s->tick_us = pick(r, 5, 25) * 1000;
    s->room = sim_random_chance(r, 300) ? pick(r, 100, 1000) : 100000;
}

static void draw_faults(struct shape *s, struct sim_random *r)
{
    s->fault_us = sim_random_chance(r, 20) ? 0 : pick(r, 5, 120) * 1000;
    s->kill = weight(r);
    s->power = weight(r);
    s->reset = weight(r);
    s->silence = weight(r);
    s->isolate = weight(r);
    s->pause = weight(r);
    s->full = weight(r);
    s->sync_fail = weight(r) / 3;
    s->slow = weight(r);
    s->proxy_kill = weight(r) / 3;
    s->proxy_pause = weight(r) / 2;
}

/* In half of the runs the ring is changed. */
static void draw_changes(struct shape *s, struct sim_random *r)
{
    if (sim_random_chance(r, 500))
        return;
    s->changes = pick(r, 1, 4);
    s->wipe = weight(r) / 2;
    s->ops = pick(r, 60, 250);
}

static bool is_named(const char *field, const char *name, size_t size)
{
    return strlen(field) == size && memcmp(name, field, size) == 0;
}

static bool set_field(struct shape *s, const char *name, size_t size, uint64_t value)
{
#define X(field, text)                  \
    if (is_named(#field, name, size)) { \
        s->field = (uint32_t)value;     \
        return true;                    \
    }
    SHAPE_FIELDS(X)
#undef X
#define X(field, text)                  \
    if (is_named(#field, name, size)) { \
        s->field = value;               \
        return true;                    \
    }
    SHAPE_MASKS(X)
#undef X
    return false;
}

/* Returns what could not be understood, or NULL. */
static const char *set_fields(struct shape *s, const char *settings)
{
    while (settings && *settings) {
        size_t name = strcspn(settings, "=,");
        char *end;
        uint64_t value;

        if (settings[name] != '=')
            return settings;
        value = strtoull(settings + name + 1, &end, 0);
        if (end == settings + name + 1 || (*end && *end != ',') ||
            !set_field(s, settings, name, value))
            return settings;
        settings = *end ? end + 1 : end;
    }
    return NULL;
}

void shape_draw(struct shape *s, struct sim_random *r, const char *settings)
{
    *s = (struct shape){0};
    draw_cluster(s, r);
    draw_times(s, r);
    draw_faults(s, r);
    draw_changes(s, r);
    /* Younger than the seeds that are kept: drawn behind all that they drew, and the last of it
     * without a trace in what comes after. */
    s->memory = weight(r);
    struct sim_random own = *r;

    s->ttl = sim_random_chance(&own, 700) ? 0 : pick(&own, 50, 400);
    set_fields(s, settings);
    if (s->nodes < s->replicas)
        s->nodes = s->replicas;
}

/* One shard, enough partitions that each node owns one, and no faults of its own. */
static const struct shape plain = {
    .nodes = 3,
    .replicas = 3,
    .shards = 1,
    .bits = 3,
    .proxies = 1,
    .clients = 1,
    .keys = 4,
    .tags = 32,
    .pipeline = 1,
    .think_us = 1000,
    .timeout_us = 3000000,
    .attempt_us = 300000,
    .delay_us = 100,
    .delay_rare_us = 100,
    .silence_us = 2000000,
    .sync_us = 100,
    .hand_back_us = 20000,
    .tick_us = 10000,
    .room = 100000,
    .history_steps = 100,
    .chunk_records = 100,
};

void shape_of_script(struct shape *s, const char *script, const char *settings)
{
    *s = plain;
    set_fields(s, script);
    set_fields(s, settings);
}

int shape_check(const char *settings, char *why, size_t why_size)
{
    struct shape s = plain;
    const char *bad = set_fields(&s, settings);

    if (bad) {
        snprintf(why, why_size, "cannot be understood: %s", bad);
        return RK_INVALID;
    }
    if (s.nodes < 1 || s.nodes > 7 || s.replicas < 1 || s.replicas > 7 || s.shards < 1 ||
        s.shards > 3 || s.bits < 1 || s.bits > 4 || s.proxies < 1 || s.proxies > 4 ||
        s.clients < 1 || s.clients > 16 || s.keys < 1 || s.keys > 4 || s.tags < 1 || s.ops > 800 ||
        s.pipeline < 1 || s.timeout_us < 1000 || s.attempt_us < 1000) {
        snprintf(why, why_size, "a number is out of range");
        return RK_INVALID;
    }
    return 0;
}
