#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/frame.h"
#include "shared/operation.h"
#include "shared/ring_change.h"
#include "shared/wire.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { TICK_MS = 25, CANDIDATE_MS = 100, HAND_BACK_MS = 200, SETTLE_TICKS = 400, BITS = 2 };

/* --- the shard's host ----------------------------------------------------------------------- */

static int index_of(uint16_t member)
{
    return member - 1;
}

static struct buf *client_out(void *arg, uint64_t client)
{
    struct rig_node *n = arg;

    return client == RIG_CLIENT ? &n->replies : NULL;
}

static struct buf *peer_out(void *arg, uint16_t member, uint32_t partition)
{
    struct rig_node *n = arg;

    (void)partition;
    return n->rig->nodes[index_of(member)].shard ? &n->out[index_of(member)] : NULL;
}

static bool peer_has_room(void *arg, uint16_t member, uint32_t partition)
{
    return peer_out(arg, member, partition) != NULL;
}

static bool peer_alive(void *arg, uint16_t member, uint32_t partition)
{
    struct rig_node *n = arg;

    return peer_has_room(arg, member, partition) && !n->rig->nodes[index_of(member)].stopped;
}

static void peer_break(void *arg, uint16_t member, uint32_t partition)
{
    struct rig_node *n = arg;

    (void)partition;
    n->breaks[index_of(member)]++;
}

static void newer_epoch(void *arg, uint64_t epoch, uint16_t member)
{
    (void)arg;
    (void)epoch;
    (void)member;
}

/* --- life ----------------------------------------------------------------------------------- */

static struct ring *make_ring(int nodes)
{
    struct ring *ring = ring_new((uint32_t)nodes, BITS);

    assert_non_null(ring);
    ring->cluster[0] = 1;
    ring->epoch = 1;
    ring->hash = POSITION_MD5;
    ring->replicas = (uint8_t)nodes;
    ring->next_number = (uint16_t)(nodes + 1);
    for (int i = 0; i < nodes; i++) {
        struct ring_member *m = &ring->members[i];

        m->identity[0] = m->number = (uint8_t)(i + 1);
        m->port = 1;
        m->shards = m->weight = 1;
        snprintf(m->name, sizeof(m->name), "n%d", i);
        snprintf(m->host, sizeof(m->host), "h%d", i);
    }
    for (uint32_t p = 0; p < ring_partitions(ring); p++)
        ring->owners[p] = (uint16_t)(p % (uint32_t)nodes);
    assert_int_equal(ring_finish(ring, NULL, 0), 0);
    return ring;
}

void rig_start(struct shard_rig *r, int node)
{
    struct rig_node *n = &r->nodes[node];
    struct shard_options options = {.count = 1,
                                    .value_max = 1 << 20,
                                    .history_bytes = 1 << 26,
                                    .history_steps = r->history_steps,
                                    .held_max = 1 << 24,
                                    .candidate_ms = CANDIDATE_MS,
                                    .hand_back_ms = HAND_BACK_MS};
    struct shard_host host = {client_out,  peer_out, peer_has_room, peer_alive, peer_break,
                              newer_epoch, n};

    n->shard = shard_new(&options, &host, n->store);
    assert_non_null(n->shard);
    assert_int_equal(shard_set_ring(n->shard, r->ring, (uint16_t)(node + 1)), 0);
    for (int i = 0; i < r->count; i++)
        if (i != node && r->nodes[i].shard) {
            shard_peer_up(n->shard, (uint16_t)(i + 1), 0, 1);
            shard_peer_up(r->nodes[i].shard, (uint16_t)(node + 1), 0, 1);
        }
}

void rig_kill(struct shard_rig *r, int node)
{
    struct rig_node *n = &r->nodes[node];

    shard_free(n->shard);
    n->shard = NULL;
    store_memory_crash(n->store);
    for (int i = 0; i < r->count; i++) {
        buf_truncate(&n->out[i], 0);
        buf_truncate(&r->nodes[i].out[node], 0);
        if (r->nodes[i].shard)
            shard_peer_down(r->nodes[i].shard, (uint16_t)(node + 1), 0, 1);
    }
}

void rig_begin(struct shard_rig *r, int nodes, uint32_t history_steps)
{
    *r = (struct shard_rig){
        .count = nodes, .ring = make_ring(nodes), .history_steps = history_steps};
    for (int i = 0; i < nodes; i++) {
        r->nodes[i].rig = r;
        assert_int_equal(store_memory_new((uint64_t)i + 1, &r->nodes[i].store), 0);
        store_memory_auto(r->nodes[i].store, NULL, NULL);
    }
    for (int i = 0; i < nodes; i++)
        rig_start(r, i);
    rig_settle(r);
    assert_int_equal(rig_leader(r), 0);
}

void rig_end(struct shard_rig *r)
{
    for (int i = 0; i < r->count; i++) {
        shard_free(r->nodes[i].shard);
        store_close(r->nodes[i].store);
        buf_free(&r->nodes[i].replies);
        for (int j = 0; j < r->count; j++)
            buf_free(&r->nodes[i].out[j]);
    }
    ring_free(r->ring);
    buf_free(&r->record);
}

/* --- time and messages ---------------------------------------------------------------------- */

static void end_turn(struct rig_node *n)
{
    int error = 0;

    store_submit(n->store);
    if (shard_take_waiting(n->shard))
        store_submit(n->store);
    shard_synced(n->shard, store_poll(n->store, &error));
    assert_int_equal(error, 0);
    shard_turn_end(n->shard);
}

static void record(struct shard_rig *r, int from, int to, struct bytes frame)
{
    uint8_t way[2] = {(uint8_t)from, (uint8_t)to};

    if (r->records)
        assert_int_equal(
            buf_append(&r->record, way, 2) || buf_append(&r->record, frame.data, frame.size), 0);
}

/* Everything that lies on a link. */
static void deliver_link(struct shard_rig *r, int from, int to)
{
    struct buf frames = r->nodes[from].out[to];
    struct bytes rest = buf_bytes(&frames);

    r->nodes[from].out[to] = (struct buf){0};
    r->nodes[from].sent[to] += rest.size;
    while (rest.size && r->nodes[to].shard) {
        struct frame f;
        int64_t size = frame_read(rest, FRAME_BODY_MAX, &f);

        assert_true(size > 0);
        record(r, from, to, bytes_of(rest.data, (size_t)size));
        assert_int_equal(
            shard_peer_message(r->nodes[to].shard, (uint16_t)(from + 1), f.type, f.body), 0);
        rest = bytes_of(rest.data + size, rest.size - (size_t)size);
    }
    buf_free(&frames);
}

bool rig_deliver_once(struct shard_rig *r)
{
    bool moved = false;

    for (int i = 0; i < r->count; i++)
        if (r->nodes[i].shard && !r->nodes[i].stopped)
            end_turn(&r->nodes[i]);
    for (int from = 0; from < r->count; from++)
        for (int to = 0; to < r->count; to++)
            if (!r->nodes[to].stopped && buf_len(&r->nodes[from].out[to])) {
                deliver_link(r, from, to);
                moved = true;
            }
    return moved;
}

void rig_deliver(struct shard_rig *r)
{
    while (rig_deliver_once(r))
        ;
}

void rig_tick(struct shard_rig *r)
{
    r->now_ms += TICK_MS;
    for (int n = 0; n < r->count; n++)
        if (r->nodes[n].shard && !r->nodes[n].stopped)
            shard_tick(r->nodes[n].shard, r->now_ms, (int64_t)r->now_ms);
}

void rig_settle(struct shard_rig *r)
{
    for (int i = 0; i < SETTLE_TICKS; i++) {
        rig_tick(r);
        rig_deliver(r);
    }
}

struct shard *rig_shard(struct shard_rig *r, int node)
{
    return r->nodes[node].shard;
}

void rig_set_full(struct shard_rig *r, int node, bool full)
{
    store_memory_set_full(r->nodes[node].store, full);
}

/* --- requests ------------------------------------------------------------------------------- */

int rig_leader(const struct shard_rig *r)
{
    for (int i = 0; i < r->count; i++)
        if (r->nodes[i].shard && r->nodes[i].shard->groups[0].role == GROUP_PRIMARY)
            return i;
    return -1;
}

struct bytes rig_key(int number, uint8_t room[STORE_KEY_SIZE_MAX])
{
    wire_put_position(room, (uint64_t)number << 32);
    return bytes_of(room, POSITION_SIZE +
                              (size_t)snprintf((char *)room + POSITION_SIZE, 32, "key%d", number));
}

static void put_arg(struct buf *args, struct bytes arg)
{
    uint8_t size[4];

    wire_put_u32(size, (uint32_t)arg.size);
    assert_int_equal(buf_append(args, size, 4) || buf_append(args, arg.data, arg.size), 0);
}

static void send_request(struct shard_rig *r, int node, enum operation op, uint8_t level, int key,
                         struct bytes value, uint8_t flags)
{
    struct rig_node *n = &r->nodes[node];
    bool writes = operation_info(op)->writes, has_value = operation_info(op)->args[1] == 'v';
    struct request m = {.id = r->requests,
                        .epoch = ring_changed(r->ring, 0),
                        .view = n->shard->groups[0].view,
                        .session = writes ? 7 : 0,
                        .number = writes ? r->requests : 0,
                        .base_view = n->shard->groups[0].last.view,
                        .base_op = n->shard->groups[0].last.op,
                        .op = op,
                        .level = level,
                        .flags = flags,
                        .wait_ms = r->wait_ms,
                        .arg_count = has_value ? 2 : 1};
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct buf args = {0};

    put_arg(&args, rig_key(key, room));
    if (has_value)
        put_arg(&args, value);
    m.args = buf_bytes(&args);
    shard_request(n->shard, RIG_CLIENT, &m);
    buf_free(&args);
}

static struct reply ask(struct shard_rig *r, int node, enum operation op, uint8_t level, int key,
                        struct bytes value, uint8_t flags)
{
    struct rig_node *n = &r->nodes[node];
    struct frame f;
    struct reply reply;

    rig_forget_replies(r, node);
    send_request(r, node, op, level, key, value, flags);
    rig_deliver(r);
    assert_true(frame_read(buf_bytes(&n->replies), FRAME_BODY_MAX, &f) > 0);
    assert_int_equal(message_get_reply(f.body, &reply), 0);
    return reply;
}

struct reply rig_request(struct shard_rig *r, int node, enum operation op, uint8_t level, int key,
                         struct bytes value)
{
    r->requests++;
    return ask(r, node, op, level, key, value, 0);
}

struct reply rig_request_again(struct shard_rig *r, int node, enum operation op, int key,
                               struct bytes value)
{
    return ask(r, node, op, LEVEL_LINEAR, key, value, REQUEST_RETRY | REQUEST_LEAD);
}

void rig_send(struct shard_rig *r, int node, enum operation op, uint8_t level, int key,
              struct bytes value, uint8_t flags)
{
    r->requests++;
    send_request(r, node, op, level, key, value, flags);
}

void rig_send_set(struct shard_rig *r, int node, int key, struct bytes value)
{
    rig_send(r, node, OP_SET, LEVEL_LINEAR, key, value, 0);
}

void rig_forget_replies(struct shard_rig *r, int node)
{
    buf_truncate(&r->nodes[node].replies, 0);
}

int rig_count_ok(const struct shard_rig *r, int node)
{
    struct bytes rest = buf_bytes(&r->nodes[node].replies);
    struct frame f;
    struct reply reply;
    int64_t size;
    int count = 0;

    while ((size = frame_read(rest, FRAME_BODY_MAX, &f)) > 0) {
        if (f.type != MESSAGE_WAITS) {
            assert_int_equal(message_get_reply(f.body, &reply), 0);
            count += reply.kind == REPLY_OK;
        }
        rest = bytes_of(rest.data + size, rest.size - (size_t)size);
    }
    return count;
}

void rig_set(struct shard_rig *r, int key, struct bytes value)
{
    int leader = rig_leader(r);

    assert_true(leader >= 0);
    assert_int_equal(rig_request(r, leader, OP_SET, LEVEL_LINEAR, key, value).kind, REPLY_OK);
}

void rig_write(struct shard_rig *r, int node, const struct store_change *change)
{
    struct store_batch batch = {.changes = change, .change_count = 1};
    uint64_t position;

    assert_int_equal(store_apply(r->nodes[node].store, &batch, &position), 0);
    store_submit(r->nodes[node].store);
}

/* --- looking -------------------------------------------------------------------------------- */

static int add(void *arg, struct bytes key, const struct store_record *record)
{
    assert_non_null(record);
    range_digest_add(arg, key, record);
    return 0;
}

static struct range_digest digest_of(struct shard_rig *r, int node)
{
    struct range_digest d = {0};
    uint8_t first[STORE_KEY_SIZE_MAX + 1], last[STORE_KEY_SIZE_MAX];
    struct bytes none = {0};

    assert_int_equal(store_scan(r->nodes[node].store, key_range_first(r->ring, 0, none, first),
                                key_range_last(r->ring, 0, none, last), add, &d),
                     0);
    return d;
}

void rig_check_equal(struct shard_rig *r)
{
    int leader = rig_leader(r);
    struct range_digest wanted;

    assert_true(leader >= 0);
    wanted = digest_of(r, leader);
    for (int i = 0; i < r->count; i++) {
        const struct group *g = r->nodes[i].shard ? &r->nodes[i].shard->groups[0] : NULL;
        struct range_digest found;

        if (!g)
            continue;
        found = digest_of(r, i);
        assert_true(range_digest_equal(&found, &wanted));
        assert_false(g->partial);
        assert_int_equal(version_compare(g->last, r->nodes[leader].shard->groups[0].last), 0);
    }
}

/* --- changes -------------------------------------------------------------------------------- */

static void use_ring(struct shard_rig *r, int error, struct ring *next, const char *why)
{
    struct ring *before = r->ring;

    if (error)
        fail_msg("%s", why);
    r->ring = next;
    for (int i = 0; i < r->count; i++)
        if (r->nodes[i].shard)
            assert_int_equal(shard_set_ring(r->nodes[i].shard, next, (uint16_t)(i + 1)), 0);
    ring_free(before);
    rig_settle(r);
}

void rig_begin_change(struct shard_rig *r, uint8_t replicas)
{
    struct ring_asked asked = {.what = "set replicas", .who = "a test"};
    struct ring *target = ring_copy(r->ring), *next = NULL;
    char why[256] = "";
    int error;

    assert_non_null(target);
    target->replicas = replicas;
    assert_int_equal(ring_finish(target, NULL, 0), 0);
    error = ring_begin(r->ring, target, &asked, &next, why, sizeof(why));
    ring_free(target);
    use_ring(r, error, next, why);
}

void rig_use_phase(struct shard_rig *r, enum ring_phase phase)
{
    uint8_t phases[PARTITIONS_MAX];
    struct ring *next = NULL;
    char why[256] = "";
    int error;

    memset(phases, (int)phase, ring_partitions(r->ring));
    error = ring_advance(r->ring, phases, &next, why, sizeof(why));
    use_ring(r, error, next, why);
}

void rig_finish_change(struct shard_rig *r)
{
    struct ring *next = NULL;
    char why[256] = "";
    int error = ring_finish_change(r->ring, 1, &next, why, sizeof(why));

    use_ring(r, error, next, why);
}

void rig_cancel_change(struct shard_rig *r)
{
    struct ring *next = NULL;
    char why[256] = "";
    int error = ring_cancel(r->ring, &next, why, sizeof(why));

    use_ring(r, error, next, why);
}
