/* A write that comes again is answered as it was the first time, by the next leader as well,
 * however large the answer is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/error.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { SMALL = 10, LARGE = 1 << 20, KEY = 1 };

static struct shard_rig rig;

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, 3, 64);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

static int next_leader(int old)
{
    return old == 0 ? 1 : 0;
}

/* Asks the other nodes until one of them has come to lead. */
static struct reply ask_successor(int node, enum operation op, struct bytes value)
{
    struct reply reply = rig_request_again(&rig, node, op, KEY, value);

    for (int i = 0; i < 20 && reply.kind == REPLY_REFUSED; i++) {
        rig_settle(&rig);
        reply = rig_request_again(&rig, node, op, KEY, value);
    }
    return reply;
}

static void check(enum operation op, size_t size, bool leader_dies)
{
    uint8_t *data = malloc(size);
    struct bytes old = {data, size};
    struct reply reply;
    int leader;

    assert_non_null(data);
    memset(data, 'o', size);
    rig_set(&rig, KEY, old);
    leader = rig_leader(&rig);
    reply = rig_request(&rig, leader, op, LEVEL_LINEAR, KEY, bytes_from("new"));
    assert_int_equal(reply.kind, REPLY_BULK);
    assert_true(bytes_equal(reply.data, old));
    if (leader_dies) {
        rig_kill(&rig, leader);
        reply = ask_successor(next_leader(leader), op, bytes_from("new"));
    } else {
        reply = rig_request_again(&rig, leader, op, KEY, bytes_from("new"));
    }
    assert_int_equal(reply.kind, REPLY_BULK);
    assert_true(bytes_equal(reply.data, old));
    free(data);
}

static void test_same_leader(void **state)
{
    (void)state;
    check(OP_GETSET, SMALL, false);
    check(OP_GETDEL, SMALL, false);
    check(OP_GETSET, LARGE, false);
    check(OP_GETDEL, LARGE, false);
}

static void test_next_leader_small(void **state)
{
    (void)state;
    check(OP_GETDEL, SMALL, true);
}

static void test_next_leader_large(void **state)
{
    (void)state;
    check(OP_GETDEL, LARGE, true);
}

static void test_next_leader_getset(void **state)
{
    (void)state;
    check(OP_GETSET, LARGE, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_leader, start, finish),
        cmocka_unit_test_setup_teardown(test_next_leader_small, start, finish),
        cmocka_unit_test_setup_teardown(test_next_leader_large, start, finish),
        cmocka_unit_test_setup_teardown(test_next_leader_getset, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
