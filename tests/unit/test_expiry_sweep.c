/* Expired records go by themselves, from all replicas, in bounded steps, and never too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "shared/wire.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { NODES = 3, MANY = 3 * EXPIRY_LOOKS };

static struct shard_rig rig;

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, NODES, 64);
    rig_set(&rig, 0, bytes_from("stays"));
    rig_settle(&rig);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

/* The same record at all nodes that live, as if it had been replicated. */
static void plant(int key, int64_t expire_ms)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    const struct group *g = shard_group(rig.nodes[rig_leader(&rig)].shard, 0);
    struct store_change change = {
        STORE_PUT, rig_key(key, room), {{g->view, 1}, expire_ms, false, bytes_from("x")}};

    for (int n = 0; n < NODES; n++)
        if (rig.nodes[n].shard)
            rig_write(&rig, n, &change);
}

static bool is_there(int node, int key)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct store_record found;
    uint64_t wait;

    return store_get(rig.nodes[node].store, rig_key(key, room), &found, &wait) == 0;
}

static int count_there(int node, int first, int last)
{
    int count = 0;

    for (int key = first; key <= last; key++)
        count += is_there(node, key);
    return count;
}

static uint64_t expired(void)
{
    return rig.nodes[rig_leader(&rig)].shard->counters.expired;
}

static void wait_until(uint64_t time_ms)
{
    while (rig.now_ms < time_ms) {
        rig_tick(&rig);
        rig_deliver(&rig);
    }
}

static void test_goes_when_it_is_time(void **state)
{
    int64_t time_ms = (int64_t)rig.now_ms + 5000;

    (void)state;
    plant(1, time_ms);
    plant(2, time_ms + 100000);
    wait_until((uint64_t)time_ms + EXPIRY_MARGIN_MS - 200);
    for (int n = 0; n < NODES; n++)
        assert_int_equal(count_there(n, 0, 2), 3);
    assert_int_equal(expired(), 0);
    wait_until((uint64_t)time_ms + EXPIRY_MARGIN_MS + EXPIRY_PASS_MS + 200);
    for (int n = 0; n < NODES; n++) {
        assert_false(is_there(n, 1));
        assert_true(is_there(n, 0) && is_there(n, 2));
    }
    assert_int_equal(expired(), 1);
    rig_check_equal(&rig);
}

/* So many in a tick, and all in the end. */
static void test_many(void **state)
{
    (void)state;
    for (int key = 1; key <= MANY; key++)
        plant(key, (int64_t)rig.now_ms + 1);
    wait_until(rig.now_ms + EXPIRY_MARGIN_MS / 2);
    while (expired() < MANY) {
        uint64_t before = expired();

        rig_tick(&rig);
        rig_deliver(&rig);
        assert_true(expired() - before <= EXPIRY_DELETES);
        assert_true(rig.now_ms < 1000000);
    }
    rig_settle(&rig);
    for (int n = 0; n < NODES; n++)
        assert_int_equal(count_there(n, 1, MANY), 0);
    rig_check_equal(&rig);
}

/* Without a majority nothing is taken, and nothing piles up. */
static void test_no_majority(void **state)
{
    int leader = rig_leader(&rig);

    (void)state;
    for (int n = 0; n < NODES; n++)
        if (n != leader)
            rig_kill(&rig, n);
    for (int key = 1; key <= 10; key++)
        plant(key, (int64_t)rig.now_ms + 1);
    wait_until(rig.now_ms + EXPIRY_MARGIN_MS + 3 * EXPIRY_PASS_MS);
    assert_int_equal(count_there(leader, 1, 10), 10);
    for (int n = 0; n < NODES; n++)
        if (n != leader)
            rig_start(&rig, n);
    rig_settle(&rig);
    wait_until(rig.now_ms + 10000);
    for (int n = 0; n < NODES; n++)
        assert_int_equal(count_there(n, 1, 10), 0);
    rig_check_equal(&rig);
}

/* A key that was set anew is another record. */
static void test_set_anew(void **state)
{
    (void)state;
    plant(1, (int64_t)rig.now_ms + 1);
    rig_set(&rig, 1, bytes_from("new"));
    wait_until(rig.now_ms + EXPIRY_MARGIN_MS + 2 * EXPIRY_PASS_MS);
    for (int n = 0; n < NODES; n++)
        assert_true(is_there(n, 1));
    assert_int_equal(expired(), 0);
}

/* A key of another partition; numbers are in key order within one, and in the order of expiry over
 * all. */
static struct bytes key_in(uint32_t partition, int number, uint8_t room[STORE_KEY_SIZE_MAX])
{
    struct bytes key = rig_key(number, room);

    wire_put_position(room, (uint64_t)partition * (UINT64_MAX / ring_partitions(rig.ring) + 1) +
                                wire_get_position(room));
    return key;
}

static void plant_in(uint32_t partition, int number)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct store_change change = {
        STORE_PUT,
        key_in(partition, number, room),
        {{1, 1}, (int64_t)rig.now_ms + 1 + number, false, bytes_from("x")}};

    for (int n = 0; n < NODES; n++)
        rig_write(&rig, n, &change);
}

static int count_in(int node, uint32_t partition, int count)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct store_record found;
    uint64_t wait;
    int there = 0;

    for (int number = 0; number < count; number++)
        there +=
            store_get(rig.nodes[node].store, key_in(partition, number, room), &found, &wait) == 0;
    return there;
}

/* What comes up together is split: an operation for each partition, with its own keys alone, which
 * the replicas check; and each node takes what it leads. */
static void test_split(void **state)
{
    enum { EACH = 10 };
    uint32_t partitions = ring_partitions(rig.ring);
    struct version before[NODES][8];

    (void)state;
    assert_true(partitions <= 8);
    for (uint32_t p = 0; p < partitions; p++)
        for (int n = 0; n < NODES; n++)
            before[n][p] = shard_group(rig_shard(&rig, n), p)->last;
    for (int number = 0; number < EACH; number++)
        for (uint32_t p = 0; p < partitions; p++)
            plant_in(p, number);
    wait_until(rig.now_ms + EXPIRY_MARGIN_MS + 2 * EXPIRY_PASS_MS);
    for (int n = 0; n < NODES; n++) {
        uint64_t led = 0;

        for (uint32_t p = 0; p < partitions; p++) {
            const struct group *g = shard_group(rig_shard(&rig, n), p);

            assert_int_equal(count_in(n, p, EACH), 0);
            /* One operation took them all, here and where the partition is led. */
            assert_int_equal(g->last.op, before[n][p].op + 1);
            led += g->role == GROUP_PRIMARY;
            if (g->role == GROUP_PRIMARY)
                assert_int_equal(g->expiry_op, g->last.op);
        }
        assert_true(led > 0);
        assert_int_equal(rig_shard(&rig, n)->counters.expired, led * EACH);
    }
}

/* While a partition's last operation is not committed no more are taken of it; of others they are.
 * (Key 0 of the first partition is the one that stays.) */
static void test_one_at_a_time(void **state)
{
    struct group *g = shard_group(rig_shard(&rig, 0), 0);
    uint32_t other = ring_partitions(rig.ring) - 1;

    (void)state;
    assert_int_equal(g->role, GROUP_PRIMARY);
    assert_int_equal(shard_group(rig_shard(&rig, 0), other)->role, GROUP_PRIMARY);
    g->expiry_op = g->committed + 1;
    plant_in(0, 1);
    plant_in(other, 1);
    wait_until(rig.now_ms + EXPIRY_MARGIN_MS + 3 * EXPIRY_PASS_MS);
    assert_int_equal(count_in(0, 0, 2), 2);
    assert_int_equal(count_in(0, other, 2), 0);
    g->expiry_op = g->committed;
    g->handing_ms = 1; /* nor of one that is being handed over */
    wait_until(rig.now_ms + 2 * EXPIRY_PASS_MS);
    assert_int_equal(count_in(0, 0, 2), 2);
    g->handing_ms = 0;
    wait_until(rig.now_ms + 2 * EXPIRY_PASS_MS);
    assert_int_equal(count_in(0, 0, 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_when_it_is_time, start, finish),
        cmocka_unit_test_setup_teardown(test_many, start, finish),
        cmocka_unit_test_setup_teardown(test_no_majority, start, finish),
        cmocka_unit_test_setup_teardown(test_set_anew, start, finish),
        cmocka_unit_test_setup_teardown(test_split, start, finish),
        cmocka_unit_test_setup_teardown(test_one_at_a_time, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
