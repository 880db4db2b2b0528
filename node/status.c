#include "node/status.h"
#include "node/worker.h"
#include "shared/error.h"
#include "shared/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>

static int put_number(struct buf *out, const char *name, uint64_t value)
{
    char line[96];
    int size = snprintf(line, sizeof(line), "%s=%" PRIu64 "\n", name, value);

    return buf_append(out, line, (size_t)size);
}

static int put_text(struct buf *out, const char *name, const char *value)
{
    char line[384];
    int size = snprintf(line, sizeof(line), "%s=%s\n", name, value);

    return buf_append(out, line, (size_t)size);
}

static int put_hex(struct buf *out, const char *name, const uint8_t id[IDENTITY_SIZE])
{
    char hex[2 * IDENTITY_SIZE + 1];

    for (int i = 0; i < IDENTITY_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    return put_text(out, name, hex);
}

/* The numbers that are summed over the shards: name, and where in struct worker_report. */
#define SUMS(X)                                         \
    X("keys", store.keys)                               \
    X("tombstones", store.tombstones)                   \
    X("live_bytes", store.live_bytes)                   \
    X("expiring", store.expiring)                       \
    X("file_bytes", store.file_bytes)                   \
    X("log_bytes", store.log_bytes)                     \
    X("memory_bytes", store.memory_bytes)               \
    X("memory_max", store.memory_max)                   \
    X("store_writes", store.writes)                     \
    X("store_syncs", store.syncs)                       \
    X("store_sync_us", store.sync_us)                   \
    X("store_checkpoints", store.checkpoints)           \
    X("store_slowdowns", store.slowdowns)               \
    X("store_held_back_us", store.held_back_us)         \
    X("store_full_refusals", store.full_refusals)       \
    X("store_nospace_refusals", store.nospace_refusals) \
    X("store_no_room", store.no_room)                   \
    X("scrub_records", store.scrub_records)             \
    X("scrub_damaged", store.scrub_damaged)             \
    X("partitions_primary", groups.primary)             \
    X("partitions_backup", groups.backup)               \
    X("partitions_behind", groups.behind)               \
    X("partitions_transfer", groups.transfer)           \
    X("partitions_idle", groups.idle)                   \
    X("partitions_learning", groups.learning)           \
    X("reads", shard.reads)                             \
    X("writes", shard.writes)                           \
    X("refused_epoch", shard.refused_epoch)             \
    X("refused_elsewhere", shard.refused_elsewhere)     \
    X("refused_noquorum", shard.refused_noquorum)       \
    X("refused_nospace", shard.refused_nospace)         \
    X("refused_busy", shard.refused_busy)               \
    X("refused_malformed", shard.refused_malformed)     \
    X("touched_told", shard.touched_told)               \
    X("damaged_reads", shard.damaged)                   \
    X("uncertain", shard.uncertain)                     \
    X("forgotten", shard.forgotten)                     \
    X("answered_again", shard.answered_again)           \
    X("relayed", shard.relayed)                         \
    X("tombstones_swept", shard.tombstones_swept)       \
    X("expired", shard.expired)                         \
    X("records_copied", shard.records_copied)           \
    X("bytes_copied", shard.bytes_copied)               \
    X("records_dropped", shard.records_dropped)         \
    X("steps_sent", shard.steps_sent)                   \
    X("steps_applied", shard.steps_applied)             \
    X("steps_waited", shard.steps_waited)               \
    X("steps_dropped", shard.steps_dropped)             \
    X("requests_waited", shard.requests_waited)         \
    X("waited_too_long", shard.waited_too_long)         \
    X("line_full", shard.line_full)                     \
    X("line_requests", line_requests)                   \
    X("line_bytes", line_bytes)                         \
    X("gaps", shard.gaps)                               \
    X("transfers", shard.transfers)                     \
    X("chunks_sent", shard.chunks_sent)                 \
    X("chunks_taken", shard.chunks_taken)               \
    X("ranges_differ", shard.ranges_differ)             \
    X("chunks_again", shard.chunks_again)               \
    X("records_differ", shard.records_differ)           \
    X("records_repaired", shard.records_repaired)       \
    X("view_changes", shard.view_changes)               \
    X("bad_messages", shard.bad_messages)               \
    X("links_up", links.up)                             \
    X("links_opened", links.opened)                     \
    X("links_lost", links.lost)                         \
    X("links_refused", links.refused)                   \
    X("links_bytes_in", links.bytes_in)                 \
    X("proxy_connections", clients)                     \
    X("output_pauses", output_pauses)                   \
    X("bad_requests", bad_requests)                     \
    X("held_bytes", held_bytes)                         \
    X("held_items", held_items)                         \
    X("history_bytes", history_bytes)                   \
    X("history_dropped", history_dropped)

enum {
#define X(name, field) +1
    SUM_COUNT = 0 SUMS(X)
#undef X
};

static const char *const sum_names[SUM_COUNT] = {
#define X(name, field) name,
    SUMS(X)
#undef X
};

static void add_sums(uint64_t sums[SUM_COUNT], const struct worker_report *r)
{
    size_t i = 0;

#define X(name, field) sums[i++] += r->field;
    SUMS(X)
#undef X
}

static int put_ring(struct buf *out, const struct node *node, const struct ring *ring)
{
    int error = put_number(out, "epoch", ring ? ring->epoch : 0);
    int me = ring ? ring_member_by_identity(ring, node->folder.identity) : -1;

    if (!error && ring)
        error = put_hex(out, "cluster", ring->cluster);
    if (!error && me >= 0)
        error = put_text(out, "name", ring->members[me].name);
    return error;
}

/* Room on the file system of the data folder, as an ordinary user can have it. 0: not known. */
static int put_disk(struct buf *out, const struct node *node)
{
    struct statvfs fs;
    bool known = statvfs(node->folder.path, &fs) == 0;
    int error = put_number(out, "disk_free", known ? (uint64_t)fs.f_bavail * fs.f_frsize : 0);

    return error ? error
                 : put_number(out, "disk_total", known ? (uint64_t)fs.f_blocks * fs.f_frsize : 0);
}

/* Partitions in which this node votes. */
static uint64_t count_held(const struct node *node, const struct ring *ring)
{
    int me = ring ? ring_member_by_identity(ring, node->folder.identity) : -1;
    uint64_t held = 0;

    for (uint32_t p = 0; me >= 0 && p < ring_partitions(ring); p++)
        held += ring_replicas_has(ring_replicas(ring, p), (uint16_t)me);
    return held;
}

/* The shards' numbers. Partitions of which none tells are behind: a node that has just started has
 * not looked at them yet, and whoever restarts one node after the other waits until nothing is
 * behind. */
static void sum_up(const struct node *node, const struct ring *ring, uint64_t sums[SUM_COUNT])
{
    uint64_t held = count_held(node, ring), told = 0;
    struct worker_report rest = {.clients = 0};

    for (uint16_t i = 0; i < node->folder.shards; i++) {
        struct worker_report r;

        worker_report(node->workers[i], &r);
        add_sums(sums, &r);
        told += r.groups.primary + r.groups.backup + r.groups.behind + r.groups.transfer +
                r.groups.idle;
    }
    rest.groups.behind = (uint32_t)(held > told ? held - told : 0);
    add_sums(sums, &rest);
}

int status_write(const struct node *node, const struct ring *ring, const struct status_front *front,
                 struct buf *out)
{
    uint64_t sums[SUM_COUNT] = {0};
    int error = put_text(out, "version", PACKAGE_VERSION);

    sum_up(node, ring, sums);
    error = error ? error : put_hex(out, "identity", node->folder.identity);
    error = error ? error : put_ring(out, node, ring);
    error = error ? error : put_number(out, "epoch_heard", front->epoch_heard);
    error = error ? error : put_number(out, "shards", node->folder.shards);
    error = error ? error : put_text(out, "sync", node_sync_names[node->options.sync]);
    error = error ? error : put_number(out, "max_value", (uint64_t)node->options.max_value);
    error = error ? error : put_number(out, "uptime_s", front->uptime_s);
    error = error ? error : put_number(out, "unix_ms", front->unix_ms);
    error = error ? error : put_disk(out, node);
    error = error ? error : put_number(out, "connections", front->connections);
    error = error ? error : put_number(out, "connections_accepted", front->accepted);
    error = error ? error : put_number(out, "connections_refused", front->refused);
    error = error ? error : put_number(out, "accept_pauses", front->accept_pauses);
    error = error ? error : put_number(out, "handshake_failures", front->handshake_failures);
    error = error ? error : put_number(out, "log_lines_lost", log_lost());
    for (size_t i = 0; i < SUM_COUNT && !error; i++)
        error = put_number(out, sum_names[i], sums[i]);
    return error;
}
