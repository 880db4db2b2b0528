/* The functions that run commands; the command table's rows name them. */
#ifndef RINGKV_PROXY_COMMANDS_H
#define RINGKV_PROXY_COMMANDS_H

#include "proxy/execution.h"

/* commands_auth.c */
void run_auth(struct execution *x);
void run_hello(struct execution *x);

/* commands_connection.c */
void run_ping(struct execution *x);
void run_echo(struct execution *x);
void run_quit(struct execution *x);
void run_readonly(struct execution *x);
void run_readwrite(struct execution *x);
void run_select(struct execution *x);
void run_client(struct execution *x);
void run_client_getname(struct execution *x);
void run_client_help(struct execution *x);
void run_client_id(struct execution *x);
void run_client_info(struct execution *x);
void run_client_setinfo(struct execution *x);
void run_client_setname(struct execution *x);
void run_command_help(struct execution *x);
void run_config_help(struct execution *x);

/* commands_key.c */
void run_key(struct execution *x);       /* a key */
void run_key_value(struct execution *x); /* a key and a value */
void run_keys(struct execution *x);      /* keys */

/* commands_server.c */
void run_command(struct execution *x);
void run_command_count(struct execution *x);
void run_command_docs(struct execution *x);
void run_command_getkeys(struct execution *x);
void run_command_info(struct execution *x);
void run_command_list(struct execution *x);
void run_config(struct execution *x);
void run_config_get(struct execution *x);

/* commands_string.c */
void run_set(struct execution *x);
void run_mset(struct execution *x);
void run_incr(struct execution *x);
void run_decr(struct execution *x);
void run_incrby(struct execution *x);
void run_decrby(struct execution *x);
void run_levelget(struct execution *x);

/* info.c */
void run_info(struct execution *x);

#endif
