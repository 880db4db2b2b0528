#include "shared/ring_change.h"
#include "shared/error.h"
#include "shared/reason.h"

static int out_of_memory(const struct reason *why)
{
    reason_invalid(why, "out of memory");
    return RK_NOMEM;
}

static int no_change(const struct reason *why)
{
    return reason_invalid(why, "nothing is being changed");
}

static void copy_text(char *to, size_t size, const char *text)
{
    size_t i = 0;

    for (; i + 1 < size && text[i]; i++)
        to[i] = (char)(text[i] < ' ' || text[i] > '~' ? '?' : text[i]);
    to[i] = '\0';
}

/* --- copies --------------------------------------------------------------------------------- */

static void copy_head(struct ring *to, const struct ring *from)
{
    memcpy(to->cluster, from->cluster, IDENTITY_SIZE);
    to->epoch = from->epoch;
    to->hash = from->hash;
    to->replicas = from->replicas;
    to->next_number = from->next_number;
    to->log_count = from->log_count;
    memcpy(to->log, from->log, RING_LOG_MAX * sizeof(*to->log));
    memcpy(to->changed, from->changed, ring_partitions(from) * sizeof(*to->changed));
}

static int copy_change(struct ring *to, const struct ring *from)
{
    const struct ring_change *old = from->change;
    uint32_t count = ring_partitions(from);

    if (!old)
        return 0;
    if (ring_add_change(to) != 0)
        return RK_NOMEM;

    struct ring_change *c = to->change;
    uint16_t *owners = c->owners;
    struct ring_replicas *sets = c->sets;
    uint8_t *phases = c->phases;

    *c = *old;
    c->owners = owners;
    c->sets = sets;
    c->phases = phases;
    memcpy(owners, old->owners, count * sizeof(*owners));
    memcpy(sets, old->sets, count * sizeof(*sets));
    memcpy(phases, old->phases, count * sizeof(*phases));
    return 0;
}

struct ring *ring_copy(const struct ring *r)
{
    struct ring *copy = ring_new(r->member_count, r->bits);

    if (!copy)
        return NULL;
    copy_head(copy, r);
    memcpy(copy->members, r->members, r->member_count * sizeof(*r->members));
    memcpy(copy->owners, r->owners, ring_partitions(r) * sizeof(*r->owners));
    memcpy(copy->sets, r->sets, ring_partitions(r) * sizeof(*r->sets));
    if (copy_change(copy, r) != 0) {
        ring_free(copy);
        return NULL;
    }
    return copy;
}

/* A copy of the next epoch. */
static struct ring *copy_for_next(const struct ring *now)
{
    struct ring *next = ring_copy(now);

    if (next)
        next->epoch++;
    return next;
}

/* Finishes `next` and hands it out, or frees it. */
static int hand_out(struct ring *next, struct ring **out, const struct reason *why)
{
    if (ring_finish(next, why->text, why->size) != 0) {
        ring_free(next);
        return RK_INVALID;
    }
    *out = next;
    return 0;
}

/* --- begin ---------------------------------------------------------------------------------- */

bool ring_replicas_same(const struct ring_replicas *a, const struct ring_replicas *b)
{
    for (uint16_t i = 0; i < a->count; i++)
        if (!ring_replicas_has(b, a->member[i]))
            return false;
    return a->count == b->count;
}

static bool replicas_equal(const struct ring_replicas *a, const struct ring_replicas *b)
{
    return a->count == b->count &&
           memcmp(a->member, b->member, a->count * sizeof(a->member[0])) == 0;
}

static int check_target(const struct ring *now, const struct ring *target, const struct reason *why)
{
    if (now->change)
        return reason_invalid(why, "the ring is being changed already: %s, asked for by %s",
                              now->change->what, now->change->who);
    if (target->change || target->bits != now->bits || target->hash != now->hash ||
        memcmp(target->cluster, now->cluster, IDENTITY_SIZE) != 0)
        return reason_invalid(why, "the target is not one for this ring");
    for (uint32_t i = 0; i < target->member_count; i++) {
        const struct ring_member *m = &target->members[i];
        int before = ring_member_by_number(now, m->number);

        if (before < 0 && m->number < now->next_number)
            return reason_invalid(why,
                                  "the number %u of %s was another member's; numbers are not used "
                                  "again",
                                  m->number, m->name);
        if (before >= 0 &&
            (memcmp(m->identity, now->members[before].identity, IDENTITY_SIZE) != 0 ||
             m->shards != now->members[before].shards))
            return reason_invalid(why, "%s would become another node", m->name);
    }
    if (target->next_number < now->next_number)
        return reason_invalid(why, "the target's next number is %u, the ring's %u",
                              target->next_number, now->next_number);
    return 0;
}

static uint32_t count_joining(const struct ring *now, const struct ring *target)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < target->member_count; i++)
        count += ring_member_by_number(now, target->members[i].number) < 0;
    return count;
}

/* Members of both; those that join have the highest numbers, so the order ascends. */
static void unite_members(struct ring *next, const struct ring *now, const struct ring *target)
{
    uint32_t count = now->member_count;

    for (uint32_t i = 0; i < now->member_count; i++) {
        struct ring_member *m = &next->members[i];

        *m = now->members[i];
        m->flags = RING_MEMBER_CURRENT;
        m->next_weight = m->weight;
        memcpy(m->next_zone, m->zone, sizeof(m->zone));
    }
    for (uint32_t i = 0; i < target->member_count; i++) {
        const struct ring_member *t = &target->members[i];
        int before = ring_member_by_number(now, t->number);
        struct ring_member *m = &next->members[before < 0 ? count++ : (uint32_t)before];

        if (before < 0) {
            *m = *t;
            m->flags = 0;
        }
        m->flags |= RING_MEMBER_TARGET;
        m->next_weight = t->weight;
        memcpy(m->next_zone, t->zone, sizeof(t->zone));
    }
}

static void first_phases(struct ring *next)
{
    for (uint32_t p = 0; p < ring_partitions(next); p++) {
        const struct ring_replicas *from = &next->sets[p], *to = &next->change->sets[p];

        next->change->phases[p] = replicas_equal(from, to)       ? RING_SETTLED
                                  : ring_replicas_same(from, to) ? RING_MOVED
                                                                 : RING_LEARNING;
    }
}

int ring_begin(const struct ring *now, const struct ring *target, const struct ring_asked *asked,
               struct ring **next, char *text, size_t text_size)
{
    struct reason why = {text, text_size};
    int error = check_target(now, target, &why);
    uint32_t count = now->member_count + (error ? 0 : count_joining(now, target));
    struct ring *r;

    if (error)
        return error;
    if (count > MEMBERS_MAX)
        return reason_invalid(&why, "%u members at a time; at most %d are possible",
                              (unsigned)count, MEMBERS_MAX);
    r = ring_new(count, now->bits);
    if (!r || ring_add_change(r) != 0) {
        ring_free(r);
        return out_of_memory(&why);
    }
    copy_head(r, now);
    r->epoch++;
    r->next_number = target->next_number;
    unite_members(r, now, target);
    memcpy(r->owners, now->owners, ring_partitions(now) * sizeof(*r->owners));
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        r->change->owners[p] =
            (uint16_t)ring_member_by_number(r, target->members[target->owners[p]].number);
    r->change->replicas = target->replicas;
    r->change->rate = asked->rate;
    r->change->begun_epoch = r->epoch;
    r->change->begun_ms = asked->now_ms;
    copy_text(r->change->what, sizeof(r->change->what), asked->what);
    copy_text(r->change->who, sizeof(r->change->who), asked->who);
    error = hand_out(r, next, &why);
    if (!error)
        first_phases(*next);
    return error;
}

/* --- on the way ----------------------------------------------------------------------------- */

/* Whether a partition may go from one phase to the next, and whether its voters change by that. */
static bool may_go(const struct ring *r, uint32_t p, uint8_t to, bool *voters)
{
    uint8_t from = r->change->phases[p];
    bool same = ring_replicas_same(&r->sets[p], &r->change->sets[p]);

    *voters = to != from && to >= RING_JOINT && !same;
    return to == from || (from == RING_SETTLED && to == (same ? RING_MOVED : RING_LEARNING)) ||
           (from == RING_LEARNING && to == RING_JOINT) || (from == RING_JOINT && to == RING_MOVED);
}

int ring_advance(const struct ring *now, const uint8_t *phases, struct ring **next, char *text,
                 size_t text_size)
{
    struct reason why = {text, text_size};
    struct ring *r;

    if (!now->change)
        return no_change(&why);
    r = copy_for_next(now);
    if (!r)
        return out_of_memory(&why);
    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        bool voters;

        if (!may_go(now, p, phases[p], &voters)) {
            ring_free(r);
            return reason_invalid(&why, "partition %u cannot go from phase %u to phase %u",
                                  (unsigned)p, now->change->phases[p], phases[p]);
        }
        r->change->phases[p] = phases[p];
        if (voters)
            r->changed[p] = r->epoch;
    }
    return hand_out(r, next, &why);
}

/* By which phase the way back begins. A partition whose voters are the current set has them as its
 * target then; one that is joint stays so. */
static uint8_t phase_back(uint8_t phase)
{
    static const uint8_t back[] = {
        [RING_SETTLED] = RING_MOVED,
        [RING_LEARNING] = RING_MOVED,
        [RING_JOINT] = RING_JOINT,
        [RING_MOVED] = RING_SETTLED,
    };

    return back[phase];
}

static void swap_members(struct ring *r)
{
    for (uint32_t i = 0; i < r->member_count; i++) {
        struct ring_member *m = &r->members[i];
        struct ring_member before = *m;

        m->flags = (uint8_t)((before.flags & RING_MEMBER_CURRENT ? RING_MEMBER_TARGET : 0) |
                             (before.flags & RING_MEMBER_TARGET ? RING_MEMBER_CURRENT : 0));
        m->weight = before.next_weight;
        m->next_weight = before.weight;
        memcpy(m->zone, before.next_zone, sizeof(m->zone));
        memcpy(m->next_zone, before.zone, sizeof(m->zone));
    }
}

int ring_cancel(const struct ring *now, struct ring **next, char *text, size_t text_size)
{
    struct reason why = {text, text_size};
    struct ring *r;

    if (!now->change)
        return no_change(&why);
    if (now->change->cancelled)
        return reason_invalid(&why, "the change is being cancelled already");
    r = copy_for_next(now);
    if (!r)
        return out_of_memory(&why);

    struct ring_change *c = r->change;
    uint16_t *owners = r->owners;
    uint8_t replicas = r->replicas;

    r->owners = c->owners;
    c->owners = owners;
    r->replicas = c->replicas;
    c->replicas = replicas;
    c->cancelled = true;
    c->paused = false;
    swap_members(r);
    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        /* What was said of being ready was said of the other direction; and what a learner said
         * must not count when, having dropped its copy, it learns again one day. */
        if (c->phases[p] == RING_JOINT || c->phases[p] == RING_LEARNING)
            r->changed[p] = r->epoch;
        c->phases[p] = phase_back(c->phases[p]);
    }
    return hand_out(r, next, &why);
}

int ring_edit(const struct ring *now, bool paused, uint64_t rate, struct ring **next, char *text,
              size_t text_size)
{
    struct reason why = {text, text_size};
    struct ring *r;

    if (!now->change)
        return no_change(&why);
    r = copy_for_next(now);
    if (!r)
        return out_of_memory(&why);
    r->change->paused = paused;
    r->change->rate = rate;
    return hand_out(r, next, &why);
}

/* --- the end -------------------------------------------------------------------------------- */

bool ring_may_finish(const struct ring *now)
{
    for (uint32_t p = 0; now->change && p < ring_partitions(now); p++)
        if (now->change->phases[p] != RING_MOVED &&
            !(now->change->phases[p] == RING_SETTLED &&
              replicas_equal(&now->sets[p], &now->change->sets[p])))
            return false;
    return now->change != NULL;
}

static uint32_t count_staying(const struct ring *now)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < now->member_count; i++)
        count += (now->members[i].flags & RING_MEMBER_TARGET) != 0;
    return count;
}

int ring_target(const struct ring *now, struct ring **target, char *text, size_t text_size)
{
    struct reason why = {text, text_size};
    uint16_t place[MEMBERS_MAX] = {0}, count = 0;
    struct ring *r;

    if (!now->change) {
        *target = ring_copy(now);
        return *target ? 0 : out_of_memory(&why);
    }
    r = ring_new(count_staying(now), now->bits);
    if (!r)
        return out_of_memory(&why);
    copy_head(r, now);
    r->replicas = now->change->replicas;
    for (uint32_t i = 0; i < now->member_count; i++) {
        const struct ring_member *m = &now->members[i];

        if (!(m->flags & RING_MEMBER_TARGET))
            continue;
        r->members[count] = *m;
        r->members[count].weight = m->next_weight;
        memcpy(r->members[count].zone, m->next_zone, sizeof(m->zone));
        place[i] = count++;
    }
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        r->owners[p] = place[now->change->owners[p]];
    return hand_out(r, target, &why);
}

static void remember(struct ring *r, const struct ring_change *c, int64_t now_ms)
{
    struct ring_event *e;

    if (r->log_count == RING_LOG_MAX)
        memmove(&r->log[0], &r->log[1], --r->log_count * sizeof(r->log[0]));
    e = &r->log[r->log_count++];
    *e = (struct ring_event){.begun_epoch = c->begun_epoch,
                             .ended_epoch = r->epoch,
                             .begun_ms = c->begun_ms,
                             .ended_ms = now_ms,
                             .cancelled = c->cancelled};
    memcpy(e->what, c->what, sizeof(e->what));
    memcpy(e->who, c->who, sizeof(e->who));
}

int ring_finish_change(const struct ring *now, int64_t now_ms, struct ring **next, char *text,
                       size_t text_size)
{
    struct reason why = {text, text_size};
    int error;

    if (!now->change)
        return no_change(&why);
    if (!ring_may_finish(now))
        return reason_invalid(&why, "not all partitions have moved yet");
    error = ring_target(now, next, text, text_size);
    if (error)
        return error;
    (*next)->epoch++;
    remember(*next, now->change, now_ms);
    return 0;
}

/* --- what may follow ------------------------------------------------------------------------ */

/* Makes of `now` what `next` claims to be. */
static int make_again(const struct ring *now, const struct ring *next, struct ring **again,
                      const struct reason *why)
{
    struct ring *target = NULL, *step = NULL;
    int error;

    if (!now->change && next->change) {
        const struct ring_change *c = next->change;
        struct ring_asked asked = {c->what, c->who, c->begun_ms, c->rate};

        error = ring_target(next, &target, why->text, why->size);
        if (!error)
            error = ring_begin(now, target, &asked, again, why->text, why->size);
        ring_free(target);
        return error;
    }
    if (!now->change) {
        *again = copy_for_next(now);
        return *again ? 0 : out_of_memory(why);
    }
    if (!next->change)
        return ring_finish_change(now,
                                  next->log_count ? next->log[next->log_count - 1].ended_ms : 0,
                                  again, why->text, why->size);
    if (next->change->cancelled && !now->change->cancelled)
        return ring_cancel(now, again, why->text, why->size);
    error = ring_advance(now, next->change->phases, &step, why->text, why->size);
    if (!error) {
        step->change->paused = next->change->paused;
        step->change->rate = next->change->rate;
        *again = step;
    }
    return error;
}

/* Addresses may be others. */
static void take_addresses(struct ring *to, const struct ring *from)
{
    for (uint32_t i = 0; i < to->member_count && i < from->member_count; i++) {
        memcpy(to->members[i].host, from->members[i].host, sizeof(to->members[i].host));
        to->members[i].port = from->members[i].port;
    }
}

int ring_may_follow(const struct ring *now, const struct ring *next, char *text, size_t text_size)
{
    struct reason why = {text, text_size};
    struct ring *again = NULL;
    struct buf a = {0}, b = {0};
    int error;

    if (memcmp(now->cluster, next->cluster, IDENTITY_SIZE) != 0 || now->bits != next->bits ||
        now->hash != next->hash)
        return reason_invalid(&why, "it is the ring of another cluster");
    if (next->epoch != now->epoch + 1)
        return reason_invalid(&why, "it is of epoch %llu, and epoch %llu follows here",
                              (unsigned long long)next->epoch, (unsigned long long)now->epoch + 1);
    error = make_again(now, next, &again, &why);
    if (error)
        return error;
    take_addresses(again, next);
    if (ring_encode(again, &a) != 0 || ring_encode(next, &b) != 0)
        error = out_of_memory(&why);
    else if (!bytes_equal(buf_bytes(&a), buf_bytes(&b)))
        error = reason_invalid(&why, "it is not what a change makes of the ring of epoch %llu",
                               (unsigned long long)now->epoch);
    ring_free(again);
    buf_free(&a);
    buf_free(&b);
    return error;
}
