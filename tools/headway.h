/* How far a change has come, and how that is shown: a bar on a terminal, plain lines elsewhere. */
#ifndef RINGKV_TOOLS_HEADWAY_H
#define RINGKV_TOOLS_HEADWAY_H

#include "shared/ring.h"
#include <stdbool.h>
#include <stdint.h>

struct headway {
    uint32_t total;   /* partitions that the change moves */
    uint32_t learned; /* of them: copied, voters not changed yet */
    uint32_t joint, moved;
    uint64_t bytes_sent, keys_sent; /* by all nodes together, for this change */
    uint64_t rate;                  /* bytes a second, at this moment */
    uint64_t bytes_total;           /* as estimated; 0: not known */
    uint64_t seconds;               /* since it began, or was taken up */
    uint32_t begun_milli;           /* how far it was then */
    bool paused, cancelled;
    const char *waiting; /* for whom it waits; NULL: for nobody in particular */
};

enum { HEADWAY_LINE_SIZE = 1536 };

/* Partitions of a changing ring that move, and how many of them are in each phase. */
void headway_of_ring(const struct ring *ring, struct headway *p);

/* Done, in 1/1000: copied counts as most of the way. */
uint32_t headway_milli(const struct headway *p);

/* Seconds that are left at the present pace; UINT64_MAX: no saying. */
uint64_t headway_seconds_left(const struct headway *p);

/* One line without its end: at most `width` columns, of which a bar takes what is left. That it
 * waits is said, but not for whom: that mostly needs more than a line. */
void headway_bar(const struct headway *p, unsigned width, char line[HEADWAY_LINE_SIZE]);

/* The same without a bar, for logs. */
void headway_text(const struct headway *p, char line[HEADWAY_LINE_SIZE]);

/* And as one JSON object. */
void headway_json(const struct headway *p, uint64_t epoch, char line[HEADWAY_LINE_SIZE]);

/* --- the edge: writes to standard output ---------------------------------------------------- */

struct headway_view {
    bool terminal, json;
    bool drawn;       /* a bar stands in the last line */
    int64_t shown_ms; /* when a line was written last */
    uint32_t shown_milli;
    bool waiting; /* the last plain line said for whom it waits */
    /* On a terminal: the last words above the bar, and when they were written. */
    char said[HEADWAY_LINE_SIZE];
    int64_t said_ms;
};

void headway_open(struct headway_view *v, bool json);

/* Shows it, if it is time to: a bar ten times a second, and above it for whom it waits; a line when
 * a tenth was done, when it begins to wait or does so no more, or after ten seconds. `now_ms` from
 * a clock that goes forward. */
void headway_show(struct headway_view *v, const struct headway *p, uint64_t epoch, int64_t now_ms);

/* Ends the bar's line, so that other text may follow. */
void headway_close(struct headway_view *v);

#endif
