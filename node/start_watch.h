/* Edge: TERM and INT while a node starts.
 *
 * A start may replay a long log, or wait for room on the disk, and there is no loop yet that would
 * take signals. Nothing was acknowledged by then, and what is on disk is as after a crash, so the
 * process may end where it is.
 */
#ifndef RINGKV_NODE_START_WATCH_H
#define RINGKV_NODE_START_WATCH_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct start_watch {
    pthread_t thread;
    sigset_t before;
    bool runs;
};

/* From now on TERM and INT end the process with status 0, and say so in the log. 0 or RK_NOMEM. To
 * be called before there are other threads: those that are made meanwhile leave the two signals to
 * the caller's. */
int start_watch_begin(struct start_watch *w);

/* The signals are the caller's again. One that comes at this moment has one effect or the other. */
void start_watch_end(struct start_watch *w);

#endif
