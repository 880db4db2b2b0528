#include "tests/sim/rings.h"
#include "shared/error.h"
#include "shared/ring_change.h"
#include "tests/sim/target.h"
#include "tests/sim/world.h"
#include "tools/change_step.h"
#include <stdlib.h>

enum {
    DRIVE_US = 15000,     /* between the driver's looks, at most */
    DELIVER_US = 60000,   /* until a ring arrives, at most */
    BEGIN_CHANCE = 150,   /* thousandths of the looks, when nothing is being changed */
    CANCEL_CHANCE = 12,   /* when something is */
    PAUSE_CHANCE = 10,    /* likewise */
    RESUME_CHANCE = 200,  /* when it is paused */
    ARRIVE_CHANCE = 700,  /* of a ring that was decided, at each one */
    RESEND_CHANCE = 100,  /* with each look, to a member that does not have it */
    COMPANY_CHANCE = 500, /* hasty: of a partition that may go on, to do so now */
};

/* --- who knows what ------------------------------------------------------------------------- */

static const struct ring *known_ring(const struct world *w, uint32_t who, bool is_proxy)
{
    return is_proxy ? w->places[w->place_count - w->shape.proxies + who].ring : w->nodes[who].ring;
}

static bool in_ring(const struct ring *r, const struct place *p)
{
    return r && ring_member_by_number(r, (uint16_t)(p->owner + 1)) >= 0;
}

bool rings_join(const struct place *p, const struct place *other)
{
    return in_ring(p->ring, other) && (p->is_proxy || in_ring(p->ring, p));
}

static void deliver(struct world *w, uint32_t who, bool is_proxy, uint64_t epoch, uint64_t most_us)
{
    events_put(&w->events, w->now_us + 1 + sim_random_below(&w->random, most_us), EVENT_RING, who,
               is_proxy, epoch);
}

void rings_fetch(struct world *w, uint32_t who, bool is_proxy)
{
    const struct ring *own = known_ring(w, who, is_proxy);
    uint32_t from = (uint32_t)sim_random_below(&w->random, w->node_count);

    /* The first one that is up and knows more, from anywhere on. In a script the file tells. */
    for (uint32_t i = 0; i < w->node_count && !w->scripted; i++) {
        const struct sim_node *n = &w->nodes[(from + i) % w->node_count];

        if (!n->up || !n->ring || (own && n->ring->epoch <= own->epoch))
            continue;
        deliver(w, who, is_proxy, n->ring->epoch, 4000);
        return;
    }
}

void rings_arrive(struct world *w, uint32_t who, bool is_proxy, uint64_t epoch)
{
    const struct ring *own = known_ring(w, who, is_proxy);

    if (own && own->epoch >= epoch)
        return;
    if (is_proxy)
        proxy_use_ring(w->proxies[who], w->rings.all[epoch - 1]);
    else if (w->nodes[who].up)
        node_use_ring(w, who, w->rings.all[epoch - 1]);
}

bool rings_settled(const struct world *w)
{
    if (w->ring->change)
        return false;
    for (uint32_t i = 0; i < w->place_count; i++) {
        const struct place *p = &w->places[i];

        if ((p->is_proxy || in_ring(w->ring, p)) && p->ring != w->ring)
            return false;
    }
    return true;
}

/* --- deciding ------------------------------------------------------------------------------- */

static void add_ring(struct world *w, struct ring *r)
{
    if (w->rings.count == EPOCHS_MAX) {
        world_violated(w, "a change of the ring does not end");
        ring_free(r);
        return;
    }
    w->rings.all[w->rings.count++] = r;
    w->ring = r;
    w->rings.decided_us = w->now_us;
}

static void trace_ring(struct world *w, const char *verb)
{
    char text[200];
    size_t at = 0;

    if (!w->trace)
        return;
    for (uint32_t p = 0; p < ring_partitions(w->ring); p++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%c", "sljm"[ring_phase(w->ring, p)]);
    TRACE(w, "ring: epoch %llu %s %s %s", (unsigned long long)w->ring->epoch, verb, text,
          w->ring->change ? w->ring->change->what : "");
}

/* `error` is of making the next ring. */
static void decide(struct world *w, int error, struct ring *next, const char *why, const char *verb)
{
    char illegal[300];

    if (error || ring_may_follow(w->ring, next, illegal, sizeof(illegal)) != 0) {
        world_violated(w, "ring: %s: %s", verb, error ? why : illegal);
        if (!error)
            ring_free(next);
        return;
    }
    add_ring(w, next);
    trace_ring(w, verb);
    for (uint32_t i = 0; i < w->node_count && !w->scripted; i++)
        if (sim_random_chance(&w->random, ARRIVE_CHANCE))
            deliver(w, i, false, next->epoch, DELIVER_US);
    for (uint32_t i = 0; i < w->shape.proxies && !w->scripted; i++)
        if (sim_random_chance(&w->random, ARRIVE_CHANCE))
            deliver(w, i, true, next->epoch, DELIVER_US);
}

/* A majority of the members must accept a ring. */
static bool can_decide(const struct world *w)
{
    uint32_t up = 0;

    for (uint32_t i = 0; i < w->ring->member_count; i++) {
        const struct sim_node *n = &w->nodes[w->ring->members[i].number - 1];

        up += n->up && n->paused_until_us <= w->now_us;
    }
    return 2 * up > w->ring->member_count;
}

/* --- the driver ----------------------------------------------------------------------------- */

static void begin(struct world *w)
{
    struct ring *next = NULL, *target;
    struct ring_asked asked = {.who = "sim"};
    char why[300] = "", what[100];
    int error;

    target = target_draw(w, what, sizeof(what));
    if (!target)
        return;
    asked.what = what;
    w->rings.changes_left -= w->rings.changes_left > 0;
    w->rings.begun_us = w->now_us;
    w->rings.hasty = sim_random_chance(&w->random, 500);
    error = ring_begin(w->ring, target, &asked, &next, why, sizeof(why));
    decide(w, error, next, why, "begins");
    ring_free(target);
}

void rings_begin_to(struct world *w, const struct ring *target)
{
    struct ring_asked asked = {.what = "script", .who = "sim"};
    struct ring *next = NULL;
    char why[300] = "";
    int error;

    w->rings.begun_us = w->now_us;
    error = ring_begin(w->ring, target, &asked, &next, why, sizeof(why));
    decide(w, error, next, why, "begins");
}

void rings_go_on_to(struct world *w, enum ring_phase phase)
{
    uint8_t phases[PARTITIONS_OF_SIM_MAX];
    struct ring *next = NULL;
    char why[300] = "";
    int error;

    for (uint32_t p = 0; p < ring_partitions(w->ring); p++) {
        phases[p] = (uint8_t)ring_phase(w->ring, p);
        if (phases[p] < (uint8_t)phase &&
            !ring_replicas_same(&w->ring->sets[p], &w->ring->change->sets[p]))
            phases[p] = (uint8_t)phase;
    }
    error = ring_advance(w->ring, phases, &next, why, sizeof(why));
    decide(w, error, next, why, "advances");
}

void rings_turn_back(struct world *w)
{
    struct ring *next = NULL;
    char why[300] = "";
    int error = ring_cancel(w->ring, &next, why, sizeof(why));

    decide(w, error, next, why, "turns back");
}

/* What the primary of a partition reports, under the newest ring. */
static uint8_t report(const struct world *w, uint32_t partition)
{
    if (w->shape.mutants >> SIM_MUTANT_UNREADY & 1)
        return STEP_LEARNED | STEP_READY;
    for (uint32_t i = 0; i < w->place_count; i++) {
        const struct place *p = &w->places[i];
        const struct group *g =
            p->shard && p->ring == w->ring ? shard_group(p->shard, partition) : NULL;

        if (g && g->mine && g->role == GROUP_PRIMARY)
            return (uint8_t)((group_has_taught(p->shard, g) ? STEP_LEARNED : 0) |
                             (group_is_ready(p->shard, g) ? STEP_READY : 0));
    }
    return 0;
}

static void look(struct world *w)
{
    w->rings.known_epoch = w->ring->epoch;
    for (uint32_t p = 0; p < ring_partitions(w->ring); p++)
        w->rings.known[p] = report(w, p);
}

/* Like change_step, without waiting for batches, and with any number of joint partitions. */
static enum change_step hasty_step(struct world *w, const uint8_t *known, uint8_t *phases)
{
    const struct ring *r = w->ring;
    bool goes_on = false;

    if (ring_may_finish(r))
        return STEP_FINISH;
    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        uint8_t now = (uint8_t)ring_phase(r, p);
        bool same = ring_replicas_same(&r->sets[p], &r->change->sets[p]);

        phases[p] = now;
        if (!sim_random_chance(&w->random, COMPANY_CHANCE))
            continue;
        if (now == RING_SETTLED)
            phases[p] = same ? RING_MOVED : RING_LEARNING;
        else if (now == RING_LEARNING && known[p] & STEP_LEARNED)
            phases[p] = RING_JOINT;
        else if (now == RING_JOINT && known[p] & STEP_READY)
            phases[p] = RING_MOVED;
        goes_on = goes_on || phases[p] != now;
    }
    return goes_on ? STEP_ADVANCE : STEP_WAIT;
}

static void go_on(struct world *w)
{
    static const uint8_t nothing[PARTITIONS_OF_SIM_MAX];
    const uint8_t *known = w->rings.known_epoch == w->ring->epoch ? w->rings.known : nothing;
    uint8_t phases[PARTITIONS_OF_SIM_MAX];
    struct ring *next = NULL;
    char why[300] = "";
    int error;

    switch (w->rings.hasty
                ? hasty_step(w, known, phases)
                : change_step(w->ring, known, (int64_t)(w->now_us - w->rings.decided_us) / 1000,
                              (int64_t)(w->now_us - w->rings.begun_us) / 1000, phases)) {
    case STEP_ADVANCE:
        error = ring_advance(w->ring, phases, &next, why, sizeof(why));
        decide(w, error, next, why, "advances");
        break;
    case STEP_FINISH:
        error = ring_finish_change(w->ring, 1, &next, why, sizeof(why));
        decide(w, error, next, why, "has arrived");
        break;
    default:
        look(w);
    }
}

static bool replaces_wiped(const struct world *w)
{
    for (uint32_t i = 0; i < w->ring->member_count; i++)
        if (w->nodes[w->ring->members[i].number - 1].wiped)
            return true;
    return false;
}

/* Who comes back with the ring as it was may have no disk any more, and then needs somebody to be
 * replaced by. */
static bool may_turn_back(const struct world *w)
{
    return !w->faults_over && !w->ring->change->cancelled &&
           (!replaces_wiped(w) || w->ring->next_number <= w->node_count);
}

/* Pause, resume, cancel; true: that was it for this time. */
static bool interfere(struct world *w)
{
    const struct ring_change *c = w->ring->change;
    bool may = !w->faults_over;
    struct ring *next = NULL;
    char why[300] = "";

    if (may_turn_back(w) && sim_random_chance(&w->random, CANCEL_CHANCE)) {
        rings_turn_back(w);
        return true;
    }
    if (c->paused ? !may || sim_random_chance(&w->random, RESUME_CHANCE)
                  : may && sim_random_chance(&w->random, PAUSE_CHANCE)) {
        int error = ring_edit(w->ring, !c->paused, 0, &next, why, sizeof(why));

        decide(w, error, next, why, c->paused ? "goes on" : "pauses");
        return true;
    }
    return c->paused;
}

static void resend(struct world *w)
{
    for (uint32_t i = 0; i < w->ring->member_count; i++) {
        uint32_t node = w->ring->members[i].number - 1u;

        if (w->nodes[node].ring != w->ring && sim_random_chance(&w->random, RESEND_CHANCE))
            deliver(w, node, false, w->ring->epoch, DELIVER_US);
    }
    for (uint32_t i = 0; i < w->shape.proxies && w->faults_over; i++)
        if (known_ring(w, i, true) != w->ring)
            deliver(w, i, true, w->ring->epoch, DELIVER_US);
}

static void drive_later(struct world *w)
{
    events_put(&w->events, w->now_us + 1 + sim_random_below(&w->random, DRIVE_US), EVENT_DRIVE, 0,
               0, 0);
}

void rings_drive(struct world *w)
{
    bool more = !w->faults_over && w->rings.changes_left;

    if (w->scripted) {
        drive_later(w);
        return;
    }
    resend(w);
    if (can_decide(w)) {
        if (!w->ring->change) {
            if (replaces_wiped(w) || (more && sim_random_chance(&w->random, BEGIN_CHANCE)))
                begin(w);
        } else if (!interfere(w)) {
            go_on(w);
        }
    }
    drive_later(w);
}

/* --- life ----------------------------------------------------------------------------------- */

void rings_start(struct world *w, struct ring *first)
{
    w->rings.changes_left = w->script ? 0 : w->shape.changes;
    add_ring(w, first);
    for (uint32_t i = 0; i < first->member_count; i++)
        w->nodes[i].ring = first;
    if (w->shape.changes)
        drive_later(w);
}

void rings_free(struct world *w)
{
    for (uint32_t i = 0; i < w->rings.count; i++)
        ring_free(w->rings.all[i]);
}
