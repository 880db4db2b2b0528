/* A directed schedule: a run in which nothing happens by chance but the network's small delays, and
 * a file says what goes wrong when, and who asks what. For interleavings that random search does
 * not reach.
 *
 * A step a line; `#` begins a comment. The first step is `shape`. Nodes are n1.., proxies p0..,
 * clients c0.. (client c talks to proxy c modulo the number of proxies). Keys are TAG.KEY. All is
 * about partition 0, which has the tags whose slice lies in it (tests/sim/keys.h).
 *
 *   shape SETTINGS      as --shape, with no faults and no commands of its own
 *   run MS              time passes
 *   mute A B, hear A B  what A sends does not reach B, and waits; it arrives after all
 *   cut A B, join A B   both directions
 *   drop A B            the connections between them end, with what is on the way
 *   kill N, start N     a node's process
 *   power N             its machine; what was not synced is lost
 *   slow N FACTOR       its syncs take so many times as long from now on
 *   tick N              its timer runs; else timers stand still until the script has ended
 *   lead N              it prepares a view
 *   until N leads       waits until it does
 *   until N sends       waits until it has sent a chunk of a transfer
 *   ask C COMMAND KEY.. values stand behind their keys; of EXPIRE in how many ms
 *   answered C          waits until the client has its answers
 *   sees C VALUE        the newest answer is this value; `nil`: none
 *
 *   target N..          begins a change: these are the members then, each of which owns partitions
 *                       in turn, the first one partition 0
 *   phase l|j|m         all partitions go on, to learning, joint or moved
 *   cancel              the change turns back: what was before is the target
 *   give WHO            a node or proxy hears of the newest ring
 *   until N taught      waits until its learners have all; until N ready: until it may be moved
 *
 * What is waited for comes within a second, or the run has failed.
 */
#ifndef RINGKV_TESTS_SIM_SCRIPT_H
#define RINGKV_TESTS_SIM_SCRIPT_H

#include <stddef.h>

struct script;
struct world;

/* Reads a file. 0, or RK_INVALID or RK_IO with the reason. */
int script_read(const char *path, struct script **out, char *why, size_t why_size);
void script_free(struct script *s);

/* What the `shape` step says. */
const char *script_shape(const struct script *s);

/* Carries the steps out, beginning with a cluster that has just started. */
void script_run(const struct script *s, struct world *w);

#endif
