/* Reads against the store's twin in memory: what they answer, and what their answers have to wait
 * for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/proof.h"
#include "tests/unit/execute_rig.h"

/* --- reads ---------------------------------------------------------------------------------- */

static void test_get(void **state)
{
    (void)state;
    assert_value("a", NULL);
    plant("a", "value", 0, false);
    assert_value("a", "value");
    plant("a", "", 0, false);
    assert_value("a", "");
    plant("a", NULL, 0, true);
    assert_value("a", NULL);
    assert_value("b", NULL);
}

/* A record is there until its time, and not at it. */
static void test_expiry(void **state)
{
    (void)state;
    plant("a", "1", NOW + 1, false);
    plant("b", "2", NOW, false);
    plant("c", "3", NOW - 1, false);
    plant("d", "4", INT64_MAX, false);
    assert_value("a", "1");
    assert_value("b", NULL);
    assert_value("c", NULL);
    assert_value("d", "4");
    begin();
    add_key("a");
    add_key("b");
    add_key("c");
    add_key("d");
    assert_int_equal(read_op(OP_EXISTS).integer, 2);
    assert_int_equal(read_one(OP_STRLEN, "b").integer, 0);
}

static void test_mget(void **state)
{
    struct reply reply;
    bool nil;

    (void)state;
    plant("a", "1", 0, false);
    plant("b", NULL, 0, true);
    plant("c", "", 0, false);
    begin();
    add_key("c");
    add_key("a");
    add_key("b");
    add_key("none");
    add_key("a");
    reply = read_op(OP_MGET);
    assert_int_equal(reply.kind, REPLY_ARRAY);
    assert_int_equal(reply.count, 5);
    assert_true(message_next_arg(&reply.data, &nil).size == 0 && !nil);
    assert_true(bytes_equal(message_next_arg(&reply.data, &nil), bytes_from("1")) && !nil);
    message_next_arg(&reply.data, &nil);
    assert_true(nil);
    message_next_arg(&reply.data, &nil);
    assert_true(nil);
    assert_true(bytes_equal(message_next_arg(&reply.data, &nil), bytes_from("1")) && !nil);
}

static void test_exists_and_strlen(void **state)
{
    (void)state;
    plant("a", "12345", 0, false);
    plant("b", NULL, 0, true);
    plant("c", "", 0, false);
    begin();
    add_key("a");
    add_key("a");
    add_key("b");
    add_key("c");
    add_key("none");
    assert_int_equal(read_op(OP_EXISTS).integer, 3);
    assert_int_equal(read_one(OP_STRLEN, "a").integer, 5);
    assert_int_equal(read_one(OP_STRLEN, "b").integer, 0);
    assert_int_equal(read_one(OP_STRLEN, "c").integer, 0);
    assert_int_equal(read_one(OP_STRLEN, "none").integer, 0);
}

/* What is damaged is not answered, and nothing of an answer is left behind. */
static void test_damaged(void **state)
{
    static const enum operation reads[] = {OP_GET, OP_MGET, OP_EXISTS, OP_STRLEN};
    static const enum operation writes[] = {OP_SETNX, OP_GETSET, OP_APPEND, OP_DEL};
    struct request m;

    (void)state;
    plant("a", "1", 0, false);
    assert_int_equal(store_memory_damage(view.store, store_key("a")), 0);
    assert_int_equal(buf_append(&out, "before", 6), 0);
    begin();
    add_key("a");
    for (int i = 0; i < 4; i++) {
        m = request_of(reads[i]);
        assert_int_equal(execute_read(&view, &m, &out, &seen), RK_CORRUPT);
        assert_int_equal(buf_len(&out), 6);
    }
    add_value("value");
    for (int i = 0; i < 4; i++) {
        m = request_of(writes[i]);
        m.arg_count = writes[i] == OP_DEL ? 1 : 2;
        assert_int_equal(execute_write(&view, &m, (struct version){2, 1}, &effect), RK_CORRUPT);
        assert_int_equal(effect.changes.count, 0);
    }
    begin();
    add_key("a");
    add_arg(bytes_of("\1\0\0\0\0\0\0\0", 8), (struct bytes){0});
    m = request_of(OP_INCRBY);
    assert_int_equal(execute_write(&view, &m, (struct version){2, 1}, &effect), RK_CORRUPT);
    /* A SET does not look, and mends it. */
    write_one(OP_SET, "a", "new");
    assert_value("a", "new");
}

/* --- what an answer waits for --------------------------------------------------------------- */

static void test_seen(void **state)
{
    (void)state;
    plant("old", "1", 0, false);
    plant("dead", NULL, 0, true);
    store_submit(view.store);
    store_memory_sync(view.store, position);
    read_one(OP_GET, "old");
    assert_int_equal(seen.position, 0);
    assert_true(seen.newest.view == 1 && seen.newest.op == 1);
    read_one(OP_GET, "none");
    assert_true(seen.position == 0 && seen.newest.view == 0 && seen.newest.op == 0);
    /* That a key is gone is told by its tombstone. */
    read_one(OP_GET, "dead");
    assert_true(seen.position == 0 && seen.newest.view == 1 && seen.newest.op == 2);

    write_one(OP_SET, "new", "2");
    begin();
    add_key("old");
    add_key("new");
    add_key("dead");
    read_op(OP_MGET);
    assert_int_equal(seen.position, position);
    assert_true(seen.newest.view == 2 && seen.newest.op == 3);
    read_op(OP_EXISTS);
    assert_int_equal(seen.position, position);
    assert_true(seen.newest.view == 2 && seen.newest.op == 3);
    /* What an earlier call saw does not count. */
    read_one(OP_GET, "old");
    assert_true(seen.position == 0 && seen.newest.op == 1);
}

/* A key that was forgotten without a trace still has a write to wait for. */
static void test_seen_forgotten(void **state)
{
    (void)state;
    view.keep_tombstones = false;
    write_one(OP_SET, "a", "1");
    write_one(OP_DEL, "a", NULL);
    assert_value("a", NULL);
    assert_int_equal(seen.position, position);
    store_submit(view.store);
    store_memory_sync(view.store, position);
    assert_value("a", NULL);
    assert_int_equal(seen.position, 0);
}

/* --- proofs --------------------------------------------------------------------------------- */

static void check_proof(const struct reply *reply, const struct version *versions, size_t count)
{
    const uint8_t *at = reply->proof.data;
    bool unchanged = false;

    assert_int_equal(reply->proof.size, PROOF_HEAD_SIZE + count * PROOF_VERSION_SIZE);
    assert_int_equal(wire_get_u64(at), 9);
    for (size_t i = 0; i < count; i++) {
        unchanged = unchanged || versions[i].view == PROOF_UNCHANGED;
        assert_true(wire_get_u64(at + 16 + 16 * i) == versions[i].view);
        assert_true(wire_get_u64(at + 24 + 16 * i) == versions[i].op);
    }
    assert_int_equal(wire_get_u64(at + 8), level == LEVEL_VALUE ? 40 : unchanged ? 30 : 0);
}

/* The view of the state, and the version of each key as often as it is named: of a deleted one too,
 * of an expired one too, zero for one without a trace. Of who gives versions alone that is one that
 * has not changed. */
static void test_proof(void **state)
{
    struct version versions[] = {{1, 1}, {0, 0}, {1, 2}, {1, 1}, {1, 3}};
    struct reply reply;

    (void)state;
    plant("a", "12", 0, false);
    plant("dead", NULL, 0, true);
    plant("expired", "3", NOW - EXECUTE_CLOCK_MS, false);
    for (int op = OP_GET; op <= OP_STRLEN; op++)
        for (level = LEVEL_LINEAR; level <= LEVEL_VERSION; level++) {
            bool many = op == OP_MGET || op == OP_EXISTS;

            begin();
            add_key("a");
            if (many) {
                add_key("none");
                add_key("dead");
                add_key("a");
            }
            /* Its value is the primary's to tell. */
            if (many && level != LEVEL_VALUE)
                add_key("expired");
            reply = read_op((enum operation)op);
            versions[1].view = level == LEVEL_VERSION ? PROOF_UNCHANGED : 0;
            if (level >= LEVEL_VALUE)
                check_proof(&reply, versions, !many ? 1 : level == LEVEL_VALUE ? 4 : 5);
            else
                assert_int_equal(reply.proof.size, 0);
            assert_int_equal(reply.kind, level == LEVEL_VERSION ? REPLY_VERSION
                                         : op == OP_GET         ? REPLY_BULK
                                         : op == OP_MGET        ? REPLY_ARRAY
                                                                : REPLY_INTEGER);
            assert_true(reply.kind != REPLY_INTEGER || reply.integer == 2);
        }
}

/* Of what was not written lately the version is not looked for, unless the value is asked for. */
static void test_proof_unchanged(void **state)
{
    static const struct version told[2][2] = {{{1, 1}, {1, 2}}, {{PROOF_UNCHANGED, 0}, {1, 2}}};
    struct reply reply;

    (void)state;
    plant("old", "1", 0, false);
    store_submit(view.store);
    store_memory_sync(view.store, position);
    plant("new", "2", 0, false);
    store_submit(view.store);
    store_memory_sync(view.store, position);
    for (level = LEVEL_VALUE; level <= LEVEL_VERSION; level++) {
        begin();
        add_key("old");
        add_key("new");
        reply = read_op(OP_EXISTS);
        check_proof(&reply, told[level == LEVEL_VERSION], 2);
    }
}

/* Clocks of replicas differ: near its expiry and after it a record is told of by the primary alone,
 * while its version, which is no matter of clocks, is told by all. */
static void test_unsettled(void **state)
{
    struct request m;

    (void)state;
    for (int left_ms = -EXECUTE_CLOCK_MS; left_ms <= EXECUTE_CLOCK_MS; left_ms++) {
        bool settled = left_ms >= EXECUTE_CLOCK_MS;

        plant("a", "1", NOW + left_ms, false);
        begin();
        add_key("a");
        m = request_of(OP_GET);
        for (m.level = LEVEL_LINEAR; m.level <= LEVEL_VERSION; m.level++) {
            buf_truncate(&out, 0);
            assert_int_equal(execute_read(&view, &m, &out, &seen),
                             settled || m.level != LEVEL_VALUE ? 0 : RK_UNSETTLED);
        }
        assert_value("a", left_ms > 0 ? "1" : NULL);
    }
    plant("a", NULL, 0, true);
    level = LEVEL_VALUE;
    assert_value("a", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get, start, finish),
        cmocka_unit_test_setup_teardown(test_expiry, start, finish),
        cmocka_unit_test_setup_teardown(test_mget, start, finish),
        cmocka_unit_test_setup_teardown(test_exists_and_strlen, start, finish),
        cmocka_unit_test_setup_teardown(test_damaged, start, finish),
        cmocka_unit_test_setup_teardown(test_seen, start, finish),
        cmocka_unit_test_setup_teardown(test_seen_forgotten, start, finish),
        cmocka_unit_test_setup_teardown(test_proof, start, finish),
        cmocka_unit_test_setup_teardown(test_proof_unchanged, start, finish),
        cmocka_unit_test_setup_teardown(test_unsettled, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
