/* Operations with a condition, with two keys, and several in one piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/transaction.h"
#include "tests/unit/execute_rig.h"

/* --- compare and set ------------------------------------------------------------------------ */

static void cas(const char *key, const char *expected, const char *value)
{
    begin();
    add_key(key);
    add_value(expected);
    add_value(value);
    write_op(OP_CAS);
}

static void test_cas(void **state)
{
    (void)state;
    cas("a", "", "1");
    assert_integer(-1);
    assert_value("a", NULL);
    plant("a", "old", NOW + 5, false);
    cas("a", "ol", "1");
    assert_integer(0);
    cas("a", "old", "new");
    assert_integer(1);
    assert_value("a", "new");
    assert_int_equal(expiry_of("a"), NOW + 5);
    plant("a", "old", NOW, false);
    cas("a", "old", "new");
    assert_integer(-1);
    plant("a", "", 0, false);
    cas("a", "", "x");
    assert_integer(1);
    begin();
    add_key("a");
    add_value("x");
    add_arg(bytes_of((uint8_t[VALUE_MAX + 1]){0}, VALUE_MAX + 1), (struct bytes){0});
    write_op(OP_CAS);
    assert_refused("ERR value is too large");
    assert_value("a", "x");
}

static void msetnx(const char *one, const char *other)
{
    begin();
    add_key(one);
    add_value("1");
    add_key(other);
    add_value("2");
    write_op(OP_MSETNX);
}

static void test_msetnx(void **state)
{
    (void)state;
    msetnx("a", "b");
    assert_integer(1);
    assert_value("a", "1");
    assert_value("b", "2");
    msetnx("c", "b");
    assert_integer(0);
    assert_int_equal(effect.changes.count, 0);
    assert_value("c", NULL);
    msetnx("d", "d");
    assert_integer(1);
    assert_value("d", "2");
}

/* --- two keys ------------------------------------------------------------------------------- */

static void with_two(enum operation op, const char *from, const char *to, int64_t flag)
{
    uint8_t number[8];

    wire_put_i64(number, flag);
    begin();
    add_key(from);
    add_key(to);
    add_arg(bytes_of(number, 8), (struct bytes){0});
    write_op(op);
}

static void test_rename(void **state)
{
    (void)state;
    with_two(OP_RENAME, "a", "b", 0);
    assert_refused("ERR no such key");
    plant("a", "1", NOW + 7, false);
    plant("b", "2", NOW + 9, false);
    with_two(OP_RENAME, "a", "b", KEY_UNLESS_THERE);
    assert_integer(0);
    with_two(OP_RENAME, "a", "b", 0);
    assert_int_equal(effect.reply.kind, REPLY_OK);
    assert_value("a", NULL);
    assert_value("b", "1");
    assert_int_equal(expiry_of("b"), NOW + 7);
    with_two(OP_RENAME, "b", "c", KEY_UNLESS_THERE);
    assert_integer(1);
    assert_value("c", "1");
    with_two(OP_RENAME, "c", "c", KEY_UNLESS_THERE);
    assert_integer(0);
    with_two(OP_RENAME, "c", "c", 0);
    assert_int_equal(effect.reply.kind, REPLY_OK);
    assert_int_equal(effect.changes.count, 0);
    assert_value("c", "1");
}

static void test_copy(void **state)
{
    (void)state;
    with_two(OP_COPY, "a", "b", KEY_UNLESS_THERE);
    assert_integer(0);
    plant("a", "1", NOW + 7, false);
    with_two(OP_COPY, "a", "b", KEY_UNLESS_THERE);
    assert_integer(1);
    assert_value("b", "1");
    assert_int_equal(expiry_of("b"), NOW + 7);
    plant("a", "2", 0, false);
    with_two(OP_COPY, "a", "b", KEY_UNLESS_THERE);
    assert_integer(0);
    assert_value("b", "1");
    with_two(OP_COPY, "a", "b", 0);
    assert_integer(1);
    assert_value("b", "2");
    assert_int_equal(expiry_of("b"), 0);
}

/* --- transactions --------------------------------------------------------------------------- */

static struct buf parts;
static uint16_t part_count;

static void add_part(struct bytes head, struct bytes rest)
{
    struct buf *at = &parts;
    uint8_t size[4];

    wire_put_u32(size, (uint32_t)(head.size + rest.size));
    assert_int_equal(buf_append(at, size, 4), 0);
    assert_int_equal(buf_append(at, head.data, head.size), 0);
    assert_int_equal(buf_append(at, rest.data, rest.size), 0);
    part_count++;
}

/* The arguments that were added become a part. */
static void part(enum operation op)
{
    uint8_t head[TRANSACTION_ITEM_HEAD] = {(uint8_t)op};

    wire_put_u16(head + 1, arg_count);
    add_part(bytes_of(head, sizeof(head)), buf_bytes(&args));
    begin();
}

static void part_of(enum operation op, const char *key, const char *value)
{
    begin();
    add_key(key);
    if (value)
        add_value(value);
    part(op);
}

static void part_incr(const char *key)
{
    uint8_t one[8];

    wire_put_i64(one, 1);
    begin();
    add_key(key);
    add_arg(bytes_of(one, 8), (struct bytes){0});
    part(OP_INCRBY);
}

/* A part that watches a key as it stands now. */
static void watch(const char *key)
{
    struct reply reply = read_one(OP_WATCH, key);
    uint8_t head[1 + WATCH_TOKEN_SIZE] = {0};
    struct bytes token;

    assert_int_equal(reply.kind, REPLY_ARRAY);
    token = message_next_arg(&reply.data, NULL);
    assert_int_equal(token.size, WATCH_TOKEN_SIZE);
    memcpy(head + 1, token.data, token.size);
    add_part(bytes_of(head, sizeof(head)), store_key(key));
}

static void exec(void)
{
    buf_truncate(&args, 0);
    assert_int_equal(buf_append(&args, buf_head(&parts), buf_len(&parts)), 0);
    arg_count = part_count;
    assert_int_equal(message_check_args(OP_EXEC, arg_count, buf_bytes(&args)), 0);
    write_op(OP_EXEC);
    if (effect.reply.kind == REPLY_RESULTS)
        assert_int_equal(transaction_check_results(effect.reply.data, effect.reply.count), 0);
    buf_truncate(&parts, 0);
    part_count = 0;
}

static struct reply next_result(void)
{
    return transaction_next_result(&effect.reply.data);
}

static void assert_changed(void)
{
    assert_int_equal(effect.reply.kind, REPLY_NIL);
    assert_int_equal(effect.changes.count, 0);
}

/* Reads see what was written before them, and each key is changed once. */
static void test_exec(void **state)
{
    struct reply r;

    (void)state;
    plant("old", "7", NOW + 3, false);
    part_of(OP_SET, "a", "1");
    part_incr("a");
    part_of(OP_GET, "a", NULL);
    part_of(OP_APPEND, "old", "x");
    part_of(OP_DEL, "a", NULL);
    part_of(OP_EXISTS, "a", NULL);
    part_incr("old");
    part_of(OP_GETSET, "a", "z");
    part_of(OP_MGET, "old", NULL);
    exec();
    assert_int_equal(effect.reply.kind, REPLY_RESULTS);
    assert_int_equal(effect.reply.count, 9);
    assert_int_equal(effect.changes.count, 2);
    assert_int_equal(next_result().kind, REPLY_OK);
    assert_int_equal(next_result().integer, 2);
    r = next_result();
    assert_int_equal(r.kind, REPLY_BULK);
    assert_true(bytes_equal(r.data, bytes_from("2")));
    assert_int_equal(next_result().integer, 2);
    assert_int_equal(next_result().integer, 1);
    r = next_result();
    assert_int_equal(r.kind, REPLY_INTEGER);
    assert_int_equal(r.integer, 0);
    r = next_result();
    assert_int_equal(r.kind, REPLY_ERROR);
    assert_int_equal(next_result().kind, REPLY_NIL);
    r = next_result();
    assert_int_equal(r.kind, REPLY_ARRAY);
    assert_int_equal(r.count, 1);
    assert_true(bytes_equal(message_next_arg(&r.data, NULL), bytes_from("7x")));
    assert_int_equal(effect.reply.data.size, 0);
    assert_value("a", "z");
    assert_value("old", "7x");
    assert_int_equal(expiry_of("old"), NOW + 3);
}

/* An operation that fails takes back nothing but its own changes. */
static void test_exec_failure(void **state)
{
    static uint8_t large[VALUE_MAX + 1];

    (void)state;
    part_of(OP_SET, "a", "1");
    begin();
    add_key("b");
    add_value("1");
    add_key("c");
    add_arg(bytes_of(large, sizeof(large)), (struct bytes){0});
    part(OP_MSET);
    exec();
    assert_int_equal(next_result().kind, REPLY_OK);
    assert_int_equal(next_result().kind, REPLY_ERROR);
    assert_value("a", "1");
    assert_value("b", NULL);
}

/* A value that one operation takes out of the store stays what it was while the next looks up. */
static void test_exec_rename(void **state)
{
    (void)state;
    plant("a", "value of a", 0, false);
    plant("b", "value of b", 0, false);
    begin();
    add_key("a");
    add_key("t");
    add_arg(bytes_of((uint8_t[8]){0}, 8), (struct bytes){0});
    part(OP_RENAME);
    add_key("b");
    add_key("a");
    add_arg(bytes_of((uint8_t[8]){0}, 8), (struct bytes){0});
    part(OP_RENAME);
    add_key("t");
    add_key("b");
    add_arg(bytes_of((uint8_t[8]){0}, 8), (struct bytes){0});
    part(OP_RENAME);
    exec();
    assert_value("a", "value of b");
    assert_value("b", "value of a");
    assert_value("t", NULL);
}

static void test_watch(void **state)
{
    (void)state;
    plant("a", "1", 0, false);
    watch("a");
    watch("none");
    part_of(OP_SET, "b", "done");
    exec();
    assert_int_equal(effect.reply.kind, REPLY_RESULTS);
    assert_value("b", "done");

    watch("a");
    part_of(OP_SET, "b", "wrong");
    plant("a", "1", 0, false); /* the same value, written anew */
    exec();
    assert_changed();
    assert_value("b", "done");

    watch("none");
    part_of(OP_SET, "b", "wrong");
    plant("none", "", 0, false);
    exec();
    assert_changed();
    watch("none");
    plant("none", NULL, 0, true);
    part_of(OP_SET, "b", "wrong");
    exec();
    assert_changed();
}

/* It came and went: there is a newer trace, or something was forgotten since. Expiry: a change. */
static void test_watch_absent(void **state)
{
    struct store_change forget = {STORE_FORGET, {0}, {{0}, 0, false, {0}}};
    struct store_batch batch = {.changes = &forget, .change_count = 1};

    (void)state;
    plant("a", NULL, 0, true);
    view.last = (struct version){1, last_op};
    watch("a");
    exec();
    assert_int_equal(effect.reply.kind, REPLY_RESULTS);
    assert_int_equal(effect.reply.count, 0);
    watch("a");
    plant("a", NULL, 0, true);
    exec();
    assert_changed();

    forget.key = store_key("a");
    assert_int_equal(store_apply(view.store, &batch, &position), 0);
    view.last = view.forgotten = (struct version){1, last_op};
    watch("a");
    exec();
    assert_int_equal(effect.reply.kind, REPLY_RESULTS);
    watch("a");
    view.forgotten.op++;
    exec();
    assert_changed();
    view.last = view.forgotten;

    plant("e", "1", NOW + 1, false);
    view.last = (struct version){1, last_op};
    watch("e");
    view.now_ms = NOW + 1;
    exec();
    assert_changed();
    watch("e");
    exec();
    assert_int_equal(effect.reply.kind, REPLY_RESULTS);
}

/* Nothing is done when all of it is more than fits. */
static void test_exec_too_large(void **state)
{
    enum { SIZE = 16 << 20 };
    uint8_t *value = calloc(1, SIZE);

    (void)state;
    assert_non_null(value);
    view.value_max = SIZE;
    for (int i = 0; i < 5; i++) {
        begin();
        add_key("a");
        add_arg(bytes_of(value, SIZE), (struct bytes){0});
        part(OP_SET);
    }
    exec();
    assert_refused("EXECABORT Transaction discarded because it changes more than 4096 keys");
    assert_value("a", NULL);
    free(value);
}

static int stop(void **state)
{
    buf_free(&parts);
    return finish(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cas),          TEST(test_msetnx),
        TEST(test_rename),       TEST(test_copy),
        TEST(test_exec),         TEST(test_exec_failure),
        TEST(test_exec_rename),  TEST(test_watch),
        TEST(test_watch_absent), TEST(test_exec_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
