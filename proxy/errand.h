/* What a command cannot do on its client's thread: look at the clients of all threads, or compute a
 * password's hash.
 *
 * Its function asks for it (execution_ask), which suspends the session: no later command of this
 * client is begun. When it is done the same command is run once more, and its function finds the
 * outcome (execution_outcome). So there is no half of a command to be kept.
 */
#ifndef RINGKV_PROXY_ERRAND_H
#define RINGKV_PROXY_ERRAND_H

#include "proxy/client_line.h"
#include "proxy/password.h"
#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

enum errand_kind {
    ERRAND_PASSWORD, /* whether a password is right */
    ERRAND_LIST,     /* a line for each client that the filter matches */
    ERRAND_KILL,     /* closes them */
};

struct errand {
    enum errand_kind kind;
    /* ERRAND_PASSWORD: what is asked, */
    const struct password *hash;
    struct bytes password; /* copied when the errand begins */
    /* and the outcome. */
    bool matches;
    /* Of the others: what is asked, */
    struct client_filter filter; /* its list of ids passes to the errand */
    uint64_t self;               /* the client that asks */
    size_t lines_max;            /* bytes of lines, beyond which there are no more */
    /* and the outcome. */
    struct buf lines;
    bool too_many; /* lines: they are not all there */
    uint64_t killed;
    bool killed_self; /* left to the command: the reply comes first */
    bool failed;      /* out of memory */
};

#endif
