/* How answers are told in RESP2 and RESP3 where they are not told as they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/answer_shape.h"
#include "shared/error.h"
#include "shared/wire.h"

static void assert_told(struct answer_shape shape, struct reply reply, int resp, const char *wanted)
{
    struct buf out = {0};

    assert_int_equal(answer_shape_put(&out, &shape, &reply, resp), 0);
    assert_true(bytes_equal(buf_bytes(&out), bytes_from(wanted)));
    buf_free(&out);
}

static void assert_number(struct answer_shape shape, int64_t integer, int resp, const char *wanted)
{
    assert_told(shape, (struct reply){.kind = REPLY_INTEGER, .integer = integer}, resp, wanted);
}

static void test_type(void **state)
{
    (void)state;
    assert_number((struct answer_shape){.kind = SHAPE_TYPE}, 0, 2, "+none\r\n");
    assert_number((struct answer_shape){.kind = SHAPE_TYPE}, 1, 3, "+string\r\n");
}

static void test_seconds(void **state)
{
    struct answer_shape shape = {.kind = SHAPE_SECONDS};

    (void)state;
    assert_number(shape, -2, 2, ":-2\r\n");
    assert_number(shape, -1, 2, ":-1\r\n");
    assert_number(shape, 0, 2, ":0\r\n");
    assert_number(shape, 499, 2, ":0\r\n");
    assert_number(shape, 500, 2, ":1\r\n");
    assert_number(shape, 1499, 2, ":1\r\n");
    assert_number(shape, INT64_MAX, 2, ":9223372036854776\r\n");
}

static void test_complaint(void **state)
{
    struct answer_shape number = {.kind = SHAPE_COMPLAINT, .absent = -1, .complaint = "ERR so not"};
    struct answer_shape nil = {
        .kind = SHAPE_COMPLAINT, .absent = SHAPE_ABSENT_NIL, .complaint = "ERR so not"};

    (void)state;
    assert_number(number, 1, 2, "-ERR so not\r\n");
    assert_number(number, 0, 2, ":-1\r\n");
    assert_number(nil, 1, 3, "-ERR so not\r\n");
    assert_number(nil, 0, 2, "$-1\r\n");
    assert_number(nil, 0, 3, "_\r\n");
}

static void test_ranges(void **state)
{
    uint8_t data[4 + 16];
    struct reply reply = {.kind = REPLY_BULK, .data = {data, sizeof(data)}};

    (void)state;
    wire_put_u32(data, 6);
    for (uint32_t i = 0; i < 4; i++)
        wire_put_u32(data + 4 + 4 * i, (const uint32_t[]){4, 7, 5, 8}[i]);
    assert_told((struct answer_shape){.kind = SHAPE_RANGES}, reply, 2,
                "*4\r\n$7\r\nmatches\r\n*1\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
                "$3\r\nlen\r\n:6\r\n");
    assert_told((struct answer_shape){.kind = SHAPE_RANGES_SIZED}, reply, 3,
                "%2\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
                "$3\r\nlen\r\n:6\r\n");
    reply.data.size = 4;
    assert_told((struct answer_shape){.kind = SHAPE_RANGES}, reply, 3,
                "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:6\r\n");
}

static void test_if_there(void **state)
{
    struct answer_shape there = {.kind = SHAPE_IF_THERE, .integer = 7};

    (void)state;
    assert_number(there, 1, 2, ":7\r\n");
    assert_number(there, 0, 2, "$-1\r\n");
}

/* What a node must not answer leaves nothing behind. */
static void test_misfits(void **state)
{
    struct buf out = {0};
    uint8_t data[20] = {0};

    (void)state;
    for (int kind = SHAPE_TYPE; kind <= SHAPE_COMPLAINT; kind++) {
        struct answer_shape shape = {.kind = (uint8_t)kind, .complaint = "ERR"};

        assert_int_equal(answer_shape_put(&out, &shape, &(struct reply){.kind = REPLY_NIL}, 2),
                         RK_INVALID);
        for (size_t size = 0; size < 20; size++) {
            struct reply reply = {.kind = REPLY_BULK, .data = {data, size}};

            if (size != 4)
                assert_int_equal(answer_shape_put(&out, &shape, &reply, 2), RK_INVALID);
        }
        assert_int_equal(buf_len(&out), 0);
    }
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type),    cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_ranges),  cmocka_unit_test(test_complaint),
        cmocka_unit_test(test_misfits), cmocka_unit_test(test_if_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
