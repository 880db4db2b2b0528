/* What a change is estimated to take, and how its headway is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/change_rig.h"
#include "tools/estimate.h"
#include "tools/headway.h"
#include "tools/human.h"
#include <cmocka.h>
#include <string.h>

enum { MIB = 1 << 20 };

/* Nodes of 300 MiB of live data in 600 MiB of files, with 10 GiB of disk. */
static void fill(struct node_facts *facts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        facts[i] = (struct node_facts){.up = true,
                                       .keys = 300000,
                                       .live_bytes = 300 * (uint64_t)MIB,
                                       .disk_used = 600 * (uint64_t)MIB,
                                       .disk_free = 9000 * (uint64_t)MIB,
                                       .disk_total = 10000 * (uint64_t)MIB};
}

static void check_about(uint64_t value, uint64_t wanted)
{
    if (value < wanted * 9 / 10 || value > wanted * 11 / 10)
        fail_msg("%llu is not about %llu", (unsigned long long)value, (unsigned long long)wanted);
}

static void test_three_to_four(void **state)
{
    struct ring *now = rig_made(3, 8, 3), *next;
    struct node_facts facts[3], joining[4] = {0};
    uint16_t heirs[MEMBERS_MAX];
    struct estimate e;
    uint32_t owned = 0, held = 0;

    (void)state;
    next = rig_target(now, "add n4=h:1", heirs);
    fill(facts, 3);
    fill(&joining[3], 1);
    joining[3].keys = joining[3].live_bytes = joining[3].disk_used = 0;
    assert_int_equal(estimate_change(now, facts, next, joining, 0, &e), 0);
    assert_int_equal(e.node_count, 4);
    assert_int_equal(e.partitions, 256);
    assert_true(e.partitions_changed >= e.partitions_moved);
    check_about(e.replicas_copied, 192);
    assert_int_equal(e.replicas_copied, e.replicas_dropped);
    /* A node's 300 MiB lie in 256 partitions, and 192 of them are copied once. */
    check_about(e.bytes, 225 * (uint64_t)MIB);
    check_about(e.keys, 225000);
    check_about(e.seconds, 225 * (uint64_t)MIB / ESTIMATE_RATE + 1);
    for (uint32_t i = 0; i < 4; i++) {
        owned += e.nodes[i].owned_after;
        held += e.nodes[i].held_after;
        check_about(e.nodes[i].bytes_after, 225 * (uint64_t)MIB);
    }
    assert_int_equal(owned, 256);
    assert_int_equal(held, 768);
    assert_true(!e.nodes[3].before && e.nodes[3].after);
    check_about(e.nodes[3].disk_peak, 225 * (uint64_t)MIB * ESTIMATE_FILL_PERCENT / 100);
    assert_int_equal(e.warning_count, 0);
    estimate_free(&e);

    /* A disk that is too small, a member that is down. */
    joining[3].disk_free = 100 * (uint64_t)MIB;
    facts[1] = (struct node_facts){0};
    assert_int_equal(estimate_change(now, facts, next, joining, 5 * MIB, &e), 0);
    assert_int_equal(e.warning_count, 2);
    assert_int_equal(e.nodes[1].gained, 0);
    assert_true(strstr(e.warnings[0], "n2 is down: the change does not wait for it") ||
                strstr(e.warnings[1], "n2 is down: the change does not wait for it"));
    check_about(e.bytes, 225 * (uint64_t)MIB);
    check_about(e.seconds, 45);
    estimate_free(&e);
    ring_free(now);
    ring_free(next);
}

static void test_remove(void **state)
{
    struct ring *now = rig_made(4, 8, 3), *next;
    struct node_facts facts[4], joining[4] = {0};
    uint16_t heirs[MEMBERS_MAX];
    struct estimate e;

    (void)state;
    next = rig_target(now, "remove n2", heirs);
    fill(facts, 4);
    facts[1] = facts[3] = (struct node_facts){0};
    assert_int_equal(ring_without_majority(now, facts) > 0, true);
    assert_int_equal(estimate_change(now, facts, next, joining, 0, &e), 0);
    assert_true(e.nodes[1].before && !e.nodes[1].after);
    assert_int_equal(e.nodes[1].bytes_after, 0);
    assert_int_equal(e.nodes[1].held_after, 0);
    assert_int_equal(e.warning_count, 2); /* n4 is down and is needed; no majority for some */
    assert_true(e.nodes[3].gained > 0);
    assert_non_null(strstr(e.warnings[0], "n4 is down: the change waits for it"));
    estimate_free(&e);
    ring_free(now);
    ring_free(next);
}

static void test_headway(void **state)
{
    struct headway h = {.total = 200, .moved = 50, .bytes_sent = 100 * MIB, .rate = 10 * MIB};
    char line[HEADWAY_LINE_SIZE], longest[2 * HEADWAY_LINE_SIZE] = "";

    (void)state;
    assert_int_equal(headway_milli(&h), 250);
    h.bytes_total = 400 * (uint64_t)MIB;
    assert_int_equal(headway_seconds_left(&h), 30);
    for (unsigned width = 20; width < 300; width++) {
        headway_bar(&h, width, line);
        assert_true(strlen(line) <= width);
    }
    headway_text(&h, line);
    assert_non_null(strstr(line, "50/200"));
    h.waiting = "waits for \"n4\"\n";
    headway_text(&h, line);
    assert_non_null(strstr(line, "; waits for \"n4\""));
    headway_json(&h, UINT64_MAX, line);
    assert_non_null(strstr(line, ", \"waiting\": \"waits for \\\"n4\\\"?\"}"));
    headway_bar(&h, 80, line);
    assert_non_null(strstr(line, ", waits"));
    memset(longest, '"', sizeof(longest) - 1);
    h.waiting = longest;
    headway_text(&h, line);
    assert_true(strlen(line) < HEADWAY_LINE_SIZE - 1);
    headway_json(&h, UINT64_MAX, line);
    assert_int_equal(line[strlen(line) - 1], '}');
    assert_true(strlen(line) < HEADWAY_LINE_SIZE - 1);
    h = (struct headway){.total = 200};
    assert_true(headway_seconds_left(&h) == UINT64_MAX);
    /* Taken up again half-way: the pace is that since then. */
    h = (struct headway){.total = 200, .moved = 101, .begun_milli = 500, .seconds = 1};
    assert_true(headway_seconds_left(&h) == UINT64_MAX);
    h.moved = 120;
    h.seconds = 10;
    assert_int_equal(headway_seconds_left(&h), 40);
    h = (struct headway){.total = 200};
    h.moved = 200;
    assert_int_equal(headway_milli(&h), 1000);
    assert_int_equal(headway_seconds_left(&h), 0);
    h = (struct headway){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX,
                         UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT32_MAX,
                         true,       true,       NULL};
    headway_json(&h, UINT64_MAX, line);
    assert_int_equal(line[strlen(line) - 1], '}');
}

static void test_human(void **state)
{
    char text[HUMAN_SIZE + 8];

    (void)state;
    assert_string_equal(human_bytes(999, text), "999 B");
    assert_string_equal(human_bytes(1536, text), "1.5 K");
    assert_string_equal(human_rate(2500000, text), "2.5 MB/s");
    assert_string_equal(human_seconds(59, text), "59 s");
    assert_string_equal(human_seconds(200, text), "3 min 20 s");
    assert_string_equal(human_seconds(7500, text), "2 h 5 min");
    assert_string_equal(human_seconds(273600, text), "3 d 4 h");
    assert_string_equal(human_count(1500000, text), "1,500,000");
    assert_string_equal(human_count(999, text), "999");
    assert_true(strlen(human_seconds(UINT64_MAX, text)) < HUMAN_SIZE);
    assert_true(strlen(human_count(UINT64_MAX, text)) < HUMAN_SIZE + 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_to_four),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_headway),
        cmocka_unit_test(test_human),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
