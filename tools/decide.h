/* Making a ring the next one: decided by a majority of the nodes that have a say, then given to
 * all.
 *
 * Who has a say about the ring that follows another: all its members when it is stable; while it is
 * changed, those of the configuration before the change, also on the way back. So nodes that join,
 * and may never have worked, are not needed to go back without them.
 */
#ifndef RINGKV_TOOLS_DECIDE_H
#define RINGKV_TOOLS_DECIDE_H

#include "tools/survey.h"

enum decision {
    DECIDED,       /* `next` is the ring, and the survey's */
    DECIDED_OTHER, /* the ring went on to another epoch meanwhile: it is the survey's now */
    DECIDED_NOT,   /* no majority answers; it may still become the ring, and then by itself */
};

enum { DECIDE_WHY_SIZE = 768 };

/* What follows from such a reason where nobody tries again by himself. */
#define DECIDE_AGAIN "; after that give the command again"

/* Proposes `next` (of the epoch after the survey's ring), and takes it over in any case.
 * DECIDED_NOT comes with the reason in `why`. */
enum decision decide_ring(struct survey *s, struct ring *next, char *why, size_t why_size);

/* Gives the survey's ring again to members that have none yet or an older one: of a ringctl that
 * was killed between deciding and giving. */
void decide_spread(struct survey *s);

#endif
