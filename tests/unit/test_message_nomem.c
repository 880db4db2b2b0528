/* Every allocation behind the encoders, the held queue, the history and the execution of operations
 * fails once: the call says so, what it was to change is as before, and the same call made again
 * succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/nomem.h"

#include "node/change_list.c"
#include "node/execute.c"
#include "node/execute_transaction.c"
#include "node/fifo_memory.c"
#include "node/held.c"
#include "node/history.c"
#include "node/peer_message.c"
#include "shared/buf.c"
#include "shared/frame.c"
#include "shared/message.c"
#include "shared/message_request.c"
#include "shared/transaction.c"

#include "tests/unit/nomem_end.h"

#include "node/store_memory.h"
#include <cmocka.h>

static uint8_t large[3000], very_large[FIFO_BLOCK_SIZE];

static struct request request_of(uint8_t op)
{
    return (struct request){.id = 1, .op = op};
}

static int put_request(struct buf *out)
{
    struct request m = request_of(OP_SET);

    m.args = bytes_of(large, sizeof(large));
    return message_put_request(out, &m);
}

static int put_array(struct buf *out)
{
    struct bytes value = bytes_of(large, sizeof(large));
    size_t begun = message_begin_array_reply(out, 1);
    int error;

    if (begun == SIZE_MAX)
        return RK_NOMEM;
    error = message_add_value(out, begun, NULL);
    if (!error)
        error = message_add_value(out, begun, &value);
    return error ? error : message_end_array_reply(out, begun, bytes_of(large, 24));
}

static int put_step(struct buf *out)
{
    struct store_change changes[] = {
        {STORE_PUT, bytes_of(large, 9), {{1, 1}, 0, false, bytes_of(large, 600)}},
        {STORE_PUT, bytes_of(large, 9), {{1, 1}, 0, false, bytes_of(large, sizeof(large))}},
    };
    struct step s = {.view = 1,
                     .kind = STEP_OPERATION,
                     .from = {1, 1},
                     .at = {1, 2},
                     .result_data = bytes_of(large, 500)};

    return peer_put_step(out, &s, changes, 2);
}

static int put_chunk(struct buf *out)
{
    struct store_change change = {
        STORE_PUT, bytes_of(large, 9), {{1, 1}, 0, false, bytes_of(large, sizeof(large))}};
    struct chunk c = {.view = 1,
                      .number = 1,
                      .change_count = 1,
                      .lower = bytes_of(large, 40),
                      .upper = bytes_of(large, 504)};
    size_t begun = peer_begin_chunk(out, &c);
    int error;

    if (begun == SIZE_MAX)
        return RK_NOMEM;
    error = peer_add_change(out, begun, &change);
    return error ? error : peer_end_chunk(out, begun, &c);
}

static int put_signals(struct buf *out)
{
    struct signal s = {.kind = SIGNAL_ACK};
    size_t before = buf_len(out), begun = peer_begin_signals(out);
    int error = begun == SIZE_MAX ? RK_NOMEM : 0;

    for (int i = 0; i < 40 && !error; i++) {
        error = peer_add_signal(out, &s);
        if (error) {
            /* What was added before stays: the caller sends those. */
            assert_int_equal(buf_len(out), begun + FRAME_HEADER_SIZE + SIGNAL_SIZE * (unsigned)i);
            buf_truncate(out, before);
        }
    }
    return error ? error : frame_end(out, begun);
}

/* Each encoder in turn; `which` past the last returns RK_NOTFOUND. */
static int encode(struct buf *out, int which)
{
    struct reply bulk = {.id = 1, .kind = REPLY_BULK, .data = bytes_of(large, sizeof(large))};
    struct reply refused = {.id = 1, .kind = REPLY_REFUSED, .refusal = REFUSAL_BUSY};
    struct reply version = {.id = 1, .kind = REPLY_VERSION, .proof = bytes_of(large, 1000)};
    struct request request = {.op = OP_MGET, .args = bytes_of(large, sizeof(large))};
    struct ring_put ring_put = {1, 2, bytes_of(large, sizeof(large))};
    struct done done = {1, RK_IO, 2, bytes_of(large, sizeof(large))};
    struct hello hello = {.role = ROLE_NODE};
    struct welcome welcome = {.shards = 1};

    switch (which) {
    case 0:
        return message_put_hello(out, &hello);
    case 1:
        return message_put_welcome(out, &welcome);
    case 2:
        return message_put_goodbye(out, RK_IO, "text");
    case 3:
        return message_put_ping(out, 1);
    case 4:
        return message_put_ring(out, 1, bytes_of(large, sizeof(large)));
    case 5:
        return message_put_ring_put(out, &ring_put);
    case 6:
        return message_put_done(out, &done);
    case 7:
        return message_put_reply(out, &bulk);
    case 8:
        return message_put_reply(out, &refused);
    case 9:
        return put_request(out);
    case 10:
        return put_array(out);
    case 11:
        return put_step(out);
    case 12:
        return put_chunk(out);
    case 13:
        return put_signals(out);
    case 14:
        return message_put_reply(out, &version);
    case 15:
        return message_put_request(out, &request);
    default:
        return RK_NOTFOUND;
    }
}

/* The buffer already holds `filled` bytes; the nth allocation fails. False: there is none. */
static bool put_failing(int which, size_t filled, unsigned n)
{
    struct buf out = {0};
    int error;

    assert_int_equal(buf_append(&out, large, filled), 0);
    fail_allocation(n);
    error = encode(&out, which);

    bool failed = one_failed;

    fail_allocation(UINT32_MAX);
    assert_int_equal(error, failed ? RK_NOMEM : 0);
    if (failed) {
        assert_int_equal(buf_len(&out), filled);
        assert_int_equal(encode(&out, which), 0);
    }
    assert_true(buf_len(&out) > filled);
    assert_memory_equal(buf_head(&out), large, filled);
    buf_free(&out);
    return failed;
}

static void test_encoders(void **state)
{
    struct buf none = {0};

    (void)state;
    for (int which = 0; encode(&none, which) != RK_NOTFOUND; which++) {
        unsigned failures = 0;

        buf_truncate(&none, 0);
        /* Sizes at which each of an encoder's pieces is the one that no longer fits. */
        for (size_t filled = 380; filled <= 512; filled += 4)
            for (unsigned n = 1; put_failing(which, filled, n); n++)
                failures++;
        assert_true(failures > 0);
    }
    buf_free(&none);
}

static void test_held(void **state)
{
    struct held_item item = {.position = 5};
    struct bytes frame;
    struct held h = {0};

    (void)state;
    fail_allocation(1);
    assert_int_equal(held_add(&h, item, bytes_of(large, 10)), RK_NOMEM);
    fail_allocation(UINT32_MAX);
    assert_int_equal(h.count, 0);
    assert_int_equal(h.newest, 0);
    assert_false(held_peek(&h, UINT64_MAX, &item, &frame));
    assert_int_equal(held_add(&h, item, bytes_of(large, 10)), 0);
    item.position = 6;
    fail_allocation(1);
    assert_int_equal(held_add(&h, item, bytes_of(large, sizeof(large))), RK_NOMEM);
    fail_allocation(UINT32_MAX);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.newest, 5);
    assert_true(held_peek(&h, 5, &item, &frame));
    assert_int_equal(item.size, 10);
    held_free(&h);
}

/* A step that could not be kept leaves no hole: the line begins anew with the next one. */
static void test_history(void **state)
{
    struct history h;
    struct history_line line = {0};

    (void)state;
    history_init(&h, 1 << 20, 100);
    assert_int_equal(history_add(&h, &line, (struct version){1, 0}, (struct version){1, 1}, 7, 8,
                                 bytes_of(large, 10)),
                     0);
    fail_allocation(1);
    assert_int_equal(history_add(&h, &line, (struct version){1, 1}, (struct version){1, 2}, 7, 8,
                                 bytes_of(very_large, sizeof(very_large))),
                     RK_NOMEM);
    fail_allocation(UINT32_MAX);
    assert_int_equal(line.count, 0);
    assert_null(history_find(&line, (struct version){1, 0}));
    assert_int_equal(history_add(&h, &line, (struct version){1, 2}, (struct version){1, 3}, 7, 8,
                                 bytes_of(large, 10)),
                     0);
    assert_int_equal(line.count, 1);
    assert_null(history_find(&line, (struct version){1, 0}));
    assert_non_null(history_find(&line, (struct version){1, 2}));
    history_clear(&h, &line);
    history_free(&h);
}

/* Runs an operation with the nth allocation failing. False: there is none. */
static bool run_failing(struct store *store, struct request m, unsigned n)
{
    struct buf out = {0}, proof = {0};
    struct execute_view view = {.store = store,
                                .now_ms = 1,
                                .value_max = 1 << 20,
                                .keep_tombstones = true,
                                .proof = &proof};
    struct effect e = {0};
    struct execute_seen seen;
    bool writes = operation_info(m.op)->writes;
    int error;

    fail_allocation(n);
    error = writes ? execute_write(&view, &m, (struct version){1, 9}, &e)
                   : execute_read(&view, &m, &out, &seen);

    bool failed = one_failed;

    fail_allocation(UINT32_MAX);
    assert_int_equal(error, failed ? RK_NOMEM : 0);
    assert_true(!failed || buf_len(&out) == 0);
    if (failed) {
        error = writes ? execute_write(&view, &m, (struct version){1, 9}, &e)
                       : execute_read(&view, &m, &out, &seen);
        assert_int_equal(error, 0);
    }
    assert_true(writes ? e.changes.count > 0 : buf_len(&out) > 0);
    effect_free(&e);
    buf_free(&out);
    buf_free(&proof);
    return failed;
}

static void put_arg(struct buf *args, const void *data, size_t size)
{
    uint8_t head[4];

    wire_put_u32(head, (uint32_t)size);
    assert_int_equal(buf_append(args, head, 4), 0);
    assert_int_equal(buf_append(args, data, size), 0);
}

static void test_execute(void **state)
{
    struct store_change change = {
        STORE_PUT, bytes_from("00000000key"), {{1, 1}, 0, false, bytes_from("17")}};
    struct store_batch batch = {.changes = &change, .change_count = 1};
    struct store *store;
    uint64_t position;

    (void)state;
    assert_int_equal(store_memory_new(1, &store), 0);
    assert_int_equal(store_apply(store, &batch, &position), 0);
    for (uint8_t op = OP_GET; op <= OP_APPEND; op++) {
        const char *letters = operation_info(op)->args;
        struct buf args = {0};
        uint16_t count = 0;
        unsigned n;

        for (int times = letters[strlen(letters) - 1] == '*' ? 20 : 1; times; times--)
            for (const char *letter = letters; *letter && *letter != '*'; letter++, count++) {
                if (*letter == 'k')
                    put_arg(&args, op == OP_SETNX ? "00000000new" : "00000000key", 11);
                else
                    put_arg(&args, large, *letter == 'i' ? 8 : 100);
            }
        for (uint8_t level = LEVEL_LINEAR; level <= LEVEL_VERSION; level++) {
            struct request m = {
                .op = op, .level = level, .arg_count = count, .args = buf_bytes(&args)};

            for (n = 1; run_failing(store, m, n); n++)
                ;
            assert_true(n > 1);
        }
        buf_free(&args);
    }
    store_close(store);
}

static void put_part(struct buf *args, uint8_t op, const struct buf *inner, uint16_t count)
{
    struct buf part = {0};
    uint8_t head[TRANSACTION_ITEM_HEAD] = {op};

    wire_put_u16(head + 1, count);
    assert_int_equal(buf_append(&part, head, sizeof(head)), 0);
    assert_int_equal(buf_append(&part, buf_head(inner), buf_len(inner)), 0);
    put_arg(args, buf_head(&part), buf_len(&part));
    buf_free(&part);
}

/* Twenty keys, so that the changes get their index; a read in between. */
static void test_execute_transaction(void **state)
{
    struct store *store;
    struct buf args = {0}, inner = {0};
    uint16_t count = 0;
    unsigned n;

    (void)state;
    assert_int_equal(store_memory_new(1, &store), 0);
    for (int i = 0; i < 20; i++) {
        char key[12];

        snprintf(key, sizeof(key), "00000000k%02d", i);
        buf_truncate(&inner, 0);
        put_arg(&inner, key, 11);
        put_part(&args, OP_GET, &inner, 1);
        put_arg(&inner, large, 100);
        put_part(&args, OP_APPEND, &inner, 2);
        count += 2;
    }

    struct request m = {
        .op = OP_EXEC, .level = LEVEL_LINEAR, .arg_count = count, .args = buf_bytes(&args)};

    for (n = 1; run_failing(store, m, n); n++)
        ;
    assert_true(n > 5);
    buf_free(&args);
    buf_free(&inner);
    store_close(store);
}

/* A request that could not be entered into the index must not look as if it had never been. */
static void test_history_index(void **state)
{
    struct history h;
    struct history_line line = {0};
    uint64_t begun = 1;

    (void)state;
    history_init(&h, 1 << 20, 100);
    fail_allocation(2);
    assert_int_equal(history_add(&h, &line, (struct version){1, 0}, (struct version){1, 1}, 7, 8,
                                 bytes_of(large, 10)),
                     RK_NOMEM);
    assert_true(one_failed);
    fail_allocation(UINT32_MAX);
    assert_int_equal(line.count, 0);
    assert_null(history_find_request(&h, &line, 7, 8));
    assert_null(history_find(&line, (struct version){1, 0}));
    assert_int_equal(history_add(&h, &line, (struct version){1, 1}, (struct version){1, 2}, 7, 9,
                                 bytes_of(large, 10)),
                     0);
    assert_non_null(history_find_request(&h, &line, 7, 9));
    /* Once there is one, a table that cannot grow only gets slower. Now and then it is the entry
     * that finds no memory. */
    for (uint64_t op = 2; op < 3000; op++) {
        struct version from = {1, op}, at = {1, op + 1};

        fail_allocation(1);
        if (history_add(&h, &line, from, at, 7, 8 + op, bytes_of(large, 40)) != 0) {
            fail_allocation(UINT32_MAX);
            begun = op;
            assert_int_equal(history_add(&h, &line, from, at, 7, 8 + op, bytes_of(large, 40)), 0);
        }
        assert_int_equal(line.count, op - begun < 100 ? op - begun + 1 : 100);
    }
    assert_true(begun < 2900);
    fail_allocation(UINT32_MAX);
    for (uint64_t op = 2900; op < 3000; op++)
        assert_non_null(history_find_request(&h, &line, 7, 8 + op));
    assert_null(history_find_request(&h, &line, 7, 8 + 2899));
    history_clear(&h, &line);
    assert_null(history_find_request(&h, &line, 7, 8 + 2999));
    history_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoders), cmocka_unit_test(test_held),
        cmocka_unit_test(test_history),  cmocka_unit_test(test_history_index),
        cmocka_unit_test(test_execute),  cmocka_unit_test(test_execute_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
