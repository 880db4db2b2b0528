/* Comparing replicas while they serve, and mending what differs or cannot be read. n0 leads two of
 * the four partitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { KEYS = 5000 };

static struct shard_rig rig;

static int start(void **state)
{
    (void)state;
    rig_begin(&rig, 3, 64);
    for (int key = 0; key < KEYS; key++)
        rig_set(&rig, key, bytes_from("value"));
    rig_settle(&rig);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    rig_end(&rig);
    return 0;
}

static struct verify *verify(bool repair)
{
    struct shard *s = rig.nodes[0].shard;

    verify_begin(s, 1, repair);
    rig_settle(&rig);
    assert_false(s->verify.runs);
    assert_int_equal(s->verify.under_way, 0);
    return &s->verify;
}

/* n1 has another record, n2 one too few and one too many. */
static void make_different(void)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct store_change change = {
        STORE_PUT, rig_key(1234, room), {{view_of(1, 1), 3}, 0, false, bytes_from("other")}};

    rig_write(&rig, 1, &change);
    change.key = rig_key(KEYS + 5, room);
    rig_write(&rig, 2, &change);
    change = (struct store_change){.kind = STORE_FORGET, .key = rig_key(77, room)};
    rig_write(&rig, 2, &change);
}

static void check_named(const struct verify *v, const char *how)
{
    static const char *const lines[] = {"difference=0 2 %s 6b657931323334\n",
                                        "difference=0 3 %s 6b657935303035\n",
                                        "difference=0 3 %s 6b65793737\n"};

    for (size_t i = 0; i < 3; i++) {
        char line[80];
        int size = snprintf(line, sizeof(line), lines[i], how);

        assert_non_null(memmem(buf_head(&v->findings), buf_len(&v->findings), line, (size_t)size));
    }
}

static void test_equal(void **state)
{
    struct verify *v = verify(false);

    (void)state;
    assert_int_equal(v->compared, 4);
    assert_int_equal(v->left_out, 0);
    assert_int_equal(v->differ, 0);
}

static void test_named_only(void **state)
{
    struct verify *v;

    (void)state;
    make_different();
    for (int i = 0; i < 2; i++) {
        v = verify(false);
        assert_int_equal(v->differ, 3);
        check_named(v, "found");
    }
}

static void test_repaired(void **state)
{
    struct verify *v;

    (void)state;
    make_different();
    v = verify(true);
    assert_int_equal(v->differ, 3);
    check_named(v, "repaired");
    rig_check_equal(&rig);
    assert_int_equal(verify(false)->differ, 0);
}

static void test_not_there(void **state)
{
    struct verify *v;

    (void)state;
    rig_kill(&rig, 2);
    v = verify(false);
    assert_int_equal(v->compared, 2);
    assert_int_equal(v->left_out, 2);
}

/* A backup that cannot read a record never serves it, and has it again soon. */
static void test_damaged_backup(void **state)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct reply reply;

    (void)state;
    assert_int_equal(store_memory_damage(rig.nodes[2].store, rig_key(42, room)), 0);
    reply = rig_request(&rig, 2, OP_GET, LEVEL_ANY, 42, (struct bytes){0});
    assert_int_equal(reply.kind, REPLY_REFUSED);
    assert_int_equal(reply.refusal, REFUSAL_DAMAGED);
    rig_settle(&rig);
    rig_check_equal(&rig);
    reply = rig_request(&rig, 2, OP_GET, LEVEL_ANY, 42, (struct bytes){0});
    assert_true(bytes_equal(reply.data, bytes_from("value")));
    assert_int_equal(rig.nodes[0].shard->counters.records_repaired, 1);
}

/* A primary lets another one lead, is repaired, and leads again. */
static void test_damaged_primary(void **state)
{
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct reply reply;

    (void)state;
    assert_int_equal(store_memory_damage(rig.nodes[0].store, rig_key(42, room)), 0);
    reply = rig_request(&rig, 0, OP_GET, LEVEL_LINEAR, 42, (struct bytes){0});
    assert_int_equal(reply.refusal, REFUSAL_DAMAGED);
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), 0);
    rig_check_equal(&rig);
    assert_true(rig.nodes[1].shard->counters.records_repaired == 1 ||
                rig.nodes[2].shard->counters.records_repaired == 1);
}

/* Neither the primary nor `backup` can read the record: the third one is asked in the end. */
static void check_damaged_twice(int backup)
{
    const int at[] = {0, backup};
    uint8_t room[STORE_KEY_SIZE_MAX];
    struct reply reply;

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(store_memory_damage(rig.nodes[at[i]].store, rig_key(42, room)), 0);
        reply = rig_request(&rig, at[i], OP_GET, LEVEL_ANY, 42, (struct bytes){0});
        assert_int_equal(reply.refusal, REFUSAL_DAMAGED);
    }
    rig_settle(&rig);
    rig_check_equal(&rig);
}

static void test_damaged_twice(void **state)
{
    (void)state;
    check_damaged_twice(1);
    check_damaged_twice(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_equal, start, finish),
        cmocka_unit_test_setup_teardown(test_named_only, start, finish),
        cmocka_unit_test_setup_teardown(test_repaired, start, finish),
        cmocka_unit_test_setup_teardown(test_not_there, start, finish),
        cmocka_unit_test_setup_teardown(test_damaged_backup, start, finish),
        cmocka_unit_test_setup_teardown(test_damaged_primary, start, finish),
        cmocka_unit_test_setup_teardown(test_damaged_twice, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
