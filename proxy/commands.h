/* The functions that run commands; the command table's rows name them. */
#ifndef RINGKV_PROXY_COMMANDS_H
#define RINGKV_PROXY_COMMANDS_H

#include "proxy/execution.h"

/* commands_auth.c */
void run_auth(struct execution *x);
void run_hello(struct execution *x);

/* commands_acl.c */
void run_acl(struct execution *x);
void run_acl_cat(struct execution *x);
void run_acl_list(struct execution *x);
void run_acl_users(struct execution *x);
void run_acl_whoami(struct execution *x);

/* commands_client.c */
void run_client(struct execution *x);
void run_client_getname(struct execution *x);
void run_client_id(struct execution *x);
void run_client_info(struct execution *x);
void run_client_kill(struct execution *x);
void run_client_list(struct execution *x);
void run_client_no_evict(struct execution *x);
void run_client_no_touch(struct execution *x);
void run_client_reply(struct execution *x);
void run_client_setinfo(struct execution *x);
void run_client_setname(struct execution *x);

/* commands_help.c */
void run_help(struct execution *x);

/* commands_connection.c */
void run_bgrewriteaof(struct execution *x);
void run_bgsave(struct execution *x);
void run_lastsave(struct execution *x);
void run_reset(struct execution *x);
void run_role(struct execution *x);
void run_save(struct execution *x);
void run_time(struct execution *x);
void run_wait(struct execution *x);
void run_ping(struct execution *x);
void run_echo(struct execution *x);
void run_quit(struct execution *x);
void run_readonly(struct execution *x);
void run_readwrite(struct execution *x);
void run_select(struct execution *x);

/* commands_bits.c */
void run_getbit(struct execution *x);
void run_setbit(struct execution *x);
void run_bitcount(struct execution *x);
void run_bitpos(struct execution *x);

/* commands_expiry.c */
void run_set(struct execution *x);
void run_setex(struct execution *x);
void run_psetex(struct execution *x);
void run_getex(struct execution *x);
void run_expire(struct execution *x);
void run_pexpire(struct execution *x);
void run_expireat(struct execution *x);
void run_pexpireat(struct execution *x);

/* commands_key.c */
void run_key(struct execution *x);       /* a key */
void run_key_value(struct execution *x); /* a key and a value */
void run_keys(struct execution *x);      /* keys */

/* commands_command.c */
void run_command(struct execution *x);
void run_command_count(struct execution *x);
void run_command_docs(struct execution *x);
void run_command_getkeys(struct execution *x);
void run_command_info(struct execution *x);
void run_command_list(struct execution *x);

/* commands_config.c */
void run_config(struct execution *x);
void run_config_get(struct execution *x);
void run_config_resetstat(struct execution *x);
void run_config_set(struct execution *x);

/* commands_inspect.c */
void run_memory(struct execution *x);
void run_memory_doctor(struct execution *x);
void run_memory_stats(struct execution *x);
void run_memory_usage(struct execution *x);
void run_object(struct execution *x);
void run_object_encoding(struct execution *x);
void run_object_freq(struct execution *x);
void run_object_idletime(struct execution *x);
void run_object_refcount(struct execution *x);

/* commands_slow.c */
void run_latency(struct execution *x);
void run_latency_doctor(struct execution *x);
void run_latency_histogram(struct execution *x);
void run_latency_history(struct execution *x);
void run_latency_latest(struct execution *x);
void run_latency_reset(struct execution *x);
void run_slowlog(struct execution *x);
void run_slowlog_get(struct execution *x);
void run_slowlog_len(struct execution *x);
void run_slowlog_reset(struct execution *x);

/* commands_string.c */
void run_getrange(struct execution *x);
void run_setrange(struct execution *x);
void run_lcs(struct execution *x);
void run_mset(struct execution *x);
void run_incr(struct execution *x);
void run_decr(struct execution *x);
void run_incrby(struct execution *x);
void run_decrby(struct execution *x);
void run_levelget(struct execution *x);

/* commands_together.c */
void run_cas(struct execution *x);
void run_msetnx(struct execution *x);
void run_rename(struct execution *x);
void run_renamenx(struct execution *x);
void run_copy(struct execution *x);

/* commands_walk.c */
void run_scan(struct execution *x);
void run_keys_matching(struct execution *x);
void run_randomkey(struct execution *x);
void run_dbsize(struct execution *x);
void run_flush(struct execution *x);

/* commands_transaction.c */
void run_multi(struct execution *x);
void run_exec(struct execution *x);
void run_discard(struct execution *x);
void run_watch(struct execution *x);
void run_unwatch(struct execution *x);

/* info.c */
void run_info(struct execution *x);

#endif
