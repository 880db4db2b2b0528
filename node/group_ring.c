/* A group's place in the ring: who votes, who learns, and what is left where it had its place
 * before. */
#include "node/group_parts.h"
#include "node/key_range.h"
#include "node/mutant.h"
#include "node/shard.h"
#include <stdlib.h>

/* --- members -------------------------------------------------------------------------------- */

uint16_t group_preferred(const struct shard *s, const struct group *g)
{
    return s->ring->members[ring_preferred(s->ring, g->partition)].number;
}

/* In general the preferred primary's, and without it a request makes another one lead. But learners
 * are taught, and sets made ready, by primaries only: while that is to be done, the first voter
 * that can be reached has to lead. */
bool group_turn_is_mine(const struct shard *s, const struct group *g)
{
    uint16_t preferred = group_preferred(s, g);
    const struct group_peer *peer;
    enum ring_phase phase = ring_phase(s->ring, g->partition);

    if (preferred == s->me)
        return true;
    if (phase != RING_LEARNING && phase != RING_JOINT)
        return false;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        peer = &g->peers[i];
        if (peer->state != PEER_DOWN && peer->votes &&
            (peer->member == preferred || peer->member < s->me))
            return false;
    }
    return true;
}

bool group_has_others(const struct group *g)
{
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].votes)
            return true;
    return false;
}

static uint8_t votes_of(const struct shard *s, uint32_t partition, uint16_t index)
{
    const struct ring *r = s->ring;
    const struct ring_replicas *joint = ring_joint(r, partition);

    if (MUTANT(s, LEARNER_VOTES) && ring_learners(r, partition) &&
        shard_group(s, partition)->voters.count[0] < REPLICAS_MAX)
        return VOTE_CURRENT;
    return (ring_replicas_has(ring_replicas(r, partition), index) ? VOTE_CURRENT : 0) |
           (joint && ring_replicas_has(joint, index) ? VOTE_TARGET : 0);
}

/* The peers as they were. */
struct earlier {
    uint8_t count;
    struct group_peer peers[GROUP_PEERS_MAX];
};

/* A peer that was one before goes on as it is, its transfer included. */
static struct group_peer take_over(struct shard *s, const struct group *g, struct earlier *e,
                                   uint16_t number)
{
    struct group_peer peer = {.member = number, .state = PEER_DOWN, .down_ms = s->ran_ms};

    for (uint8_t i = 0; i < e->count; i++)
        if (e->peers[i].member == number) {
            peer = e->peers[i];
            e->peers[i].transfer = NULL;
            return peer;
        }
    if (shard_has_link(s, number, g->partition))
        peer.state = PEER_UNKNOWN;
    return peer;
}

static void add_member(struct shard *s, struct group *g, struct earlier *e, uint16_t index)
{
    uint16_t number = s->ring->members[index].number;
    uint8_t votes = votes_of(s, g->partition, index);
    struct group_peer *peer;

    if (number == s->me ? g->mine : group_peer(g, number) != NULL)
        return;
    tally_add(&g->voters, MUTANT(s, JOINT_ALONE) ? votes & VOTE_CURRENT : votes);
    if (number == s->me) {
        g->mine = true;
        g->votes = votes;
        return;
    }
    peer = &g->peers[g->peer_count++];
    *peer = take_over(s, g, e, number);
    peer->votes = votes;
}

static void set_members(struct shard *s, struct group *g)
{
    const struct ring_replicas *sets[] = {ring_replicas(s->ring, g->partition),
                                          ring_joint(s->ring, g->partition),
                                          ring_learners(s->ring, g->partition)};
    struct earlier e = {.count = g->peer_count};
    bool mine = false;

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        for (uint16_t j = 0; sets[i] && j < sets[i]->count; j++)
            mine = mine || s->ring->members[sets[i]->member[j]].number == s->me;
    memcpy(e.peers, g->peers, sizeof(e.peers));
    g->mine = false;
    g->votes = g->peer_count = 0;
    g->voters = (struct tally){0};
    for (size_t i = 0; mine && i < sizeof(sets) / sizeof(sets[0]); i++)
        for (uint16_t j = 0; sets[i] && j < sets[i]->count; j++)
            add_member(s, g, &e, sets[i]->member[j]);
    for (uint8_t i = 0; i < e.count; i++)
        transfer_stop(s, &e.peers[i]);
}

/* --- a new epoch ---------------------------------------------------------------------------- */

static void forget_leader(struct group *g)
{
    g->leader = 0;
    g->gap_told = g->write_failed = false;
    transfer_forget(&g->incoming);
}

/* The primary goes on. What it was told and what it sent under the last epoch, the others may or
 * may not have heard: so each is asked where it stands, and answers under this one. Those who
 * follow are sent steps meanwhile, because with most of them nothing will be found missing. */
static void lead_on(struct shard *s, struct group *g)
{
    g->epoch_op = g->last.op;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        /* The chunks of a comparison that are under way are not answered any more. */
        transfer_stop(s, peer);
        if (peer->state == PEER_FOLLOWING)
            group_signal_now(s, g, peer->member, SIGNAL_LEADING, g->view, g->last);
        else if (peer->state != PEER_DOWN)
            group_ask_where(s, g, peer);
    }
}

/* Another may have missed the end of a view that was led here, and wait for its steps. */
static void tell_it_leads_not(struct shard *s, struct group *g)
{
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        if (view_member(g->promised) == s->me)
            group_disown(s, g, peer);
        else if (g->promised && peer->state != PEER_DOWN)
            group_signal_now(s, g, peer->member, SIGNAL_REFUSED, g->promised, g->last);
    }
}

/* Whoever hears of the epoch last makes up for what was not heard before: a primary by asking, a
 * backup by telling its leader where it stands, and one without a leader by telling that it is
 * none.
 */
static void enter_epoch(struct shard *s, struct group *g)
{
    g->epoch = ring_changed(s->ring, g->partition);
    g->gap_told = g->write_failed = false;
    transfer_forget(&g->incoming);
    /* One that has left, in epochs of which this node has not heard, and is back, has dropped what
     * it had acknowledged, though not what it promised. */
    for (uint8_t i = 0; i < g->peer_count; i++) {
        g->peers[i].located = false;
        g->peers[i].current = g->peers[i].current && MUTANT(s, ACK_KEPT);
        g->peers[i].acked = g->peers[i].acked && MUTANT(s, ACK_KEPT);
    }
    if (g->role == GROUP_PRIMARY)
        lead_on(s, g);
    else if (g->role == GROUP_CANDIDATE)
        group_ask_promises(s, g);
    else if (g->leader)
        group_signal_held(s, g, view_member(g->leader), SIGNAL_GAP, g->leader, g->last,
                          g->row_position);
    else
        tell_it_leads_not(s, g);
}

void group_set_ring(struct shard *s, struct group *g)
{
    const struct group_peer *leader;

    set_members(s, g);
    /* Who should lead may be another one now, or this one: handing over is begun anew. */
    g->handing_ms = 0;
    if (!g->votes && g->role != GROUP_BACKUP) {
        group_step_down(s, g, 0);
        forget_leader(g);
    }
    leader = group_peer(g, view_member(g->leader));
    if (g->role == GROUP_BACKUP && g->leader && !(leader && leader->votes))
        forget_leader(g);
    if (!g->mine)
        history_clear(&s->history, &g->line);
    if (g->epoch != ring_changed(s->ring, g->partition))
        enter_epoch(s, g);
    /* What waited for those that have no vote any more waits for nobody: nothing else may come that
     * would let it go, and the change would wait with it. */
    if (g->role == GROUP_PRIMARY && !MUTANT(s, UNCOUNTED))
        group_commit(s, g);
}

/* --- how far a change is -------------------------------------------------------------------- */

/* A dead member may be so for good, and a change that waited for it would never end, nor could the
 * member be replaced. One of both sets is not waited for: where it is missing afterwards, it was
 * missing before. A new one is, or the change would cost a replica. But on the way back nobody is
 * new: the ring as it was has this member, too. Only, one that is just starting again should have
 * its copy before others give up theirs. */
static bool is_missed(const struct shard *s, const struct group_peer *peer)
{
    if (peer->state != PEER_DOWN)
        return false;
    if (peer->votes == (VOTE_CURRENT | VOTE_TARGET))
        return true;
    return s->ring->change && s->ring->change->cancelled &&
           s->ran_ms - peer->down_ms >= GROUP_MISSED_PARTS * s->options.hand_back_ms;
}

/* Whether those that are there are a majority of the target. Learners that are not have no vote
 * yet, and are better waited for without one. */
static bool target_has_majority(const struct shard *s, const struct group *g)
{
    const struct ring_replicas *target = ring_learners(s->ring, g->partition);
    uint16_t missing = 0;

    for (uint8_t i = 0; target && i < g->peer_count; i++) {
        int index = ring_member_by_number(s->ring, g->peers[i].member);

        missing += g->peers[i].state == PEER_DOWN && index >= 0 &&
                   ring_replicas_has(target, (uint16_t)index);
    }
    return !target || 2 * missing < target->count;
}

bool group_has_taught(const struct shard *s, const struct group *g)
{
    bool all = true;

    if (g->role != GROUP_PRIMARY || !g->started)
        return false;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        const struct group_peer *peer = &g->peers[i];

        if (peer->votes || (peer->state == PEER_FOLLOWING && peer->acked))
            continue;
        if (!is_missed(s, peer))
            return false;
        all = false;
    }
    return all || target_has_majority(s, g);
}

/* What there was when the epoch came, a majority of the target has on stable storage, and so has
 * every other member of it that is not missed, and follows. A majority of both sets is known to
 * follow this view under this epoch, and so takes part in nothing that goes by an earlier epoch any
 * more: what is committed from now on, the target's majority holds, and what was committed before,
 * too. */
bool group_is_ready(const struct shard *s, const struct group *g)
{
    bool held = MUTANT(s, READY_COMMITTED) ? g->committed >= g->epoch_op
                                           : group_majority_holds(g, g->epoch_op);

    if (g->role != GROUP_PRIMARY || !g->started || !(g->votes & VOTE_TARGET) || !held ||
        !group_majority_current(g))
        return false;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        const struct group_peer *peer = &g->peers[i];

        if (!(peer->votes & VOTE_TARGET) || is_missed(s, peer))
            continue;
        if (peer->state != PEER_FOLLOWING || !peer->acked || peer->acked_op < g->epoch_op)
            return false;
    }
    return true;
}

/* --- what is left --------------------------------------------------------------------------- */

struct leftovers {
    struct store_change forget[GROUP_DROP_RECORDS];
    size_t count, size, count_max;
    uint8_t keys[GROUP_DROP_RECORDS * 64];
};
_Static_assert((int)GROUP_DROP_RECORDS <= (int)STORE_CHANGES_MAX, "one batch");

static int add_leftover(void *arg, struct bytes key, const struct store_record *record)
{
    struct leftovers *l = arg;

    (void)record;
    if (l->count == l->count_max || l->size + key.size > sizeof(l->keys))
        return 1;
    memcpy(l->keys + l->size, key.data, key.size);
    l->forget[l->count++] =
        (struct store_change){.kind = STORE_FORGET, .key = bytes_of(l->keys + l->size, key.size)};
    l->size += key.size;
    return 0;
}

static void drop_some(struct shard *s, struct group *g)
{
    struct leftovers *l = malloc(sizeof(*l));
    uint8_t from[STORE_KEY_SIZE_MAX + 1], to[STORE_KEY_SIZE_MAX];
    struct version before = g->last;
    uint64_t position;
    int error;

    if (!l)
        return;
    l->count = l->size = 0;
    l->count_max = copy_pace_part(&s->pace, GROUP_DROP_RECORDS);
    error =
        store_scan(s->store, key_range_first(s->ring, g->partition, (struct bytes){0}, from),
                   key_range_last(s->ring, g->partition, (struct bytes){0}, to), add_leftover, l);
    if (l->count == 0 && error) {
        free(l);
        return;
    }
    if (l->count == 0) {
        g->last = (struct version){0};
        g->partial = false;
    }
    if (group_apply(s, g, l->forget, l->count, &position) != 0) {
        g->last = before;
        g->partial = true;
    } else {
        s->counters.records_dropped += l->count;
    }
    free(l);
}

/* First the row says, durably, that the records are not whole: a node that is asked to learn the
 * partition again half-way must not take the rest for what it was. The promise stays for ever. */
bool group_drop(struct shard *s, struct group *g)
{
    uint64_t position;

    if (g->mine || !s->me || (!g->partial && g->last.view == 0))
        return false;
    if (g->partial) {
        drop_some(s, g);
    } else {
        g->partial = true;
        if (group_apply(s, g, NULL, 0, &position) != 0)
            g->partial = false;
    }
    return true;
}
