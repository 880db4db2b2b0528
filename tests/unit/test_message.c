/* Messages: each is read as it was written, and what is cut, longer or out of range is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/message_touched.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include "tests/request_args.h"
#include <cmocka.h>
#include <string.h>

static struct buf out;

static int start(void **state)
{
    (void)state;
    out = (struct buf){0};
    return 0;
}

static int finish(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

/* The one frame in `out`. */
static struct frame only_frame(uint8_t type)
{
    struct frame f;

    assert_int_equal(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &f), buf_len(&out));
    assert_int_equal(f.type, type);
    return f;
}

/* Decodes from a block of exactly this size, so that a sanitizer sees one byte too many. */
static int decode(int (*get)(struct bytes body), struct bytes body)
{
    uint8_t *copy = malloc(body.size ? body.size : 1);
    int error;

    assert_non_null(copy);
    if (body.size)
        memcpy(copy, body.data, body.size);
    error = get(bytes_of(copy, body.size));
    free(copy);
    return error;
}

/* --- one of each ---------------------------------------------------------------------------- */

static void fill(uint8_t *to, size_t size, uint8_t from)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(from + i);
}

static struct hello sample_hello(void)
{
    struct hello m = {
        .role = ROLE_NODE, .from_shard = SHARDS_MAX - 1, .shard = SHARD_FRONT, .epoch = UINT64_MAX};

    fill(m.cluster, IDENTITY_SIZE, 1);
    fill(m.identity, IDENTITY_SIZE, 50);
    fill(m.target, IDENTITY_SIZE, 100);
    return m;
}

static int put_hello(void)
{
    struct hello m = sample_hello();

    return message_put_hello(&out, &m);
}

static int put_welcome(void)
{
    struct welcome m = {.shards = SHARDS_MAX, .epoch = UINT64_MAX - 1};

    fill(m.cluster, IDENTITY_SIZE, 3);
    fill(m.identity, IDENTITY_SIZE, 60);
    return message_put_welcome(&out, &m);
}

static int put_goodbye(void)
{
    return message_put_goodbye(&out, RK_CLUSTER, "go away");
}

static int put_ping(void)
{
    return message_put_ping(&out, 1);
}

static int put_pong(void)
{
    return message_put_pong(&out, UINT64_MAX);
}

static int put_waits(void)
{
    return message_put_waits(&out, UINT64_MAX);
}

static int put_touched_get(void)
{
    return message_put_touched_get(&out, &(struct touched_get){.tag = 1, .since = UINT64_MAX});
}

static int put_touched(void)
{
    static const uint8_t partitions[] = {0, 0, 0, 0, 0xff, 0xff, 0, 0};
    struct touched m = {.tag = 1,
                        .touches = UINT64_MAX,
                        .count = 2,
                        .partitions = bytes_of(partitions, sizeof(partitions))};

    return message_put_touched(&out, &m);
}

static int put_ring_get(void)
{
    return message_put_ring_get(&out, 0);
}

static int put_status_get(void)
{
    return message_put_status_get(&out, 5);
}

static int put_ring(void)
{
    return message_put_ring(&out, 6, bytes_from("a ring"));
}

static int put_status(void)
{
    return message_put_status(&out, 7, bytes_from("a=1\n"));
}

static int put_ring_put(void)
{
    struct ring_put m = {UINT64_MAX, UINT64_MAX, bytes_from("a ring")};

    return message_put_ring_put(&out, &m);
}

static int put_done(void)
{
    struct done m = {9, RK_READONLY, UINT64_MAX, bytes_from("why")};

    return message_put_done(&out, &m);
}

static int put_request(void)
{
    struct request m = {.id = 1,
                        .epoch = 2,
                        .view = 3,
                        .session = 4,
                        .number = 5,
                        .partition = PARTITIONS_MAX - 1,
                        .op = OP_MSET,
                        .level = LEVEL_ANY,
                        .wait_ms = 0x1234};
    struct request_args args = {.count = 0};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(request_args_add_key(&args, UINT64_MAX, bytes_from("key")), 0);
        assert_int_equal(request_args_add(&args, bytes_from(i ? "value" : "")), 0);
    }
    return request_args_put(&args, m, &out);
}

static int put_kind(uint8_t kind)
{
    struct reply m = {.id = UINT64_MAX,
                      .kind = kind,
                      .refusal = REFUSAL_FORGOTTEN,
                      .integer = INT64_MIN,
                      .epoch = 8,
                      .view = 9,
                      .op = 10,
                      .data = bytes_from("some data")};

    return message_put_reply(&out, &m);
}

static int put_ok(void)
{
    return put_kind(REPLY_OK);
}

static int put_nil(void)
{
    return put_kind(REPLY_NIL);
}

static int put_integer(void)
{
    return put_kind(REPLY_INTEGER);
}

static int put_bulk(void)
{
    return put_kind(REPLY_BULK);
}

static int put_error(void)
{
    return put_kind(REPLY_ERROR);
}

static int put_refused(void)
{
    return put_kind(REPLY_REFUSED);
}

static int put_array(void)
{
    struct bytes value = bytes_from("value"), empty = {0};
    size_t begun = message_begin_array_reply(&out, 3);

    assert_int_not_equal(begun, SIZE_MAX);
    assert_int_equal(message_add_value(&out, begun, &value), 0);
    assert_int_equal(message_add_value(&out, begun, NULL), 0);
    assert_int_equal(message_add_value(&out, begun, &empty), 0);
    assert_int_equal(message_add_value(&out, begun, NULL), 0);
    return message_end_array_reply(&out, begun, (struct bytes){0});
}

/* --- their decoders, each as a function of the body ----------------------------------------- */

static int get_hello(struct bytes body)
{
    struct hello m;

    return message_get_hello(body, &m);
}

static int get_welcome(struct bytes body)
{
    struct welcome m;

    return message_get_welcome(body, &m);
}

static int get_goodbye(struct bytes body)
{
    struct goodbye m;

    return message_get_goodbye(body, &m);
}

static int get_tag(struct bytes body)
{
    uint64_t tag;

    return message_get_tag(body, &tag);
}

static int get_tagged(struct bytes body)
{
    struct bytes rest;
    uint64_t tag;

    return message_get_tagged(body, &tag, &rest);
}

static int get_ring_put(struct bytes body)
{
    struct ring_put m;

    return message_get_ring_put(body, &m);
}

static int get_done(struct bytes body)
{
    struct done m;

    return message_get_done(body, &m);
}

static int get_touched_get(struct bytes body)
{
    struct touched_get m;

    return message_get_touched_get(body, &m);
}

static int get_touched(struct bytes body)
{
    struct touched m;

    return message_get_touched(body, &m);
}

static int get_request(struct bytes body)
{
    struct request m;

    return message_get_request(body, &m);
}

static int get_reply(struct bytes body)
{
    struct reply m;

    return message_get_reply(body, &m);
}

/* `tail_from`: what stands from there on is a text of any length; 0: none. */
static const struct sample {
    uint8_t type;
    int (*put)(void);
    int (*get)(struct bytes body);
    size_t tail_from;
} samples[] = {
    {MESSAGE_HELLO, put_hello, get_hello, 0},
    {MESSAGE_WELCOME, put_welcome, get_welcome, 0},
    {MESSAGE_GOODBYE, put_goodbye, get_goodbye, 1},
    {MESSAGE_PING, put_ping, get_tag, 0},
    {MESSAGE_PONG, put_pong, get_tag, 0},
    {MESSAGE_WAITS, put_waits, get_tag, 0},
    {MESSAGE_TOUCHED_GET, put_touched_get, get_touched_get, 0},
    {MESSAGE_TOUCHED, put_touched, get_touched, 0},
    {MESSAGE_RING_GET, put_ring_get, get_tag, 0},
    {MESSAGE_STATUS_GET, put_status_get, get_tag, 0},
    {MESSAGE_RING, put_ring, get_tagged, 8},
    {MESSAGE_STATUS, put_status, get_tagged, 8},
    {MESSAGE_RING_PUT, put_ring_put, get_ring_put, 16},
    {MESSAGE_DONE, put_done, get_done, 17},
    {MESSAGE_REQUEST, put_request, get_request, 0},
    {MESSAGE_REPLY, put_ok, get_reply, 0},
    {MESSAGE_REPLY, put_nil, get_reply, 0},
    {MESSAGE_REPLY, put_integer, get_reply, 0},
    {MESSAGE_REPLY, put_bulk, get_reply, 12},
    {MESSAGE_REPLY, put_error, get_reply, 12},
    {MESSAGE_REPLY, put_refused, get_reply, 0},
    {MESSAGE_REPLY, put_array, get_reply, 0},
};

/* A partition that there cannot be, more than there may be, and names where none should be. */
static void test_touched_extremes(void **state)
{
    static uint8_t partitions[4 * (TOUCHED_MAX + 1)];
    struct touched m = {.tag = 3, .touches = 5}, got;

    (void)state;
    for (uint32_t count = 0; count <= TOUCHED_MAX + 1; count++) {
        m.count = count;
        m.partitions = bytes_of(partitions, (size_t)4 * count);
        for (int any = 0; any <= 1; any++) {
            m.any = any;
            buf_truncate(&out, 0);
            assert_int_equal(message_put_touched(&out, &m), 0);
            assert_int_equal(message_get_touched(only_frame(MESSAGE_TOUCHED).body, &got),
                             count > TOUCHED_MAX || (any && count) ? RK_CORRUPT : 0);
        }
    }
    m.any = false;
    m.count = 1;
    m.partitions.size = 4;
    for (uint32_t partition = PARTITIONS_MAX - 1; partition <= PARTITIONS_MAX; partition++) {
        wire_put_u32(partitions, partition);
        buf_truncate(&out, 0);
        assert_int_equal(message_put_touched(&out, &m), 0);
        assert_int_equal(message_get_touched(only_frame(MESSAGE_TOUCHED).body, &got),
                         partition == PARTITIONS_MAX ? RK_CORRUPT : 0);
        if (partition < PARTITIONS_MAX)
            assert_int_equal(touched_partition(&got, 0), partition);
    }
}

static void test_cut_and_longer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];

        buf_truncate(&out, 0);
        assert_int_equal(s->put(), 0);

        struct bytes body = only_frame(s->type).body;

        assert_int_equal(decode(s->get, body), 0);
        for (size_t size = 0; size < body.size; size++)
            assert_int_equal(decode(s->get, bytes_of(body.data, size)),
                             s->tail_from && size >= s->tail_from ? 0 : RK_CORRUPT);
        assert_int_equal(s->get((struct bytes){0}), RK_CORRUPT);
        assert_int_equal(buf_append(&out, "", 1), 0);
        body.data = buf_head(&out) + FRAME_HEADER_SIZE;
        assert_int_equal(decode(s->get, bytes_of(body.data, body.size + 1)),
                         s->tail_from ? 0 : RK_CORRUPT);
    }
}

static void test_appended(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        assert_int_equal(samples[i].put(), 0);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct frame f;
        int64_t size = frame_read(buf_bytes(&out), FRAME_BODY_MAX, &f);

        assert_true(size > 0);
        assert_int_equal(f.type, samples[i].type);
        assert_int_equal(samples[i].get(f.body), 0);
        buf_consume(&out, (size_t)size);
    }
    assert_int_equal(buf_len(&out), 0);
}

/* --- fields --------------------------------------------------------------------------------- */

static void test_handshake_fields(void **state)
{
    struct hello hello = sample_hello(), h;
    struct welcome w;
    struct goodbye g;

    (void)state;
    assert_int_equal(put_hello(), 0);
    assert_int_equal(message_get_hello(only_frame(MESSAGE_HELLO).body, &h), 0);
    assert_int_equal(h.role, ROLE_NODE);
    assert_int_equal(h.from_shard, SHARDS_MAX - 1);
    assert_int_equal(h.shard, SHARD_FRONT);
    assert_int_equal(h.epoch, UINT64_MAX);
    assert_memory_equal(h.cluster, hello.cluster, IDENTITY_SIZE);
    assert_memory_equal(h.identity, hello.identity, IDENTITY_SIZE);
    assert_memory_equal(h.target, hello.target, IDENTITY_SIZE);

    buf_truncate(&out, 0);
    assert_int_equal(put_welcome(), 0);
    assert_int_equal(message_get_welcome(only_frame(MESSAGE_WELCOME).body, &w), 0);
    assert_int_equal(w.shards, SHARDS_MAX);
    assert_int_equal(w.epoch, UINT64_MAX - 1);
    assert_int_equal(w.cluster[0], 3);
    assert_int_equal(w.identity[15], 75);

    buf_truncate(&out, 0);
    assert_int_equal(put_goodbye(), 0);
    assert_int_equal(message_get_goodbye(only_frame(MESSAGE_GOODBYE).body, &g), 0);
    assert_int_equal(g.error, RK_CLUSTER);
    assert_true(bytes_equal(g.text, bytes_from("go away")));
}

/* Sets a byte of the body of what `put` makes, and decodes. */
static int decode_with(int (*put)(void), int (*get)(struct bytes body), size_t at, uint8_t value)
{
    buf_truncate(&out, 0);
    assert_int_equal(put(), 0);
    buf_head(&out)[FRAME_HEADER_SIZE + at] = value;
    return decode(get,
                  bytes_of(buf_head(&out) + FRAME_HEADER_SIZE, buf_len(&out) - FRAME_HEADER_SIZE));
}

static void test_handshake_ranges(void **state)
{
    (void)state;
    for (int role = 0; role < 256; role++)
        assert_int_equal(decode_with(put_hello, get_hello, 0, (uint8_t)role),
                         role >= ROLE_PROXY && role <= ROLE_CONTROL ? 0 : RK_CORRUPT);
    for (int shard = 0; shard < 256; shard++)
        assert_int_equal(decode_with(put_hello, get_hello, 1, (uint8_t)shard),
                         shard < SHARDS_MAX ? 0 : RK_CORRUPT);
    for (int shards = 0; shards < 256; shards++)
        assert_int_equal(decode_with(put_welcome, get_welcome, 0, (uint8_t)shards),
                         shards >= 1 && shards <= SHARDS_MAX ? 0 : RK_CORRUPT);
    assert_int_equal(decode_with(put_welcome, get_welcome, 1, 1), RK_CORRUPT);
}

static void test_ring_fields(void **state)
{
    struct ring_put put;
    struct done done;
    struct bytes rest;
    uint64_t tag;

    (void)state;
    assert_int_equal(put_ring_put(), 0);
    assert_int_equal(message_get_ring_put(only_frame(MESSAGE_RING_PUT).body, &put), 0);
    assert_true(put.tag == UINT64_MAX && put.expected_epoch == UINT64_MAX);
    assert_true(bytes_equal(put.ring, bytes_from("a ring")));

    for (int error = 0; error >= -255; error--) {
        struct done m = {9, error, 10, {0}};

        buf_truncate(&out, 0);
        assert_int_equal(message_put_done(&out, &m), 0);
        assert_int_equal(message_get_done(only_frame(MESSAGE_DONE).body, &done), 0);
        assert_true(done.tag == 9 && done.epoch == 10 && done.text.size == 0);
        assert_int_equal(done.error, error);
    }

    buf_truncate(&out, 0);
    assert_int_equal(message_put_ring(&out, 77, (struct bytes){0}), 0);
    assert_int_equal(message_get_tagged(only_frame(MESSAGE_RING).body, &tag, &rest), 0);
    assert_int_equal(tag, 77);
    assert_int_equal(rest.size, 0);

    buf_truncate(&out, 0);
    assert_int_equal(put_pong(), 0);
    assert_int_equal(message_get_tag(only_frame(MESSAGE_PONG).body, &tag), 0);
    assert_true(tag == UINT64_MAX);
}

static void test_views(void **state)
{
    (void)state;
    assert_true(view_of(1, 2) == 0x10002);
    assert_true(view_number(view_of(UINT64_MAX >> 16, 0xfffe)) == UINT64_MAX >> 16);
    assert_int_equal(view_member(view_of(UINT64_MAX >> 16, 0xfffe)), 0xfffe);
    assert_true(view_of(2, 1) > view_of(1, 0xffff));
}

/* --- replies -------------------------------------------------------------------------------- */

static void test_reply_fields(void **state)
{
    struct reply m;

    (void)state;
    for (uint8_t kind = REPLY_OK; kind <= REPLY_REFUSED; kind++) {
        if (kind == REPLY_ARRAY)
            continue;
        buf_truncate(&out, 0);
        assert_int_equal(put_kind(kind), 0);
        assert_int_equal(message_get_reply(only_frame(MESSAGE_REPLY).body, &m), 0);
        assert_true(m.id == UINT64_MAX);
        assert_int_equal(m.kind, kind);
        assert_int_equal(m.refusal, kind == REPLY_REFUSED ? REFUSAL_FORGOTTEN : 0);
        assert_true(m.integer == (kind == REPLY_INTEGER ? INT64_MIN : 0));
        assert_int_equal(m.epoch, kind == REPLY_REFUSED ? 8 : 0);
        assert_int_equal(m.view, kind == REPLY_REFUSED ? 9 : 0);
        assert_int_equal(m.op, kind == REPLY_REFUSED ? 10 : 0);
        assert_int_equal(m.proof.size, 0);
        assert_true(bytes_equal(
            m.data, bytes_from(kind == REPLY_BULK || kind == REPLY_ERROR ? "some data" : "")));
    }
}

static void test_reply_array(void **state)
{
    struct reply m;
    bool nil;

    (void)state;
    assert_int_equal(put_array(), 0);
    assert_int_equal(message_get_reply(only_frame(MESSAGE_REPLY).body, &m), 0);
    assert_int_equal(m.kind, REPLY_ARRAY);
    assert_int_equal(m.count, 4);
    assert_true(bytes_equal(message_next_arg(&m.data, &nil), bytes_from("value")) && !nil);
    assert_true(message_next_arg(&m.data, &nil).size == 0 && nil);
    assert_true(message_next_arg(&m.data, &nil).size == 0 && !nil);
    assert_true(message_next_arg(&m.data, NULL).size == 0);
    assert_int_equal(m.data.size, 0);
}

static void test_reply_ranges(void **state)
{
    (void)state;
    for (int kind = 0; kind < 256; kind++)
        assert_int_equal(decode_with(put_ok, get_reply, 8, (uint8_t)kind),
                         kind == REPLY_OK || kind == REPLY_NIL || kind == REPLY_BULK ||
                                 kind == REPLY_ERROR
                             ? 0
                             : RK_CORRUPT);
    for (int refusal = 0; refusal < 256; refusal++) {
        assert_int_equal(decode_with(put_refused, get_reply, 9, (uint8_t)refusal),
                         refusal >= 1 && refusal <= REFUSAL_FORGOTTEN ? 0 : RK_CORRUPT);
        assert_int_equal(decode_with(put_bulk, get_reply, 9, (uint8_t)refusal),
                         refusal ? RK_CORRUPT : 0);
    }
    assert_int_equal(decode_with(put_ok, get_reply, 10, 1), RK_CORRUPT);
    assert_int_equal(decode_with(put_ok, get_reply, 11, 0x80), RK_CORRUPT);
    /* Counts and sizes larger than the data, and smaller. */
    assert_int_equal(decode_with(put_array, get_reply, 12, 5), RK_CORRUPT);
    assert_int_equal(decode_with(put_array, get_reply, 12, 3), RK_CORRUPT);
    assert_int_equal(decode_with(put_array, get_reply, 15, 0xff), RK_CORRUPT);
    assert_int_equal(decode_with(put_array, get_reply, 16, 4), RK_CORRUPT);
    assert_int_equal(decode_with(put_array, get_reply, 16, 6), RK_CORRUPT);
    assert_int_equal(decode_with(put_array, get_reply, 19, 0xff), RK_CORRUPT);
}

static void test_reply_count_max(void **state)
{
    (void)state;
    for (uint32_t count = MESSAGE_ARGS_MAX; count <= MESSAGE_ARGS_MAX + 1; count++) {
        size_t begun;

        buf_truncate(&out, 0);
        begun = message_begin_array_reply(&out, 1);
        assert_int_not_equal(begun, SIZE_MAX);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(message_add_value(&out, begun, NULL), 0);
        assert_int_equal(message_end_array_reply(&out, begun, (struct bytes){0}), 0);
        assert_int_equal(get_reply(only_frame(MESSAGE_REPLY).body),
                         count <= MESSAGE_ARGS_MAX ? 0 : RK_CORRUPT);
    }
    /* None at all is an array, too. */
    buf_truncate(&out, 0);
    assert_int_equal(
        message_end_array_reply(&out, message_begin_array_reply(&out, 1), (struct bytes){0}), 0);
    assert_int_equal(get_reply(only_frame(MESSAGE_REPLY).body), 0);
}

/* Whatever stands in the body already, up to its very last bytes, more than a frame holds is
 * refused, and what stood before the frame stays. */
static void test_too_big(void **state)
{
    enum { HEAD = 12 + 4 };
    uint8_t *data = calloc(1, FRAME_BODY_MAX + 1);
    struct bytes value;

    (void)state;
    assert_non_null(data);
    assert_int_equal(put_ping(), 0);

    size_t before = buf_len(&out);

    for (size_t left = 0; left < 10; left++) {
        size_t begun = message_begin_array_reply(&out, 1);

        value = bytes_of(data, FRAME_BODY_MAX - HEAD - 4 - left);
        assert_int_equal(message_add_value(&out, begun, &value), 0);
        value = bytes_of(data, left < 4 ? 0 : left - 4 + 1);
        assert_int_equal(message_add_value(&out, begun, &value), RK_TOOBIG);
        assert_int_equal(buf_len(&out), before);

        begun = message_begin_array_reply(&out, 1);
        value = bytes_of(data, FRAME_BODY_MAX - HEAD - 4 - left);
        assert_int_equal(message_add_value(&out, begun, &value), 0);
        value = bytes_of(data, FRAME_BODY_MAX);
        assert_int_equal(message_add_value(&out, begun, &value), RK_TOOBIG);
        assert_int_equal(buf_len(&out), before);
    }
    value = bytes_of(data, FRAME_BODY_MAX - 7);
    assert_int_equal(message_put_ring(&out, 1, value), RK_TOOBIG);
    assert_int_equal(buf_len(&out), before);
    assert_int_equal(message_put_ring(&out, 1, bytes_of(data, FRAME_BODY_MAX - 8)), 0);
    assert_int_equal(buf_len(&out), before + FRAME_HEADER_SIZE + FRAME_BODY_MAX);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_touched_extremes, start, finish),
        cmocka_unit_test_setup_teardown(test_cut_and_longer, start, finish),
        cmocka_unit_test_setup_teardown(test_appended, start, finish),
        cmocka_unit_test_setup_teardown(test_handshake_fields, start, finish),
        cmocka_unit_test_setup_teardown(test_handshake_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_ring_fields, start, finish),
        cmocka_unit_test(test_views),
        cmocka_unit_test_setup_teardown(test_reply_fields, start, finish),
        cmocka_unit_test_setup_teardown(test_reply_array, start, finish),
        cmocka_unit_test_setup_teardown(test_reply_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_reply_count_max, start, finish),
        cmocka_unit_test_setup_teardown(test_too_big, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
