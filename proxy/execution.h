/* One command being run: what its function sees, and how it replies. */
#ifndef RINGKV_PROXY_EXECUTION_H
#define RINGKV_PROXY_EXECUTION_H

#include "proxy/errand.h"
#include "proxy/router.h"
#include "shared/resp.h"

#define EXECUTION_CROSSSLOT "CROSSSLOT Keys in request don't hash to the same slot"

struct execution {
    struct router *router;
    struct session *session;
    const struct command *command; /* the subcommand's once it is known */
    const struct bytes *args;
    uint32_t count;
    struct buf *out; /* of a command that needs no node, after its first reply call */
    size_t before;   /* what `out` had before the reply, */
    size_t start;    /* and before that of EXEC, which it may be a part of */
};

/* Sends the edge on an errand, and suspends the session: the command will be run once more. 0;
 * RK_FULL or RK_NOMEM: it cannot be, and the command has to reply. */
int execution_ask(struct execution *x, const struct errand *errand);

/* What the errand brought, when the command is run once more; else NULL. */
const struct errand *execution_outcome(const struct execution *x);

/* Where such a command's reply is appended. When there is no room the reply goes nowhere, and the
 * session is broken. */
struct buf *execution_out(struct execution *x);

/* Whether a reply with a piece for each argument may have one more: a million short arguments could
 * ask for gigabytes. Else reply_too_large takes its place. */
bool execution_has_room(struct execution *x);
void reply_too_large(struct execution *x);

/* Each appends a piece of the reply. */
void reply_simple(struct execution *x, const char *text);
void reply_error(struct execution *x, const char *text);
void reply_errorf(struct execution *x, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_integer(struct execution *x, int64_t value);
void reply_bulk(struct execution *x, struct bytes value);
void reply_text(struct execution *x, const char *text); /* a bulk */
void reply_null(struct execution *x);
void reply_array(struct execution *x, size_t count);
void reply_map(struct execution *x, size_t pairs);
void reply_verbatim(struct execution *x, struct bytes text);

void reply_wrong_arity(struct execution *x);

/* That a subcommand got too many arguments, or ones that it cannot have; its row cannot tell. */
void reply_wrong_subcommand(struct execution *x);

/* As C strings end, so do words of a client in Redis's texts: how much of one is shown, for "%.*s".
 */
enum { SHOWN_MAX = 128 };
int shown_size(struct bytes text, size_t max);

/* Names the session; false when it cannot be, and the client has its error. */
bool execution_set_name(struct execution *x, struct bytes name);

/* A range of int64: "ERR value is not an integer or out of range" is replied when it is none. */
bool execution_integer(struct execution *x, uint32_t arg, int64_t *value);

/* Likewise a database's number, of which there is 0 alone. */
bool execution_database(struct execution *x, uint32_t arg);

#endif
