/* Steering a change that is under way: an epoch that alters nothing but how it goes on. */
#ifndef RINGKV_TOOLS_STEER_H
#define RINGKV_TOOLS_STEER_H

#include "tools/survey.h"

struct steer {
    bool set_paused, paused;
    bool set_rate;
    uint64_t rate;
    bool cancel;
};

/* Makes that epoch for the change of the survey's ring, if it alters anything; again when the ring
 * moved on meanwhile, as it does while the change is driven. EXIT_DONE, or EXIT_COULD_NOT after
 * having said why; also when nothing is being changed. */
int steer_change(struct survey *s, const struct steer *steer);

#endif
