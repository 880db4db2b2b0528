/* Requests: operations, their arguments and their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include "tests/request_args.h"
#include <cmocka.h>
#include <string.h>

enum {
    HEAD = 72,
    PARTITION_AT = 40,
    OP_AT = 44,
    LEVEL_AT = 45,
    COUNT_AT = 46,
    FLAGS_AT = 64,
    WAIT_AT = 65,
    RESERVED_AT = 67,
};

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

static void put_args(uint8_t op, const struct bytes *args, size_t count)
{
    struct request m = {.id = 1, .op = op};
    struct request_args encoded = {.count = 0};

    buf_truncate(&out, 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(request_args_add(&encoded, args[i]), 0);
    assert_int_equal(request_args_put(&encoded, m, &out), 0);
}

static uint8_t *body(void)
{
    return buf_head(&out) + FRAME_HEADER_SIZE;
}

static int decode(void)
{
    struct request m;
    size_t size = buf_len(&out) - FRAME_HEADER_SIZE;
    uint8_t *copy = malloc(size);
    int error;

    assert_non_null(copy);
    memcpy(copy, body(), size);
    error = message_get_request(bytes_of(copy, size), &m);
    free(copy);
    return error;
}

static struct bytes fitting(char letter)
{
    static const uint8_t key[9] = {0}, number[8] = {0}, get[] = {OP_GET, 1, 0, 9, [15] = 0};

    switch (letter) {
    case 'k':
        return bytes_of(key, sizeof(key));
    case 'i':
    case 'c':
        return bytes_of(number, sizeof(number));
    case 'x':
        return bytes_of(get, sizeof(get));
    default:
        return (struct bytes){0};
    }
}

/* As many arguments as wanted, such as the operation's letters ask for. */
static void put_fitting(uint8_t op, size_t count)
{
    static struct bytes args[MESSAGE_ARGS_MAX];
    const char *letters = operation_info(op)->args;
    size_t period = strcspn(letters, "*");

    for (size_t i = 0; i < count; i++)
        args[i] = fitting(letters[i % period]);
    put_args(op, args, count);
}

static void test_operations(void **state)
{
    static const bool there[256] = {
#define X(name, number, writes, args, replies) [number] = true,
        OPERATIONS(X)
#undef X
    };

    (void)state;
    for (int op = 0; op < 256; op++) {
        const struct operation_info *info = operation_info((uint8_t)op);

        if (!there[op]) {
            assert_null(info);
            put_fitting(OP_GET, 1);
            body()[OP_AT] = (uint8_t)op;
            assert_int_equal(decode(), RK_CORRUPT);
            continue;
        }
        assert_non_null(info);
        for (size_t count = 0; count <= 5; count++) {
            size_t period = strcspn(info->args, "*");
            bool repeats = info->args[period] == '*';

            put_fitting((uint8_t)op, count);
            assert_int_equal(decode(), count && count % period == 0 && (repeats || count == period)
                                           ? 0
                                           : RK_CORRUPT);
        }
    }
    assert_true(operation_info(OP_SET)->writes && !operation_info(OP_GET)->writes);
    assert_string_equal(operation_info(OP_MSET)->name, "MSET");
    assert_string_equal(operation_info(OP_GET)->name, "GET");
}

/* What a part of a transaction may be: a watched key, or an operation on keys, whole and alone. */
static void test_parts(void **state)
{
    static const uint8_t get[] = {OP_GET, 1, 0, 9, [15] = 0}, watched[27] = {0},
                         odd_token[27] = {0, 2}, scan[] = {OP_SCAN, 3, 0, 8, [35] = 0},
                         exec[] = {OP_EXEC, 1, 0, 16, 0, 0, 0, OP_GET, 1, 0, 9, [22] = 0};
    const struct {
        struct bytes arg;
        bool fits;
    } parts[] = {
        {bytes_of(get, sizeof(get)), true},
        {bytes_of(get, sizeof(get) - 1), false},
        {bytes_of(get, 2), false},
        {bytes_of(get, 0), false},
        {bytes_of(watched, sizeof(watched)), true},
        {bytes_of(watched, sizeof(watched) - 1), false}, /* a position and no key */
        {bytes_of(watched, 5), false},
        {bytes_of(odd_token, sizeof(odd_token)), false},
        {bytes_of(scan, sizeof(scan)), false},
        {bytes_of(exec, sizeof(exec)), false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        put_args(OP_EXEC, &parts[i].arg, 1);
        assert_int_equal(decode(), parts[i].fits ? 0 : RK_CORRUPT);
    }
}

static void test_fields(void **state)
{
    struct request in = {.id = UINT64_MAX,
                         .epoch = UINT64_MAX - 1,
                         .view = UINT64_MAX - 2,
                         .session = UINT64_MAX - 3,
                         .number = UINT64_MAX - 4,
                         .partition = PARTITIONS_MAX - 1,
                         .base_view = UINT64_MAX - 5,
                         .base_op = UINT64_MAX - 6,
                         .op = OP_SET,
                         .level = LEVEL_VERSION,
                         .flags = REQUEST_RETRY | REQUEST_LEAD},
                   m;
    struct request_args args = {.count = 0};
    struct bytes arg;
    bool nil = true;

    (void)state;
    assert_int_equal(request_args_add_key(&args, UINT64_C(0x0102030405060708), bytes_from("k\0y")),
                     0);
    assert_int_equal(request_args_add(&args, bytes_of("v\0\r\n", 4)), 0);
    assert_int_equal(request_args_put(&args, in, &out), 0);
    assert_int_equal(message_get_request(bytes_of(body(), buf_len(&out) - FRAME_HEADER_SIZE), &m),
                     0);
    assert_true(m.id == in.id && m.epoch == in.epoch && m.view == in.view);
    assert_true(m.session == in.session && m.number == in.number && m.partition == in.partition);
    assert_true(m.op == OP_SET && m.level == LEVEL_VERSION && m.arg_count == 2);
    assert_true(m.base_view == in.base_view && m.base_op == in.base_op && m.flags == in.flags);
    arg = message_next_arg(&m.args, &nil);
    assert_false(nil);
    assert_true(bytes_equal(arg, bytes_from("\1\2\3\4\5\6\7\10k")));
    assert_true(wire_get_position(arg.data) == UINT64_C(0x0102030405060708));
    assert_true(bytes_equal(message_next_arg(&m.args, NULL), bytes_of("v\0\r\n", 4)));
    assert_int_equal(m.args.size, 0);
}

/* A decoded request goes on as it came. */
static void test_passed_on(void **state)
{
    struct request m;
    struct buf again = {0};

    (void)state;
    put_fitting(OP_MSET, 6);
    assert_int_equal(message_get_request(bytes_of(body(), buf_len(&out) - FRAME_HEADER_SIZE), &m),
                     0);
    assert_int_equal(message_put_request(&again, &m), 0);
    assert_true(bytes_equal(buf_bytes(&again), buf_bytes(&out)));
    buf_free(&again);
}

static void test_ranges(void **state)
{
    (void)state;
    for (int level = 0; level < 256; level++) {
        put_fitting(OP_GET, 1);
        body()[LEVEL_AT] = (uint8_t)level;
        assert_int_equal(decode(), level <= LEVEL_VERSION ? 0 : RK_CORRUPT);
    }
    for (int flags = 0; flags < 256; flags++) {
        put_fitting(OP_GET, 1);
        body()[FLAGS_AT] = (uint8_t)flags;
        assert_int_equal(decode(), flags <= 3 ? 0 : RK_CORRUPT);
    }
    put_fitting(OP_GET, 1);
    wire_put_u16(body() + WAIT_AT, UINT16_MAX);
    assert_int_equal(decode(), 0);
    for (int i = 0; i < HEAD - RESERVED_AT; i++) {
        put_fitting(OP_GET, 1);
        body()[RESERVED_AT + i] = 1;
        assert_int_equal(decode(), RK_CORRUPT);
    }
    put_fitting(OP_GET, 1);
    wire_put_u32(body() + PARTITION_AT, PARTITIONS_MAX - 1);
    assert_int_equal(decode(), 0);
    wire_put_u32(body() + PARTITION_AT, PARTITIONS_MAX);
    assert_int_equal(decode(), RK_CORRUPT);
    wire_put_u32(body() + PARTITION_AT, UINT32_MAX);
    assert_int_equal(decode(), RK_CORRUPT);
}

/* A count, or a size, that is not that of the data. */
static void test_wrong_sizes(void **state)
{
    static const uint32_t sizes[] = {0, 8, 10, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

    (void)state;
    for (uint32_t count = 0; count <= UINT16_MAX; count += count < 8 ? 1 : 509) {
        put_fitting(OP_MGET, 4);
        wire_put_u16(body() + COUNT_AT, (uint16_t)count);
        assert_int_equal(decode(), count == 4 ? 0 : RK_CORRUPT);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_fitting(OP_MGET, 1);
        wire_put_u32(body() + HEAD, sizes[i]);
        assert_int_equal(decode(), RK_CORRUPT);
        put_fitting(OP_MGET, 3);
        wire_put_u32(body() + HEAD + 2 * 13, sizes[i]);
        assert_int_equal(decode(), RK_CORRUPT);
    }
}

static void test_argument_sizes(void **state)
{
    uint8_t *data = calloc(1, VALUE_SIZE_MAX + 1);
    struct bytes args[2];

    (void)state;
    assert_non_null(data);
    for (size_t size = 0; size <= STORE_KEY_SIZE_MAX + 2; size++) {
        args[0] = bytes_of(data, size);
        put_args(OP_GET, args, 1);
        assert_int_equal(decode(),
                         size > POSITION_SIZE && size <= STORE_KEY_SIZE_MAX ? 0 : RK_CORRUPT);
    }
    args[0] = bytes_of(data, POSITION_SIZE + 1);
    for (size_t size = 0; size <= 16; size++) {
        args[1] = bytes_of(data, size);
        put_args(OP_INCRBY, args, 2);
        assert_int_equal(decode(), size == 8 ? 0 : RK_CORRUPT);
    }
    args[1] = bytes_of(data, VALUE_SIZE_MAX);
    put_args(OP_SET, args, 2);
    assert_int_equal(decode(), 0);
    args[1] = bytes_of(data, VALUE_SIZE_MAX + 1);
    put_args(OP_SET, args, 2);
    assert_int_equal(decode(), RK_CORRUPT);
    free(data);
}

static void test_count_max(void **state)
{
    (void)state;
    put_fitting(OP_DEL, MESSAGE_ARGS_MAX);
    assert_int_equal(decode(), 0);
    put_fitting(OP_DEL, MESSAGE_ARGS_MAX);
    assert_int_equal(buf_append(&out, "\11\0\0\0\0\0\0\0\0\0\0\0k", 13), 0);
    wire_put_u16(body() + COUNT_AT, MESSAGE_ARGS_MAX + 1);
    assert_int_equal(decode(), RK_CORRUPT);
}

static void test_too_big(void **state)
{
    uint8_t *data = calloc(1, FRAME_BODY_MAX);
    struct request m = {.op = OP_SET, .args = bytes_of(data, FRAME_BODY_MAX - HEAD)};
    size_t before;

    (void)state;
    assert_non_null(data);
    put_fitting(OP_GET, 1);
    before = buf_len(&out);
    for (int i = 0; i < 2; i++) {
        m.args.size++;
        assert_int_equal(message_put_request(&out, &m), RK_TOOBIG);
        assert_int_equal(buf_len(&out), before);
    }
    m.args.size -= 2;
    assert_int_equal(message_put_request(&out, &m), 0);
    assert_int_equal(buf_len(&out), before + FRAME_HEADER_SIZE + FRAME_BODY_MAX);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_operations, start, finish),
        cmocka_unit_test_setup_teardown(test_parts, start, finish),
        cmocka_unit_test_setup_teardown(test_fields, start, finish),
        cmocka_unit_test_setup_teardown(test_passed_on, start, finish),
        cmocka_unit_test_setup_teardown(test_ranges, start, finish),
        cmocka_unit_test_setup_teardown(test_wrong_sizes, start, finish),
        cmocka_unit_test_setup_teardown(test_argument_sizes, start, finish),
        cmocka_unit_test_setup_teardown(test_count_max, start, finish),
        cmocka_unit_test_setup_teardown(test_too_big, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
