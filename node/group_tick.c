/* A replica and the time: who leads a partition that nobody leads, what is asked again, and to whom
 * a primary hands a partition that another one should lead. */
#include "node/group_parts.h"
#include "node/shard.h"

static bool majority_up(const struct group *g)
{
    struct tally up = {0};

    tally_add(&up, g->votes);
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].state != PEER_DOWN)
            tally_add(&up, g->peers[i].votes);
    return group_is_majority(g, &up);
}

/* A primary that will have no vote when the replicas have changed makes way at once: the change
 * waits for it. But only when those whose promises are needed know of the epoch. */
static bool is_leaving(const struct group *g)
{
    return g->voters.count[1] && !(g->votes & VOTE_TARGET);
}

static bool has_kept_up(const struct shard *s, const struct group *g, const struct group_peer *peer)
{
    return s->now_ms - peer->since_ms >= s->options.hand_back_ms &&
           s->now_ms - g->since_ms >= s->options.hand_back_ms;
}

/* The next one that follows and has one of these votes, around the members by number: two that
 * cannot read the same record do not hand the partition to each other for ever. */
static struct group_peer *follower(const struct shard *s, struct group *g, uint8_t votes)
{
    struct group_peer *next = NULL;

    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        if ((peer->votes & votes) && peer->state == PEER_FOLLOWING && peer->acked &&
            (!next || (uint16_t)(peer->member - s->me) < (uint16_t)(next->member - s->me)))
            next = peer;
    }
    return next;
}

/* To whom a primary hands its partition: to the preferred one; when a record here cannot be read,
 * to any that has everything, to be repaired by it; when it leaves and the preferred one is dead,
 * to any that stays. NULL: to nobody. */
static struct group_peer *heir(struct shard *s, struct group *g)
{
    struct group_peer *preferred = group_peer(g, group_preferred(s, g)), *other = NULL;

    if (g->damaged_tells)
        other = follower(s, g, VOTE_CURRENT | VOTE_TARGET);
    else if (is_leaving(g) && (!preferred || preferred->state == PEER_DOWN))
        other = follower(s, g, VOTE_TARGET);
    return other ? other : preferred;
}

/* Whether the heir is there and has kept up for a while. */
static bool can_hand_back(struct shard *s, struct group *g)
{
    const struct group_peer *peer = heir(s, g);

    /* Not while writers wait for room: the next primary's first step would wait behind them. */
    return peer && peer->state == PEER_FOLLOWING && peer->acked && g->started && !s->line.count &&
           group_lags_little(s, g, peer) &&
           (is_leaving(g) ? peer->current && group_majority_current(g) : has_kept_up(s, g, peer));
}

/* First no writes are taken until none is under way: one that is would have to be asked for again
 * at a primary whose history may begin behind it. Then the preferred primary is asked to lead, with
 * the commit of the last one (group_hand_over). */
static bool hand_back(struct shard *s, struct group *g)
{
    struct group_peer *peer = heir(s, g);

    bool begins = !g->handing_ms && s->now_ms >= g->hand_not_before_ms && can_hand_back(s, g);

    if (begins) {
        g->handing_ms = s->now_ms;
        g->handed = false;
    }
    if (!g->handing_ms)
        return false;
    if (s->now_ms - g->handing_ms > s->options.candidate_ms || !can_hand_back(s, g)) {
        /* It did not come to it: not again at once. */
        g->handing_ms = 0;
        g->hand_not_before_ms = s->now_ms + s->options.candidate_ms;
        if (peer)
            peer->since_ms = s->now_ms;
    } else {
        group_hand_over(s, g);
    }
    return begins;
}

void group_hand_over(struct shard *s, struct group *g)
{
    const struct group_peer *peer;

    if (!g->handing_ms || g->handed || g->pending_writes)
        return;
    peer = heir(s, g);
    if (!peer || peer->state != PEER_FOLLOWING)
        return;
    g->handed = true;
    group_signal_now(s, g, peer->member, SIGNAL_LEAD, g->view, g->last);
}

/* --- a primary that cannot bring others up ---------------------------------------------------- */

/* The others that can be reached are a majority, and of them, *newest, the most advanced one, is no
 * mixture: it could lead with their promises. */
static bool others_suffice(struct group *g, struct group_peer **newest)
{
    struct tally up = {0};

    *newest = NULL;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];
        int order = *newest ? version_compare(peer->last, (*newest)->last) : 1;

        if (peer->state == PEER_DOWN || !peer->votes)
            continue;
        tally_add(&up, peer->votes);
        if (order > 0 || (order == 0 && (*newest)->partial))
            *newest = peer;
    }
    return *newest && !(*newest)->partial && group_is_majority(g, &up);
}

bool group_abstains(const struct shard *s, const struct group *g)
{
    return g->role == GROUP_PRIMARY && g->abstained_ms &&
           s->now_ms - g->abstained_ms < 2 * s->options.candidate_ms;
}

/* A record here that cannot be read stops every transfer. Where no majority follows without one,
 * nobody has everything, to lead and repair it. But a majority of the others has all that was
 * committed; so one of them is asked to lead, and this node keeps silent for as long as that may
 * take, because with its promise only itself could lead. */
static bool abstain(struct shard *s, struct group *g)
{
    uint64_t pause_ms = s->options.hand_back_ms + 2 * s->options.candidate_ms;
    struct group_peer *newest;

    if (!g->damaged_tells || group_majority_follows(g) ||
        s->now_ms - g->since_ms < s->options.hand_back_ms ||
        (g->abstained_ms && s->now_ms - g->abstained_ms < pause_ms) || !others_suffice(g, &newest))
        return false;
    g->abstained_ms = s->now_ms;
    group_signal_now(s, g, newest->member, SIGNAL_LEAD, g->view, g->last);
    return true;
}

/* --- what the time brings --------------------------------------------------------------------- */

/* A replica that did not answer (it could not write), or could not be sent to, is asked again. */
static void ask_again(struct shard *s, struct group *g)
{
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        if (g->role == GROUP_PRIMARY && peer->transfer)
            transfer_continue(s, g, peer);
        if (peer->state == PEER_DOWN || s->now_ms - peer->asked_ms < GROUP_ASK_MS ||
            !s->host.peer_has_room(s->host.arg, peer->member, g->partition))
            continue;
        if (g->role == GROUP_PRIMARY) {
            peer->asked_ms = s->now_ms;
            group_confirm_again(s, g, peer);
        }
        if (g->role == GROUP_CANDIDATE && !peer->promised) {
            peer->asked_ms = s->now_ms;
            group_signal_now(s, g, peer->member, SIGNAL_PREPARE, g->view, g->last);
        } else if (g->role == GROUP_PRIMARY &&
                   (peer->state == PEER_UNKNOWN || peer->state == PEER_LAGGING)) {
            group_ask_where(s, g, peer);
        } else if (g->role == GROUP_PRIMARY && peer->state == PEER_FOLLOWING && !peer->located) {
            /* A confirmation does not tell: steps that waited there for room are gone with the
             * epoch under which they were sent. */
            group_signal_now(s, g, peer->member, SIGNAL_LEADING, g->view, g->last);
        }
    }
}

/* A backup without a primary: the one whose turn it is leads, unless another node has just been
 * promised that it may. */
static bool lead_in_turn(struct shard *s, struct group *g)
{
    if (g->leader || !g->votes || !group_turn_is_mine(s, g) || !majority_up(g) ||
        group_awaits_candidate(s, g) ||
        (g->since_ms && s->now_ms - g->since_ms < s->options.candidate_ms))
        return false;
    group_lead(s, g);
    return true;
}

/* A backup asks its primary for the repair of what it cannot read. */
static void tell_damaged(struct shard *s, struct group *g)
{
    if (!g->damaged_tells || g->role != GROUP_BACKUP || g->partial || g->last.view != g->leader ||
        !g->leader || s->now_ms - g->damaged_ms < GROUP_DAMAGED_MS)
        return;
    g->damaged_ms = s->now_ms;
    g->damaged_tells--;
    group_signal_now(s, g, view_member(g->leader), SIGNAL_DAMAGED, g->leader, g->last);
}

bool group_tick(struct shard *s, struct group *g)
{
    if (!g->mine)
        return false;
    if (g->role != GROUP_BACKUP)
        ask_again(s, g);
    /* Not while more waits for room in the store: what the primary would send again finds none. */
    if (g->write_failed && g->leader && !shard_waits(s, view_member(g->leader), g->partition)) {
        g->write_failed = false;
        group_signal_held(s, g, view_member(g->leader), SIGNAL_FAILED, g->leader, g->last,
                          g->row_position);
    }
    tell_damaged(s, g);
    switch (g->role) {
    case GROUP_PRIMARY:
        if (abstain(s, g))
            return true;
        return (group_preferred(s, g) != s->me || g->damaged_tells) && hand_back(s, g);
    case GROUP_CANDIDATE:
        if (s->now_ms - g->since_ms > s->options.candidate_ms)
            group_step_down(s, g, 0);
        return false;
    default:
        return lead_in_turn(s, g);
    }
}
