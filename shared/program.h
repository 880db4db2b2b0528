/* Edge: what the command lines of our daemons have in common.
 *
 *   int main(int argc, char **argv)
 *   {
 *       struct program_arguments arguments;
 *       struct node_options options;
 *       char why[CONFIG_WHY_SIZE];
 *       int failed = program_parse(argc, argv, &description, &arguments);
 *
 *       if (failed)
 *           return arguments.exit_code;
 *       failed = node_options_load(&options, arguments.config, arguments.sets, arguments.set_count,
 *                                  why, sizeof(why));
 *       if (failed || arguments.check_only)
 *           ... program_report(&description, failed, why), program_arguments_free(&arguments)
 */
#ifndef RINGKV_SHARED_PROGRAM_H
#define RINGKV_SHARED_PROGRAM_H

#include "shared/config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum program_exit {
    PROGRAM_DONE = 0,      /* did what was asked */
    PROGRAM_COULD_NOT = 1, /* a bad configuration, a port in use, a full disk */
    PROGRAM_USAGE = 2,     /* the command line is wrong */
};

struct program_description {
    const char *name;    /* "ringnode" */
    const char *summary; /* one line: "stores a share of a ring's keys" */
    const char
        *details; /* lines that the help ends with, an example among them; each with its \n */
    const struct config_setting *settings;
};

struct program_arguments {
    const char *config; /* -c FILE, NULL when not given; points into argv */
    char **sets;        /* --set, in the order of the command line; point into argv */
    size_t set_count;
    bool check_only; /* -n */
    int exit_code;   /* for when program_parse returns other than 0 */
};

/* Reads the command line. 0: go on with *out, to be freed with program_arguments_free. Otherwise
 * everything has been said (on standard output, or on standard error for what is wrong), and the
 * program is to end with out->exit_code: RK_CLOSED (help or the version was asked for, exit 0),
 * RK_INVALID (wrong usage, neither -c nor --set included, 2), RK_NOMEM or RK_IO (could not be
 * printed, 1). */
int program_parse(int argc, char **argv, const struct program_description *d,
                  struct program_arguments *out);

/* Tells how reading the configuration went: what is wrong (`why`) on standard error, or, when
 * `failed` is 0, that it is good on standard output. Returns the exit code. */
int program_report(const struct program_description *d, int failed, const char *why);

void program_arguments_free(struct program_arguments *a);

/* How many threads a daemon has when it is not told: one for two cores, from 1 to `max`. A proxy's
 * thread keeps a second core busy with what the kernel does for its sockets, a shard's with its log
 * and its checkpoints; and fewer threads have more to do in a turn, which makes each request
 * cheaper. */
uint32_t program_threads(uint32_t max);

#endif
