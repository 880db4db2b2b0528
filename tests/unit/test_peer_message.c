/* Messages between replicas: each is read as it was written, and what is cut, longer or out of
 * range is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "node/peer_message.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/wire.h"
#include <cmocka.h>
#include <string.h>

enum { RESULT = 6 };
enum { STEP_HEAD = 84 + RESULT, CHUNK_HEAD = 80, CHANGE_HEAD = 36 };

static struct buf out;
static uint8_t key_data[STORE_KEY_SIZE_MAX + 1];

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

static uint8_t *body(void)
{
    return buf_head(&out) + FRAME_HEADER_SIZE;
}

static size_t body_size(void)
{
    return buf_len(&out) - FRAME_HEADER_SIZE;
}

static int get_signals(struct bytes in)
{
    return peer_check_signals(in);
}

static int get_step(struct bytes in)
{
    struct step s;

    return peer_get_step(in, &s);
}

static int get_chunk(struct bytes in)
{
    struct chunk c;

    return peer_get_chunk(in, &c);
}

/* Decodes from a block of exactly this size, so that a sanitizer sees one byte too many. */
static int decode_some(int (*get)(struct bytes in), size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    int error;

    assert_non_null(copy);
    memcpy(copy, body(), size);
    error = get(bytes_of(copy, size));
    free(copy);
    return error;
}

static int decode(int (*get)(struct bytes in))
{
    return decode_some(get, body_size());
}

static void check_cut_and_longer(int (*get)(struct bytes in))
{
    size_t size = body_size();

    assert_int_equal(decode(get), 0);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(decode_some(get, cut), RK_CORRUPT);
    assert_int_equal(get((struct bytes){0}), RK_CORRUPT);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_int_equal(decode(get), RK_CORRUPT);
}

/* --- signals -------------------------------------------------------------------------------- */

static const struct signal sample_signal = {.kind = SIGNAL_ACK,
                                            .flags = SIGNAL_PARTIAL,
                                            .partition = PARTITIONS_MAX - 1,
                                            .epoch = UINT64_MAX - 3,
                                            .view = UINT64_MAX,
                                            .last = {UINT64_MAX - 1, UINT64_MAX - 2}};

static void put_signals(size_t count)
{
    size_t begun;

    buf_truncate(&out, 0);
    begun = peer_begin_signals(&out);
    assert_int_not_equal(begun, SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(peer_add_signal(&out, &sample_signal), 0);
    assert_int_equal(frame_end(&out, begun), 0);
}

static void test_signals(void **state)
{
    struct bytes rest;
    struct signal s;
    size_t count = 0;

    (void)state;
    put_signals(3);
    rest = bytes_of(body(), body_size());
    assert_int_equal(peer_check_signals(rest), 0);
    while (peer_next_signal(&rest, &s)) {
        assert_int_equal(s.kind, SIGNAL_ACK);
        assert_int_equal(s.flags, SIGNAL_PARTIAL);
        assert_int_equal(s.partition, PARTITIONS_MAX - 1);
        assert_true(s.epoch == UINT64_MAX - 3 && s.view == UINT64_MAX);
        assert_true(s.last.view == UINT64_MAX - 1 && s.last.op == UINT64_MAX - 2);
        count++;
    }
    assert_int_equal(count, 3);
}

static void test_signals_cut(void **state)
{
    (void)state;
    put_signals(3);
    for (size_t size = 0; size <= body_size(); size++)
        assert_int_equal(decode_some(get_signals, size),
                         size > 0 && size % SIGNAL_SIZE == 0 ? 0 : RK_CORRUPT);
    put_signals(SIGNALS_MAX);
    assert_int_equal(decode(get_signals), 0);
    put_signals(SIGNALS_MAX + 1);
    assert_int_equal(decode(get_signals), RK_CORRUPT);
    assert_int_equal(get_signals((struct bytes){0}), RK_CORRUPT);
}

/* One bad signal among good ones makes the message bad, whichever it is. */
static void test_signal_ranges(void **state)
{
    (void)state;
    for (size_t at = 0; at < 3; at++)
        for (int value = 0; value < 256; value++) {
            put_signals(3);

            uint8_t *signal = body() + at * SIGNAL_SIZE;

            signal[0] = (uint8_t)value;
            assert_int_equal(decode(get_signals),
                             value >= SIGNAL_PREPARE && value <= SIGNAL_DAMAGED ? 0 : RK_CORRUPT);
            signal[0] = SIGNAL_LEAD;
            signal[1] = (uint8_t)value;
            assert_int_equal(decode(get_signals), value <= 3 ? 0 : RK_CORRUPT);
            signal[1] = 0;
            signal[2] = (uint8_t)value;
            assert_int_equal(decode(get_signals), value ? RK_CORRUPT : 0);
            signal[2] = 0;
            wire_put_u32(signal + 4, PARTITIONS_MAX + (uint32_t)value);
            assert_int_equal(decode(get_signals), RK_CORRUPT);
            wire_put_u32(signal + 4, (uint32_t)value);
            assert_int_equal(decode(get_signals), 0);
        }
}

/* --- steps ---------------------------------------------------------------------------------- */

static const struct step sample_step = {.epoch = UINT64_MAX,
                                        .view = UINT64_MAX,
                                        .partition = PARTITIONS_MAX - 1,
                                        .kind = STEP_OPERATION,
                                        .from = {UINT64_MAX - 1, UINT64_MAX - 1},
                                        .at = {UINT64_MAX - 1, UINT64_MAX},
                                        .session = UINT64_MAX - 2,
                                        .number = UINT64_MAX - 3,
                                        .result_kind = REPLY_ERROR,
                                        .result_integer = INT64_MIN,
                                        .result_data = {(const uint8_t *)"result", RESULT}};

static struct store_change put_of(size_t key_size, struct bytes value)
{
    return (struct store_change){
        STORE_PUT, bytes_of(key_data, key_size), {{UINT64_MAX, 7}, INT64_MAX, false, value}};
}

static struct store_change tombstone_of(size_t key_size)
{
    return (struct store_change){
        STORE_PUT, bytes_of(key_data, key_size), {{5, UINT64_MAX}, 0, true, {0}}};
}

static struct store_change forget_of(size_t key_size)
{
    return (struct store_change){STORE_FORGET, bytes_of(key_data, key_size), {{0, 0}, 0, 0, {0}}};
}

static void put_step(const struct step *s, const struct store_change *changes, size_t count)
{
    buf_truncate(&out, 0);
    assert_int_equal(peer_put_step(&out, s, changes, count), 0);
}

static void check_change(struct bytes *rest, const struct store_change *wanted)
{
    struct store_change c;

    assert_true(peer_next_change(rest, &c));
    assert_int_equal(c.kind, wanted->kind);
    assert_true(bytes_equal(c.key, wanted->key));
    assert_int_equal(version_compare(c.record.version, wanted->record.version), 0);
    assert_true(c.record.expire_ms == wanted->record.expire_ms);
    assert_int_equal(c.record.deleted, wanted->record.deleted);
    assert_true(bytes_equal(c.record.value, wanted->record.value));
}

static void test_step(void **state)
{
    struct store_change changes[] = {put_of(STORE_KEY_SIZE_MAX, bytes_of("v\0w", 3)),
                                     put_of(POSITION_SIZE + 1, (struct bytes){0}), tombstone_of(20),
                                     forget_of(30)};
    struct step s;

    (void)state;
    put_step(&sample_step, changes, 4);
    assert_int_equal(peer_get_step(bytes_of(body(), body_size()), &s), 0);
    assert_true(s.epoch == UINT64_MAX && s.view == UINT64_MAX);
    assert_true(s.partition == PARTITIONS_MAX - 1 && s.kind == STEP_OPERATION);
    assert_int_equal(version_compare(s.from, sample_step.from), 0);
    assert_int_equal(version_compare(s.at, sample_step.at), 0);
    assert_true(s.session == UINT64_MAX - 2 && s.number == UINT64_MAX - 3);
    assert_true(s.result_kind == REPLY_ERROR && s.result_integer == INT64_MIN);
    assert_true(bytes_equal(s.result_data, bytes_from("result")));
    assert_int_equal(s.change_count, 4);
    for (size_t i = 0; i < 4; i++)
        check_change(&s.changes, &changes[i]);
    assert_false(peer_next_change(&s.changes, &changes[0]));
    check_cut_and_longer(get_step);
}

/* A tombstone keeps its version and goes without a value, whatever the caller left in there. */
static void test_deleted_has_no_value(void **state)
{
    struct store_change change = tombstone_of(9), forget = forget_of(9);
    struct step s;

    (void)state;
    change.record.value = bytes_from("left over");
    forget.record = (struct store_record){{1, 2}, 3, true, bytes_from("left over")};
    put_step(&sample_step, &change, 1);
    assert_int_equal(peer_get_step(bytes_of(body(), body_size()), &s), 0);
    change.record.value = (struct bytes){0};
    check_change(&s.changes, &change);
    put_step(&sample_step, &forget, 1);
    assert_int_equal(peer_get_step(bytes_of(body(), body_size()), &s), 0);
    forget.record = (struct store_record){0};
    check_change(&s.changes, &forget);
}

static void test_step_restamp(void **state)
{
    struct store_change change = put_of(9, bytes_from("v"));
    struct frame f;
    struct step s;

    (void)state;
    put_step(&sample_step, &change, 1);
    peer_restamp_step(buf_head(&out), 12, UINT64_MAX - 1);
    assert_int_equal(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &f), buf_len(&out));
    assert_int_equal(peer_get_step(f.body, &s), 0);
    assert_true(s.epoch == 12 && s.view == UINT64_MAX - 1);
    assert_int_equal(version_compare(s.at, sample_step.at), 0);
    check_change(&s.changes, &change);
}

static int step_with(struct step s, const struct store_change *changes, size_t count)
{
    put_step(&s, changes, count);
    return decode(get_step);
}

static void test_step_ranges(void **state)
{
    struct store_change change = forget_of(9);
    struct step s = sample_step;

    (void)state;
    assert_int_equal(step_with(s, NULL, 0), 0);
    s.partition = PARTITIONS_MAX;
    assert_int_equal(step_with(s, NULL, 0), RK_CORRUPT);
    for (int kind = 0; kind < 256; kind++) {
        s = sample_step;
        s.kind = (uint8_t)kind;
        assert_int_equal(step_with(s, NULL, 0), kind == STEP_OPERATION ? 0 : RK_CORRUPT);
        s = (struct step){.view = 2, .kind = (uint8_t)kind, .from = {1, 9}, .at = {2, 0}};
        assert_int_equal(step_with(s, NULL, 0), kind == STEP_START ? 0 : RK_CORRUPT);
    }
    /* A start has no changes, begins a later view than it comes from, and not a later one than its
     * sender leads. */
    s = (struct step){.view = 2, .kind = STEP_START, .from = {1, 9}, .at = {2, 0}};
    assert_int_equal(step_with(s, &change, 1), RK_CORRUPT);
    s.at.op = 1;
    assert_int_equal(step_with(s, NULL, 0), RK_CORRUPT);
    s.at = (struct version){1, 0};
    assert_int_equal(step_with(s, NULL, 0), RK_CORRUPT);
    s.at = (struct version){3, 0};
    assert_int_equal(step_with(s, NULL, 0), RK_CORRUPT);
    /* An operation follows its predecessor in the same view. */
    s = (struct step){.view = 2, .kind = STEP_OPERATION, .from = {2, 4}, .at = {2, 5}};
    assert_int_equal(step_with(s, &change, 1), 0);
    s.at.op = 4;
    assert_int_equal(step_with(s, &change, 1), RK_CORRUPT);
    s.at.op = 6;
    assert_int_equal(step_with(s, &change, 1), RK_CORRUPT);
    s = (struct step){.view = 2, .kind = STEP_OPERATION, .from = {1, 4}, .at = {2, 5}};
    assert_int_equal(step_with(s, &change, 1), RK_CORRUPT);
    s = (struct step){.view = 2, .kind = STEP_OPERATION, .from = {2, UINT64_MAX}, .at = {2, 0}};
    assert_int_equal(step_with(s, &change, 1), RK_CORRUPT);
    s = (struct step){.view = 0, .kind = STEP_OPERATION, .from = {0, 4}, .at = {0, 5}};
    assert_int_equal(step_with(s, &change, 1), RK_CORRUPT);
}

/* What a request was answered: of a kind that one can be answered at once; as large as may be. */
static void test_step_results(void **state)
{
    static const uint8_t large[1 << 20];
    struct step s = sample_step;

    (void)state;
    for (int kind = 0; kind < 256; kind++) {
        s.result_kind = (uint8_t)kind;
        assert_int_equal(step_with(s, NULL, 0),
                         kind <= REPLY_ERROR && kind != REPLY_ARRAY ? 0 : RK_CORRUPT);
    }
    s = sample_step;
    s.result_data = (struct bytes){0};
    assert_int_equal(step_with(s, NULL, 0), 0);
    s.result_data = bytes_of(large, sizeof(large));
    assert_int_equal(step_with(s, NULL, 0), 0);
}

static void test_step_counts(void **state)
{
    struct store_change *changes = calloc(STORE_CHANGES_MAX + 1, sizeof(*changes));

    (void)state;
    assert_non_null(changes);
    for (size_t i = 0; i <= STORE_CHANGES_MAX; i++)
        changes[i] = forget_of(9);
    assert_int_equal(step_with(sample_step, changes, STORE_CHANGES_MAX), 0);
    assert_int_equal(step_with(sample_step, changes, STORE_CHANGES_MAX + 1), RK_CORRUPT);
    put_step(&sample_step, changes, 3);
    for (uint32_t count = 0; count <= UINT16_MAX; count += count < 5 ? 1 : 257) {
        wire_put_u16(body() + 22, (uint16_t)count);
        assert_int_equal(decode(get_step), count == 3 ? 0 : RK_CORRUPT);
    }
    free(changes);
}

/* --- changes -------------------------------------------------------------------------------- */

static void test_change_ranges(void **state)
{
    struct store_change put = put_of(9, bytes_from("value")), gone = tombstone_of(9);
    uint8_t *at;

    (void)state;
    for (int value = 0; value < 256; value++) {
        put_step(&sample_step, &put, 1);
        at = body() + STEP_HEAD;
        at[0] = (uint8_t)value;
        assert_int_equal(decode(get_step), value == STORE_PUT ? 0 : RK_CORRUPT);
        put_step(&sample_step, &put, 1);
        body()[STEP_HEAD + 1] = (uint8_t)value;
        assert_int_equal(decode(get_step), value == 0 ? 0 : RK_CORRUPT);
        put_step(&sample_step, &gone, 1);
        body()[STEP_HEAD + 1] = (uint8_t)value;
        assert_int_equal(decode(get_step), value == 0 || value == 2 ? 0 : RK_CORRUPT);
        put_step(&sample_step, &put, 1);
        body()[STEP_HEAD + 35] = (uint8_t)value;
        assert_int_equal(decode(get_step), value == 0 ? 0 : RK_CORRUPT);
    }
    put_step(&sample_step, &put, 1);
    wire_put_i64(body() + STEP_HEAD + 24, -1);
    assert_int_equal(decode(get_step), RK_CORRUPT);
    wire_put_i64(body() + STEP_HEAD + 24, INT64_MIN);
    assert_int_equal(decode(get_step), RK_CORRUPT);
}

/* A forgotten key says nothing but its name. */
static void test_forget_fields(void **state)
{
    struct store_change forget = forget_of(9);

    (void)state;
    for (size_t i = 8; i < CHANGE_HEAD; i++) {
        put_step(&sample_step, &forget, 1);
        body()[STEP_HEAD + i] = 1;
        assert_int_equal(decode(get_step), RK_CORRUPT);
    }
    put_step(&sample_step, &forget, 1);
    body()[STEP_HEAD + 1] = 2;
    assert_int_equal(decode(get_step), RK_CORRUPT);
}

static void test_change_sizes(void **state)
{
    static const uint32_t sizes[] = {0, 4, 6, VALUE_SIZE_MAX, VALUE_SIZE_MAX + 1, UINT32_MAX};
    struct store_change put = put_of(9, bytes_from("value"));
    uint8_t *value = calloc(1, VALUE_SIZE_MAX + 1);

    (void)state;
    assert_non_null(value);
    for (size_t size = 0; size <= STORE_KEY_SIZE_MAX + 1; size++) {
        struct store_change change = forget_of(size);

        put_step(&sample_step, &change, 1);
        assert_int_equal(decode(get_step),
                         size > POSITION_SIZE && size <= STORE_KEY_SIZE_MAX ? 0 : RK_CORRUPT);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_step(&sample_step, &put, 1);
        wire_put_u32(body() + STEP_HEAD + 4, sizes[i]);
        assert_int_equal(decode(get_step), RK_CORRUPT);
    }
    put_step(&sample_step, &put, 1);
    wire_put_u16(body() + STEP_HEAD + 2, UINT16_MAX);
    assert_int_equal(decode(get_step), RK_CORRUPT);
    put = put_of(STORE_KEY_SIZE_MAX, bytes_of(value, VALUE_SIZE_MAX));
    put_step(&sample_step, &put, 1);
    assert_int_equal(get_step(bytes_of(body(), body_size())), 0);
    put = put_of(STORE_KEY_SIZE_MAX, bytes_of(value, VALUE_SIZE_MAX + 1));
    put_step(&sample_step, &put, 1);
    assert_int_equal(get_step(bytes_of(body(), body_size())), RK_CORRUPT);
    free(value);
}

/* More than a frame holds: nothing of it stays. */
static void test_too_big(void **state)
{
    uint8_t *value = calloc(1, VALUE_SIZE_MAX);
    struct store_change changes[2] = {put_of(9, bytes_of(value, VALUE_SIZE_MAX)),
                                      put_of(9, bytes_of(value, 2 << 20))};
    struct chunk c = {.view = 1, .number = 1, .change_count = 2};
    size_t before, begun;

    (void)state;
    assert_non_null(value);
    put_signals(1);
    before = buf_len(&out);
    assert_int_equal(peer_put_step(&out, &sample_step, changes, 2), RK_TOOBIG);
    assert_int_equal(buf_len(&out), before);
    begun = peer_begin_chunk(&out, &c);
    assert_int_equal(peer_add_change(&out, begun, &changes[0]), 0);
    assert_int_equal(peer_add_change(&out, begun, &changes[1]), 0);
    assert_int_equal(peer_end_chunk(&out, begun, &c), RK_TOOBIG);
    assert_int_equal(buf_len(&out), before);
    free(value);
}

/* --- chunks --------------------------------------------------------------------------------- */

static const struct chunk sample_chunk = {
    .epoch = UINT64_MAX,
    .view = UINT64_MAX - 1,
    .partition = PARTITIONS_MAX - 1,
    .flags = CHUNK_FIRST | CHUNK_DIGEST,
    .transfer = UINT64_MAX - 2,
    .number = UINT64_MAX - 3,
    .at = {UINT64_MAX - 4, UINT64_MAX - 5},
    .lower = {(const uint8_t *)"position-lower", 14},
    .upper = {(const uint8_t *)"position-upper", 14},
    .rest = {{UINT64_MAX - 6, UINT64_MAX - 7}, UINT32_MAX},
    .change_count = 2,
};

/* A chunk that ends the transfer has nothing but its place. */
static const struct chunk last_chunk = {.view = 1, .flags = CHUNK_LAST, .number = 2};

static void put_chunk(const struct chunk *c)
{
    struct store_change change = put_of(40, bytes_from("value"));
    size_t begun;

    buf_truncate(&out, 0);
    begun = peer_begin_chunk(&out, c);
    assert_int_not_equal(begun, SIZE_MAX);
    for (uint16_t i = 0; i < c->change_count; i++)
        assert_int_equal(peer_add_change(&out, begun, &change), 0);
    assert_int_equal(peer_end_chunk(&out, begun, c), 0);
}

static void test_chunk(void **state)
{
    struct store_change change = put_of(40, bytes_from("value"));
    struct chunk c, whole = {.view = 1, .number = 1};

    (void)state;
    put_chunk(&sample_chunk);
    assert_int_equal(peer_get_chunk(bytes_of(body(), body_size()), &c), 0);
    assert_true(c.epoch == UINT64_MAX && c.view == UINT64_MAX - 1);
    assert_true(c.partition == PARTITIONS_MAX - 1 && c.flags == 5 && c.change_count == 2);
    assert_true(c.transfer == UINT64_MAX - 2 && c.number == UINT64_MAX - 3);
    assert_int_equal(version_compare(c.at, sample_chunk.at), 0);
    assert_true(range_digest_equal(&c.rest, &sample_chunk.rest));
    assert_true(bytes_equal(c.lower, sample_chunk.lower));
    assert_true(bytes_equal(c.upper, sample_chunk.upper));
    check_change(&c.changes, &change);
    check_change(&c.changes, &change);
    assert_false(peer_next_change(&c.changes, &change));
    check_cut_and_longer(get_chunk);
    put_chunk(&whole);
    check_cut_and_longer(get_chunk);
    put_chunk(&last_chunk);
    check_cut_and_longer(get_chunk);
}

static void test_chunk_ranges(void **state)
{
    struct chunk c = sample_chunk;

    (void)state;
    for (int value = 0; value < 256; value++) {
        put_chunk(&sample_chunk);
        body()[20] = (uint8_t)value;
        /* Without a digest there is none to be told. */
        assert_int_equal(decode(get_chunk),
                         value == 4 || value == 5 || value == 12 || value == 28 ? 0 : RK_CORRUPT);
        put_chunk(&sample_chunk);
        body()[21] = (uint8_t)value;
        assert_int_equal(decode(get_chunk), value ? RK_CORRUPT : 0);
    }
    for (uint32_t count = 0; count <= UINT16_MAX; count += count < 5 ? 1 : 257) {
        put_chunk(&sample_chunk);
        wire_put_u16(body() + 22, (uint16_t)count);
        assert_int_equal(decode(get_chunk), count == 2 ? 0 : RK_CORRUPT);
    }
    c.partition = PARTITIONS_MAX;
    put_chunk(&c);
    assert_int_equal(decode(get_chunk), RK_CORRUPT);
    c = sample_chunk;
    c.view = 0;
    put_chunk(&c);
    assert_int_equal(decode(get_chunk), RK_CORRUPT);
    c = sample_chunk;
    c.number = 0;
    put_chunk(&c);
    assert_int_equal(decode(get_chunk), RK_CORRUPT);
}

/* A bound is a store key, or nothing: the partition's own end. */
static void test_chunk_bounds(void **state)
{
    (void)state;
    for (size_t size = 0; size <= STORE_KEY_SIZE_MAX + 1; size++) {
        bool fits = size == 0 || (size > POSITION_SIZE && size <= STORE_KEY_SIZE_MAX);
        struct chunk c = sample_chunk;

        c.lower = bytes_of(key_data, size);
        put_chunk(&c);
        assert_int_equal(decode(get_chunk), fits ? 0 : RK_CORRUPT);
        c = sample_chunk;
        c.upper = bytes_of(key_data, size);
        put_chunk(&c);
        assert_int_equal(decode(get_chunk), fits ? 0 : RK_CORRUPT);
    }
    for (size_t at = 76; at < 80; at += 2) {
        put_chunk(&sample_chunk);
        wire_put_u16(body() + at, UINT16_MAX);
        assert_int_equal(decode(get_chunk), RK_CORRUPT);
    }
}

static void test_last_chunk(void **state)
{
    struct chunk wrong[] = {last_chunk, last_chunk, last_chunk, last_chunk, last_chunk, last_chunk};

    (void)state;
    put_chunk(&last_chunk);
    assert_int_equal(decode(get_chunk), 0);
    wrong[0].flags |= CHUNK_FIRST;
    wrong[1].flags |= CHUNK_DIGEST;
    wrong[2].change_count = 1;
    wrong[3].lower = sample_chunk.lower;
    wrong[4].upper = sample_chunk.upper;
    wrong[5].rest.count = 1;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        put_chunk(&wrong[i]);
        assert_int_equal(decode(get_chunk), RK_CORRUPT);
    }
}

/* --- differences ---------------------------------------------------------------------------- */

static const struct difference sample_difference = {
    .epoch = UINT64_MAX,
    .view = UINT64_MAX - 1,
    .partition = PARTITIONS_MAX - 1,
    .repaired = true,
    .count = 2,
    .keys = {(const uint8_t *)"\x0a\0positiona1\x09\0positionb", 23}};

static int get_difference(struct bytes in)
{
    struct difference d;

    return peer_get_difference(in, &d);
}

static void put_difference(void)
{
    buf_truncate(&out, 0);
    assert_int_equal(peer_put_difference(&out, &sample_difference), 0);
}

static void test_difference(void **state)
{
    struct difference d;
    struct bytes key;

    (void)state;
    put_difference();
    assert_int_equal(peer_get_difference(bytes_of(body(), body_size()), &d), 0);
    assert_true(d.epoch == UINT64_MAX && d.view == UINT64_MAX - 1 && d.repaired && d.count == 2);
    assert_int_equal(d.partition, PARTITIONS_MAX - 1);
    assert_true(peer_next_key(&d.keys, &key) && bytes_equal(key, bytes_from("positiona1")));
    assert_true(peer_next_key(&d.keys, &key) && bytes_equal(key, bytes_from("positionb")));
    assert_false(peer_next_key(&d.keys, &key));
    check_cut_and_longer(get_difference);
}

static void test_difference_ranges(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } wrong[] = {{16, PARTITIONS_MAX}, {20, 2}, {20, 0x100},     {24, 0}, {24, 1},
                 {24, UINT32_MAX},     {28, 8}, {28, UINT32_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        put_difference();
        wire_put_u32(body() + wrong[i].at, wrong[i].value);
        assert_int_equal(decode(get_difference), RK_CORRUPT);
    }
    put_difference();
    wire_put_u64(body() + 8, 0);
    assert_int_equal(decode(get_difference), RK_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_signals, start, finish),
        cmocka_unit_test_setup_teardown(test_signals_cut, start, finish),
        cmocka_unit_test_setup_teardown(test_signal_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_step, start, finish),
        cmocka_unit_test_setup_teardown(test_deleted_has_no_value, start, finish),
        cmocka_unit_test_setup_teardown(test_step_restamp, start, finish),
        cmocka_unit_test_setup_teardown(test_step_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_step_results, start, finish),
        cmocka_unit_test_setup_teardown(test_step_counts, start, finish),
        cmocka_unit_test_setup_teardown(test_change_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_forget_fields, start, finish),
        cmocka_unit_test_setup_teardown(test_change_sizes, start, finish),
        cmocka_unit_test_setup_teardown(test_too_big, start, finish),
        cmocka_unit_test_setup_teardown(test_chunk, start, finish),
        cmocka_unit_test_setup_teardown(test_chunk_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_chunk_bounds, start, finish),
        cmocka_unit_test_setup_teardown(test_last_chunk, start, finish),
        cmocka_unit_test_setup_teardown(test_difference, start, finish),
        cmocka_unit_test_setup_teardown(test_difference_ranges, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
