#include "tools/ring_propose.h"
#include "shared/error.h"
#include <assert.h>
#include <string.h>

static void enter(struct ring_propose *p, enum propose_state state)
{
    p->state = state;
    p->yes = p->no = 0;
    memset(p->answered, 0, sizeof(p->answered));
}

void ring_propose_begin(struct ring_propose *p, uint32_t acceptors, uint64_t number,
                        uint64_t proposer, struct bytes own)
{
    assert(acceptors > 0 && acceptors <= MEMBERS_MAX && proposer != 0);
    *p = (struct ring_propose){
        .acceptors = acceptors, .ballot = {number, proposer}, .own = own, .highest_number = number};
    enter(p, PROPOSE_PREPARING);
}

void ring_propose_free(struct ring_propose *p)
{
    buf_free(&p->found);
}

/* Counts an answer in the present state. False: it has answered already, and does not count. */
static bool count(struct ring_propose *p, uint32_t from, bool yes)
{
    assert(from < p->acceptors);
    if (p->answered[from])
        return false;
    p->answered[from] = true;
    p->yes += yes;
    p->no += !yes;
    return true;
}

/* A majority can no longer be had when half of the acceptors have said no. */
static void settle_no(struct ring_propose *p, enum propose_state reason)
{
    if (2 * p->no >= p->acceptors)
        p->state = reason;
}

static bool is_open(const struct ring_propose *p, enum propose_state state)
{
    return p->state == state;
}

static void see_epoch(struct ring_propose *p, uint64_t epoch)
{
    if (epoch > p->newest_epoch)
        p->newest_epoch = epoch;
    p->state = PROPOSE_STALE;
}

int ring_propose_promise(struct ring_propose *p, uint32_t from, const struct ring_promise *m)
{
    if (m->promised.number > p->highest_number)
        p->highest_number = m->promised.number;
    if (!is_open(p, PROPOSE_PREPARING))
        return 0;
    if (m->error == RK_EPOCH) {
        see_epoch(p, m->epoch);
        return 0;
    }
    if (m->error) {
        if (count(p, from, false))
            settle_no(p, ballot_compare(m->promised, p->ballot) > 0 ? PROPOSE_OVERTAKEN
                                                                    : PROPOSE_FAILED);
        return 0;
    }
    if (!count(p, from, true))
        return 0;
    if (m->ring.size && (!buf_len(&p->found) || ballot_compare(m->accepted, p->found_ballot) > 0)) {
        buf_free(&p->found);
        p->found_ballot = m->accepted;
        if (buf_append(&p->found, m->ring.data, m->ring.size) != 0) {
            p->state = PROPOSE_FAILED;
            return RK_NOMEM;
        }
    }
    if (2 * p->yes > p->acceptors)
        enter(p, PROPOSE_ACCEPTING);
    return 0;
}

void ring_propose_accepted(struct ring_propose *p, uint32_t from, int error, uint64_t epoch)
{
    if (!is_open(p, PROPOSE_ACCEPTING))
        return;
    if (error == RK_EPOCH) {
        see_epoch(p, epoch);
        return;
    }
    if (!count(p, from, error == 0))
        return;
    if (2 * p->yes > p->acceptors)
        p->state = PROPOSE_DECIDED;
    else
        settle_no(p, PROPOSE_OVERTAKEN);
}

void ring_propose_silent(struct ring_propose *p, uint32_t from)
{
    if (p->state != PROPOSE_PREPARING && p->state != PROPOSE_ACCEPTING)
        return;
    if (count(p, from, false))
        settle_no(p, PROPOSE_FAILED);
}
