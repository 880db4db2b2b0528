/* INFO: figures in the form that Redis's dashboards read. */
#include "proxy/answer.h"
#include "proxy/command_stats.h"
#include "proxy/commands.h"
#include "proxy/facts.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct report {
    struct buf text;
    const struct facts *facts;
    const struct router *router;
    bool failed;
};

static void line(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line, ended with CRLF. */
static void line(struct report *r, const char *format, ...)
{
    char text[512];
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (size < 0 || buf_append(&r->text, text, strnlen(text, sizeof(text))) != 0 ||
        buf_append(&r->text, "\r\n", 2) != 0)
        r->failed = true;
}

static void number(struct report *r, const char *name, uint64_t value)
{
    line(r, "%s:%llu", name, (unsigned long long)value);
}

/* With a second line for people, as 1.50M. */
static void size(struct report *r, const char *name, uint64_t bytes)
{
    static const char units[] = "BKMGT";
    double value = (double)bytes;
    int unit = 0;

    while (value >= 1024 && units[unit + 1]) {
        value /= 1024;
        unit++;
    }
    number(r, name, bytes);
    line(r, unit ? "%s_human:%.2f%c" : "%s_human:%.0f%c", name, value, units[unit]);
}

static void seconds(struct report *r, const char *name, uint64_t us)
{
    line(r, "%s:%llu.%06llu", name, (unsigned long long)(us / 1000000),
         (unsigned long long)(us % 1000000));
}

static void server(struct report *r)
{
    const struct facts *f = r->facts;

    line(r, "redis_version:" FACTS_REDIS_VERSION);
    line(r, "redis_mode:standalone");
    line(r, "ringkv_version:%s", f->version);
    line(r, "os:%s", f->system);
    number(r, "arch_bits", sizeof(void *) * 8);
    line(r, "monotonic_clock:POSIX clock_gettime");
    line(r, "multiplexing_api:libevent");
    line(r, "atomicvar_api:c11-builtin");
    number(r, "process_id", f->process_id);
    line(r, "process_supervised:no");
    line(r, "run_id:%s", f->run_id);
    number(r, "tcp_port", f->tcp_port);
    number(r, "server_time_usec", f->unix_us);
    number(r, "uptime_in_seconds", f->uptime_s);
    number(r, "uptime_in_days", f->uptime_s / 86400);
    line(r, "executable:%s", f->executable);
    line(r, "config_file:%s", f->config_path);
    number(r, "io_threads_active", f->threads > 1);
}

static void clients(struct report *r)
{
    number(r, "connected_clients", r->facts->clients);
    number(r, "cluster_connections", 0);
    number(r, "maxclients", r->facts->max_clients);
    number(r, "client_recent_max_input_buffer", 0);
    number(r, "client_recent_max_output_buffer", 0);
    number(r, "blocked_clients", 0);
    number(r, "tracking_clients", 0);
    number(r, "clients_in_timeout_table", 0);
}

static void memory(struct report *r)
{
    const struct facts *f = r->facts;

    size(r, "used_memory", f->memory_used);
    size(r, "used_memory_rss", f->memory_rss);
    size(r, "used_memory_peak", f->memory_peak);
    line(r, "used_memory_peak_perc:%.2f%%",
         f->memory_peak ? 100 * (double)f->memory_rss / (double)f->memory_peak : 0);
    number(r, "used_memory_overhead", f->memory_used);
    number(r, "used_memory_startup", 0);
    number(r, "used_memory_dataset", 0);
    number(r, "allocator_allocated", f->memory_used);
    number(r, "allocator_active", f->memory_heap);
    number(r, "allocator_resident", f->memory_rss);
    size(r, "total_system_memory", f->memory_system);
    size(r, "maxmemory", 0);
    line(r, "maxmemory_policy:noeviction");
    line(r, "mem_fragmentation_ratio:%.2f",
         f->memory_used ? (double)f->memory_rss / (double)f->memory_used : 0);
    number(r, "mem_fragmentation_bytes",
           f->memory_rss > f->memory_used ? f->memory_rss - f->memory_used : 0);
    number(r, "mem_clients_slaves", 0);
    number(r, "mem_clients_normal", 0);
    number(r, "mem_aof_buffer", 0);
    line(r, "mem_allocator:libc");
    number(r, "active_defrag_running", 0);
    number(r, "lazyfree_pending_objects", 0);
}

static void persistence(struct report *r)
{
    /* The nodes persist; a proxy is never loading. */
    number(r, "loading", 0);
    number(r, "async_loading", 0);
    number(r, "rdb_changes_since_last_save", 0);
    number(r, "rdb_bgsave_in_progress", 0);
    number(r, "rdb_last_save_time", r->facts->unix_us / 1000000);
    line(r, "rdb_last_bgsave_status:ok");
    line(r, "rdb_last_bgsave_time_sec:-1");
    line(r, "rdb_current_bgsave_time_sec:-1");
    number(r, "aof_enabled", 1);
    number(r, "aof_rewrite_in_progress", 0);
    number(r, "aof_rewrite_scheduled", 0);
    line(r, "aof_last_rewrite_time_sec:-1");
    line(r, "aof_current_rewrite_time_sec:-1");
    line(r, "aof_last_bgrewrite_status:ok");
    line(r, "aof_last_write_status:ok");
}

static void stats(struct report *r)
{
    const struct facts *f = r->facts;

    number(r, "total_connections_received", f->connections);
    number(r, "total_commands_processed", f->commands);
    number(r, "instantaneous_ops_per_sec", f->commands_per_s);
    number(r, "total_net_input_bytes", f->bytes_in);
    number(r, "total_net_output_bytes", f->bytes_out);
    line(r, "instantaneous_input_kbps:%.2f", (double)f->in_bytes_per_s / 1024);
    line(r, "instantaneous_output_kbps:%.2f", (double)f->out_bytes_per_s / 1024);
    number(r, "rejected_connections", f->rejected_connections + f->denied_connections);
    number(r, "sync_full", 0);
    number(r, "sync_partial_ok", 0);
    number(r, "sync_partial_err", 0);
    number(r, "expired_keys", 0);
    number(r, "evicted_keys", 0);
    number(r, "keyspace_hits", f->hits);
    number(r, "keyspace_misses", f->misses);
    number(r, "pubsub_channels", 0);
    number(r, "pubsub_patterns", 0);
    number(r, "latest_fork_usec", 0);
    number(r, "total_forks", 0);
    number(r, "unexpected_error_replies", 0);
    number(r, "total_error_replies", f->error_replies);
}

static void replication(struct report *r)
{
    line(r, "role:master");
    number(r, "connected_slaves", 0);
    line(r, "master_failover_state:no-failover");
    line(r, "master_replid:%s", r->facts->run_id);
    line(r, "master_replid2:0000000000000000000000000000000000000000");
    number(r, "master_repl_offset", 0);
    line(r, "second_repl_offset:-1");
    number(r, "repl_backlog_active", 0);
    number(r, "repl_backlog_size", 0);
    number(r, "repl_backlog_first_byte_offset", 0);
    number(r, "repl_backlog_histlen", 0);
}

static void cpu(struct report *r)
{
    seconds(r, "used_cpu_sys", r->facts->cpu_system_us);
    seconds(r, "used_cpu_user", r->facts->cpu_user_us);
    seconds(r, "used_cpu_sys_children", 0);
    seconds(r, "used_cpu_user_children", 0);
}

static void cluster(struct report *r)
{
    /* To its clients a proxy is one Redis that holds everything. */
    number(r, "cluster_enabled", 0);
}

static void keyspace(struct report *r)
{
    const struct keyspace *k = &r->facts->keyspace;

    /* Redis too says nothing of a database without keys. */
    if (k->keys)
        line(r, "db0:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0", k->keys, k->expiring);
}

static void ringkv(struct report *r)
{
    const struct facts *f = r->facts;
    const struct ring *ring = r->router->ring;

    number(r, "ring_epoch", ring ? ring->epoch : 0);
    number(r, "ring_members", ring ? ring->member_count : 0);
    number(r, "ring_partitions", ring ? ring_partitions(ring) : 0);
    number(r, "ring_replicas", ring ? ring->replicas : 0);
    number(r, "threads", f->threads);
    number(r, "links_up", f->links);
    number(r, "pending", f->pending);
#define X(name, text) number(r, #name, f->name);
    PROXY_COUNTERS(X)
#undef X
    number(r, "refused_noquorum", f->errors[ERROR_NOQUORUM]);
    number(r, "refused_nospace", f->errors[ERROR_NOSPACE]);
    number(r, "refused_busy", f->errors[ERROR_BUSY]);
    number(r, "uncertain", f->errors[ERROR_UNCERTAIN]);
    number(r, "log_lines_lost", f->log_lines_lost);
}

static void errorstats(struct report *r)
{
    for (int i = 0; i < ERROR_CODE_COUNT; i++)
        if (r->facts->errors[i])
            line(r, "errorstat_%s:count=%" PRIu64, error_code_name((enum error_code)i),
                 r->facts->errors[i]);
}

static void put_stat(struct report *r, struct command_stats *sum, const struct command *c)
{
    const struct command_stat *row = command_stats_row(sum, c);
    uint64_t calls = counter_read(&row->calls), us = counter_read(&row->took_us);
    uint64_t rejected = counter_read(&row->rejected);

    if (calls || rejected)
        line(r,
             "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64
             ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64,
             c->name, calls, us, calls ? (double)us / (double)calls : 0, rejected,
             counter_read(&row->failed));
}

static void put_latency(struct report *r, struct command_stats *sum, const struct command *c)
{
    const struct histogram *h = &command_stats_row(sum, c)->answered;

    if (histogram_count(h))
        line(r,
             "latency_percentiles_usec_%s:p50=%" PRIu64 ".000,p99=%" PRIu64 ".000,p99.9=%" PRIu64
             ".000",
             c->name, histogram_quantile(h, 500), histogram_quantile(h, 990),
             histogram_quantile(h, 999));
}

typedef void stat_writer(struct report *r, struct command_stats *sum, const struct command *c);

/* Of all threads together, command by command. */
static void write_stats(struct report *r, stat_writer *put)
{
    const struct command_index *index = &r->router->commands;
    struct command_stats *sum = calloc(1, sizeof(*sum));

    if (!sum) {
        r->failed = true;
        return;
    }
    r->router->ports.command_stats(r->router->ports.arg, sum);
    for (uint32_t i = 0; i < index->count; i++) {
        put(r, sum, index->all[i]);
        for (const struct command *sub = index->all[i]->subcommands; sub && sub->name; sub++)
            put(r, sum, sub);
    }
    free(sum);
}

static void commandstats(struct report *r)
{
    write_stats(r, put_stat);
}

static void latencystats(struct report *r)
{
    write_stats(r, put_latency);
}

static const struct section {
    const char *name;
    const char *title;
    void (*write)(struct report *r);
    bool extra; /* not by default */
} sections[] = {
    {"server", "Server", server, false},
    {"clients", "Clients", clients, false},
    {"memory", "Memory", memory, false},
    {"persistence", "Persistence", persistence, false},
    {"stats", "Stats", stats, false},
    {"replication", "Replication", replication, false},
    {"cpu", "CPU", cpu, false},
    {"commandstats", "Commandstats", commandstats, true},
    {"errorstats", "Errorstats", errorstats, false},
    {"latencystats", "Latencystats", latencystats, true},
    {"cluster", "Cluster", cluster, false},
    {"keyspace", "Keyspace", keyspace, false},
    {"ringkv", "Ringkv", ringkv, false},
};

static bool section_asked(const struct execution *x, const struct section *s)
{
    for (uint32_t i = 1; i < x->count; i++)
        if (resp_word_is(x->args[i], s->name) || resp_word_is(x->args[i], "all") ||
            resp_word_is(x->args[i], "everything") ||
            (!s->extra && resp_word_is(x->args[i], "default")))
            return true;
    return x->count == 1 && !s->extra;
}

void run_info(struct execution *x)
{
    struct facts facts;
    struct report r = {.facts = &facts, .router = x->router};

    x->router->ports.facts(x->router->ports.arg, &facts);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!section_asked(x, &sections[i]))
            continue;
        if (buf_len(&r.text))
            line(&r, "%s", "");
        line(&r, "# %s", sections[i].title);
        sections[i].write(&r);
    }
    if (r.failed)
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    else
        reply_verbatim(x, buf_bytes(&r.text));
    buf_free(&r.text);
}
