#include "shared/error.h"
#include "shared/ring_change.h"
#include "shared/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct ring_asked asked = {"add n3", "test@here", 1000, 5000};

static void fill_member(struct ring_member *m, uint32_t i)
{
    wire_put_u32(m->identity, i + 1);
    m->number = (uint16_t)(i + 1);
    m->port = (uint16_t)(7000 + i);
    m->shards = 2;
    m->weight = 1;
    snprintf(m->name, sizeof(m->name), "n%u", (unsigned)i);
    snprintf(m->host, sizeof(m->host), "localhost");
}

/* A finished ring of 16 partitions whose owners are given as letters, repeated as needed. */
static struct ring *make(uint32_t members, uint8_t replicas, const char *owners)
{
    struct ring *r = ring_new(members, 4);
    char why[256] = "";

    assert_non_null(r);
    r->cluster[0] = 1;
    r->epoch = 4;
    r->hash = POSITION_MD5;
    r->replicas = replicas;
    r->next_number = (uint16_t)(members + 1);
    for (uint32_t i = 0; i < members; i++)
        fill_member(&r->members[i], i);
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        r->owners[p] = (uint16_t)(owners[p % strlen(owners)] - 'a');
    if (ring_finish(r, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return r;
}

/* The next ring of a step, which a node would accept; the old one is freed. */
static struct ring *follow(struct ring *now, struct ring *next, int error, const char *why)
{
    char reason[256] = "";

    if (error)
        fail_msg("%s", why);
    if (ring_may_follow(now, next, reason, sizeof(reason)) != 0)
        fail_msg("may not follow: %s", reason);
    assert_true(next->epoch == now->epoch + 1);

    /* What a node decodes is the same. */
    struct buf a = {0}, b = {0};
    struct ring *back;

    assert_int_equal(ring_encode(next, &a), 0);
    assert_int_equal(ring_decode(buf_bytes(&a), &back, reason, sizeof(reason)), 0);
    assert_int_equal(ring_encode(back, &b), 0);
    assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    ring_free(back);
    buf_free(&a);
    buf_free(&b);
    ring_free(now);
    return next;
}

static struct ring *begin(struct ring *now, const struct ring *target)
{
    struct ring *next = NULL;
    char why[256] = "";
    int error = ring_begin(now, target, &asked, &next, why, sizeof(why));

    return follow(now, next, error, why);
}

/* All partitions that are in a phase go on to another one. */
static struct ring *advance(struct ring *now, enum ring_phase from, enum ring_phase to)
{
    uint8_t phases[16];
    struct ring *next = NULL;
    char why[256] = "";
    int error;

    for (uint32_t p = 0; p < 16; p++)
        phases[p] = (uint8_t)(ring_phase(now, p) == from ? to : ring_phase(now, p));
    error = ring_advance(now, phases, &next, why, sizeof(why));
    return follow(now, next, error, why);
}

static struct ring *finish(struct ring *now)
{
    struct ring *next = NULL;
    char why[256] = "";
    int error = ring_finish_change(now, 2000, &next, why, sizeof(why));

    return follow(now, next, error, why);
}

static struct ring *cancel(struct ring *now)
{
    struct ring *next = NULL;
    char why[256] = "";
    int error = ring_cancel(now, &next, why, sizeof(why));

    return follow(now, next, error, why);
}

static uint32_t count(const struct ring *r, enum ring_phase phase)
{
    uint32_t found = 0;

    for (uint32_t p = 0; p < ring_partitions(r); p++)
        found += ring_phase(r, p) == phase;
    return found;
}

static struct ring *add_one(void)
{
    struct ring *now = make(3, 3, "abc"), *target = make(4, 3, "abcd");

    now = begin(now, target);
    ring_free(target);
    return now;
}

static void test_add(void **state)
{
    struct ring *r = add_one();

    (void)state;
    assert_int_equal(r->member_count, 4);
    assert_int_equal(r->members[3].flags, RING_MEMBER_TARGET);
    assert_int_equal(r->members[0].flags, RING_MEMBER_CURRENT | RING_MEMBER_TARGET);
    assert_true(count(r, RING_LEARNING) > 0);
    assert_false(ring_may_finish(r));
    for (uint32_t p = 0; p < 16; p++) {
        /* Nobody votes but those who did. */
        assert_false(ring_replicas_has(ring_replicas(r, p), 3));
        assert_null(ring_joint(r, p));
        assert_true(ring_changed(r, p) == 1);
    }
    r = advance(r, RING_LEARNING, RING_JOINT);
    for (uint32_t p = 0; p < 16; p++) {
        if (ring_phase(r, p) != RING_JOINT)
            continue;
        assert_false(ring_replicas_has(ring_replicas(r, p), 3));
        assert_ptr_equal(ring_joint(r, p), &r->change->sets[p]);
        assert_int_equal(ring_preferred(r, p), r->change->sets[p].member[0]);
        assert_true(ring_changed(r, p) == r->epoch);
    }
    r = advance(r, RING_JOINT, RING_MOVED);
    assert_true(ring_may_finish(r));
    for (uint32_t p = 0; p < 16; p++)
        if (ring_phase(r, p) == RING_MOVED)
            assert_ptr_equal(ring_replicas(r, p), &r->change->sets[p]);
    r = finish(r);
    assert_null(r->change);
    assert_int_equal(r->owners[3], 3);
    assert_int_equal(r->log_count, 1);
    assert_string_equal(r->log[0].what, "add n3");
    assert_true(r->log[0].begun_epoch == 5 && r->log[0].ended_epoch == 8);
    assert_true(r->log[0].begun_ms == 1000 && r->log[0].ended_ms == 2000);
    assert_false(r->log[0].cancelled);
    ring_free(r);
}

/* b leaves, and d comes in its place: from learning to the end nobody else is disturbed. */
static void test_replace(void **state)
{
    struct ring *now = make(3, 3, "abc"), *four = make(4, 3, "adc"), *target = ring_new(3, 4);

    (void)state;
    assert_non_null(target);
    memcpy(target->cluster, four->cluster, IDENTITY_SIZE);
    target->epoch = 4;
    target->hash = POSITION_MD5;
    target->replicas = 3;
    target->next_number = 5;
    target->members[0] = four->members[0];
    target->members[1] = four->members[2];
    target->members[2] = four->members[3];
    /* An empty node in a lost one's place. */
    target->members[2].port = now->members[1].port;
    for (uint32_t p = 0; p < 16; p++)
        target->owners[p] = (uint16_t)("021"[p % 3] - '0');
    assert_int_equal(ring_finish(target, NULL, 0), 0);
    now = begin(now, target);
    assert_int_equal(now->members[1].flags, RING_MEMBER_CURRENT);
    assert_int_equal(count(now, RING_LEARNING), 16);
    now = advance(now, RING_LEARNING, RING_JOINT);
    now = advance(now, RING_JOINT, RING_MOVED);
    now = finish(now);
    assert_int_equal(now->member_count, 3);
    assert_int_equal(ring_member_by_name(now, "n1"), -1);
    assert_int_equal(ring_member_by_name(now, "n3"), 2);
    ring_free(now);
    ring_free(target);
    ring_free(four);
}

/* Where only the order changes, nothing is copied and nobody's vote changes. */
static void test_order_only(void **state)
{
    struct ring *now = make(3, 3, "abc"), *target = make(3, 3, "cab");

    (void)state;
    now = begin(now, target);
    ring_free(target);
    assert_int_equal(count(now, RING_LEARNING) + count(now, RING_JOINT), 0);
    for (uint32_t p = 0; p < 16; p++)
        assert_true(ring_changed(now, p) == 1);
    now = finish(now);
    assert_int_equal(now->owners[0], 2);
    ring_free(now);
}

static void test_replicas(void **state)
{
    struct ring *now = make(4, 3, "abcd"), *target = make(4, 4, "abcd");

    (void)state;
    now = begin(now, target);
    ring_free(target);
    assert_int_equal(count(now, RING_LEARNING), 16);
    now = advance(advance(now, RING_LEARNING, RING_JOINT), RING_JOINT, RING_MOVED);
    now = finish(now);
    assert_int_equal(ring_replicas(now, 0)->count, 4);
    ring_free(now);
}

/* Half of it moved, a part joint, the rest learning: all comes back to what it was. */
static void test_cancel(void **state)
{
    struct ring *r = add_one(), *next = NULL;
    uint8_t phases[16];
    char why[256] = "";
    uint32_t turn = 0;

    (void)state;
    for (uint32_t p = 0; p < 16; p++)
        phases[p] = (uint8_t)(ring_phase(r, p) == RING_LEARNING && turn++ % 3 ? RING_JOINT
                                                                              : ring_phase(r, p));
    assert_int_equal(ring_advance(r, phases, &next, why, sizeof(why)), 0);
    r = follow(r, next, 0, "");
    turn = 0;
    for (uint32_t p = 0; p < 16; p++)
        phases[p] =
            (uint8_t)(ring_phase(r, p) == RING_JOINT && turn++ % 2 ? RING_MOVED : ring_phase(r, p));
    assert_int_equal(ring_advance(r, phases, &next, why, sizeof(why)), 0);
    r = follow(r, next, 0, "");
    assert_true(count(r, RING_MOVED) && count(r, RING_JOINT) && count(r, RING_LEARNING));

    struct ring_replicas voters[16];

    for (uint32_t p = 0; p < 16; p++)
        voters[p] = *ring_replicas(r, p);
    r = cancel(r);
    for (uint32_t p = 0; p < 16; p++) {
        const struct ring_replicas *now =
            ring_phase(r, p) == RING_JOINT ? ring_joint(r, p) : ring_replicas(r, p);

        assert_memory_equal(now, &voters[p], sizeof(*now));
    }
    assert_true(r->change->cancelled);
    assert_int_equal(ring_cancel(r, &next, why, sizeof(why)), RK_INVALID);
    for (uint32_t p = 0; p < 16; p++)
        phases[p] =
            (uint8_t)(ring_phase(r, p) != RING_SETTLED                       ? ring_phase(r, p)
                      : ring_replicas_same(&r->sets[p], &r->change->sets[p]) ? RING_MOVED
                                                                             : RING_LEARNING);
    assert_int_equal(ring_advance(r, phases, &next, why, sizeof(why)), 0);
    r = follow(r, next, 0, "");
    r = advance(advance(r, RING_LEARNING, RING_JOINT), RING_JOINT, RING_MOVED);
    r = finish(r);
    assert_int_equal(r->member_count, 3);
    assert_int_equal(r->owners[3], 0);
    assert_true(r->log[0].cancelled);
    ring_free(r);
}

static void test_pause_and_rate(void **state)
{
    struct ring *r = add_one(), *next = NULL;

    (void)state;
    assert_int_equal(ring_edit(r, true, 77, &next, NULL, 0), 0);
    r = follow(r, next, 0, "");
    assert_true(r->change->paused && r->change->rate == 77);
    ring_free(r);
}

static void test_target_of_a_change(void **state)
{
    struct ring *r = add_one(), *target = NULL, *meant = make(4, 3, "abcd");

    (void)state;
    assert_int_equal(ring_target(r, &target, NULL, 0), 0);
    assert_null(target->change);
    assert_memory_equal(target->owners, meant->owners, 16 * sizeof(meant->owners[0]));
    assert_int_equal(target->member_count, 4);
    ring_free(target);
    ring_free(meant);
    ring_free(r);
}

static void test_what_may_not_be(void **state)
{
    struct ring *r = add_one(), *next = NULL, *stable = make(3, 3, "abc");
    struct ring *target = make(4, 3, "abcd");
    uint8_t phases[16] = {0};
    char why[256] = "";

    (void)state;
    /* A second change. */
    assert_int_equal(ring_begin(r, target, &asked, &next, why, sizeof(why)), RK_INVALID);
    assert_non_null(strstr(why, "add n3"));
    /* Back to settled, or past a phase. */
    assert_int_equal(ring_advance(r, phases, &next, why, sizeof(why)), RK_INVALID);
    memset(phases, RING_MOVED, sizeof(phases));
    assert_int_equal(ring_advance(r, phases, &next, why, sizeof(why)), RK_INVALID);
    assert_int_equal(ring_finish_change(r, 0, &next, why, sizeof(why)), RK_INVALID);
    /* Nothing to go on with. */
    assert_int_equal(ring_advance(stable, phases, &next, why, sizeof(why)), RK_INVALID);
    assert_int_equal(ring_finish_change(stable, 0, &next, why, sizeof(why)), RK_INVALID);
    assert_int_equal(ring_cancel(stable, &next, why, sizeof(why)), RK_INVALID);
    assert_int_equal(ring_edit(stable, false, 0, &next, why, sizeof(why)), RK_INVALID);
    /* Another node under a member's number; a number that was used. */
    target->members[0].identity[7] = 9;
    assert_int_equal(ring_begin(stable, target, &asked, &next, why, sizeof(why)), RK_INVALID);
    target->members[0].identity[7] = 0;
    stable->next_number = 9;
    assert_int_equal(ring_begin(stable, target, &asked, &next, why, sizeof(why)), RK_INVALID);
    assert_null(next);
    ring_free(stable);
    ring_free(target);
    ring_free(r);
}

/* A node takes no ring that no step makes. */
static void test_what_may_not_follow(void **state)
{
    struct ring *now = make(3, 3, "abc"), *next = make(3, 3, "bca");
    char why[256] = "";

    (void)state;
    assert_int_equal(ring_may_follow(now, next, why, sizeof(why)), RK_INVALID); /* same epoch */
    next->epoch = now->epoch + 1;
    assert_int_equal(ring_may_follow(now, next, why, sizeof(why)), RK_INVALID); /* other owners */
    ring_free(next);
    next = ring_copy(now);
    next->epoch++;
    next->members[2].port = 9999; /* a node that moved to another address */
    assert_int_equal(ring_may_follow(now, next, why, sizeof(why)), 0);
    next->replicas = 2;
    assert_int_equal(ring_may_follow(now, next, why, sizeof(why)), RK_INVALID);
    ring_free(next);

    struct ring *changing = add_one();
    uint32_t p = 0;

    while (ring_phase(changing, p) != RING_LEARNING)
        p++;
    next = NULL;
    assert_int_equal(ring_edit(changing, false, 1, &next, NULL, 0), 0);
    next->change->phases[p] = RING_MOVED; /* skips what keeps the data */
    assert_int_equal(ring_may_follow(changing, next, why, sizeof(why)), RK_INVALID);
    next->change->phases[p] = changing->change->phases[p];
    next->changed[p] = next->epoch;
    assert_int_equal(ring_may_follow(changing, next, why, sizeof(why)), RK_INVALID);
    ring_free(next);
    ring_free(changing);
    ring_free(now);
}

static void test_log_is_bounded(void **state)
{
    struct ring *r = make(3, 3, "abc"), *a = make(3, 3, "bca"), *b = make(3, 3, "abc");

    (void)state;
    for (int i = 0; i < RING_LOG_MAX + 3; i++)
        r = finish(begin(r, i % 2 ? b : a));
    assert_int_equal(r->log_count, RING_LOG_MAX);
    assert_true(r->log[RING_LOG_MAX - 1].ended_epoch == r->epoch);
    assert_true(r->log[0].begun_epoch == r->epoch - 2 * RING_LOG_MAX + 1);
    ring_free(r);
    ring_free(a);
    ring_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_order_only),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_pause_and_rate),
        cmocka_unit_test(test_target_of_a_change),
        cmocka_unit_test(test_what_may_not_be),
        cmocka_unit_test(test_what_may_not_follow),
        cmocka_unit_test(test_log_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
