/* Range transfer: a replica that was away becomes equal, whatever it has, and gets little more than
 * what changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { KEYS = 10000, VALUE = 100, HISTORY_STEPS = 16, AWAY = 2, CHANGED = 200 };

static struct shard_rig rig;
static uint8_t value_data[VALUE];

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, 3, HISTORY_STEPS);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

static struct bytes value_of(int round)
{
    memset(value_data, 'a' + round, VALUE);
    return bytes_of(value_data, VALUE);
}

static void set_keys(int round, int step)
{
    for (int key = 0; key < KEYS; key += step)
        rig_set(&rig, key, value_of(round));
}

static struct shard *leader(void)
{
    return rig.nodes[rig_leader(&rig)].shard;
}

static uint64_t sent_to_away(void)
{
    return rig.nodes[0].sent[AWAY] + rig.nodes[1].sent[AWAY];
}

/* It could answer the newest requests again, though it was not there when they were carried out. */
static void check_remembers(void)
{
    struct shard *s = rig.nodes[AWAY].shard;

    for (uint64_t number = rig.requests; number > rig.requests - HISTORY_STEPS / 2; number--)
        assert_non_null(history_find_request(&s->history, &s->groups[0].line, 7, number));
}

/* The node comes back and is brought up; the bytes that it was sent. */
static uint64_t come_back(void)
{
    uint64_t before = sent_to_away();

    rig_start(&rig, AWAY);
    rig_settle(&rig);
    rig_check_equal(&rig);
    check_remembers();
    return sent_to_away() - before;
}

static void test_gets_what_changed(void **state)
{
    uint64_t sent;

    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    set_keys(1, KEYS / CHANGED);
    sent = come_back();
    assert_int_equal(leader()->counters.transfers, 1);
    assert_int_equal(leader()->counters.ranges_differ, 0);
    assert_true(sent > CHANGED * VALUE && sent < CHANGED * (VALUE + 80) + 8192);
}

static void test_nothing_to_send(void **state)
{
    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    for (int i = 0; i < 2 * HISTORY_STEPS; i++)
        rig_set(&rig, 5, value_of(i % 7));
    assert_true(come_back() < 8192);
    assert_int_equal(leader()->counters.transfers, 1);
}

/* What no majority ever had: a record that is other, one too many, one too few. Only around these
 * is more sent. */
static void test_went_another_way(void **state)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct store_change other = {
        STORE_PUT, rig_key(4000, room), {{view_of(9, 3), 1}, 0, false, bytes_from("other")}};
    struct store_change fewer = {.kind = STORE_FORGET};
    uint64_t sent;

    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    set_keys(1, KEYS / CHANGED);
    rig_write(&rig, AWAY, &other);
    other.key = rig_key(KEYS + 1, room);
    rig_write(&rig, AWAY, &other);
    fewer.key = rig_key(7001, room);
    rig_write(&rig, AWAY, &fewer);
    sent = come_back();
    assert_true(leader()->counters.ranges_differ >= 2);
    assert_true(sent < CHANGED * (VALUE + 80) + 3 * 128 * (VALUE + 80) + 16384);
}

static void test_damaged_record(void **state)
{
    uint8_t room[STORE_KEY_SIZE_MAX];

    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    set_keys(1, KEYS / CHANGED);
    assert_int_equal(store_memory_damage(rig.nodes[AWAY].store, rig_key(4001, room)), 0);
    assert_int_equal(store_memory_damage(rig.nodes[AWAY].store, rig_key(4000, room)), 0);
    come_back();
    assert_true(leader()->counters.ranges_differ > 0);
}

/* A disk that is there, and empty. */
static void empty_store(void)
{
    store_close(rig.nodes[AWAY].store);
    assert_int_equal(store_memory_new(9, &rig.nodes[AWAY].store), 0);
    store_memory_auto(rig.nodes[AWAY].store, NULL, NULL);
}

/* All have lost their power, and the most advanced one cannot read a record: it can bring nobody
 * up. A majority without it has all that was acknowledged, and mends it. */
static void lose_power_with_damage(int written, int damaged)
{
    uint8_t room[STORE_KEY_SIZE_MAX];

    rig_send_set(&rig, 0, written, value_of(1));
    rig_kill(&rig, 1);
    rig_kill(&rig, 2);
    rig_deliver(&rig);
    assert_int_equal(store_memory_damage(rig.nodes[0].store, rig_key(damaged, room)), 0);
    rig_kill(&rig, 0);
    for (int node = 0; node < 3; node++)
        rig_start(&rig, node);
}

static void check_mended(int key)
{
    struct reply reply;

    rig_settle(&rig);
    rig_check_equal(&rig);
    reply = rig_request(&rig, rig_leader(&rig), OP_GET, LEVEL_LINEAR, key, bytes_from(""));
    assert_int_equal(reply.kind, REPLY_BULK);
    assert_true(bytes_equal(reply.data, value_of(0)));
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), 0);
}

static void test_damaged_source(void **state)
{
    (void)state;
    for (int key = 0; key < HISTORY_STEPS; key++)
        rig_set(&rig, key, value_of(0));
    lose_power_with_damage(1, 2);
    check_mended(2);
}

/* One that was away for long is a mixture by the time the damaged record is met. */
static void test_damaged_source_of_a_mixture(void **state)
{
    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    for (int key = 0; key < CHANGED; key++)
        rig_set(&rig, key, value_of(1));
    lose_power_with_damage(KEYS - 2, KEYS - 1);
    for (int i = 0; i < 4; i++) {
        rig_tick(&rig);
        rig_deliver(&rig);
    }
    assert_true(rig_shard(&rig, AWAY)->groups[0].partial);
    assert_false(rig_shard(&rig, 1)->groups[0].partial);
    check_mended(KEYS - 1);
}

static void test_copy(void **state)
{
    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    empty_store();
    assert_true(come_back() < KEYS * (VALUE + 80) + 8192);
    assert_int_equal(leader()->counters.ranges_differ, 0);
}

static void begin_copy(int rounds)
{
    rig_start(&rig, AWAY);
    while (rounds-- && rig_deliver_once(&rig))
        ;
    assert_true(rig.nodes[AWAY].shard->groups[0].partial);
}

/* What the first copy has brought is not sent again. */
static void test_copy_cut_off(void **state)
{
    uint64_t whole;

    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    empty_store();
    whole = sent_to_away();
    begin_copy(8);
    whole = sent_to_away() - whole;
    assert_true(whole > KEYS / 2 * VALUE);
    rig_kill(&rig, AWAY);
    assert_true(come_back() < (KEYS - whole / (VALUE + 80)) * (VALUE + 80) + 128 * (VALUE + 80));
}

/* Steps that are made between the chunks, behind and before where the copy is. */
static void test_live_steps(void **state)
{
    bool moved = true;

    (void)state;
    set_keys(0, 1);
    rig_kill(&rig, AWAY);
    empty_store();
    begin_copy(6);
    for (int i = 0; moved; i++) {
        struct request m = {.id = 1000000u + (uint64_t)i,
                            .epoch = 1,
                            .view = leader()->groups[0].view,
                            .session = 8,
                            .number = 1u + (uint64_t)i,
                            .base_view = leader()->groups[0].last.view,
                            .base_op = leader()->groups[0].last.op,
                            .op = OP_SETNX,
                            .arg_count = 2};
        uint8_t room[STORE_KEY_SIZE_MAX];
        struct bytes key = rig_key(i % 2 ? KEYS + i : i * 997 % KEYS, room);
        uint8_t args[64] = {(uint8_t)key.size};

        memcpy(args + 4, key.data, key.size);
        args[4 + key.size] = 4;
        memcpy(args + 8 + key.size, "live", 4);
        m.args = bytes_of(args, 12 + key.size);
        if (i < 40)
            shard_request(leader(), 1, &m);
        moved = rig_deliver_once(&rig);
    }
    rig_settle(&rig);
    rig_check_equal(&rig);
    assert_int_equal(rig.nodes[AWAY].shard->counters.steps_applied > 20, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gets_what_changed, start, finish),
        cmocka_unit_test_setup_teardown(test_nothing_to_send, start, finish),
        cmocka_unit_test_setup_teardown(test_went_another_way, start, finish),
        cmocka_unit_test_setup_teardown(test_damaged_record, start, finish),
        cmocka_unit_test_setup_teardown(test_damaged_source, start, finish),
        cmocka_unit_test_setup_teardown(test_damaged_source_of_a_mixture, start, finish),
        cmocka_unit_test_setup_teardown(test_copy, start, finish),
        cmocka_unit_test_setup_teardown(test_copy_cut_off, start, finish),
        cmocka_unit_test_setup_teardown(test_live_steps, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
