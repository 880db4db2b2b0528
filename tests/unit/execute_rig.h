/* For the tests of operations: a store in memory, and operations run on it. To be included after
 * cmocka.h. */
#ifndef RINGKV_TESTS_UNIT_EXECUTE_RIG_H
#define RINGKV_TESTS_UNIT_EXECUTE_RIG_H

#include "node/execute.h"
#include "node/store_memory.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <stdio.h>
#include <string.h>

enum { NOW = 1000000, VALUE_MAX = 100 };

static struct execute_view view;
static struct effect effect;
static struct buf out, args, proof;
static uint8_t level;
static uint16_t arg_count;
static uint64_t last_op;
static uint64_t position; /* of the newest batch */

static inline int start(void **state)
{
    (void)state;
    view = (struct execute_view){.now_ms = NOW,
                                 .value_max = VALUE_MAX,
                                 .keep_tombstones = true,
                                 .proof = &proof,
                                 .last = {9, 40},
                                 .unchanged_since = 30};
    assert_int_equal(store_memory_new(1, &view.store), 0);
    effect = (struct effect){0};
    out = args = proof = (struct buf){0};
    level = LEVEL_LINEAR;
    last_op = position = 0;
    return 0;
}

static inline int finish(void **state)
{
    (void)state;
    store_close(view.store);
    effect_free(&effect);
    buf_free(&out);
    buf_free(&args);
    buf_free(&proof);
    return 0;
}

/* --- requests ------------------------------------------------------------------------------- */

static inline void add_arg(struct bytes a, struct bytes b)
{
    uint8_t size[4];

    wire_put_u32(size, (uint32_t)(a.size + b.size));
    assert_int_equal(buf_append(&args, size, 4), 0);
    assert_int_equal(buf_append(&args, a.data, a.size), 0);
    assert_int_equal(buf_append(&args, b.data, b.size), 0);
    arg_count++;
}

static inline void begin(void)
{
    buf_truncate(&args, 0);
    arg_count = 0;
}

static inline void add_key(const char *key)
{
    add_arg(bytes_from("position"), bytes_from(key));
}

static inline void add_value(const char *value)
{
    add_arg(bytes_from(value), (struct bytes){0});
}

static inline struct request request_of(enum operation op)
{
    return (struct request){.id = 77,
                            .op = (uint8_t)op,
                            .level = level,
                            .arg_count = arg_count,
                            .args = buf_bytes(&args)};
}

static inline struct bytes store_key(const char *key)
{
    static char text[64];

    snprintf(text, sizeof(text), "position%s", key);
    return bytes_from(text);
}

/* Writes a record past the operations. */
static inline void plant(const char *key, const char *value, int64_t expire_ms, bool deleted)
{
    struct store_change change = {
        STORE_PUT,
        store_key(key),
        {{1, ++last_op}, expire_ms, deleted, deleted ? (struct bytes){0} : bytes_from(value)}};
    struct store_batch batch = {.changes = &change, .change_count = 1};

    assert_int_equal(store_apply(view.store, &batch, &position), 0);
}

/* Runs a write and applies what it changes. */
static inline void write_op(enum operation op)
{
    struct request m = request_of(op);
    struct store_batch batch = {0};

    assert_int_equal(execute_write(&view, &m, (struct version){2, ++last_op}, &effect), 0);
    assert_int_equal(effect.reply.id, 77);
    for (size_t i = 0; i < effect.changes.count; i++) {
        const struct store_change *c = &effect.changes.items[i];

        if (c->kind == STORE_PUT) {
            assert_int_equal(c->record.version.view, 2);
            assert_int_equal(c->record.version.op, last_op);
        }
    }
    batch.changes = effect.changes.items;
    batch.change_count = effect.changes.count;
    if (effect.changes.count)
        assert_int_equal(store_apply(view.store, &batch, &position), 0);
}

static inline void write_one(enum operation op, const char *key, const char *value)
{
    begin();
    add_key(key);
    if (value)
        add_value(value);
    write_op(op);
}

static inline void add_integer(int64_t value)
{
    uint8_t number[8];

    wire_put_i64(number, value);
    add_arg(bytes_of(number, 8), (struct bytes){0});
}

static inline void increment(const char *key, int64_t by)
{
    begin();
    add_key(key);
    add_integer(by);
    write_op(OP_INCRBY);
}

static struct execute_seen seen;

/* Runs a read; its one reply. */
static inline struct reply read_op(enum operation op)
{
    struct request m = request_of(op);
    struct reply reply;
    struct frame f;

    buf_truncate(&out, 0);
    assert_int_equal(execute_read(&view, &m, &out, &seen), 0);
    assert_int_equal(frame_read(buf_bytes(&out), FRAME_BODY_MAX, &f), buf_len(&out));
    assert_int_equal(message_get_reply(f.body, &reply), 0);
    assert_int_equal(reply.id, 77);
    return reply;
}

static inline struct reply read_one(enum operation op, const char *key)
{
    begin();
    add_key(key);
    return read_op(op);
}

static inline void assert_value(const char *key, const char *wanted)
{
    struct reply reply = read_one(OP_GET, key);

    assert_int_equal(reply.kind, wanted ? REPLY_BULK : REPLY_NIL);
    if (wanted)
        assert_true(bytes_equal(reply.data, bytes_from(wanted)));
}

static inline int64_t expiry_of(const char *key)
{
    struct store_record found;
    uint64_t wait;

    assert_int_equal(store_get(view.store, store_key(key), &found, &wait), 0);
    return found.expire_ms;
}

/* The reply of the last write is a bulk, or nil when NULL. */
static inline void assert_bulk(const char *wanted)
{
    assert_int_equal(effect.reply.kind, wanted ? REPLY_BULK : REPLY_NIL);
    if (wanted)
        assert_true(bytes_equal(effect.reply.data, bytes_from(wanted)));
}

static inline void assert_integer(int64_t wanted)
{
    assert_int_equal(effect.reply.kind, REPLY_INTEGER);
    assert_true(effect.reply.integer == wanted);
}

static inline void assert_refused(const char *beginning)
{
    assert_int_equal(effect.reply.kind, REPLY_ERROR);
    assert_int_equal(effect.changes.count, 0);
    assert_true(effect.reply.data.size >= strlen(beginning));
    assert_memory_equal(effect.reply.data.data, beginning, strlen(beginning));
}

#endif
