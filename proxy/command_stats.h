/* How often each command was run, and how long it took: INFO commandstats and latencystats, LATENCY
 * HISTOGRAM.
 *
 * Each thread has a table of its own, keyed by the commands' rows, which only that thread writes
 * and any thread may read.
 */
#ifndef RINGKV_PROXY_COMMAND_STATS_H
#define RINGKV_PROXY_COMMAND_STATS_H

#include "proxy/command.h"
#include "proxy/histogram.h"
#include "shared/buf.h"
#include <stdatomic.h>
#include <stdint.h>

enum {
    COMMAND_STATS_SIZE = 512, /* more than twice the rows and subcommands that there are */
};

struct command_stat {
    const struct command *_Atomic command; /* NULL: free */
    _Atomic uint64_t calls;
    _Atomic uint64_t took_us;  /* of all calls together, until their answers */
    _Atomic uint64_t failed;   /* calls that were answered with an error */
    _Atomic uint64_t rejected; /* never run: wrong arity, not logged in */
    struct histogram answered; /* calls that were, by how long it took */
};

struct command_stats {
    struct command_stat rows[COMMAND_STATS_SIZE];
};

/* The row of a command in this thread's table; it begins with zeros. */
struct command_stat *command_stats_row(struct command_stats *s, const struct command *c);

/* A call was answered after so long. */
void command_stats_answered(struct command_stat *row, uint64_t took_us);

/* Appends a command's map of LATENCY HISTOGRAM: its calls, and how many of them took up to so many
 * microseconds. `version` is that of RESP. 0 or RK_NOMEM. */
int command_stats_put_histogram(const struct command_stat *row, struct buf *out, int version);

/* Adds another thread's figures, or takes them away. */
void command_stats_add(struct command_stats *sum, const struct command_stats *other);
void command_stats_subtract(struct command_stats *sum, const struct command_stats *other);

#endif
