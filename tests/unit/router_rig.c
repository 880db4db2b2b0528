#include "router_rig.h"
#include "proxy/facts.h"
#include <stdio.h>

static void no_facts(void *arg, struct facts *out)
{
    (void)arg;
    *out = (struct facts){.version = "0", .listen = "127.0.0.1:1", .config_path = ""};
}

static const char *no_peer(void *arg, const struct session *s)
{
    (void)arg;
    (void)s;
    return "127.0.0.1:2";
}

static struct ring *ring_of_two(uint64_t epoch)
{
    struct ring *ring = ring_new(2, RIG_BITS);
    char why[256];

    assert_non_null(ring);
    ring->epoch = epoch;
    ring->cluster[0] = 1;
    ring->hash = POSITION_MD5;
    ring->replicas = 2;
    ring->next_number = 3;
    for (uint16_t i = 0; i < 2; i++) {
        struct ring_member *m = &ring->members[i];

        m->identity[0] = (uint8_t)(i + 1);
        m->number = (uint16_t)(i + 1);
        m->port = (uint16_t)(7001 + i);
        m->shards = 2;
        m->weight = 1;
        snprintf(m->name, sizeof(m->name), "n%d", i + 1);
        snprintf(m->host, sizeof(m->host), "127.0.0.1");
    }
    /* Pairs, so that each member leads partitions of both of its shards. */
    for (uint32_t p = 0; p < ring_partitions(ring); p++)
        ring->owners[p] = p / 2 % 2;
    if (ring_finish(ring, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return ring;
}

void rig_next_ring(struct rig *r, uint64_t epoch)
{
    struct lane **lanes = calloc(RIG_LANES, sizeof(*lanes));
    uint32_t *lane_first = calloc(2, sizeof(*lane_first));
    struct ring *old = r->ring;

    for (unsigned i = 0; i < RIG_LANES; i++)
        lanes[i] = &r->lanes[i];
    lane_first[1] = 2;
    r->ring = ring_of_two(epoch);
    assert_int_equal(router_set_ring(&r->router, r->ring, lanes, lane_first, r->router.now_ms), 0);
    ring_free(old);
}

void rig_start(struct rig *r)
{
    struct router_ports ports = {NULL, no_facts, no_peer};

    memset(r, 0, sizeof(*r));
    router_init(&r->router, &ports, &r->counters);
    r->router.request_timeout_ms = RIG_TIMEOUT_MS;
    r->router.lane_output_max = RIG_OUTPUT_MAX;
    r->router.session = 77;
    r->router.now_ms = 1000;
    session_init(&r->session, 5, &r->out);
    rig_next_ring(r, 1);
    for (unsigned i = 0; i < RIG_LANES; i++)
        router_lane_up(&r->router, &r->lanes[i], &r->lane_out[i]);
}

void rig_finish(struct rig *r)
{
    assert_null(r->session.first);
    router_leave(&r->router, &r->session);
    session_destroy(&r->session);
    router_destroy(&r->router);
    ring_free(r->ring);
    for (unsigned i = 0; i < RIG_LANES; i++)
        buf_free(&r->lane_out[i]);
    buf_free(&r->out);
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

void rig_key(struct rig *r, unsigned lane, char key[16])
{
    for (int i = 0;; i++) {
        uint32_t partition;

        snprintf(key, 16, "k%d", i);
        partition = ring_partition(r->ring, position_of(r->router.positioner, bytes_from(key)));
        if (ring_replicas(r->ring, partition)->member[0] == lane / 2 && partition % 2 == lane % 2)
            return;
    }
}

bool rig_request(struct rig *r, unsigned lane, struct request *m)
{
    struct buf *out = &r->lane_out[lane];
    struct bytes in = {buf_head(out) + r->lane_read[lane], buf_len(out) - r->lane_read[lane]};
    struct frame frame;
    int64_t size;

    if (in.size == 0)
        return false;
    size = frame_read(in, FRAME_BODY_MAX, &frame);
    assert_true(size > 0);
    assert_int_equal(frame.type, MESSAGE_REQUEST);
    assert_int_equal(message_get_request(frame.body, m), 0);
    r->lane_read[lane] += (size_t)size;
    return true;
}

bool rig_any_request(struct rig *r, struct request *m, unsigned *lane)
{
    for (*lane = 0; *lane < RIG_LANES; ++*lane)
        if (rig_request(r, *lane, m))
            return true;
    return false;
}

static void give(struct rig *r, unsigned lane, struct buf *from)
{
    struct frame frame;

    assert_true(frame_read(buf_bytes(from), FRAME_BODY_MAX, &frame) > 0);
    assert_int_equal(router_reply(&r->router, &r->lanes[lane], frame.body), 0);
    buf_free(from);
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
        assert_int_equal(message_end_array_reply(&out, begun), 0);
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

void rig_refuse(struct rig *r, unsigned lane, uint64_t id, enum refusal why)
{
    rig_reply(r, lane, &(struct reply){.id = id, .kind = REPLY_REFUSED, .refusal = (uint8_t)why});
}

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
