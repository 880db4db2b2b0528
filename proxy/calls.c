#include "proxy/calls.h"
#include "proxy/attempt.h"

/* So many attempts of a call may follow each other as fast as the answers to its client's others
 * come: enough for a new leader to be found, for each command of a pipeline in its turn; few enough
 * that where there is none nodes are not asked in a tight circle. */
enum { ATTEMPTS_IN_HURRY = 64 };

static void enqueue(struct router *r, struct call *c, enum failure reason, bool held)
{
    struct session *s = c->slot->session;

    c->state = CALL_WAITING;
    c->reason = (uint8_t)reason;
    c->held = held;
    if (s) {
        s->waiting++;
        s->wait_reason = c->reason;
    }
    if (!r->waiting.first)
        r->retry_ms = r->now_ms + ROUTER_RETRY_MS;
    call_list_insert(&r->waiting, c);
}

void call_wait(struct router *r, struct call *c, enum failure reason)
{
    enqueue(r, c, reason, false);
}

void call_hold(struct router *r, struct call *c, enum failure reason)
{
    enqueue(r, c, reason, true);
}

static void stop_waiting(struct router *r, struct call *c)
{
    call_list_remove(&r->waiting, c);
    if (c->slot->session)
        c->slot->session->waiting--;
}

void call_under_way(const struct router *r, struct call *c)
{
    struct session *s = c->slot->session;

    if (!s)
        return;
    if (s->sent == 0)
        s->views_seen = r->views_learned;
    s->sent++;
    s->writes_sent += c->slot->writes;
    s->reads_apart += c->way != CALL_TO_PRIMARY;
    s->led += c->led;
    if (c->led)
        s->led_lane = c->legs[0].lane;
    s->last_sent = c->number > s->last_sent ? c->number : s->last_sent;
}

void call_came_back(struct router *r, struct call *c)
{
    struct session *s = c->slot->session;

    if (!s)
        return;
    s->sent--;
    s->writes_sent -= c->slot->writes;
    s->reads_apart -= c->way != CALL_TO_PRIMARY;
    s->led -= c->led;
    if (s->sent == 0)
        s->last_sent = 0;
    /* Somebody may be held for just that. */
    if (s->waiting && (s->reads_apart == 0 || s->sent == 0))
        r->hurry = true;
}

bool call_must_hold(const struct router *r, const struct call *c)
{
    const struct session *s = c->slot->session;

    if (!s || !s->sent)
        return false;
    return s->last_sent > c->number ||
           (c->slot->writes && s->reads_apart &&
            (s->views_seen != r->views_learned || ring_replicas(r->ring, c->partition)->count > 1));
}

/* Whether a call of the session is in flight to the primary of a view of this partition that is not
 * the newest known. Looks only when a view was learned since those in flight were known to be of
 * the newest. */
static bool old_view_in_flight(const struct router *r, struct session *s, uint32_t partition)
{
    bool old = false;

    if (s->views_seen == r->views_learned)
        return false;
    s->views_seen = r->views_learned;
    for (const struct slot *slot = s->first; slot; slot = slot->next)
        for (const struct call *c = slot->first; c; c = c->sibling) {
            if (c->legs_open == 0 || c->way != CALL_TO_PRIMARY ||
                c->sent_view == r->routes[c->partition].view)
                continue;
            s->views_seen = 0;
            old = old || c->partition == partition;
        }
    return old;
}

bool call_must_not_part(const struct router *r, const struct call *c, const struct lane *lane)
{
    struct session *s = c->slot->session;

    if (!s || !s->sent)
        return false;
    if (c->led ? s->led < s->sent || s->led_lane != lane : s->led > 0)
        return true;
    return old_view_in_flight(r, s, c->partition);
}

void call_begin(struct router *r, struct call *c)
{
    const struct session *s = c->slot->session;

    if (s->waiting)
        call_hold(r, c, (enum failure)s->wait_reason);
    else if (call_must_hold(r, c))
        call_hold(r, c, FAILURE_NOT_TAKEN);
    else
        attempt_next(r, c);
}

/* Tries those that are held, or were not refused often yet, or all. */
static void retry(struct router *r, bool all)
{
    struct call *next;

    r->hurry = false;
    r->retry_pass++;
    for (struct call *c = r->waiting.first; c; c = next) {
        struct session *s = c->slot->session;

        /* When it has to wait again it comes back to the same place, before the next, and those of
         * its client that are behind it wait with it. */
        next = c->next;
        if (s && s->held_pass == r->retry_pass) {
            c->reason = s->wait_reason;
            continue;
        }
        if ((all || c->held || c->attempts < ATTEMPTS_IN_HURRY) && !call_must_hold(r, c)) {
            uint32_t waiting = s ? --s->waiting : 0;

            call_list_remove(&r->waiting, c);
            attempt_next(r, c);
            if (!s || s->waiting == waiting)
                continue;
        }
        if (s)
            s->held_pass = r->retry_pass;
    }
}

void calls_retry(struct router *r)
{
    r->retry_ms = r->now_ms + ROUTER_RETRY_MS;
    retry(r, true);
}

void calls_retry_in_hurry(struct router *r)
{
    retry(r, false);
}

/* Whether a write that waits may have been done with its newest attempt, and so in its turn. One
 * that was refused then was not, and one behind it perhaps was: whatever became of its earlier
 * attempts, it must not be done now. */
static bool may_be_done(const struct call *w)
{
    return w->doubt && !w->refused;
}

/* Ends what waits in front of a call, with or without writes that may have been done. */
static void pass(struct router *r, const struct call *c, bool doubtful)
{
    const struct session *s = c->slot->session;
    struct call *next;

    if (!s || !s->waiting)
        return;
    for (struct call *w = r->waiting.first; w && w->number < c->number; w = next) {
        next = w->next;
        if (w->slot->session != s || w->partition != c->partition || (may_be_done(w) && !doubtful))
            continue;
        /* Reads may change places among themselves. */
        if (!w->slot->writes && !c->slot->writes)
            continue;
        stop_waiting(r, w);
        attempt_fail(r, w,
                     w->reason == FAILURE_NOT_TAKEN ? FAILURE_OVERTAKEN : (enum failure)w->reason);
    }
}

void call_passed(struct router *r, const struct call *c)
{
    pass(r, c, true);
}

void call_in_doubt(struct router *r, const struct call *c)
{
    pass(r, c, false);
}

void calls_time_out(struct router *r, struct slot *slot)
{
    struct call *next;

    counter_add(&r->counters->timeouts, 1);
    for (struct call *c = slot->first; c; c = next) {
        bool last = slot->open == 1;

        next = c->sibling;
        if (c->state == CALL_ANSWERED)
            continue;
        if (c->state == CALL_WAITING)
            stop_waiting(r, c);
        else
            call_passed(r, c);
        attempt_time_out(r, c);
        /* The slot is gone now. */
        if (last)
            break;
    }
}
