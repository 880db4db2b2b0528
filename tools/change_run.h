/* Carrying a change out: asks the nodes how far they are, makes the epochs that follow, and shows
 * it, until nothing is being changed any more. */
#ifndef RINGKV_TOOLS_CHANGE_RUN_H
#define RINGKV_TOOLS_CHANGE_RUN_H

#include "tools/reports.h"
#include "tools/survey.h"

/* From now on INT, TERM, HUP and PIPE let the run, also one that is yet to begin, end with a
 * message. To be called before anything is decided: from then on somebody has to be told how to go
 * on. */
void change_run_catch(void);

/* Drives the change of the survey's ring. EXIT_DONE when it has ended (also when there was none);
 * EXIT_COULD_NOT when it was paused, interrupted by a signal, or cancelled by somebody else, after
 * having said so. */
int change_run(const struct control *c, struct survey *s);

/* The same for the change that was begun in this epoch, and may have ended. `reports` was polled
 * before, so that everything that is copied for it is counted; bytes_total is what it has to copy,
 * as estimated. */
int change_run_begun(const struct control *c, struct survey *s, struct reports *reports,
                     uint64_t begun_epoch, uint64_t bytes_total);

/* Shows it, as somebody else drives it, until it has ended. For `status --watch`. */
int change_watch(const struct control *c, struct survey *s);

#endif
