/* The settings of ringnode: section, key, meaning and range stand in the table in options.c. */
#ifndef RINGKV_NODE_OPTIONS_H
#define RINGKV_NODE_OPTIONS_H

#include "shared/config.h"
#include <stddef.h>
#include <stdint.h>

/* When a write is on stable storage, as seen from its reply. */
enum node_sync {
    NODE_SYNC_ALWAYS,   /* before the reply */
    NODE_SYNC_INTERVAL, /* at most sync_interval_ms after it */
    NODE_SYNC_NEVER,    /* when the operating system writes it */
};

/* In their order, with NULL behind them. */
extern const char *const node_sync_names[];

struct node_options {
    /* [node] */
    char *listen;   /* HOST:PORT; others connect to the address that ringctl was given */
    char *data;     /* path of a folder */
    int64_t shards; /* 0: one for two cores */
    int64_t max_connections;
    int64_t max_value;         /* bytes */
    int64_t connection_output; /* bytes */
    /* [storage] */
    int sync; /* enum node_sync */
    int64_t sync_interval_ms;
    int64_t memory_table;  /* bytes, per shard */
    int64_t log_segment;   /* bytes */
    int64_t checkpoint_ms; /* at most so long after it a write is in the tree */
    int64_t map_size;      /* bytes, per shard */
    int64_t scrub_rate;    /* bytes a second; 0: off */
    /* [replication] */
    int64_t node_timeout_ms;
    int64_t request_timeout_ms;
    int64_t window;        /* operations, per partition */
    int64_t history;       /* bytes of recent operations, per shard */
    int64_t transfer_rate; /* bytes a second; 0: no cap */
    /* [security] */
    char *secret_file; /* path or "": none */
    /* [log] */
    char *log_file; /* path or "": standard error */
    int log_level;  /* enum log_level */
};

extern const struct config_setting node_settings[];

/* Defaults, then the file (path NULL: none), then the assignments, then node_options_check. 0, to
 * be freed with node_options_free; RK_IO, RK_INVALID, RK_NOMEM with what is wrong, and what would
 * be right, in `why` (CONFIG_WHY_SIZE) and nothing to be freed. */
int node_options_load(struct node_options *o, const char *path, char *const *sets, size_t set_count,
                      char *why, size_t why_size);
void node_options_free(struct node_options *o);

/* What no single setting shows: whether they fit each other. 0, or RK_INVALID with the reason. */
int node_options_check(const struct node_options *o, char *why, size_t why_size);

#endif
