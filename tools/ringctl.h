/* What ringctl's commands share. Each command is one file with one row in the table of ringctl.c.
 */
#ifndef RINGKV_TOOLS_RINGCTL_H
#define RINGKV_TOOLS_RINGCTL_H

#include "shared/bytes.h"
#include "shared/secret.h"
#include <stdbool.h>

enum { EXIT_DONE = 0, EXIT_COULD_NOT = 1, EXIT_USAGE = 2 };

struct control {
    const char *nodes; /* HOST:PORT,… of --nodes or RINGCTL_NODES; NULL: not given */
    int timeout_ms;
    bool json;
    const char *secret_file;
    struct secret secret; /* of the cluster */
};

struct control_command {
    const char *name;
    const char *arguments; /* as in the help */
    const char *summary;
    const char *details; /* options and an example; lines with their \n */
    /* argv[0] is the command's name. Returns an exit code. */
    int (*run)(const struct control *c, int argc, char **argv);
};

extern const struct control_command command_init, command_status, command_check, command_locate,
    command_history, command_add, command_remove, command_replace, command_set, command_rebalance,
    command_plan, command_resume, command_pause, command_cancel, command_rate, command_verify,
    command_metrics;

/* Says on standard error what the use is, and returns EXIT_USAGE. */
int control_usage(const struct control_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints "ringctl: ..." on standard error and returns EXIT_COULD_NOT. */
int control_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A JSON string, quoted and escaped, to standard output. */
void json_string(struct bytes text);

#endif
