/* What the files of a group share; for node/group*.c, transfer_*.c and expiry_sweep.c only. */
#ifndef RINGKV_NODE_GROUP_PARTS_H
#define RINGKV_NODE_GROUP_PARTS_H

#include "node/group.h"

/* --- group.c --- */

/* Writes changes and the state row in one batch. 0 or the store's error, nothing changed then. */
int group_apply(struct shard *s, struct group *g, const struct store_change *changes, size_t count,
                uint64_t *position);
struct group_peer *group_peer(struct group *g, uint16_t member);
/* Whether these voters suffice for what needs a majority. */
static inline bool group_is_majority(const struct group *g, const struct tally *t)
{
    return tally_is_majority(t, &g->voters);
}

/* Sends a signal about this group: at once, or once the store has synced `position`. */
void group_signal_now(struct shard *s, const struct group *g, uint16_t to, enum signal_kind kind,
                      uint64_t view, struct version last);
void group_signal_held(struct shard *s, struct group *g, uint16_t to, enum signal_kind kind,
                       uint64_t view, struct version last, uint64_t position);

/* --- group_ring.c --- */

/* The member that should lead. */
uint16_t group_preferred(const struct shard *s, const struct group *g);
/* Whether this node should lead when nobody does. */
bool group_turn_is_mine(const struct shard *s, const struct group *g);
/* Whether others than this node have a vote. */
bool group_has_others(const struct group *g);

/* --- group_view.c --- */

/* Tells a peer that this replica leads none of the views it may have led. For those that did not
 * hear it when it happened, because they were of another epoch then. */
void group_disown(struct shard *s, const struct group *g, const struct group_peer *peer);

/* A candidate asks all peers anew for a promise of its view; none that came before counts. */
void group_ask_promises(struct shard *s, struct group *g);

/* Another node was promised a view a moment ago, and lives: it gets the time to lead it, since two
 * that take the view from each other are slower than one. */
bool group_awaits_candidate(const struct shard *s, const struct group *g);

/* Stops leading, or trying to. `above`: the view that ended it; 0: none. */
void group_step_down(struct shard *s, struct group *g, uint64_t above);
void group_promise(struct shard *s, struct group *g, struct group_peer *peer,
                   const struct signal *m);
/* A higher view than its own was promised there, or the leader leads no more because of it. */
void group_refused(struct shard *s, struct group *g, struct group_peer *peer,
                   const struct signal *m);

/* --- group_tick.c --- */

/* The partition is being handed over, and nothing is written any more: asks the other replica to
 * lead as soon as no write is under way. */
void group_hand_over(struct shard *s, struct group *g);
/* The others are to find a primary without this one: it promises nothing to whoever tries. */
bool group_abstains(const struct shard *s, const struct group *g);

/* --- group_primary.c --- */

/* Queues a copy of a reply's frame until the operation and the round that `like` names are
 * committed and confirmed. 0 or RK_NOMEM. */
int group_pend(struct group *g, const struct pending *like, struct bytes frame);
/* Lets those replies go that need not wait any more. */
void group_answer_pending(struct shard *s, struct group *g);
/* This replica leads no more: answers what waits, writes with UNCERTAIN, reads with ELSEWHERE. */
void group_pend_abandon(struct shard *s, struct group *g);
/* Counts anew what a majority holds: one more does, or others have the votes. */
void group_commit(struct shard *s, struct group *g);
/* A replica has all of my view up to `at` on stable storage. */
void group_holds(struct shard *s, struct group *g, struct group_peer *peer, struct version at);
void group_acked(struct shard *s, struct group *g, struct group_peer *peer, const struct signal *m);
void group_confirmed(struct shard *s, struct group *g, struct group_peer *peer,
                     const struct signal *m);
/* Gives a replica what it misses; where it stands, and its flags, its signal told. */
void group_catch_up(struct shard *s, struct group *g, struct group_peer *peer, struct version last,
                    uint8_t flags);
void group_ask_where(struct shard *s, struct group *g, struct group_peer *peer);
bool group_majority_follows(const struct group *g);
/* A majority is known to follow my view under the group's epoch. */
bool group_majority_current(const struct group *g);

/* The newest operation of the primary's view that is on its own stable storage; -1: none. */
int64_t group_own_op(const struct group *g);
/* Whether a majority of each set that votes has this operation of the primary's view on stable
 * storage. `committed` does not tell: it may be from before, when other sets voted. */
bool group_majority_holds(const struct group *g, uint64_t op);
/* A replica is nearly up to date. */
bool group_lags_little(const struct shard *s, const struct group *g, const struct group_peer *peer);

/* Asks the replicas, once a turn, whether the view is still the highest; the round to wait for. */
uint64_t group_confirm(struct shard *s, struct group *g);

/* Asks those who have not confirmed the newest round, which a reply waits for, once more. */
void group_confirm_again(struct shard *s, struct group *g, struct group_peer *peer);

/* Makes the next step of the view: applies it here and sends it to those who follow. `step`'s
 * version fields are filled in. 0; an error of the store or RK_NOMEM, RK_TOOBIG: nothing happened.
 * RK_CLOSED: it was written, but there is no memory to wait for it. */
int group_make_step(struct shard *s, struct group *g, struct step *step,
                    const struct store_change *changes, size_t change_count);

#endif
