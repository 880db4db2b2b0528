/* Replies with a proof behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/wire.h"
#include <cmocka.h>
#include <string.h>

enum { HEAD = 12, FLAGS_AT = 10, PROOF = 40 };

static struct buf out;
static uint8_t proof[PROOF_MAX + 4];

static int start(void **state)
{
    (void)state;
    out = (struct buf){0};
    memset(proof, 0xff, sizeof(proof));
    return 0;
}

static int finish(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

static struct bytes body(void)
{
    return bytes_of(buf_head(&out) + FRAME_HEADER_SIZE, buf_len(&out) - FRAME_HEADER_SIZE);
}

/* Decodes the first `size` bytes, from a block of exactly this size. */
static int decode_some(size_t size)
{
    struct reply m;
    uint8_t *copy = malloc(size ? size : 1);
    int error;

    assert_non_null(copy);
    memcpy(copy, body().data, size);
    error = message_get_reply(bytes_of(copy, size), &m);
    free(copy);
    return error;
}

static void put(uint8_t kind, size_t proof_size)
{
    struct reply m = {.id = 5,
                      .kind = kind,
                      .refusal = REFUSAL_BUSY,
                      .integer = -6,
                      .epoch = 7,
                      .view = 8,
                      .op = 9,
                      .touches = 10,
                      .data = bytes_from("data"),
                      .proof = bytes_of(proof, proof_size)};
    size_t begun;

    buf_truncate(&out, 0);
    if (kind != REPLY_ARRAY) {
        assert_int_equal(message_put_reply(&out, &m), 0);
        return;
    }
    begun = message_begin_array_reply(&out, 5);
    assert_int_equal(message_add_value(&out, begun, &m.data), 0);
    assert_int_equal(message_add_value(&out, begun, NULL), 0);
    assert_int_equal(message_end_array_reply(&out, begun, m.proof), 0);
}

static void check_fields(const struct reply *m, uint8_t kind)
{
    assert_int_equal(m->id, 5);
    assert_int_equal(m->kind, kind);
    assert_int_equal(m->integer, kind == REPLY_INTEGER ? -6 : 0);
    assert_int_equal(m->op, kind == REPLY_REFUSED || kind == REPLY_VERSION ? 9 : 0);
    assert_int_equal(m->touches, kind == REPLY_VERSION ? 10 : 0);
    assert_int_equal(m->count, kind == REPLY_ARRAY ? 2 : 0);
    assert_int_equal(m->data.size, kind == REPLY_BULK || kind == REPLY_ERROR ? 4
                                   : kind == REPLY_ARRAY                     ? 12
                                                                             : 0);
}

static void test_every_kind(void **state)
{
    (void)state;
    for (uint8_t kind = REPLY_OK; kind <= REPLY_VERSION; kind++) {
        struct reply m;

        put(kind, PROOF);
        assert_int_equal(message_get_reply(body(), &m), 0);
        check_fields(&m, kind);
        assert_true(bytes_equal(m.proof, bytes_of(proof, PROOF)));
        for (size_t size = 0; size < body().size; size++)
            assert_int_equal(decode_some(size), RK_CORRUPT);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_int_equal(decode_some(body().size), RK_CORRUPT);
    }
}

/* Without one, there must be one only where there is nothing else. */
static void test_none(void **state)
{
    (void)state;
    for (uint8_t kind = REPLY_OK; kind <= REPLY_VERSION; kind++) {
        struct reply m;
        int error;

        put(kind, 0);
        error = message_get_reply(body(), &m);
        assert_int_equal(error, kind == REPLY_VERSION ? RK_CORRUPT : 0);
        if (!error)
            assert_int_equal(m.proof.size, 0);
    }
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {1, 8, 15, 16, 17, 32, PROOF_MAX - 1, PROOF_MAX, PROOF_MAX + 1};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put(REPLY_VERSION, sizes[i]);
        assert_int_equal(decode_some(body().size),
                         sizes[i] >= PROOF_HEAD_SIZE && sizes[i] <= PROOF_MAX ? 0 : RK_CORRUPT);
    }
}

/* A size that is not that of the proof: what is left over, or missing, belongs to nothing. */
static void test_wrong_sizes(void **state)
{
    static const uint32_t sizes[] = {
        0,          8,          PROOF - 1,      PROOF + 1, PROOF + HEAD, PROOF + HEAD + 4,
        0x7fffffff, 0x80000000, UINT32_MAX - 3, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put(REPLY_OK, PROOF);
        wire_put_u32(buf_head(&out) + buf_len(&out) - 4, sizes[i]);
        assert_int_equal(decode_some(body().size), RK_CORRUPT);
    }
    for (int flags = 0; flags < 256; flags++) {
        put(REPLY_OK, PROOF);
        buf_head(&out)[FRAME_HEADER_SIZE + FLAGS_AT] = (uint8_t)flags;
        assert_int_equal(decode_some(body().size), flags == 1 ? 0 : RK_CORRUPT);
        put(REPLY_OK, PROOF);
        buf_head(&out)[FRAME_HEADER_SIZE + FLAGS_AT + 1] = (uint8_t)flags;
        assert_int_equal(decode_some(body().size), flags == 0 ? 0 : RK_CORRUPT);
    }
    put(REPLY_OK, 0);
    buf_head(&out)[FRAME_HEADER_SIZE + FLAGS_AT] = 1;
    assert_int_equal(decode_some(body().size), RK_CORRUPT);
}

/* There is room for the value, but not for the proof behind it. */
static void test_too_big(void **state)
{
    uint8_t *data = calloc(1, FRAME_BODY_MAX);
    struct reply m = {.id = 1, .kind = REPLY_BULK, .proof = bytes_of(proof, PROOF)};

    (void)state;
    assert_non_null(data);
    put(REPLY_OK, 0);

    size_t before = buf_len(&out);

    m.data = bytes_of(data, FRAME_BODY_MAX - HEAD - PROOF - 3);
    assert_int_equal(message_put_reply(&out, &m), RK_TOOBIG);
    assert_int_equal(buf_len(&out), before);
    m.data.size--;
    assert_int_equal(message_put_reply(&out, &m), 0);
    assert_int_equal(buf_len(&out), before + FRAME_HEADER_SIZE + FRAME_BODY_MAX);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_kind, start, finish),
        cmocka_unit_test_setup_teardown(test_none, start, finish),
        cmocka_unit_test_setup_teardown(test_sizes, start, finish),
        cmocka_unit_test_setup_teardown(test_wrong_sizes, start, finish),
        cmocka_unit_test_setup_teardown(test_too_big, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
