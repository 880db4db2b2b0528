/* The settings of ringproxy: section, key, meaning and range stand in the table in options.c. */
#ifndef RINGKV_PROXY_OPTIONS_H
#define RINGKV_PROXY_OPTIONS_H

#include "proxy/users.h"
#include "shared/config.h"
#include <stddef.h>
#include <stdint.h>

struct proxy_options {
    /* [proxy] */
    char *listen;    /* HOST:PORT */
    int64_t threads; /* 0: one for two cores */
    int64_t max_clients;
    int64_t client_output;   /* bytes */
    int64_t client_stall_ms; /* 0: never */
    int64_t client_pending;  /* commands */
    int64_t query_size;      /* bytes */
    int64_t request_timeout_ms;
    int64_t node_timeout_ms;
    int64_t node_output;            /* bytes */
    int64_t client_idle_timeout_ms; /* 0: never */
    int64_t slowlog_slower_than_ms;
    int64_t slowlog_entries;
    /* [security] */
    char *requirepass; /* a hash or "" */
    char *users_file;  /* path or "" */
    bool protected_mode;
    char *secret_file; /* path or "": none */
    /* [cluster] */
    char *nodes; /* a list for address_next */
    int64_t ring_poll_ms;
    /* [log] */
    char *log_file; /* path or "": standard error */
    int log_level;  /* enum log_level */
    /* What the section security comes to. */
    struct users users;
};

extern const struct config_setting proxy_settings[];

/* Defaults, then the file (path NULL: none), then the assignments, then proxy_options_check, then
 * the users. A file with a password's hash that everybody may read is refused. 0, to be freed with
 * proxy_options_free; RK_IO, RK_INVALID, RK_NOMEM with what is wrong, and what would be right, in
 * `why` (CONFIG_WHY_SIZE) and nothing to be freed. */
int proxy_options_load(struct proxy_options *o, const char *path, char *const *sets,
                       size_t set_count, char *why, size_t why_size);
void proxy_options_free(struct proxy_options *o);

/* What no single setting shows: whether they fit each other. 0, RK_INVALID, RK_NOMEM. */
int proxy_options_check(const struct proxy_options *o, char *why, size_t why_size);

#endif
