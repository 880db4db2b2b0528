/* What a node's log tells of a change, from ring to ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ring_news.h"
#include "shared/error.h"
#include "shared/ring_change.h"
#include "tests/unit/change_rig.h"
#include <cmocka.h>
#include <stdio.h>

enum { PARTITIONS = 16 };

static char text[RING_NEWS_SIZE];

static void expect(const struct ring *before, const struct ring *ring, const char *news)
{
    char line[RING_NEWS_SIZE];

    if (!news) {
        assert_false(ring_news(before, ring, text));
        return;
    }
    snprintf(line, sizeof(line), "change %s what=\"add n4=10.0.0.4:7400\" who=me@here epoch=%d",
             news, (int)ring->epoch);
    assert_true(ring_news(before, ring, text));
    assert_string_equal(text, line);
}

static struct ring *begun(const struct ring *first)
{
    uint16_t heirs[MEMBERS_MAX];
    struct ring *target = rig_target(first, "add n4=10.0.0.4:7400", heirs), *next = NULL;
    struct ring_asked asked = {"add n4=10.0.0.4:7400", "me@here", 1000, 0};

    assert_int_equal(ring_begin(first, target, &asked, &next, NULL, 0), 0);
    ring_free(target);
    return next;
}

/* Each partition in its next phase. */
static struct ring *onward(const struct ring *ring)
{
    static const uint8_t next_phases[] = {
        [RING_LEARNING] = RING_JOINT, [RING_JOINT] = RING_MOVED, [RING_MOVED] = RING_MOVED};
    uint8_t phases[PARTITIONS];
    struct ring *next = NULL;

    for (uint32_t p = 0; p < PARTITIONS; p++)
        phases[p] = ring_phase(ring, p) != RING_SETTLED ? next_phases[ring_phase(ring, p)]
                    : ring_replicas_same(&ring->sets[p], &ring->change->sets[p]) ? RING_MOVED
                                                                                 : RING_LEARNING;
    assert_int_equal(ring_advance(ring, phases, &next, NULL, 0), 0);
    return next;
}

static struct ring *edited(const struct ring *ring, bool paused)
{
    struct ring *next = NULL;

    assert_int_equal(ring_edit(ring, paused, 0, &next, NULL, 0), 0);
    return next;
}

static void test_to_its_end(void **state)
{
    struct ring *first = rig_made(3, 4, 3), *a = begun(first), *b = edited(a, true);
    struct ring *c = edited(b, false), *d = onward(c), *e = onward(d), *f = onward(e), *g = NULL;

    (void)state;
    assert_int_equal(ring_finish_change(f, 2000, &g, NULL, 0), 0);
    expect(NULL, first, NULL);
    expect(first, a, "begun");
    expect(NULL, a, "under way"); /* it started in the middle of it */
    expect(a, b, "paused");
    expect(b, c, "goes on");
    expect(c, d, NULL);
    expect(d, e, NULL);
    expect(f, g, "done");
    expect(first, g, "done"); /* it was away meanwhile */
    expect(NULL, g, NULL);
    expect(first, d, "begun");
    ring_free(first);
    ring_free(a);
    ring_free(b);
    ring_free(c);
    ring_free(d);
    ring_free(e);
    ring_free(f);
    ring_free(g);
}

static void test_back(void **state)
{
    struct ring *first = rig_made(3, 4, 3), *a = begun(first), *b = NULL, *c = NULL;

    (void)state;
    assert_int_equal(ring_cancel(a, &b, NULL, 0), 0);
    assert_int_equal(ring_finish_change(b, 2000, &c, NULL, 0), 0);
    expect(a, b, "cancelled: it goes back");
    expect(b, c, "taken back: the ring is as before");
    ring_free(first);
    ring_free(a);
    ring_free(b);
    ring_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_its_end),
        cmocka_unit_test(test_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
