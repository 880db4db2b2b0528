/* How a replica comes to lead, and stops. */
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/shard.h"

/* Those who follow are told, or they would take this replica for the leader as long as their link
 * is up, and nobody would lead when the view that ended this one comes to nothing. */
static void tell_end(struct shard *s, const struct group *g, uint64_t above)
{
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].state != PEER_DOWN)
            group_signal_now(s, g, g->peers[i].member, SIGNAL_REFUSED, above, g->last);
}

/* Its views are over below the one that it leads or prepares; else, below one that is nobody's, and
 * higher than any of its own. */
void group_disown(struct shard *s, const struct group *g, const struct group_peer *peer)
{
    uint64_t above = g->role == GROUP_BACKUP ? view_of(g->highest + 1, 0) : g->view;

    if (peer->state != PEER_DOWN)
        group_signal_now(s, g, peer->member, SIGNAL_REFUSED, above, g->last);
}

bool group_awaits_candidate(const struct shard *s, const struct group *g)
{
    uint16_t candidate = view_member(g->promised);

    return g->promised_ms && s->now_ms - g->promised_ms < s->options.candidate_ms &&
           (candidate == s->me || s->host.peer_alive(s->host.arg, candidate, g->partition));
}

void group_step_down(struct shard *s, struct group *g, uint64_t above)
{
    if (g->role == GROUP_BACKUP)
        return;
    /* Of a candidate that comes to nothing the view is told that it has promised: of a view that it
     * led before the others may not know the end. */
    if (g->role == GROUP_CANDIDATE && g->promised > above)
        above = g->promised;
    if (g->role == GROUP_CANDIDATE || above > g->view)
        tell_end(s, g, above);
    g->role = GROUP_BACKUP;
    g->view = g->handing_ms = 0;
    g->since_ms = s->now_ms;
    group_pend_abandon(s, g);
    for (uint8_t i = 0; i < g->peer_count; i++) {
        transfer_stop(s, &g->peers[i]);
        if (g->peers[i].state == PEER_TRANSFER || g->peers[i].state == PEER_WAITING)
            g->peers[i].state = PEER_UNKNOWN;
    }
}

/* As it told them with its promise. */
static uint8_t flags_of(const struct group_peer *peer)
{
    return (uint8_t)((peer->partial ? SIGNAL_PARTIAL : 0) | (peer->no_past ? SIGNAL_NO_PAST : 0));
}

static void become_primary(struct shard *s, struct group *g)
{
    struct step start = {.kind = STEP_START, .at = {g->view, 0}};

    g->role = GROUP_PRIMARY;
    g->since_ms = s->now_ms;
    g->leader = g->view;
    g->started = g->self_acked = false;
    g->self_op = g->committed = g->expiry_op = g->round = g->epoch_op = 0;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        g->peers[i].acked = g->peers[i].current = g->peers[i].located = false;
        g->peers[i].acked_op = g->peers[i].confirmed = 0;
        transfer_stop(s, &g->peers[i]);
        if (g->peers[i].state != PEER_DOWN)
            g->peers[i].state = PEER_UNKNOWN;
    }
    if (group_make_step(s, g, &start, NULL, 0) != 0) {
        g->leader = 0;
        group_step_down(s, g, 0);
        return;
    }
    s->counters.view_changes++;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        if (peer->state == PEER_DOWN)
            continue;
        if (peer->promised)
            group_catch_up(s, g, peer, peer->last, flags_of(peer));
        else
            group_ask_where(s, g, peer);
    }
}

/* The most advanced of those that promised; NULL: this replica. */
struct front_runner {
    struct version at;
    struct group_peer *peer;
    bool whole;
    bool majority; /* those looked at are one */
};

/* Among all, or, of_whole, among those that are not half-way through a transfer; `whole`: this one
 * is not. */
static struct front_runner look_for_newest(struct group *g, bool whole, bool of_whole)
{
    struct tally promises = {0};
    struct front_runner f = {.whole = whole};

    if (f.whole || !of_whole) {
        f.at = g->last;
        tally_add(&promises, g->votes);
    }
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];
        int order;

        if (!peer->promised || !peer->votes || (of_whole && peer->partial))
            continue;
        tally_add(&promises, peer->votes);
        order = version_compare(peer->last, f.at);
        if (order > 0 || (order == 0 && !f.whole && !peer->partial)) {
            f.at = peer->last;
            f.whole = !peer->partial;
            f.peer = peer;
        }
    }
    f.majority = group_is_majority(g, &promises);
    return f;
}

/* Looks whether the promises suffice, and who should lead: the replica that is most advanced,
 * because its state is there already. A replica that is half-way through a transfer promises with
 * the position it had before; that counts as a promise, but it is no source. Where it is the most
 * advanced one, others lead if they are a majority without it. */
static void consider_promises(struct shard *s, struct group *g)
{
    bool whole = !g->partial || MUTANT(s, PARTIAL_SOURCE);
    struct front_runner f;

    if (!g->self_promised)
        return;
    f = look_for_newest(g, whole, false);
    if (!f.whole && !MUTANT(s, MIXTURE_AWAITED))
        f = look_for_newest(g, whole, true);
    /* Else: wait for more promises, or for that of one that is a source. */
    if (!f.whole || (!f.majority && !MUTANT(s, NO_PROMISES)))
        return;
    if (!f.peer || MUTANT(s, OWN_STATE)) {
        become_primary(s, g);
    } else {
        uint16_t to = f.peer->member;
        uint64_t view = g->view;

        group_step_down(s, g, 0);
        group_signal_now(s, g, to, SIGNAL_LEAD, view, f.at);
    }
}

void group_ask_promises(struct shard *s, struct group *g)
{
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        peer->promised = false;
        peer->asked_ms = s->now_ms;
        if (peer->state != PEER_DOWN)
            group_signal_now(s, g, peer->member, SIGNAL_PREPARE, g->view, g->last);
    }
}

void group_lead(struct shard *s, struct group *g)
{
    uint64_t position, promised = g->promised;
    uint64_t number = g->highest > view_number(promised) ? g->highest : view_number(promised);
    struct held_item item = {.partition = g->partition, .kind = HELD_PROMISE};

    /* Without the promise a primary goes on: nobody would know that its view is over. */
    g->promised = view_of(number + 1, s->me);
    if (group_apply(s, g, NULL, 0, &position) != 0) {
        g->promised = promised;
        if (g->role == GROUP_CANDIDATE)
            group_step_down(s, g, 0);
        return;
    }
    group_step_down(s, g, 0);
    g->promised_position = position;
    item.position = position;
    item.view = g->promised;
    if (held_add(&s->held, item, (struct bytes){0}) != 0)
        return;
    g->highest = number + 1;
    g->view = g->promised;
    g->role = GROUP_CANDIDATE;
    g->since_ms = s->now_ms;
    g->leader = 0;
    shard_relays_over(s, g->partition);
    g->self_promised = false;
    transfer_forget(&g->incoming);
    group_ask_promises(s, g);
}

void group_self_promised(struct shard *s, struct group *g, uint64_t view)
{
    if (g->role != GROUP_CANDIDATE || view != g->view)
        return;
    g->self_promised = true;
    consider_promises(s, g);
}

void group_promise(struct shard *s, struct group *g, struct group_peer *peer,
                   const struct signal *m)
{
    if (m->view != g->view || g->role == GROUP_BACKUP)
        return;
    peer->promised = true;
    peer->partial = m->flags & SIGNAL_PARTIAL;
    peer->no_past = m->flags & SIGNAL_NO_PAST;
    peer->last = m->last;
    if (g->role == GROUP_CANDIDATE)
        consider_promises(s, g);
    else if (peer->state == PEER_UNKNOWN)
        group_catch_up(s, g, peer, m->last, m->flags);
}

void group_refused(struct shard *s, struct group *g, struct group_peer *peer,
                   const struct signal *m)
{
    if (m->view > peer->over)
        peer->over = m->view;
    if (view_number(m->view) > g->highest)
        g->highest = view_number(m->view);
    if (view_member(g->leader) == peer->member && m->view > g->leader)
        g->leader = 0;
    if (g->role != GROUP_BACKUP && m->view > g->view) {
        group_step_down(s, g, m->view);
        g->leader = 0;
    }
}
