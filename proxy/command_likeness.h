/* How like Redis 7.0 the commands are: the same, unless there is a row here that says in what not;
 * and which of Redis's are not there. For people: nothing else depends on it. A test compares it
 * with a real Redis. */
#ifndef RINGKV_PROXY_COMMAND_LIKENESS_H
#define RINGKV_PROXY_COMMAND_LIKENESS_H

/* In what a command, "get" or "client|id", is not as in Redis; NULL: it is. */
const char *command_difference(const char *name);

/* Redis's commands that are not there, by group; a container without any of its subcommands stands
 * for them. Ends with group NULL. */
struct command_absence {
    const char *group;
    const char *names; /* in capitals, separated by ", " */
};

const struct command_absence *command_absences(void);

#endif
