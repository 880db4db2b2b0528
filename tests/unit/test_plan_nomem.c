/* Every allocation of the planner fails once: the call says so, and leaves nothing behind (which a
 * build with AddressSanitizer sees). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/nomem.h"

#include "tools/plan.c"
#include "tools/plan_exchange.c"
#include "tools/plan_first.c"
#include "tools/plan_least.c"
#include "tools/plan_measure.c"
#include "tools/plan_origin.c"
#include "tools/plan_places.c"
#include "tools/plan_search.c"
#include "tools/plan_settle.c"
#include "tools/plan_share.c"
#include "tools/plan_squeeze.c"
#include "tools/plan_state.c"

#include "tests/unit/nomem_end.h"

#include <cmocka.h>

static struct ring *make(uint32_t members)
{
    struct ring *r = ring_new(members, 6);

    assert_non_null(r);
    r->cluster[0] = 1;
    r->epoch = 1;
    r->hash = POSITION_MD5;
    r->replicas = 3;
    r->next_number = UINT16_MAX;
    for (uint32_t i = 0; i < members; i++) {
        r->members[i] = (struct ring_member){
            .number = (uint16_t)(i + 1), .port = 7000, .shards = 1, .weight = 1};
        r->members[i].identity[0] = (uint8_t)(i + 1);
        snprintf(r->members[i].name, sizeof(r->members[i].name), "n%u", (unsigned)i);
        snprintf(r->members[i].host, sizeof(r->members[i].host), "h%u", (unsigned)i);
    }
    return r;
}

/* Plans with the nth allocation failing, for every n; returns how many there are. */
static unsigned plan_failing(const struct ring *now, struct ring *next)
{
    int error = RK_NOMEM;
    unsigned n = 0;

    while (error == RK_NOMEM) {
        fail_allocation(++n);
        error = plan_owners(now, NULL, next, NULL, 0);
    }
    fail_allocation(UINT32_MAX);
    assert_int_equal(error, 0);
    assert_int_equal(ring_finish(next, NULL, 0), 0);
    return n - 1;
}

static void test_plan(void **state)
{
    struct ring *now = make(5), *next = make(6);
    struct plan_figures figures;
    unsigned n = 0;

    (void)state;
    assert_true(plan_failing(NULL, now) >= 7);
    assert_true(plan_failing(now, next) >= 7);
    do {
        fail_allocation(++n);
    } while (plan_measure(now, NULL, next, &figures) == RK_NOMEM);
    fail_allocation(UINT32_MAX);
    assert_true(n > 4);
    assert_true(figures.moved >= figures.moved_least && figures.moved_least > 0);
    assert_int_equal(figures.replica_out, 0);
    ring_free(now);
    ring_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
