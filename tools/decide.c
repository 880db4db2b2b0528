#include "tools/decide.h"
#include "shared/error.h"
#include "shared/ring_change.h"
#include "tools/ring_propose.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    ATTEMPTS_MAX = 12, /* with growing pauses: some seconds */
    PAUSE_MS = 20,     /* before the second attempt, doubled for each further one... */
    PAUSE_MS_MAX =
        1000, /* ...up to this, and half of it random, so that two do not go on in step */
    NUMBERS_AHEAD_MAX = 1 << 20, /* what another's ballot may be ahead; more is a broken node */
};

struct decide {
    struct survey *s;
    struct ring_propose propose;
    uint32_t acceptors[MEMBERS_MAX]; /* fleet numbers */
    uint32_t count;
    uint64_t behind[MEMBERS_MAX];     /* per acceptor: 1 + the older epoch that it is at; else 0 */
    uint32_t newer_from;              /* a node that said it has a newer ring */
    char silent[DECIDE_WHY_SIZE / 2]; /* what was the matter with the last that gave no answer */
};

static void sleep_ms(uint32_t ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&time, NULL);
}

static uint64_t random_number(void)
{
    uint64_t number = 0;

    while (getrandom(&number, sizeof(number), 0) != sizeof(number) || number == 0)
        ;
    return number;
}

/* --- one message to all --------------------------------------------------------------------- */

static int send_prepare(struct decide *d)
{
    struct ring_prepare m = {fleet_tag(d->s->fleet), d->s->ring->epoch + 1, d->propose.ballot};
    struct buf request = {0};
    int error = message_put_ring_prepare(&request, &m);

    for (uint32_t i = 0; i < d->count && !error; i++)
        fleet_ask(d->s->fleet, d->acceptors[i], MESSAGE_RING_PROMISE, m.tag, buf_bytes(&request));
    buf_free(&request);
    fleet_wait(d->s->fleet);
    return error;
}

static int send_accept(struct decide *d)
{
    struct ring_accept m = {fleet_tag(d->s->fleet), d->propose.ballot,
                            ring_propose_value(&d->propose)};
    struct buf request = {0};
    int error = message_put_ring_accept(&request, &m);

    for (uint32_t i = 0; i < d->count && !error; i++)
        fleet_ask(d->s->fleet, d->acceptors[i], MESSAGE_DONE, m.tag, buf_bytes(&request));
    buf_free(&request);
    fleet_wait(d->s->fleet);
    return error;
}

static void note_silent(struct decide *d, uint32_t i, const char *text)
{
    snprintf(d->silent, sizeof(d->silent), "%s", text);
    ring_propose_silent(&d->propose, i);
}

/* It has no say in the next ring before it has got this one. */
static void note_behind(struct decide *d, uint32_t i, uint64_t epoch)
{
    d->behind[i] = epoch + 1;
    snprintf(d->silent, sizeof(d->silent),
             "%s: has the ring of epoch %" PRIu64 ", not that of %" PRIu64,
             fleet_address(d->s->fleet, d->acceptors[i]), epoch, d->s->ring->epoch);
    ring_propose_silent(&d->propose, i);
}

/* One that cannot write down what it would promise (its disk is full, say) gives only a number. */
static void note_promise(struct decide *d, uint32_t i, const struct ring_promise *m)
{
    if (m->error && m->error != RK_EPOCH && m->error != RK_REFUSED)
        snprintf(d->silent, sizeof(d->silent), "%s: cannot write down what it is asked: %s",
                 fleet_address(d->s->fleet, d->acceptors[i]), rk_error_text(m->error));
    ring_propose_promise(&d->propose, i, m);
}

static void take_promise(struct decide *d, uint32_t i)
{
    struct ring_promise m;
    struct bytes body;
    uint64_t before = d->propose.newest_epoch;

    if (fleet_answer(d->s->fleet, d->acceptors[i], &body) != 0)
        note_silent(d, i, fleet_why(d->s->fleet, d->acceptors[i]));
    else if (message_get_ring_promise(body, &m) != 0 ||
             m.promised.number > d->propose.ballot.number + NUMBERS_AHEAD_MAX)
        note_silent(d, i, "an answer that cannot be");
    else if (m.error == RK_EPOCH && m.epoch < d->s->ring->epoch)
        note_behind(d, i, m.epoch);
    else
        note_promise(d, i, &m);
    if (d->propose.newest_epoch > before)
        d->newer_from = d->acceptors[i];
}

static void take_accepted(struct decide *d, uint32_t i)
{
    uint64_t before = d->propose.newest_epoch;
    struct bytes body;
    struct done m;

    if (fleet_answer(d->s->fleet, d->acceptors[i], &body) != 0) {
        note_silent(d, i, fleet_why(d->s->fleet, d->acceptors[i]));
    } else if (message_get_done(body, &m) != 0) {
        note_silent(d, i, "an answer that cannot be");
    } else if (m.error == RK_EPOCH && m.epoch < d->s->ring->epoch) {
        note_behind(d, i, m.epoch);
    } else {
        if (m.error)
            snprintf(d->silent, sizeof(d->silent), "%s: %.*s",
                     fleet_address(d->s->fleet, d->acceptors[i]), (int)m.text.size,
                     (const char *)m.text.data);
        ring_propose_accepted(&d->propose, i, m.error, m.epoch);
    }
    if (d->propose.newest_epoch > before)
        d->newer_from = d->acceptors[i];
}

/* One ballot: both phases. */
static void run_ballot(struct decide *d)
{
    if (send_prepare(d) != 0) {
        d->propose.state = PROPOSE_FAILED;
        return;
    }
    for (uint32_t i = 0; i < d->count; i++)
        take_promise(d, i);
    if (d->propose.state != PROPOSE_ACCEPTING)
        return;
    if (send_accept(d) != 0) {
        d->propose.state = PROPOSE_FAILED;
        return;
    }
    for (uint32_t i = 0; i < d->count; i++)
        take_accepted(d, i);
}

/* --- giving it to everybody ----------------------------------------------------------------- */

static void give(struct survey *s, uint32_t node, uint64_t expected, struct bytes encoded)
{
    struct ring_put m = {fleet_tag(s->fleet), expected, encoded};
    struct buf request = {0};

    if (message_put_ring_put(&request, &m) == 0)
        fleet_ask(s->fleet, node, MESSAGE_DONE, m.tag, buf_bytes(&request));
    buf_free(&request);
}

/* What the node has is asked by nobody: one that is in no ring yet takes expected 0, the others the
 * epoch before. Who refuses learns of the ring from the others. */
static void give_to_all(struct survey *s, const struct ring *before, struct bytes encoded)
{
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        const struct ring_member *m = &s->ring->members[i];
        bool joins = !before || ring_member_by_identity(before, m->identity) < 0;

        give(s, s->nodes[i], joins ? 0 : before->epoch, encoded);
    }
    /* Who is in the ring no more has to know that. */
    for (uint32_t i = 0; before && i < before->member_count; i++) {
        const struct ring_member *m = &before->members[i];
        int node = fleet_add(s->fleet, m->host, m->port, m->identity);

        if (node >= 0 && ring_member_by_identity(s->ring, m->identity) < 0)
            give(s, (uint32_t)node, before->epoch, encoded);
    }
    fleet_wait(s->fleet);
}

void decide_spread(struct survey *s)
{
    struct buf encoded = {0};

    if (ring_encode(s->ring, &encoded) == 0)
        for (uint32_t i = 0; i < s->ring->member_count; i++) {
            struct bytes body;

            if (fleet_answer(s->fleet, s->nodes[i], &body) == 0 && s->epochs[i] < s->ring->epoch)
                give(s, s->nodes[i], s->epochs[i], buf_bytes(&encoded));
        }
    fleet_wait(s->fleet);
    buf_free(&encoded);
}

/* A ringctl that was killed may have told the ring to one node only. */
static void give_to_those_behind(struct decide *d)
{
    struct buf encoded = {0};
    bool any = false;

    for (uint32_t i = 0; i < d->count; i++)
        any |= d->behind[i] != 0;
    if (!any)
        return;
    if (ring_encode(d->s->ring, &encoded) == 0)
        for (uint32_t i = 0; i < d->count; i++)
            if (d->behind[i])
                give(d->s, d->acceptors[i], d->behind[i] - 1, buf_bytes(&encoded));
    fleet_wait(d->s->fleet);
    buf_free(&encoded);
    memset(d->behind, 0, sizeof(d->behind));
}

/* --- the whole ------------------------------------------------------------------------------ */

/* Ballots until one settles it. */
static void run_ballots(struct decide *d, struct bytes own)
{
    uint64_t number = 1, proposer = random_number();
    uint32_t pause_ms = PAUSE_MS;

    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        ring_propose_begin(&d->propose, d->count, number, proposer, own);
        run_ballot(d);
        give_to_those_behind(d);
        if (d->propose.state == PROPOSE_DECIDED || d->propose.state == PROPOSE_STALE)
            return;
        if (i + 1 == ATTEMPTS_MAX)
            return;
        number = d->propose.highest_number + 1;
        ring_propose_free(&d->propose);
        sleep_ms(pause_ms / 2 + (uint32_t)(random_number() % (pause_ms / 2 + 1)));
        pause_ms = 2 * pause_ms > PAUSE_MS_MAX ? PAUSE_MS_MAX : 2 * pause_ms;
    }
}

/* Makes what was decided the survey's ring, and everybody's. */
static enum decision conclude(struct decide *d, char *why, size_t why_size)
{
    struct bytes value = ring_propose_value(&d->propose);
    struct ring *before = ring_copy(d->s->ring), *ring = NULL;
    enum decision decision = ring_propose_is_own(&d->propose) ? DECIDED : DECIDED_OTHER;
    int error = before ? ring_decode(value, &ring, why, why_size) : RK_NOMEM;

    if (!error)
        error = survey_take_ring(d->s, ring);
    if (!error)
        give_to_all(d->s, before, value);
    ring_free(before);
    if (!error)
        return decision;
    snprintf(why, why_size, "the ring was decided, and cannot be read here: %s",
             rk_error_text(error));
    return DECIDED_NOT;
}

/* A function of the ring alone: everybody has to find the same. */
static void choose_acceptors(struct decide *d)
{
    const struct ring *ring = d->s->ring;
    bool back = ring->change && ring->change->cancelled;

    for (uint32_t i = 0; i < ring->member_count; i++)
        if (ring->members[i].flags & (back ? RING_MEMBER_TARGET : RING_MEMBER_CURRENT))
            d->acceptors[d->count++] = d->s->nodes[i];
}

static enum decision decide(struct decide *d, struct bytes own, char *why, size_t why_size)
{
    run_ballots(d, own);
    if (d->propose.state == PROPOSE_DECIDED)
        return conclude(d, why, why_size);
    if (d->propose.state == PROPOSE_STALE && survey_fetch_ring(d->s, d->newer_from) == 0)
        return DECIDED_OTHER;
    if (d->propose.state == PROPOSE_STALE)
        snprintf(why, why_size, "%s has a newer ring, which cannot be fetched from it: %s",
                 fleet_address(d->s->fleet, d->newer_from), fleet_why(d->s->fleet, d->newer_from));
    else if (d->propose.state == PROPOSE_OVERTAKEN)
        snprintf(why, why_size,
                 "another ringctl is changing the ring at the same moment: let it end");
    else
        snprintf(why, why_size,
                 "a new epoch needs %u of the %u members that have a say, and too few can give it "
                 "(%s): start or mend those that 'ringctl check' names",
                 d->count / 2 + 1, d->count, d->silent[0] ? d->silent : "out of memory");
    return DECIDED_NOT;
}

enum decision decide_ring(struct survey *s, struct ring *next, char *why, size_t why_size)
{
    struct decide *d = calloc(1, sizeof(*d));
    struct buf own = {0};
    enum decision decision = DECIDED_NOT;

    snprintf(why, why_size, "out of memory");
    if (d && ring_encode(next, &own) == 0) {
        d->s = s;
        choose_acceptors(d);
        decision = decide(d, buf_bytes(&own), why, why_size);
        ring_propose_free(&d->propose);
    }
    ring_free(next);
    buf_free(&own);
    free(d);
    return decision;
}
