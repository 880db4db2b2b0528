/* Changes of the ring, as all of ringctl's commands that make one go about them: read what is asked
 * for, visit the nodes, plan, show, ask, decide the first epoch, then drive it (change_run). */
#ifndef RINGKV_TOOLS_CHANGE_H
#define RINGKV_TOOLS_CHANGE_H

#include "tools/edit.h"
#include "tools/estimate.h"
#include "tools/ringctl.h"
#include "tools/survey.h"

/* The options of all these commands. */
struct change_options {
    bool yes, dry_run;
    bool has_rate;
    uint64_t rate; /* bytes a second and node; 0: no bound */
};

#define CHANGE_OPTIONS_HELP                                                         \
    "--dry-run        show the plan with all its figures, and change nothing\n"     \
    "--yes            do not ask\n"                                                 \
    "--rate MB/S      what each node may send a second for it, in MB (10^6 bytes; " \
    "none: no bound)\n"

/* Takes --yes, --dry-run and --rate out of the words, which keep their order; *argc tells how many
 * are left. EXIT_DONE, or EXIT_USAGE after having said why. */
int change_take_options(const struct control_command *command, int *argc, char **argv,
                        struct change_options *options);

/* A rate as it is given: "20", "2.5", "none". False: it is none. */
bool change_read_rate(const char *text, uint64_t *rate);

/* The whole of `add`, `remove`, `replace`, `set`, `rebalance`: argv is one edit (tools/edit.h). */
int change_by_words(const struct control *c, const struct control_command *command, int argc,
                    char **argv);

/* The same for edits that were read already. */
int change_make(const struct control *c, const struct edits *edits,
                const struct change_options *options);

/* Prints the estimate. */
void show_estimate(const struct control *c, const struct estimate *e, const char *what,
                   uint64_t rate);

/* "user@host", for the ring's history. */
enum { CHANGE_WHO_SIZE = 128 };
void change_who(char who[CHANGE_WHO_SIZE]);

/* Milliseconds since 1970. */
int64_t change_unix_ms(void);

#endif
