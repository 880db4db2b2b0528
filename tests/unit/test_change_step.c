/* Changes driven by the step function against nodes that report when they like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/ring_change.h"
#include "tests/unit/change_rig.h"
#include "tests/unit/effort.h"
#include "tools/change_step.h"
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 40, TICKS_MAX = 100000 };

static const struct ring_asked asked = {.what = "a test", .who = "me@here", .now_ms = 1};

struct drive {
    struct ring *ring;
    uint8_t *known, *phases;
    uint64_t random;
    int64_t now_ms, epoch_ms;
    uint32_t epochs, joint_max;
    uint32_t pace; /* one report in so many comes true in a tick */
};

static uint64_t draw(struct drive *d)
{
    uint64_t x = d->random += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    return x ^ x >> 29;
}

static void begin(struct drive *d, uint32_t members, uint8_t bits, const char *plan)
{
    uint16_t heirs[MEMBERS_MAX];
    struct ring *now = rig_made(members, bits, 3), *target = rig_target(now, plan, heirs);

    *d = (struct drive){.pace = 16};
    assert_int_equal(ring_begin(now, target, &asked, &d->ring, NULL, 0), 0);
    d->known = calloc(ring_partitions(now), 1);
    d->phases = calloc(ring_partitions(now), 1);
    assert_true(d->known && d->phases);
    ring_free(now);
    ring_free(target);
}

static void end(struct drive *d)
{
    ring_free(d->ring);
    free(d->known);
    free(d->phases);
}

static void become(struct drive *d, struct ring *next)
{
    char why[256] = "";

    if (ring_may_follow(d->ring, next, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    for (uint32_t p = 0; p < ring_partitions(next); p++)
        if (ring_phase(next, p) != ring_phase(d->ring, p))
            d->known[p] = 0;
    ring_free(d->ring);
    d->ring = next;
    d->epoch_ms = d->now_ms;
    d->epochs++;
}

static void report(struct drive *d)
{
    for (uint32_t p = 0; p < ring_partitions(d->ring); p++)
        if (draw(d) % d->pace == 0)
            d->known[p] |= ring_phase(d->ring, p) == RING_LEARNING ? STEP_LEARNED
                           : ring_phase(d->ring, p) == RING_JOINT  ? STEP_READY
                                                                   : 0;
}

static void count_joint(struct drive *d)
{
    uint32_t joint = 0;

    for (uint32_t p = 0; p < ring_partitions(d->ring); p++)
        joint += ring_phase(d->ring, p) == RING_JOINT;
    d->joint_max = joint > d->joint_max ? joint : d->joint_max;
}

static enum change_step tick(struct drive *d)
{
    enum change_step step;
    struct ring *next;

    d->now_ms += TICK_MS;
    report(d);
    step = change_step(d->ring, d->known, d->now_ms - d->epoch_ms, d->now_ms, d->phases);
    if (step == STEP_ADVANCE) {
        assert_int_equal(ring_advance(d->ring, d->phases, &next, NULL, 0), 0);
        become(d, next);
    } else if (step == STEP_FINISH) {
        assert_int_equal(ring_finish_change(d->ring, 2, &next, NULL, 0), 0);
        become(d, next);
    }
    count_joint(d);
    return step;
}

static void drive(struct drive *d)
{
    for (int i = 0; i < TICKS_MAX; i++)
        if (tick(d) == STEP_DONE)
            return;
    fail_msg("no end");
}

static void test_all_changes(void **state)
{
    static const char *const plans[] = {
        "add n9=h:1",        "remove n2",
        "replace n1 n9=h:1", "set n3 weight=4",
        "set replicas=2",    "add n8=h:1 n9=h:2\nremove n1\nset n2 weight=3\nset replicas=4",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
        for (uint8_t bits = 0; bits <= (SANITIZED ? 5 : 10); bits += 5) {
            struct drive d;

            begin(&d, 4, bits, plans[i]);
            drive(&d);
            assert_null(d.ring->change);
            assert_int_equal(d.ring->log_count, 1);
            assert_true(d.joint_max <= (ring_partitions(d.ring) + 7) / STEP_JOINT_PART);
            assert_true(d.epochs < 120);
            end(&d);
        }
}

/* However long it takes, the epochs stay few. */
static void test_slow(void **state)
{
    struct drive d;

    (void)state;
    begin(&d, 4, 10, "add n9=h:1");
    d.pace = (uint32_t)effort(2000);
    drive(&d);
    assert_true(d.now_ms > (int64_t)effort(600) * 1000);
    assert_true(d.epochs < 400);
    end(&d);
}

/* Turned around at any point, it ends as the ring it was. */
static void test_cancel(void **state)
{
    (void)state;
    for (int at = 0; at < 60; at += SANITIZED ? 12 : 3) {
        struct drive d;
        struct ring *was, *next;

        begin(&d, 4, 8, "add n9=h:1\nremove n1");
        was = rig_made(4, 8, 3);
        for (int i = 0; i < at; i++)
            tick(&d);
        if (d.ring->change) {
            assert_int_equal(ring_cancel(d.ring, &next, NULL, 0), 0);
            become(&d, next);
            drive(&d);
            assert_int_equal(d.ring->member_count, 4);
            assert_memory_equal(d.ring->owners, was->owners,
                                ring_partitions(was) * sizeof(was->owners[0]));
            assert_true(d.ring->log[0].cancelled);
        }
        ring_free(was);
        end(&d);
    }
}

static void test_paused(void **state)
{
    struct drive d;
    struct ring *next;

    (void)state;
    begin(&d, 4, 8, "add n9=h:1");
    assert_int_equal(ring_edit(d.ring, true, 0, &next, NULL, 0), 0);
    become(&d, next);
    for (int i = 0; i < 100; i++)
        assert_int_equal(tick(&d), STEP_PAUSED);
    assert_int_equal(ring_edit(d.ring, false, 0, &next, NULL, 0), 0);
    become(&d, next);
    drive(&d);
    end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_changes),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_paused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
