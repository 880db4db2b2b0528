/* Requests from proxies. */
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/shard.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/operation.h"
#include "shared/wire.h"

static enum refusal refusal_of(struct shard *s, int error)
{
    switch (error) {
    case RK_NOSPACE:
        s->counters.refused_nospace++;
        return REFUSAL_NOSPACE;
    case RK_CORRUPT:
        s->counters.damaged++;
        return REFUSAL_DAMAGED;
    case RK_UNSETTLED:
        s->counters.refused_elsewhere++;
        return REFUSAL_ELSEWHERE;
    case RK_TOOBIG:
    case RK_INVALID:
        s->counters.refused_malformed++;
        return REFUSAL_MALFORMED;
    default:
        s->counters.refused_busy++;
        return REFUSAL_BUSY;
    }
}

static void refuse(struct shard *s, uint64_t client, const struct request *m, enum refusal refusal)
{
    shard_refuse(s, client, m->id, refusal, 0, 0);
}

static struct execute_view view_of_group(struct shard *s, const struct group *g)
{
    return (struct execute_view){.store = s->store,
                                 .now_ms = s->wall_ms,
                                 .value_max = s->options.value_max,
                                 .keep_tombstones = g->peer_count > 0,
                                 .proof = &s->proof,
                                 .ring = s->ring,
                                 .last = g->last,
                                 .forgotten = g->forgotten,
                                 .mutants = MUTANTS_OF(s)};
}

/* Room comes with the next syncs. */
static bool too_much_held(const struct shard *s)
{
    return buf_len(&s->held.queue) > s->options.held_max;
}

/* At the primary, before anything is done: 0; RK_FULL: in line; RK_NOMEM: it is refused. */
static int find_room(const struct shard *s, const struct group *g, bool writes)
{
    if (g->pending_count >= GROUP_PENDING_MAX || g->pending_bytes >= GROUP_PENDING_BYTES)
        return RK_NOMEM;
    return too_much_held(s) || shard_is_in_line(s, g, writes) ? RK_FULL : 0;
}

/* --- reads ---------------------------------------------------------------------------------- */

/* The operation of the state's view since which keys that the store has not seen lately have not
 * changed. Not always the newest one: the replica that gives the value may be a little behind, and
 * must have come as far. */
static uint64_t unchanged_since(struct shard *s, struct group *g)
{
    if (g->since.view != g->last.view || g->since_position < store_settled(s->store)) {
        g->since = g->last;
        g->since_position = g->row_position;
    }
    return g->since.op;
}

/* At the primary: the reply waits until what it tells of is committed, and, for a linearizable
 * read, until a majority has said after the read came that this is still the primary. That one goes
 * behind all replies that wait. Another one does not, and of a key that is gone without a trace it
 * sees no operation to wait for: so it waits for the newest that took such a key away. */
static bool must_wait(const struct group *g, const struct execute_seen *seen, struct pending *p)
{
    struct version newest = seen->newest;

    if (!p->round && seen->traceless && version_compare(g->forgotten, newest) > 0)
        newest = g->forgotten;
    p->op = newest.view == g->view ? newest.op : 0;
    return !g->started || p->op > g->committed || p->round;
}

/* Lets the reply that lies at the end of `out` behind `before` bytes go now or later. */
static void let_go(struct shard *s, struct group *g, uint64_t client, const struct request *m,
                   struct buf *out, size_t before, const struct execute_seen *seen, uint64_t round)
{
    struct bytes frame = bytes_of(buf_head(out) + before, buf_len(out) - before);
    struct pending p = {.client = client, .id = m->id, .round = round};
    struct held_item item = {.position = seen->position, .to = client, .kind = HELD_REPLY};
    int error = 0;

    if (m->level == LEVEL_LINEAR || m->level == LEVEL_PRIMARY) {
        if (!must_wait(g, seen, &p))
            return;
        error = group_pend(g, &p, frame);
    } else {
        /* The view of the state is told as well. */
        if (m->level != LEVEL_ANY && g->view_position > item.position)
            item.position = g->view_position;
        if (item.position <= s->synced)
            return;
        error = held_add(&s->held, item, frame);
    }
    buf_truncate(out, before);
    if (error)
        refuse(s, client, m, REFUSAL_BUSY);
}

/* The caller has seen to it that there is room. */
static void request_read(struct shard *s, struct group *g, uint64_t client, const struct request *m)
{
    struct buf *out = shard_client_out(s, client);
    struct execute_view view = view_of_group(s, g);
    struct execute_seen seen;
    uint64_t round = 0;
    size_t before;
    int error;

    if (!out)
        return;
    /* First of all, as it may send something that goes behind what `out` has. */
    if (m->level == LEVEL_LINEAR && !MUTANT(s, UNCONFIRMED))
        round = group_confirm(s, g);
    if (m->level == LEVEL_VERSION) {
        view.unchanged_since = unchanged_since(s, g);
        view.touches = g->row_position <= s->synced || MUTANT(s, TOUCH_UNSYNCED) ? s->touches : 0;
    }
    before = buf_len(out);
    error = execute_read(&view, m, out, &seen);
    if (operation_is_range(m->op))
        /* What was deleted leaves nothing to be seen. */
        seen.newest = g->last;
    s->counters.reads++;
    if (error)
        refuse(s, client, m, refusal_of(s, error));
    else
        let_go(s, g, client, m, out, before, &seen, round);
}

/* --- writes --------------------------------------------------------------------------------- */

/* Queues the answer of an operation until it is committed. */
static int answer_when_committed(struct shard *s, struct group *g, uint64_t client,
                                 const struct reply *reply, struct version at)
{
    struct pending p = {
        .op = at.view == g->view ? at.op : 0, .client = client, .id = reply->id, .writes = true};
    uint8_t proof[PROOF_VERSION_SIZE];
    struct reply with = *reply;
    int error;

    wire_put_u64(proof, at.view);
    wire_put_u64(proof + 8, at.op);
    with.proof = bytes_of(proof, sizeof(proof));
    buf_truncate(&s->proof, 0);
    error = message_put_reply(&s->proof, &with);
    if (!error)
        error = group_pend(g, &p, buf_bytes(&s->proof));
    /* It may be committed already, and then nothing else would come to release it. */
    if (!error)
        group_answer_pending(s, g);
    return error;
}

static bool is_counted(uint8_t kind)
{
    return kind == REPLY_ARRAY || kind == REPLY_RESULTS;
}

/* A request that was carried out before: its answer is in the history. */
static void answer_again(struct shard *s, struct group *g, uint64_t client, const struct request *m,
                         const struct history_entry *e)
{
    struct bytes frame = bytes_of(e->frame, e->size);
    struct reply reply = {.id = m->id};
    struct frame f;
    struct step step;

    s->counters.answered_again++;
    if (frame_read(frame, FRAME_BODY_MAX, &f) <= 0 || peer_get_step(f.body, &step) != 0 ||
        !step.result_kind) {
        refuse(s, client, m, REFUSAL_FORGOTTEN);
        return;
    }
    reply.kind = step.result_kind;
    if (is_counted(step.result_kind))
        reply.count = (uint32_t)step.result_integer;
    else
        reply.integer = step.result_integer;
    reply.data = step.result_data;
    if (answer_when_committed(s, g, client, &reply, e->at) != 0)
        refuse(s, client, m, REFUSAL_UNCERTAIN);
}

/* Whether the history reaches back to before the request was first sent: if so, and it is not
 * there, it was not carried out. */
static bool would_be_known(const struct group *g, const struct request *m)
{
    struct version base = {m->base_view, m->base_op};
    struct version floor = g->line.first ? g->line.from : g->last;

    return version_compare(floor, base) <= 0;
}

/* The first attempt may arrive after a later one was carried out and forgotten again, so it is no
 * better known than that. But its proxy, if nothing else is under way, can send it with a newer
 * base. */
static void refuse_unknown(struct shard *s, struct group *g, uint64_t client,
                           const struct request *m)
{
    if (m->flags & REQUEST_RETRY) {
        s->counters.forgotten++;
        refuse(s, client, m, REFUSAL_FORGOTTEN);
    } else {
        s->counters.refused_elsewhere++;
        shard_refuse(s, client, m->id, REFUSAL_ELSEWHERE, g->view, g->last.op);
    }
}

/* Makes the operation's step, with its result, so that the request can be answered again. Only two
 * of the largest values, the new one and the old one that is the result, do not fit in a step
 * together; then the result is left out. */
static int make_step(struct shard *s, struct group *g, struct step *step, const struct effect *e)
{
    const struct reply *reply = &e->reply;
    int error;

    step->result_kind = reply->kind;
    step->result_integer = is_counted(reply->kind) ? reply->count : reply->integer;
    step->result_data = reply->data;
    error = group_make_step(s, g, step, e->changes.items, e->changes.count);
    if (error != RK_TOOBIG || !reply->data.size)
        return error;
    step->result_kind = 0;
    step->result_integer = 0;
    step->result_data = (struct bytes){0};
    return group_make_step(s, g, step, e->changes.items, e->changes.count);
}

static int carry_out(struct shard *s, struct group *g, uint64_t client, const struct request *m)
{
    struct execute_view view = view_of_group(s, g);
    struct step step = {.kind = STEP_OPERATION, .session = m->session, .number = m->number};
    struct effect *e = &s->effect;
    struct reply *reply = &e->reply;
    int error = execute_write(&view, m, (struct version){g->view, g->last.op + 1}, e);

    if (!error)
        error = make_step(s, g, &step, e);
    if (error)
        return error;
    return answer_when_committed(s, g, client, reply, step.at) ? RK_CLOSED : 0;
}

static bool majority_alive(struct shard *s, const struct group *g)
{
    struct tally alive = {0};

    tally_add(&alive, g->votes);
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].state != PEER_DOWN &&
            s->host.peer_alive(s->host.arg, g->peers[i].member, g->partition))
            tally_add(&alive, g->peers[i].votes);
    return group_is_majority(g, &alive);
}

/* While a majority is there its replicas are being brought up: writers wait for that at this
 * primary, as another one would have to bring them up as well. */
static void refuse_without_followers(struct shard *s, const struct group *g, uint64_t client,
                                     const struct request *m)
{
    if (majority_alive(s, g)) {
        s->counters.refused_busy++;
        refuse(s, client, m, REFUSAL_BUSY);
    } else {
        s->counters.refused_noquorum++;
        refuse(s, client, m, REFUSAL_NOQUORUM);
    }
}

/* 0 or RK_FULL. */
static int request_write(struct shard *s, struct group *g, uint64_t client, const struct request *m)
{
    struct history_entry *known =
        m->session ? history_find_request(&s->history, &g->line, m->session, m->number) : NULL;
    int error;

    if (known && !MUTANT(s, FORGETFUL)) {
        answer_again(s, g, client, m, known);
        return 0;
    }
    if (m->session && !would_be_known(g, m) && !MUTANT(s, FORGETFUL)) {
        refuse_unknown(s, g, client, m);
        return 0;
    }
    if (g->handing_ms) {
        /* Asked for again in a moment, when the preferred primary leads. */
        s->counters.refused_elsewhere++;
        refuse(s, client, m, REFUSAL_ELSEWHERE);
        return 0;
    }
    if (!group_majority_follows(g)) {
        refuse_without_followers(s, g, client, m);
        return 0;
    }
    error = find_room(s, g, true);
    if (!error)
        error = carry_out(s, g, client, m);
    if (error == RK_FULL)
        return error;
    s->counters.writes++;
    if (error == RK_CLOSED) {
        /* Written, but there was no memory to remember whom to answer. */
        s->counters.uncertain++;
        refuse(s, client, m, REFUSAL_UNCERTAIN);
    } else if (error) {
        refuse(s, client, m, refusal_of(s, error));
    }
    return 0;
}

/* --- where to ------------------------------------------------------------------------------- */

enum { UNLED_AHEAD_MAX = 1024 }; /* such a view is not further ahead of what is known */

/* The request is bound to a view above `known`, and those who know that view better do not lead it.
 * Who promised it may have told a proxy so and died, all of them, before the promise was on stable
 * storage: then nobody will ever lead it, and the proxy, which never binds a request to a lower
 * view than one that it knows, is helped by nothing but a higher one. True: it is time for that,
 * because the view was not heard of for long enough. */
static bool is_unled(struct shard *s, struct group *g, uint64_t known, uint64_t view)
{
    if (view <= known || view_number(view) > g->highest + UNLED_AHEAD_MAX || MUTANT(s, UNLED))
        return false;
    if (view > g->unled) {
        g->unled = view;
        g->unled_ms = s->now_ms;
    }
    return s->now_ms - g->unled_ms >= s->options.candidate_ms;
}

/* Leads a view above one that nobody leads. */
static void lead_above(struct shard *s, struct group *g, uint64_t view)
{
    if (view_number(view) > g->highest)
        g->highest = view_number(view);
    group_lead(s, g);
}

/* The proxy cannot reach the primary. If this replica can, it passes the request on instead of
 * fighting over the view; else it leads. */
static void relay_or_lead(struct shard *s, struct group *g, uint64_t client,
                          const struct request *m)
{
    uint16_t primary = view_member(g->leader);
    bool unled = is_unled(s, g, g->leader, m->view);

    if (g->role == GROUP_BACKUP && g->leader && primary != s->me && !unled &&
        s->host.peer_alive(s->host.arg, primary, g->partition)) {
        if (m->view == g->leader)
            shard_relay(s, primary, client, m);
        else
            shard_refuse(s, client, m->id, REFUSAL_ELSEWHERE, g->leader, 0);
        return;
    }
    if (g->role == GROUP_BACKUP && !group_awaits_candidate(s, g))
        lead_above(s, g, unled ? m->view : 0);
    s->counters.refused_elsewhere++;
    refuse(s, client, m, REFUSAL_ELSEWHERE);
}

/* At any replica. */
static void read_anywhere(struct shard *s, struct group *g, uint64_t client,
                          const struct request *m)
{
    if (g->partial && !MUTANT(s, PARTIAL_READ)) {
        refuse(s, client, m, REFUSAL_ELSEWHERE);
    } else if (too_much_held(s)) {
        s->counters.refused_busy++;
        refuse(s, client, m, REFUSAL_BUSY);
    } else {
        request_read(s, g, client, m);
    }
}

/* 0 or RK_FULL. */
static int read_as_primary(struct shard *s, struct group *g, uint64_t client,
                           const struct request *m)
{
    int error;

    if (!g->started && !group_majority_follows(g)) {
        s->counters.refused_noquorum++;
        refuse(s, client, m, REFUSAL_NOQUORUM);
        return 0;
    }
    error = find_room(s, g, false);
    if (!error)
        request_read(s, g, client, m);
    else if (error != RK_FULL)
        refuse(s, client, m, refusal_of(s, error));
    return error == RK_FULL ? error : 0;
}

int group_request(struct shard *s, struct group *g, uint64_t client, const struct request *m)
{
    bool writes = operation_info(m->op)->writes;

    if (m->level >= LEVEL_ANY && !writes) {
        read_anywhere(s, g, client, m);
        return 0;
    }
    if (g->role != GROUP_PRIMARY) {
        if (m->flags & REQUEST_LEAD) {
            relay_or_lead(s, g, client, m);
            return 0;
        }
        s->counters.refused_elsewhere++;
        shard_refuse(s, client, m->id, REFUSAL_ELSEWHERE, g->leader, 0);
    } else if (m->flags & REQUEST_LEAD && is_unled(s, g, g->view, m->view)) {
        lead_above(s, g, m->view);
        s->counters.refused_elsewhere++;
        refuse(s, client, m, REFUSAL_ELSEWHERE);
    } else if (m->view != g->view && !(MUTANT(s, UNBOUND) && m->view)) {
        s->counters.refused_elsewhere++;
        shard_refuse(s, client, m->id, REFUSAL_ELSEWHERE, g->view, g->last.op);
    } else {
        return writes ? request_write(s, g, client, m) : read_as_primary(s, g, client, m);
    }
    return 0;
}
