#include "router_rig.h"
#include "proxy/client_line.h"
#include "proxy/facts.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdio.h>

static void no_facts(void *arg, struct facts *out)
{
    (void)arg;
    *out = (struct facts){.version = "0", .config_path = ""};
}

static uint64_t no_time(void *arg)
{
    (void)arg;
    return 1700000000123456;
}

static void only_client(void *arg, struct session *s, struct client_facts *out)
{
    (void)arg;
    *out = (struct client_facts){
        .session = s, .address = "127.0.0.1:2", .local_address = "127.0.0.1:1", .user = "default"};
}

static struct ring *make_ring(uint64_t epoch, uint16_t members, uint8_t replicas)
{
    struct ring *ring = ring_new(members, RIG_BITS);
    char why[256];

    assert_non_null(ring);
    ring->epoch = epoch;
    ring->cluster[0] = 1;
    ring->hash = POSITION_MD5;
    ring->replicas = replicas;
    ring->next_number = (uint16_t)(RIG_FIRST_NUMBER + members);
    for (uint16_t i = 0; i < members; i++) {
        struct ring_member *m = &ring->members[i];

        m->identity[0] = (uint8_t)(i + 1);
        m->number = (uint16_t)(RIG_FIRST_NUMBER + i);
        m->port = (uint16_t)(7001 + i);
        m->shards = RIG_SHARDS;
        m->weight = 1;
        snprintf(m->name, sizeof(m->name), "n%d", i + 1);
        snprintf(m->host, sizeof(m->host), "127.0.0.1");
    }
    /* Pairs, so that each member leads partitions of both of its shards. */
    for (uint32_t p = 0; p < ring_partitions(ring); p++) {
        ring->owners[p] = (uint16_t)(p / 2 % members);
        ring->changed[p] = epoch;
    }
    if (ring_finish(ring, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return ring;
}

void rig_use_ring(struct rig *r, struct ring *ring)
{
    struct lane **lanes = calloc(RIG_LANES, sizeof(*lanes));
    uint32_t *lane_first = calloc(RIG_MEMBERS_MAX, sizeof(*lane_first)), count = 0;
    struct ring *old = r->ring;

    assert_non_null(lanes);
    assert_non_null(lane_first);
    for (unsigned i = 0; i < ring->member_count; i++) {
        lane_first[i] = count;
        for (unsigned s = 0; s < RIG_SHARDS; s++)
            lanes[count++] =
                &r->lanes[(ring->members[i].number - RIG_FIRST_NUMBER) * RIG_SHARDS + s];
    }
    r->ring = ring;
    assert_int_equal(router_set_ring(&r->router, ring, lanes, lane_first, r->router.now_ms), 0);
    ring_free(old);
}

void rig_next_ring(struct rig *r, uint64_t epoch)
{
    rig_use_ring(r, make_ring(epoch, r->members, r->replicas));
}

void rig_start(struct rig *r, uint8_t replicas)
{
    struct router_ports ports = {.unix_us = no_time, .facts = no_facts, .client = only_client};

    memset(r, 0, sizeof(*r));
    r->replicas = replicas;
    r->members = replicas > 3 ? RIG_MEMBERS_MAX : 3;
    router_init(&r->router, &ports, &r->counters);
    r->router.request_timeout_ms = RIG_TIMEOUT_MS;
    r->router.node_timeout_ms = RIG_NODE_TIMEOUT_MS;
    r->router.lane_output_max = RIG_OUTPUT_MAX;
    r->router.session = 77;
    r->router.now_ms = 1000;
    session_init(&r->session, 5, &r->out);
    rig_next_ring(r, 1);
    for (uint32_t p = 0; p < ring_partitions(r->ring); p++)
        r->views[p] = rig_view(ring_replicas(r->ring, p)->member[0] * RIG_SHARDS, RIG_VIEW_NUMBER);
    for (unsigned i = 0; i < r->members * RIG_SHARDS; i++) {
        r->lanes[i].heard_ms = r->router.now_ms;
        router_lane_up(&r->router, &r->lanes[i], &r->lane_out[i]);
    }
}

void rig_leave(struct rig *r)
{
    router_leave(&r->router, &r->session);
    r->left = true;
}

void rig_finish(struct rig *r)
{
    assert_null(r->session.first);
    assert_null(r->router.waiting.first);
    /* What is counted of what is under way came back to nothing. */
    assert_int_equal(r->session.pending + r->session.sent + r->session.waiting, 0);
    if (!r->left) {
        assert_int_equal(r->session.kept + r->session.sent_bytes + r->session.holding, 0);
        assert_int_equal(r->session.writes_sent + r->session.reads_apart + r->session.led, 0);
    }
    for (unsigned i = 0; i < RIG_LANES; i++) {
        assert_null(r->lanes[i].legs.first);
        assert_null(r->lanes[i].sharing.first);
        assert_int_equal(r->lanes[i].in_flight, 0);
    }
    router_leave(&r->router, &r->session);
    session_destroy(&r->session);
    router_destroy(&r->router);
    ring_free(r->ring);
    for (unsigned i = 0; i < RIG_LANES; i++)
        buf_free(&r->lane_out[i]);
    buf_free(&r->out);
}

void rig_know_views(struct rig *r)
{
    for (uint32_t p = 0; p < ring_partitions(r->ring); p++)
        r->router.routes[p] = (struct route){r->views[p], r->views[p], RIG_OP};
}

uint64_t rig_after(struct rig *r, uint64_t ms)
{
    r->router.now_us += ms * 1000;
    return router_tick(&r->router, r->router.now_ms + ms);
}

void rig_run(struct rig *r, const char *words)
{
    struct bytes args[256];
    uint32_t count = 0;

    for (;;) {
        size_t size = strcspn(words, " ");

        assert_true(count < 256);
        args[count++] = bytes_of(words, size);
        if (!words[size])
            break;
        words += size + 1;
    }
    router_execute(&r->router, &r->session, args, count);
}

void rig_run_key(struct rig *r, const char *format, const char *key)
{
    char words[128];

    snprintf(words, sizeof(words), format, key);
    rig_run(r, words);
}

static uint32_t partition_of(struct rig *r, const char *key)
{
    return ring_partition(r->ring, position_of(r->router.positioner, bytes_from(key)));
}

void rig_key(struct rig *r, unsigned lane, char key[16])
{
    int i = 0;

    do
        snprintf(key, 16, "k%d", i++);
    while (rig_replica(r, key, 0) != lane);
}

unsigned rig_replica(struct rig *r, const char *key, unsigned nth)
{
    uint32_t partition = partition_of(r, key);

    return ring_replicas(r->ring, partition)->member[nth] * RIG_SHARDS + partition % RIG_SHARDS;
}

uint64_t rig_view(unsigned lane, uint64_t number)
{
    return view_of(number, (uint16_t)(RIG_FIRST_NUMBER + lane / RIG_SHARDS));
}

/* --- what nodes get -------------------------------------------------------------------------- */

/* Looks at the next request on a lane. Returns its frame's size, 0: there is none. */
static size_t peek(struct rig *r, unsigned lane, struct request *m)
{
    struct frame frame;

    for (;;) {
        struct buf *out = &r->lane_out[lane];
        struct bytes in = buf_bytes(out);
        int64_t size;

        if (in.size == r->lane_read[lane])
            return 0;
        in = bytes_of(in.data + r->lane_read[lane], in.size - r->lane_read[lane]);
        size = frame_read(in, FRAME_BODY_MAX, &frame);
        assert_true(size > 0);
        if (frame.type == MESSAGE_TOUCHED_GET) {
            assert_int_equal(message_get_touched_get(frame.body, &r->lane_question[lane]), 0);
            r->lane_questions[lane]++;
            r->lane_read[lane] += (size_t)size;
            continue;
        }
        if (frame.type != MESSAGE_PING) {
            assert_int_equal(frame.type, MESSAGE_REQUEST);
            assert_int_equal(message_get_request(frame.body, m), 0);
            return (size_t)size;
        }
        r->lane_pings[lane]++;
        r->lane_read[lane] += (size_t)size;
    }
}

bool rig_raw(struct rig *r, unsigned lane, struct request *m)
{
    size_t size = peek(r, lane, m);

    r->lane_read[lane] += size;
    return size > 0;
}

/* As a node does with what is for the primary; whether it leads in the primary's place, or relays,
 * a test decides. */
static bool refused_for_view(struct rig *r, unsigned lane, const struct request *m)
{
    uint64_t view = r->views[m->partition];
    bool leads = rig_view(lane, view_number(view)) == view;

    if (m->level >= LEVEL_ANY || (m->flags & REQUEST_LEAD) || (leads && m->view == view))
        return false;
    rig_refuse_view(r, lane, m->id, REFUSAL_ELSEWHERE, view, leads ? RIG_OP : 0);
    return true;
}

bool rig_request(struct rig *r, unsigned lane, struct request *m)
{
    while (rig_raw(r, lane, m))
        if (!refused_for_view(r, lane, m))
            return true;
    return false;
}

bool rig_any_request(struct rig *r, struct request *m, unsigned *lane)
{
    bool refused;

    /* What one node refused may go to another. */
    do {
        refused = false;
        for (*lane = 0; *lane < RIG_LANES; ++*lane)
            while (rig_raw(r, *lane, m)) {
                if (!refused_for_view(r, *lane, m))
                    return true;
                refused = true;
            }
    } while (refused);
    return false;
}

/* The legs of an attempt differ in nothing else. */
static uint64_t without_leg(uint64_t id)
{
    return id & ~(UINT64_C(0xff) << 24);
}

void rig_read(struct rig *r, struct rig_read *read)
{
    unsigned value_lane = RIG_LANES, version_lane = RIG_LANES;
    struct request m;

    for (unsigned lane = 0; lane < RIG_LANES; lane++) {
        if (peek(r, lane, &m) == 0 || m.level < LEVEL_VALUE)
            continue;
        if (m.level == LEVEL_VALUE && value_lane == RIG_LANES &&
            (version_lane == RIG_LANES || without_leg(read->version.id) == without_leg(m.id))) {
            value_lane = lane;
            read->value = m;
        } else if (m.level == LEVEL_VERSION && version_lane == RIG_LANES &&
                   (value_lane == RIG_LANES || without_leg(read->value.id) == without_leg(m.id))) {
            version_lane = lane;
            read->version = m;
        }
    }
    assert_int_not_equal(value_lane, RIG_LANES);
    assert_int_not_equal(version_lane, RIG_LANES);
    assert_true(rig_raw(r, value_lane, &m) && rig_raw(r, version_lane, &m));
    read->value_lane = value_lane;
    read->version_lane = version_lane;
}

void rig_nothing_sent(struct rig *r)
{
    struct request m;

    for (unsigned lane = 0; lane < RIG_LANES; lane++)
        if (peek(r, lane, &m))
            fail_msg("%s was sent on lane %u", operation_info(m.op)->name, lane);
}

/* --- what nodes say -------------------------------------------------------------------------- */

void rig_heard(struct rig *r, unsigned lane)
{
    r->lanes[lane].heard_ms = r->router.now_ms;
}

void rig_waits(struct rig *r, unsigned lane, uint64_t id)
{
    struct buf out = {0};
    struct frame frame;

    assert_int_equal(message_put_waits(&out, id), 0);
    assert_true(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &frame) > 0);
    rig_heard(r, lane);
    assert_int_equal(router_waits(&r->router, &r->lanes[lane], frame.body), 0);
    buf_free(&out);
}

/* As the edge does: the router is called again at once when it wants that. */
static void give(struct rig *r, unsigned lane, struct buf *from)
{
    struct frame frame;

    assert_true(frame_read(buf_bytes(from), FRAME_BODY_MAX, &frame) > 0);
    rig_heard(r, lane);
    assert_int_equal(router_reply(&r->router, &r->lanes[lane], frame.body), 0);
    buf_free(from);
    if (router_next_ms(&r->router) == 0)
        router_tick(&r->router, r->router.now_ms);
}

void rig_reply(struct rig *r, unsigned lane, const struct reply *m)
{
    struct buf out = {0};

    if (m->kind == REPLY_ARRAY) {
        struct bytes rest = m->data;
        size_t begun = message_begin_array_reply(&out, m->id);

        for (uint32_t i = 0; i < m->count; i++) {
            bool nil;
            struct bytes value = message_next_arg(&rest, &nil);

            assert_int_equal(message_add_value(&out, begun, nil ? NULL : &value), 0);
        }
        assert_int_equal(message_end_array_reply(&out, begun, m->proof), 0);
    } else {
        assert_int_equal(message_put_reply(&out, m), 0);
    }
    give(r, lane, &out);
}

void rig_bulk(struct rig *r, unsigned lane, uint64_t id, const char *value)
{
    rig_reply(r, lane, &(struct reply){.id = id, .kind = REPLY_BULK, .data = bytes_from(value)});
}

void rig_integer(struct rig *r, unsigned lane, uint64_t id, int64_t value)
{
    rig_reply(r, lane, &(struct reply){.id = id, .kind = REPLY_INTEGER, .integer = value});
}

void rig_ok(struct rig *r, unsigned lane, uint64_t id)
{
    rig_reply(r, lane, &(struct reply){.id = id, .kind = REPLY_OK});
}

void rig_refuse_view(struct rig *r, unsigned lane, uint64_t id, enum refusal why, uint64_t view,
                     uint64_t op)
{
    rig_reply(r, lane,
              &(struct reply){.id = id,
                              .kind = REPLY_REFUSED,
                              .refusal = (uint8_t)why,
                              .epoch = r->ring->epoch,
                              .view = view,
                              .op = op});
}

void rig_refuse(struct rig *r, unsigned lane, uint64_t id, enum refusal why)
{
    rig_refuse_view(r, lane, id, why, 0, 0);
}

struct rig_proof rig_proof(uint64_t view, uint64_t op, unsigned keys)
{
    struct rig_proof proof = {.size = PROOF_HEAD_SIZE + keys * PROOF_VERSION_SIZE};

    assert_true(keys <= RIG_PROOF_KEYS_MAX);
    wire_put_u64(proof.data, view);
    wire_put_u64(proof.data + 8, op);
    for (uint8_t *at = proof.data + PROOF_HEAD_SIZE; keys > 0; keys--, at += PROOF_VERSION_SIZE) {
        wire_put_u64(at, view);
        wire_put_u64(at + 8, op);
    }
    return proof;
}

static struct bytes proof_bytes(const struct rig_proof *proof)
{
    return bytes_of(proof->data, proof->size);
}

void rig_value(struct rig *r, const struct rig_read *read, const char *value,
               const struct rig_proof *proof)
{
    rig_reply(r, read->value_lane,
              &(struct reply){.id = read->value.id,
                              .kind = REPLY_BULK,
                              .data = bytes_from(value),
                              .proof = proof_bytes(proof)});
}

void rig_version(struct rig *r, const struct rig_read *read, const struct rig_proof *proof)
{
    rig_reply(r, read->version_lane,
              &(struct reply){
                  .id = read->version.id, .kind = REPLY_VERSION, .proof = proof_bytes(proof)});
}

void rig_version_at(struct rig *r, const struct rig_read *read, const struct rig_proof *proof,
                    uint64_t op, uint64_t touches)
{
    rig_reply(r, read->version_lane,
              &(struct reply){.id = read->version.id,
                              .kind = REPLY_VERSION,
                              .op = op,
                              .touches = touches,
                              .proof = proof_bytes(proof)});
}

void rig_turn(struct rig *r)
{
    struct request m;

    while (router_next_dirty(&r->router))
        ;
    for (unsigned lane = 0; lane < RIG_LANES; lane++)
        peek(r, lane, &m);
}

void rig_touched(struct rig *r, unsigned lane, uint64_t touches, uint32_t partition)
{
    uint8_t named[4];
    struct touched m = {.tag = r->lane_question[lane].tag,
                        .touches = touches,
                        .any = partition == UINT32_MAX - 1,
                        .count = partition < PARTITIONS_MAX,
                        .partitions = {named, partition < PARTITIONS_MAX ? 4 : 0}};
    struct buf out = {0};
    struct frame frame;

    wire_put_u32(named, partition);
    assert_int_equal(message_put_touched(&out, &m), 0);
    assert_true(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &frame) > 0);
    rig_heard(r, lane);
    assert_int_equal(router_touched(&r->router, &r->lanes[lane], frame.body), 0);
    buf_free(&out);
}

void rig_agree(struct rig *r, const struct rig_read *read, const char *value)
{
    struct rig_proof proof = rig_proof(r->views[read->value.partition], RIG_OP, 1);

    rig_value(r, read, value, &proof);
    rig_version(r, read, &proof);
}

void rig_lane_lost(struct rig *r, unsigned lane)
{
    router_lane_lost(&r->router, &r->lanes[lane]);
    buf_truncate(&r->lane_out[lane], 0);
    r->lane_read[lane] = 0;
}

void rig_lane_up(struct rig *r, unsigned lane)
{
    rig_heard(r, lane);
    router_lane_up(&r->router, &r->lanes[lane], &r->lane_out[lane]);
}

/* --- what the client gets -------------------------------------------------------------------- */

static void expect(struct rig *r, const char *text, size_t size)
{
    size_t have = buf_len(&r->out);

    if (have != size || (size && memcmp(buf_head(&r->out), text, size) != 0))
        fail_msg("got '%.*s', not '%s'", (int)have, have ? (char *)buf_head(&r->out) : "", text);
    buf_consume(&r->out, have);
}

void rig_expect(struct rig *r, const char *text)
{
    expect(r, text, strlen(text));
}

void rig_expect_prefix(struct rig *r, const char *prefix)
{
    size_t size = strlen(prefix);

    if (buf_len(&r->out) > size)
        buf_truncate(&r->out, size);
    expect(r, prefix, size);
}
