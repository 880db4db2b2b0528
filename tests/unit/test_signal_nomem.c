/* Signals for which there is no memory: their link is to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/nomem.h"

#include "shared/buf.c"

#include "tests/unit/nomem_end.h"

#include "node/group_parts.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { FROM = 0, TO = 1, HISTORY_STEPS = 16 };

static struct shard_rig rig;

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

static void forget_memory(struct shard *s)
{
    for (size_t i = 0; i < s->outbox_count; i++)
        buf_free(&s->outboxes[i].frame);
    buf_free(&rig.nodes[FROM].out[TO]);
    buf_free(&s->held.queue);
}

/* Says something with the nth allocation failing. False: there is none. */
static bool say_failing(unsigned n, uint64_t position)
{
    struct shard *s = rig_shard(&rig, FROM);
    struct group *g = &s->groups[0];
    unsigned before = rig.nodes[FROM].breaks[TO];
    bool failed;

    forget_memory(s);
    fail_allocation(n);
    group_signal_held(s, g, TO + 1, SIGNAL_LEADING, g->view, g->last, position);
    shard_synced(s, position);
    shard_turn_end(s);
    failed = one_failed;
    fail_allocation(UINT32_MAX);
    assert_int_equal(rig.nodes[FROM].breaks[TO], before + failed);
    assert_int_equal(buf_len(&rig.nodes[FROM].out[TO]) > 0, !failed);
    return failed;
}

static void test_said_at_once(void **state)
{
    unsigned n = 1;

    (void)state;
    while (say_failing(n, rig_shard(&rig, FROM)->synced))
        n++;
    assert_true(n > 2); /* of the frame, and of the link's output */
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), FROM);
}

static void test_said_when_synced(void **state)
{
    unsigned n = 1;

    (void)state;
    while (say_failing(n, rig_shard(&rig, FROM)->synced + 1))
        n++;
    assert_true(n > 3); /* and of what is held */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_said_at_once, start, finish),
        cmocka_unit_test_setup_teardown(test_said_when_synced, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
