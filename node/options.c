#include "node/options.h"
#include "shared/error.h"
#include "shared/limits.h"
#include "shared/log.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#define AT(field) offsetof(struct node_options, field)
#define KI        (INT64_C(1) << 10)
#define MI        (INT64_C(1) << 20)
#define GI        (INT64_C(1) << 30)
#define TI        (INT64_C(1) << 40)

const char *const node_sync_names[] = {"always", "interval", "never", NULL};

/* clang-format off */
const struct config_setting node_settings[] = {
    {"node", "listen", CONFIG_ADDRESS, AT(listen), "127.0.0.1:7400", 0, 0, NULL,
     "where proxies, nodes and ringctl reach this node"},
    {"node", "data", CONFIG_TEXT, AT(data), NULL, 1, PATH_MAX - 256, NULL,
     "folder of this node's data and identity, for this node alone"},
    {"node", "shards", CONFIG_NUMBER, AT(shards), "0", 0, SHARDS_MAX, NULL,
     "threads, each with a part of the data; fixed when the data folder is made; 0: one for two cores"},
    {"node", "max_connections", CONFIG_NUMBER, AT(max_connections), "4096", 8, 1000000, NULL,
     "connections from proxies, nodes and ringctl together; further ones are closed at once"},
    {"node", "max_value", CONFIG_SIZE, AT(max_value), "16m", KI, VALUE_SIZE_MAX, NULL,
     "bytes of the largest value that is accepted; the same on all nodes"},
    {"node", "connection_output", CONFIG_SIZE, AT(connection_output), "8m", 64 * KI, GI, NULL,
     "bytes that may wait for one slow peer before this node stops reading from it"},

    {"storage", "sync", CONFIG_CHOICE, AT(sync), "always", 0, 0, node_sync_names,
     "when a write is forced to disk: before its reply, every sync_interval, or never"},
    {"storage", "sync_interval", CONFIG_DURATION, AT(sync_interval_ms), "100ms", 1, 10000, NULL,
     "with sync = interval: time of writes that a crash of the machine may lose"},
    {"storage", "memory_table", CONFIG_SIZE, AT(memory_table), "128m", 2 * MI, 8 * GI, NULL,
     "bytes of recent writes that each shard gathers in memory before it writes them to its tree"},
    {"storage", "log_segment", CONFIG_SIZE, AT(log_segment), "64m", MI, GI, NULL,
     "bytes after which a shard begins a new file of its write log"},
    {"storage", "checkpoint", CONFIG_DURATION, AT(checkpoint_ms), "10s", 100, 3600000, NULL,
     "how long a write may be in the log and in memory only, before it is written into the tree"},
    {"storage", "map_size", CONFIG_SIZE, AT(map_size), "1g", MI, 16 * TI, NULL,
     "bytes of address space that each shard's LMDB tree begins with; grows by itself"},
    {"storage", "scrub_rate", CONFIG_SIZE, AT(scrub_rate), "1m", 0, TI, NULL,
     "bytes a second that are read again to find damaged records; 0: off"},

    {"replication", "node_timeout", CONFIG_DURATION, AT(node_timeout_ms), "300ms", 10, 60000, NULL,
     "time without an answer after which another node is taken for dead"},
    {"replication", "request_timeout", CONFIG_DURATION, AT(request_timeout_ms), "2s",
     50, 60000, NULL,
     "how long a node that is told to end waits for what is in flight"},
    {"replication", "window", CONFIG_NUMBER, AT(window), "16384", 16, 1048576, NULL,
     "recent operations kept per partition, from which a replica that fell behind catches up"},
    {"replication", "history", CONFIG_SIZE, AT(history), "64m", MI, 64 * GI, NULL,
     "bytes of recent operations kept per shard, over all its partitions; the oldest go first"},
    {"replication", "transfer_rate", CONFIG_SIZE, AT(transfer_rate), "0", 0, TI, NULL,
     "bytes a second for copying partitions; 0: as fast as the latency of clients allows"},

    {"security", "secret_file", CONFIG_TEXT, AT(secret_file), "", 0, PATH_MAX - 1, NULL,
     "file with the cluster's secret, which who connects must know; empty: none is asked for"},

    {"log", "file", CONFIG_TEXT, AT(log_file), "", 0, PATH_MAX - 1, NULL,
     "file to which the log is appended; empty: standard error"},
    {"log", "level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, log_level_names,
     "how much is logged: each level includes those before it"},
    {NULL, NULL, CONFIG_TEXT, 0, NULL, 0, 0, NULL, NULL},
};
/* clang-format on */

int node_options_check(const struct node_options *o, char *why, size_t why_size)
{
    if (o->request_timeout_ms < o->node_timeout_ms) {
        snprintf(why, why_size,
                 "[replication] request_timeout (%" PRId64
                 "ms) is shorter than node_timeout (%" PRId64
                 "ms), so what is in flight when the node ends could not wait until a dead one is "
                 "noticed; make it longer",
                 o->request_timeout_ms, o->node_timeout_ms);
        return RK_INVALID;
    }
    return 0;
}

static int check(const void *options, char *why, size_t why_size)
{
    return node_options_check(options, why, why_size);
}

int node_options_load(struct node_options *o, const char *path, char *const *sets, size_t set_count,
                      char *why, size_t why_size)
{
    return config_load(node_settings, o, path, sets, set_count, check, why, why_size);
}

void node_options_free(struct node_options *o)
{
    config_free(&(struct config){.settings = node_settings, .options = o});
}
