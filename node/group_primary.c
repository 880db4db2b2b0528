/* The primary's part: steps out, acknowledgements in, commits, and bringing replicas up. */
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/past.h"
#include "node/shard.h"
#include "shared/error.h"
#include <stdlib.h>

/* --- replies that wait ---------------------------------------------------------------------- */

static struct pending *pop(struct group *g)
{
    struct pending *p = g->pending_first;

    g->pending_first = p->next;
    if (!p->next)
        g->pending_last = NULL;
    g->pending_count--;
    g->pending_writes -= p->writes;
    g->pending_bytes -= p->size;
    return p;
}

int group_pend(struct group *g, const struct pending *like, struct bytes frame)
{
    struct pending *p = malloc(sizeof(*p) + frame.size);

    if (!p)
        return RK_NOMEM;
    *p = *like;
    p->next = NULL;
    p->size = (uint32_t)frame.size;
    memcpy(p->frame, frame.data, frame.size);
    if (g->pending_last)
        g->pending_last->next = p;
    else
        g->pending_first = p;
    g->pending_last = p;
    g->pending_count++;
    g->pending_writes += p->writes;
    g->pending_bytes += p->size;
    return 0;
}

static bool acks_come(const struct shard *s, const struct group *g)
{
    struct tally moving = {0};

    tally_add(&moving, g->votes);
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (shard_acks_come(s, g->peers[i].member, g->partition))
            tally_add(&moving, g->peers[i].votes);
    return group_is_majority(g, &moving);
}

void group_tell_pending(struct shard *s, struct group *g)
{
    if (!g->pending_first || !acks_come(s, g))
        return;
    for (const struct pending *p = g->pending_first; p; p = p->next)
        shard_say_waits(s, p->client, p->id);
}

/* This replica leads no more: what was in flight may or may not survive under the next primary. */
void group_pend_abandon(struct shard *s, struct group *g)
{
    while (g->pending_first) {
        struct pending *p = pop(g);

        s->counters.uncertain += p->writes;
        shard_refuse(s, p->client, p->id, p->writes ? REFUSAL_UNCERTAIN : REFUSAL_ELSEWHERE,
                     view_member(g->promised) == s->me ? 0 : g->promised, 0);
        free(p);
    }
}

/* The highest number that a majority of one set has reached. */
static int64_t middle_of(int64_t *reached, uint8_t count)
{
    /* In descending order; the one in the middle is reached by a majority. */
    for (uint8_t i = 1; i < count; i++)
        for (uint8_t j = i; j > 0 && reached[j] > reached[j - 1]; j--) {
            int64_t swapped = reached[j];

            reached[j] = reached[j - 1];
            reached[j - 1] = swapped;
        }
    return reached[count / 2];
}

/* The highest number that a majority of each set has reached: `own` this node, and each peer what
 * `of` tells. */
static int64_t majority_of(const struct group *g, int64_t own,
                           int64_t (*of)(const struct group_peer *peer))
{
    int64_t lowest = INT64_MAX;

    for (int set = 0; set < VOTE_SETS; set++) {
        int64_t reached[REPLICAS_MAX], middle;
        uint8_t count = 0;

        if (!g->voters.count[set])
            continue;
        if (g->votes >> set & 1)
            reached[count++] = own;
        for (uint8_t i = 0; i < g->peer_count; i++)
            if (g->peers[i].votes >> set & 1)
                reached[count++] = of(&g->peers[i]);
        middle = middle_of(reached, count);
        lowest = middle < lowest ? middle : lowest;
    }
    return lowest;
}

/* Only of those that have answered under the group's epoch: then they still follow this view, so
 * it was the highest when they said so. Otherwise another view may have begun meanwhile, without
 * their vote or in an epoch that this node has missed. */
static int64_t confirmed_by(const struct group_peer *peer)
{
    return peer->current ? (int64_t)peer->confirmed : 0;
}

void group_answer_pending(struct shard *s, struct group *g)
{
    uint64_t round = g->pending_first ? (uint64_t)majority_of(g, INT64_MAX, confirmed_by) : 0;

    while (g->pending_first && g->started && g->pending_first->op <= g->committed &&
           g->pending_first->round <= round) {
        struct pending *p = pop(g);
        struct buf *out = shard_client_out(s, p->client);

        if (out)
            buf_append(out, p->frame, p->size);
        free(p);
    }
}

/* --- commit --------------------------------------------------------------------------------- */

static int64_t acked_by(const struct group_peer *peer)
{
    return peer->acked ? (int64_t)peer->acked_op : -1;
}

int64_t group_own_op(const struct group *g)
{
    return g->self_acked ? (int64_t)g->self_op : -1;
}

bool group_majority_holds(const struct group *g, uint64_t op)
{
    return majority_of(g, group_own_op(g), acked_by) >= (int64_t)op;
}

void group_commit(struct shard *s, struct group *g)
{
    int64_t own = group_own_op(g);
    int64_t op = MUTANT(s, COMMIT_ALONE) && own >= 0 ? own : majority_of(g, own, acked_by);

    if (op >= 0)
        g->started = true;
    if (op > 0 && (uint64_t)op > g->committed)
        g->committed = (uint64_t)op;
    group_answer_pending(s, g);
    group_hand_over(s, g);
}

void group_self_synced(struct shard *s, struct group *g, uint64_t view, struct version at)
{
    if (g->role != GROUP_PRIMARY || view != g->view)
        return;
    transfer_source_synced(s, g, group_own_op(g), (int64_t)at.op);
    g->self_acked = true;
    g->self_op = at.op;
    group_commit(s, g);
}

void group_holds(struct shard *s, struct group *g, struct group_peer *peer, struct version at)
{
    if (at.view != g->view || at.op > g->last.op)
        return;
    peer->current = true;
    if (!peer->acked || at.op > peer->acked_op) {
        peer->acked = true;
        peer->acked_op = at.op;
    }
    group_commit(s, g);
}

void group_acked(struct shard *s, struct group *g, struct group_peer *peer, const struct signal *m)
{
    shard_note_ack(s, peer->member, g->partition);
    if (g->role != GROUP_PRIMARY || m->view != g->view)
        return;
    peer->located = true;
    if (peer->state == PEER_UNKNOWN)
        group_catch_up(s, g, peer, m->last, m->flags);
    group_holds(s, g, peer, m->last);
    /* An acknowledgement from before the transfer does not end it. */
    if (peer->state == PEER_TRANSFER && peer->transfer->complete &&
        version_compare(m->last, peer->transfer->at) >= 0) {
        transfer_stop(s, peer);
        peer->state = PEER_FOLLOWING;
        peer->since_ms = s->now_ms;
    }
}

/* --- still the primary? --------------------------------------------------------------------- */

uint64_t group_confirm(struct shard *s, struct group *g)
{
    if (!group_has_others(g))
        return 0;
    /* Signals go out with the turn, behind all reads that came in it: one round serves them all. */
    if (g->round_turn == s->turn && g->round)
        return g->round;
    g->round_turn = s->turn;
    g->round++;
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].state != PEER_DOWN)
            group_signal_now(s, g, g->peers[i].member, SIGNAL_CONFIRM, g->view,
                             (struct version){0, g->round});
    return g->round;
}

void group_confirm_again(struct shard *s, struct group *g, struct group_peer *peer)
{
    if (g->pending_first && peer->confirmed < g->round)
        group_signal_now(s, g, peer->member, SIGNAL_CONFIRM, g->view,
                         (struct version){0, g->round});
}

void group_confirmed(struct shard *s, struct group *g, struct group_peer *peer,
                     const struct signal *m)
{
    if (g->role != GROUP_PRIMARY || m->view != g->view || m->last.op > g->round)
        return;
    peer->current = true;
    peer->acked = peer->acked || (MUTANT(s, ACK_REVIVED) && peer->acked_op);
    if (m->last.op > peer->confirmed)
        peer->confirmed = m->last.op;
    group_commit(s, g);
}

/* --- bringing replicas up ------------------------------------------------------------------- */

/* Sends the steps from `e` to the end of the line. False when the link is gone or full, or a
 * learner has got what it may for now. */
static bool send_steps(struct shard *s, struct group *g, struct group_peer *peer,
                       struct history_entry *e)
{
    bool learns = !peer->votes;

    for (; e; e = e->next) {
        struct buf *out = shard_peer_out(s, peer->member, g->partition);

        if (!out || !s->host.peer_has_room(s->host.arg, peer->member, g->partition))
            return false;
        if (learns && !transfer_may_send(s, peer))
            return false;
        peer_restamp_step(e->frame, g->epoch, g->view);
        if (buf_append(out, e->frame, e->size) != 0)
            return false;
        s->counters.steps_sent++;
        if (learns)
            transfer_count(s, peer, 0, e->size);
    }
    return true;
}

/* Where the history begins at `e` again or ends, what came before that. When there is no room for
 * it, the replica knows less. */
static void send_past(struct shard *s, struct group *g, const struct group_peer *peer,
                      const struct history_entry *e)
{
    struct buf *out = shard_peer_out(s, peer->member, g->partition);

    if (out && s->host.peer_has_room(s->host.arg, peer->member, g->partition))
        past_send(s, g, out, e);
}

/* In a young ring the history reaches back to the beginning, and its steps would do for a learner
 * that has nothing. But they are as many as there were writes, and a copy has as many as there are
 * keys; and how many were copied is told. */
static bool needs_copy(const struct group_peer *peer, struct version last, bool partial)
{
    return partial || (!peer->votes && last.view == 0);
}

void group_catch_up(struct shard *s, struct group *g, struct group_peer *peer, struct version last,
                    uint8_t flags)
{
    bool partial = flags & SIGNAL_PARTIAL;
    struct history_entry *e = needs_copy(peer, last, partial) ? NULL : history_find(&g->line, last);
    bool there = !partial && version_compare(last, g->last) == 0;

    transfer_stop(s, peer);
    if ((there || e) && flags & SIGNAL_NO_PAST && last.view)
        send_past(s, g, peer, e);
    if (there || (e && send_steps(s, g, peer, e))) {
        peer->state = PEER_FOLLOWING;
        peer->since_ms = s->now_ms;
    } else if (e) {
        peer->state = PEER_LAGGING;
    } else {
        peer->last = last;
        peer->partial = partial;
        transfer_begin(s, g, peer);
    }
}

void group_ask_where(struct shard *s, struct group *g, struct group_peer *peer)
{
    transfer_stop(s, peer);
    peer->state = PEER_UNKNOWN;
    peer->asked_ms = s->now_ms;
    group_signal_now(s, g, peer->member, SIGNAL_LEADING, g->view, g->last);
}

bool group_majority_follows(const struct group *g)
{
    struct tally following = {0};

    tally_add(&following, g->votes);
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].state == PEER_FOLLOWING)
            tally_add(&following, g->peers[i].votes);
    return group_is_majority(g, &following);
}

bool group_majority_current(const struct group *g)
{
    struct tally current = {0};

    tally_add(&current, g->votes);
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].current)
            tally_add(&current, g->peers[i].votes);
    return group_is_majority(g, &current);
}

bool group_lags_little(const struct shard *s, const struct group *g, const struct group_peer *peer)
{
    return g->last.op - peer->acked_op <= s->options.history_steps / 4;
}

/* --- steps ---------------------------------------------------------------------------------- */

/* Adds the newest step to the history and sends it to those who follow. */
static void spread(struct shard *s, struct group *g, const struct step *step, struct bytes frame)
{
    /* Without memory for it the replicas are brought up by transfer, and retries are not known. */
    history_add(&s->history, &g->line, step->from, step->at, step->session, step->number, frame);
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];
        bool copying = peer->state == PEER_TRANSFER && peer->transfer->sent > 0;
        struct buf *out;

        if (peer->state != PEER_FOLLOWING && !copying)
            continue;
        out = shard_peer_out(s, peer->member, g->partition);
        if (!out || !s->host.peer_has_room(s->host.arg, peer->member, g->partition) ||
            buf_append(out, frame.data, frame.size) != 0) {
            transfer_stop(s, peer);
            peer->state = PEER_LAGGING;
            continue;
        }
        s->counters.steps_sent++;
    }
}

static bool forgets(const struct store_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (changes[i].kind == STORE_FORGET)
            return true;
    return false;
}

int group_make_step(struct shard *s, struct group *g, struct step *step,
                    const struct store_change *changes, size_t change_count)
{
    struct version from = g->last;
    struct held_item item = {.view = g->view, .partition = g->partition, .kind = HELD_SELF};
    int error = 0;

    step->epoch = g->epoch;
    step->view = g->view;
    step->partition = g->partition;
    step->from = from;
    if (step->kind == STEP_OPERATION)
        step->at = (struct version){g->view, from.op + 1};

    /* All that can fail for want of memory comes before the write. */
    buf_truncate(&s->scratch, 0);
    error = peer_put_step(&s->scratch, step, changes, change_count);
    if (error)
        return error;
    g->last = item.at = step->at;
    error = group_apply(s, g, changes, change_count, &item.position);
    if (error) {
        g->last = from;
        return error;
    }
    if (step->kind == STEP_START)
        g->view_position = item.position;
    if (step->kind == STEP_START || forgets(changes, change_count))
        g->forgotten = step->at;
    spread(s, g, step, buf_bytes(&s->scratch));
    return held_add(&s->held, item, (struct bytes){0}) ? RK_CLOSED : 0;
}
