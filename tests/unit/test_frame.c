/* Frames: what was written is read again, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/wire.h"
#include <cmocka.h>
#include <string.h>

static void put_frame(struct buf *out, uint8_t type, struct bytes body)
{
    size_t begun = frame_begin(out, type);

    assert_int_not_equal(begun, SIZE_MAX);
    assert_int_equal(buf_append(out, body.data, body.size), 0);
    assert_int_equal(frame_end(out, begun), 0);
}

/* Reads from a block of exactly this size, so that a sanitizer sees one byte too many. */
static int64_t read_copy(struct bytes in, size_t body_max)
{
    uint8_t *copy = malloc(in.size ? in.size : 1);
    struct frame f;
    int64_t result;

    assert_non_null(copy);
    if (in.size)
        memcpy(copy, in.data, in.size);
    result = frame_read(bytes_of(copy, in.size), body_max, &f);
    free(copy);
    return result;
}

/* Made by another program, from the format's description. */
static void test_golden(void **state)
{
    static const uint8_t golden[] = {8, 0, 0,    0,    0x47, 0xcc, 0xed, 0x3c, 2,    4,
                                     0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    static const uint8_t body[] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    struct buf out = {0};
    struct frame f;

    (void)state;
    put_frame(&out, 4, bytes_of(body, sizeof(body)));
    assert_int_equal(buf_len(&out), sizeof(golden));
    assert_memory_equal(buf_head(&out), golden, sizeof(golden));
    assert_int_equal(frame_read(bytes_of(golden, sizeof(golden)), 8, &f), sizeof(golden));
    assert_int_equal(f.type, 4);
    assert_ptr_equal(f.body.data, golden + FRAME_HEADER_SIZE);
    assert_int_equal(f.body.size, 8);
    buf_free(&out);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {1, 2, 255, 256, 65535, 65536, 1 << 20, FRAME_BODY_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *body = calloc(1, sizes[i]);
        struct buf out = {0};
        struct frame f;

        assert_non_null(body);
        body[0] = 1;
        body[sizes[i] - 1] = 7;
        put_frame(&out, 255, bytes_of(body, sizes[i]));
        assert_int_equal(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &f), buf_len(&out));
        assert_int_equal(f.type, 255);
        assert_true(bytes_equal(f.body, bytes_of(body, sizes[i])));
        assert_int_equal(frame_read(buf_bytes(&out), sizes[i] - 1, &f), RK_TOOBIG);
        buf_free(&out);
        free(body);
    }
}

static void test_cut_and_flipped(void **state)
{
    struct buf out = {0};

    (void)state;
    put_frame(&out, 10, bytes_from("some body of a frame"));
    for (size_t size = 0; size < buf_len(&out); size++)
        assert_int_equal(read_copy(bytes_of(buf_head(&out), size), FRAME_BODY_MAX), RK_MORE);
    for (size_t bit = 0; bit < buf_len(&out) * 8; bit++) {
        uint8_t *at = buf_head(&out) + bit / 8;
        int64_t result;

        *at ^= (uint8_t)(1 << bit % 8);
        result = read_copy(buf_bytes(&out), FRAME_BODY_MAX);
        /* A larger size waits for more, a type or a body is found by the checksum. */
        if (bit < 32)
            assert_true(result == RK_MORE || result == RK_CORRUPT);
        else if (bit >= 64 && bit < 72)
            assert_int_equal(result, RK_VERSION);
        else
            assert_int_equal(result, RK_CORRUPT);
        *at ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(read_copy(buf_bytes(&out), FRAME_BODY_MAX), buf_len(&out));
    buf_free(&out);
}

/* A header that cannot be right is refused before anything of its body has come. */
static int64_t read_header(uint32_t size, uint8_t version, uint16_t reserved, size_t body_max)
{
    uint8_t header[FRAME_HEADER_SIZE] = {0};

    wire_put_u32(header, size);
    header[8] = version;
    wire_put_u16(header + 10, reserved);
    return read_copy(bytes_of(header, sizeof(header)), body_max);
}

static void test_bad_headers(void **state)
{
    (void)state;
    assert_int_equal(read_header(1, FRAME_VERSION, 0, FRAME_BODY_MAX), RK_MORE);
    assert_int_equal(read_header(FRAME_BODY_MAX, FRAME_VERSION, 0, FRAME_BODY_MAX), RK_MORE);
    assert_int_equal(read_header(0, FRAME_VERSION, 0, FRAME_BODY_MAX), RK_CORRUPT);
    assert_int_equal(read_header(FRAME_BODY_MAX + 1, FRAME_VERSION, 0, FRAME_BODY_MAX), RK_CORRUPT);
    assert_int_equal(read_header(UINT32_MAX, FRAME_VERSION, 0, FRAME_BODY_MAX), RK_CORRUPT);
    assert_int_equal(read_header(1, 0, 0, FRAME_BODY_MAX), RK_VERSION);
    assert_int_equal(read_header(1, FRAME_VERSION + 1, 0, FRAME_BODY_MAX), RK_VERSION);
    assert_int_equal(read_header(0, 255, 1, FRAME_BODY_MAX), RK_VERSION);
    assert_int_equal(read_header(1, FRAME_VERSION, 1, FRAME_BODY_MAX), RK_CORRUPT);
    assert_int_equal(read_header(1, FRAME_VERSION, 0x8000, FRAME_BODY_MAX), RK_CORRUPT);
    assert_int_equal(read_header(1025, FRAME_VERSION, 0, 1024), RK_TOOBIG);
    assert_int_equal(read_header(1024, FRAME_VERSION, 0, 1024), RK_MORE);
}

static void test_end_refuses(void **state)
{
    struct buf out = {0};
    size_t begun;

    (void)state;
    put_frame(&out, 1, bytes_from("before"));

    size_t before = buf_len(&out);

    begun = frame_begin(&out, 2);
    assert_int_equal(frame_end(&out, begun), RK_INVALID);
    assert_int_equal(buf_len(&out), before);

    begun = frame_begin(&out, 2);
    assert_non_null(buf_reserve(&out, FRAME_BODY_MAX + 1));
    buf_commit(&out, FRAME_BODY_MAX + 1);
    assert_int_equal(frame_end(&out, begun), RK_TOOBIG);
    assert_int_equal(buf_len(&out), before);
    buf_free(&out);
}

/* Frames behind each other, begun while the buffer's front was consumed already, and one inside
 * which the buffer grows. */
static void test_stream(void **state)
{
    struct buf out = {0};
    char body[3000];
    struct frame f;

    (void)state;
    put_frame(&out, 1, bytes_from("first"));
    put_frame(&out, 2, bytes_from("second"));
    buf_consume(&out, FRAME_HEADER_SIZE + 5);
    memset(body, 'x', sizeof(body));
    put_frame(&out, 3, bytes_of(body, sizeof(body)));
    assert_int_equal(frame_read(buf_bytes(&out), 6, &f), FRAME_HEADER_SIZE + 6);
    assert_int_equal(f.type, 2);
    assert_true(bytes_equal(f.body, bytes_from("second")));
    buf_consume(&out, FRAME_HEADER_SIZE + 6);
    assert_int_equal(frame_read(buf_bytes(&out), 4096, &f), FRAME_HEADER_SIZE + sizeof(body));
    assert_int_equal(f.type, 3);
    buf_free(&out);
}

/* A head and a rest are one body; what cannot be a frame leaves the buffer as it was. */
static void test_put(void **state)
{
    uint8_t *large = calloc(1, FRAME_BODY_MAX);
    struct bytes head = bytes_from("head"), none = {0};
    struct buf out = {0};
    struct frame f;
    size_t before;

    (void)state;
    assert_non_null(large);
    assert_int_equal(frame_put(&out, 4, head, bytes_from("rest")), 0);
    assert_int_equal(frame_put(&out, 5, none, head), 0);
    before = buf_len(&out);
    assert_int_equal(frame_put(&out, 6, none, none), RK_INVALID);
    assert_int_equal(frame_put(&out, 6, bytes_from("x"), bytes_of(large, FRAME_BODY_MAX)),
                     RK_TOOBIG);
    assert_int_equal(buf_len(&out), before);
    assert_int_equal(frame_read(buf_bytes(&out), 8, &f), FRAME_HEADER_SIZE + 8);
    assert_int_equal(f.type, 4);
    assert_true(bytes_equal(f.body, bytes_from("headrest")));
    buf_consume(&out, FRAME_HEADER_SIZE + 8);
    assert_int_equal(frame_read(buf_bytes(&out), 4, &f), buf_len(&out));
    assert_int_equal(f.type, 5);
    assert_true(bytes_equal(f.body, head));
    buf_free(&out);
    free(large);
}

static void test_restamp(void **state)
{
    uint8_t body[24] = {0};
    struct buf out = {0};
    struct frame f;

    (void)state;
    put_frame(&out, 31, bytes_of(body, sizeof(body)));
    frame_restamp(buf_head(&out), 8, UINT64_C(0xfedcba9876543210));
    assert_int_equal(frame_read(buf_bytes(&out), 24, &f), FRAME_HEADER_SIZE + 24);
    assert_int_equal(wire_get_u64(f.body.data + 8), UINT64_C(0xfedcba9876543210));
    assert_int_equal(wire_get_u64(f.body.data), 0);
    assert_int_equal(wire_get_u64(f.body.data + 16), 0);
    buf_free(&out);
}

/* Each number has a text of its own, and any other number has one too. */
static void test_error_texts(void **state)
{
#define ONE(name, number, text) +1
    const int errors = RK_ERRORS(ONE);
#undef ONE

    (void)state;
    assert_string_equal(rk_error_text(0), "no error");
    for (int a = 1; a <= errors; a++) {
        assert_string_not_equal(rk_error_text(-a), "unknown error");
        for (int b = 0; b < a; b++)
            assert_string_not_equal(rk_error_text(-a), rk_error_text(-b));
    }
    assert_string_equal(rk_error_text(-errors - 1), "unknown error");
    assert_string_equal(rk_error_text(1), "unknown error");
    assert_string_equal(rk_error_text(INT32_MIN), "unknown error");
    assert_string_equal(rk_error_text(INT32_MAX), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_cut_and_flipped),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_end_refuses),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_restamp),
        cmocka_unit_test(test_error_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
