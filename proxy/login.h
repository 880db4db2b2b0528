/* Whether a client may log in, on its own thread. */
#ifndef RINGKV_PROXY_LOGIN_H
#define RINGKV_PROXY_LOGIN_H

#include "proxy/users.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

struct execution;

/* What an attacker may do before a login, and how often he may try on one connection. Redis's
 * measures for the former (CVE-2021-32675, CVE-2025-21605). */
enum {
    STRANGER_ARGS_MAX = 10,
    STRANGER_BULK_MAX = 16 << 10,
    STRANGER_SIZE_MAX = STRANGER_ARGS_MAX * (STRANGER_BULK_MAX + 64), /* with the header lines */
    STRANGER_OUTPUT_MAX = 1 << 10, /* bytes of replies that wait; it is not read any more */
    LOGIN_FAILURES_MAX = 10,       /* then the connection is closed */
};

/* A thread's memory of the passwords that were right. */
struct logins {
    const struct users *users;
    uint8_t key[PASSWORD_PROOF_SIZE]; /* random */
    struct login_proof {
        bool known;
        uint8_t proof[PASSWORD_PROOF_SIZE];
    } * proofs; /* of each user */
};

/* `key` is filled in by the edge. 0 or RK_NOMEM. */
int logins_init(struct logins *l, const struct users *users);
void logins_destroy(struct logins *l);

enum login {
    LOGIN_DONE,    /* the session is the user's now */
    LOGIN_REFUSED, /* and the client has its error */
    LOGIN_WAITS,   /* the session is suspended; the command comes again */
};

/* For AUTH and HELLO. */
enum login login_try(struct execution *x, struct bytes name, struct bytes password);

/* Makes the session that of a new connection: the default user's, or a stranger's. */
struct session;
void login_reset(const struct logins *l, struct session *s);

#endif
