/* Expired records go by themselves, from all replicas, in bounded steps, and never too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_when_it_is_time, start, finish),
        cmocka_unit_test_setup_teardown(test_many, start, finish),
        cmocka_unit_test_setup_teardown(test_no_majority, start, finish),
        cmocka_unit_test_setup_teardown(test_set_anew, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
