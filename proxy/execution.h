/* One command being run: what its function sees, and how it replies. */
#ifndef RINGKV_PROXY_EXECUTION_H
#define RINGKV_PROXY_EXECUTION_H

#include "proxy/router.h"
#include "shared/resp.h"

struct execution {
    struct router *router;
    struct session *session;
    const struct command *command; /* the subcommand's once it is known */
    const struct bytes *args;
    uint32_t count;
    struct buf *out; /* of a command that needs no node, after its first reply call */
    size_t before;
};

/* Where such a command's reply is appended. When there is no room the reply goes nowhere, and the
 * session is broken. */
struct buf *execution_out(struct execution *x);

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
void reply_set(struct execution *x, size_t count);
void reply_null_array(struct execution *x);
void reply_verbatim(struct execution *x, struct bytes text);

void reply_wrong_arity(struct execution *x);

/* A range of int64: "ERR value is not an integer or out of range" is replied when it is none. */
bool execution_integer(struct execution *x, uint32_t arg, int64_t *value);

/* The command functions; the table names them. */
#define COMMAND_FUNCTIONS(X)                                                                      \
    X(run_ping)                                                                                   \
    X(run_echo)                                                                                   \
    X(run_quit) X(run_select) X(run_hello) X(run_client) X(run_client_getname) X(run_client_help) \
        X(run_client_id) X(run_client_info) X(run_client_setinfo) X(run_client_setname)           \
            X(run_command) X(run_command_count) X(run_command_docs) X(run_command_getkeys)        \
                X(run_command_help) X(run_command_info) X(run_command_list) X(run_config)         \
                    X(run_config_get) X(run_config_help) X(run_info) X(run_key) X(run_key_value)  \
                        X(run_set) X(run_keys) X(run_mset) X(run_incr) X(run_decr) X(run_incrby)  \
                            X(run_decrby) X(run_levelget)

#define X(name) void name(struct execution *x);
COMMAND_FUNCTIONS(X)
#undef X

#endif
