/* How one ring follows from another.
 *
 * A change goes through these epochs:
 *   begin    the target is added, and partitions that change begin to learn (or, where only the
 *            order of the replicas changes, are moved at once)
 *   advance  partitions go on: settled, learning, joint, moved; as often as it takes
 *   finish   the target becomes the current configuration
 * and on the way, any number of times, edit (pause, rate), and once cancel, which makes the ring as
 * it was the target.
 *
 * Every function makes a new ring of the next epoch, which the caller frees, and leaves the old one
 * alone. Who may call advance for what is not known here: a partition may be joint when its
 * learners have all, and moved when its primary says that it is ready (node/group.h). Which node
 * accepts which ring is ring_may_follow's business.
 */
#ifndef RINGKV_SHARED_RING_CHANGE_H
#define RINGKV_SHARED_RING_CHANGE_H

#include "shared/ring.h"

/* What is remembered of who wanted a change. Texts are cut to what fits, and made printable. */
struct ring_asked {
    const char *what, *who;
    int64_t now_ms; /* Unix time */
    uint64_t rate;  /* bytes a second and node; 0: no bound */
};

/* A copy of the same epoch. NULL: out of memory. */
struct ring *ring_copy(const struct ring *r);

/* Begins a change towards `target`, a finished ring without a change that tells what shall be:
 * members (known by their numbers; new ones from now->next_number on), weights, zones, owners,
 * replicas. Its epoch does not count. 0; RK_NOMEM; RK_INVALID: a change is under way, or the target
 * is none for this ring, with the reason in `why` (may be NULL). */
int ring_begin(const struct ring *now, const struct ring *target, const struct ring_asked *asked,
               struct ring **next, char *why, size_t why_size);

/* Puts each partition into the phase given for it (the one it is in, or a later one). 0, RK_NOMEM,
 * RK_INVALID. */
int ring_advance(const struct ring *now, const uint8_t *phases, struct ring **next, char *why,
                 size_t why_size);

/* Whether all partitions have come to where the target wants them. */
bool ring_may_finish(const struct ring *now);

/* Ends the change and remembers it in the log. 0, RK_NOMEM, RK_INVALID. */
int ring_finish_change(const struct ring *now, int64_t now_ms, struct ring **next, char *why,
                       size_t why_size);

/* Turns a change around: what it was before becomes the target. 0, RK_NOMEM, RK_INVALID. */
int ring_cancel(const struct ring *now, struct ring **next, char *why, size_t why_size);

/* 0, RK_NOMEM, RK_INVALID. */
int ring_edit(const struct ring *now, bool paused, uint64_t rate, struct ring **next, char *why,
              size_t why_size);

/* What the ring will be when its change is finished, as a ring of the present epoch without one; a
 * copy when there is no change. 0, RK_NOMEM, RK_INVALID. */
int ring_target(const struct ring *now, struct ring **target, char *why, size_t why_size);

/* Whether two sets have the same members, in whatever order. */
bool ring_replicas_same(const struct ring_replicas *a, const struct ring_replicas *b);

/* Whether `next` is a ring that one of the above makes of `now`, apart from the members' addresses,
 * which may change with any epoch. 0, RK_NOMEM, or RK_INVALID with the reason. */
int ring_may_follow(const struct ring *now, const struct ring *next, char *why, size_t why_size);

#endif
