/* What a replica is told of the time before it followed: a restarted one could answer what its
 * primary could. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/past.h"
#include "tests/unit/shard_rig.h"
#include <cmocka.h>

enum { HISTORY_STEPS = 100, AWAY = 2 };

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

static void set_some(int count)
{
    for (int i = 0; i < count; i++)
        rig_set(&rig, i, bytes_from("value"));
    rig_settle(&rig);
}

static const struct history_line *line_of(int node)
{
    return &rig.nodes[node].shard->groups[0].line;
}

static void restart(int node)
{
    rig_kill(&rig, node);
    rig_start(&rig, node);
    assert_null(line_of(node)->first);
    rig_settle(&rig);
}

/* Just the newest so many requests, at the node that was away. */
static void check_remembers(uint64_t count)
{
    const struct shard *s = rig.nodes[AWAY].shard;

    for (uint64_t i = 0; i < count; i++)
        assert_non_null(history_find_request(&s->history, line_of(AWAY), 7, rig.requests - i));
    assert_null(history_find_request(&s->history, line_of(AWAY), 7, rig.requests - count));
    assert_int_equal(
        version_compare(line_of(AWAY)->last->at, rig.nodes[AWAY].shard->groups[0].last), 0);
}

static void test_equal(void **state)
{
    (void)state;
    set_some(90);
    restart(AWAY);
    check_remembers(PAST_STEPS_MAX);
    assert_int_equal(rig.nodes[rig_leader(&rig)].shard->counters.transfers, 0);
}

/* What it missed comes behind. */
static void test_behind(void **state)
{
    (void)state;
    set_some(70);
    rig_kill(&rig, AWAY);
    set_some(10);
    rig_start(&rig, AWAY);
    rig_settle(&rig);
    check_remembers(PAST_STEPS_MAX + 10);
    assert_int_equal(rig.nodes[rig_leader(&rig)].shard->counters.transfers, 0);
}

/* No more than so many bytes. */
static void test_large(void **state)
{
    static const uint8_t large[PAST_BYTES_MAX / 4];

    (void)state;
    for (int i = 0; i < 10; i++)
        rig_set(&rig, i, bytes_of(large, sizeof(large)));
    rig_settle(&rig);
    restart(AWAY);
    check_remembers(3);
}

/* One that has its own history is sent none: here by the new primary, to who followed the old one.
 */
static void test_not_asked(void **state)
{
    uint64_t sent;

    (void)state;
    set_some(20);
    sent = rig.nodes[1].sent[AWAY] + rig.nodes[AWAY].sent[1];
    rig_kill(&rig, rig_leader(&rig));
    group_lead(rig_shard(&rig, 1), &rig_shard(&rig, 1)->groups[0]);
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), 1);
    assert_int_equal(line_of(AWAY)->count, line_of(1)->count);
    /* Signals, and the view's start. */
    assert_true(rig.nodes[1].sent[AWAY] + rig.nodes[AWAY].sent[1] - sent < 1000);
}

/* It hears of a new leader first: when it promises the view. */
static void test_promises(void **state)
{
    int leader;

    (void)state;
    set_some(30);
    leader = rig_leader(&rig);
    rig_kill(&rig, leader);
    rig_kill(&rig, AWAY);
    rig_start(&rig, AWAY);
    group_lead(rig_shard(&rig, 1), &rig_shard(&rig, 1)->groups[0]);
    rig_settle(&rig);
    assert_int_equal(rig_leader(&rig), 1);
    check_remembers(30);
}

/* Restarted, then the leader: it answers again what its predecessor did. */
static void test_leads(void **state)
{
    struct reply reply;
    int leader;

    (void)state;
    set_some(5);
    leader = rig_leader(&rig);
    assert_int_not_equal(leader, AWAY);
    reply = rig_request(&rig, leader, OP_APPEND, LEVEL_LINEAR, 50, bytes_from("6"));
    assert_int_equal(reply.integer, 1);
    restart(AWAY);
    rig_kill(&rig, leader);
    do {
        rig_tick(&rig);
        reply = rig_request_again(&rig, AWAY, OP_APPEND, 50, bytes_from("6"));
    } while (reply.kind == REPLY_REFUSED && reply.refusal == REFUSAL_ELSEWHERE);
    assert_int_equal(reply.kind, REPLY_INTEGER);
    assert_int_equal(reply.integer, 1);
    assert_int_equal(rig.nodes[AWAY].shard->counters.answered_again, 1);
}

/* Steps that do not lead to where the replica stands are no knowledge. */
static void test_incomplete(void **state)
{
    struct shard *s;
    struct group *g;
    struct step m = {.kind = STEP_OPERATION, .session = 7};

    (void)state;
    set_some(10);
    rig_kill(&rig, AWAY);
    rig_start(&rig, AWAY);
    s = rig.nodes[AWAY].shard;
    g = &s->groups[0];
    m.view = g->promised;
    m.from = (struct version){g->last.view, g->last.op - 3};
    m.at = (struct version){g->last.view, g->last.op - 2};
    buf_truncate(&s->scratch, 0);
    assert_int_equal(peer_put_step(&s->scratch, &m, NULL, 0), 0);
    past_take(s, g, &m, buf_bytes(&s->scratch));
    assert_int_equal(g->line.count, 1);
    /* Not behind what is kept, and beyond where it stands. */
    past_take(s, g, &m, buf_bytes(&s->scratch));
    m.from = m.at;
    m.at.op = g->last.op + 1;
    past_take(s, g, &m, buf_bytes(&s->scratch));
    assert_int_equal(g->line.count, 1);
    rig_settle(&rig);
    set_some(1);
    assert_int_equal(version_compare(g->line.last->at, g->last), 0);
    assert_true(g->line.count < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_equal, start, finish),
        cmocka_unit_test_setup_teardown(test_behind, start, finish),
        cmocka_unit_test_setup_teardown(test_large, start, finish),
        cmocka_unit_test_setup_teardown(test_not_asked, start, finish),
        cmocka_unit_test_setup_teardown(test_promises, start, finish),
        cmocka_unit_test_setup_teardown(test_leads, start, finish),
        cmocka_unit_test_setup_teardown(test_incomplete, start, finish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
