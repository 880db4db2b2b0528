/* The planner, held against its promises on random rings and changes of them.
 *
 *   test_plan [rounds [seed]]    default: 40 rounds (10 with a sanitizer), seed 1; prints the worst
 *                                that it met */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/ring_change.h"
#include "tests/unit/effort.h"
#include "tests/unit/plan_rig.h"
#include "tools/plan.h"
#include "tools/plan_state.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned long rounds, seed = 1;

static void plan(const struct ring *now, const uint16_t *heirs, struct ring *next)
{
    char why[256] = "";

    if (plan_owners(now, heirs, next, why, sizeof(why)) != 0 ||
        ring_finish(next, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

static struct ring *planned(struct plan_rig *rig, uint32_t members, uint8_t bits, uint8_t replicas)
{
    struct ring *r = rig_ring(rig, members, bits, replicas);

    plan(NULL, NULL, r);
    return r;
}

static void expect_structure(const struct ring *r, const struct verdict *v)
{
    assert_false(v->replicas_short);
    assert_false(v->zones_short);
    if (v->lightest >= 1)
        assert_true(v->primary_off < 1 + 1e-6);
    assert_true(v->moved >= v->least || v->replica_over > 0);
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        assert_true(r->owners[p] < r->member_count);
}

/* Equal members, no zones: everything is exact. */
static void test_first_placement(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 4, 5, 8, 16, 31, 64, 127};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        for (uint8_t replicas = 1; replicas <= 5; replicas += 2) {
            struct plan_rig rig = {.random = seed, .weight_max = 1};
            struct ring *r = planned(&rig, counts[i], 10, replicas);
            struct verdict v = rig_judge(NULL, NULL, r);

            expect_structure(r, &v);
            assert_true(v.replica_over <= 0);
            if (counts[i] >= 2u * replicas)
                assert_true(v.broken_windows <= 1024 / 10);
            ring_free(r);
        }
}

/* Three zones of three: every partition in each zone, whatever the weights. */
static void test_zones(void **state)
{
    struct plan_rig rig = {.random = seed, .weight_max = 10};
    struct ring *r = rig_ring(&rig, 9, 10, 3);
    struct verdict v;

    (void)state;
    for (int i = 0; i < 9; i++)
        snprintf(r->members[i].zone, sizeof(r->members[i].zone), "z%d", i % 3);
    plan(NULL, NULL, r);
    v = rig_judge(NULL, NULL, r);
    expect_structure(r, &v);
    assert_true(v.replica_over <= 0);
    ring_free(r);
}

/* When a member fails, its partitions' next replicas are many, not one. */
static void test_failed_members_work_is_spread(void **state)
{
    static const uint32_t counts[] = {3, 4, 5, 10, 30};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct plan_rig rig = {.random = seed, .weight_max = 1};
        struct ring *r = planned(&rig, counts[i], 12, 3);
        uint32_t next[MEMBERS_MAX] = {0}, owned = 0, most = 0;

        for (uint32_t p = 0; p < ring_partitions(r); p++)
            if (r->owners[p] == 0) {
                owned++;
                next[ring_replicas(r, p)->member[1]]++;
            }
        for (uint32_t m = 0; m < counts[i]; m++)
            most = next[m] > most ? next[m] : most;
        assert_true(most <= owned / (counts[i] - 1) * 3 / 2 + 8);
        ring_free(r);
    }
}

/* The checksum is to change with the planner's ways, and with nothing else: neither compiler nor
 * machine. */
static void test_same_everywhere(void **state)
{
    struct plan_rig rig = {.random = 1, .weight_max = 10, .zones = 3};
    struct ring *now = planned(&rig, 12, 8, 3), *next, *again;
    uint16_t heirs[MEMBERS_MAX];

    (void)state;
    next = rig_change(&rig, now, ADD, heirs);
    again = rig_change(&rig, now, REPLICAS, heirs);
    plan(now, heirs, next);
    plan(now, heirs, again);
    assert_int_equal(crc32c(crc32c(0, next->owners, 512), again->owners, 512), 0xdce52a2b);
    ring_free(now);
    ring_free(next);
    ring_free(again);
}

static void test_nothing_to_do_moves_nothing(void **state)
{
    struct plan_rig rig = {.random = seed, .weight_max = 10, .zones = 4};
    struct ring *now = planned(&rig, 20, 10, 3);
    uint16_t heirs[MEMBERS_MAX];
    struct ring *next = rig_change(&rig, now, REWEIGH, heirs);

    (void)state;
    memcpy(next->members, now->members, 20 * sizeof(*now->members));
    plan(now, NULL, next);
    assert_memory_equal(now->owners, next->owners, 1024 * sizeof(*now->owners));
    ring_free(now);
    ring_free(next);
}

static void test_replace_moves_what_it_held(void **state)
{
    struct plan_rig rig = {.random = seed, .weight_max = 10, .zones = 4};
    struct ring *now = planned(&rig, 20, 10, 3);
    uint16_t heirs[MEMBERS_MAX];
    struct ring *next = rig_change(&rig, now, REPLACE, heirs);
    uint64_t held = 0;
    struct verdict v;

    (void)state;
    plan(now, heirs, next);
    for (uint32_t p = 0; p < 1024; p++) {
        assert_int_equal(next->owners[p], heirs[now->owners[p]]);
        held += ring_replicas_has(ring_replicas(next, p), 19);
    }
    v = rig_judge(now, heirs, next);
    assert_true(v.moved == held && v.least == held);
    ring_free(now);
    ring_free(next);
}

/* Fewer copies, or more: who leads what stays, but for what balance takes. */
static void test_replicas_keep_their_primaries(void **state)
{
    static const uint32_t counts[] = {4, 5, 8, 16, 50};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct plan_rig rig = {.random = seed, .weight_max = 1};
        struct ring *now = planned(&rig, counts[i], 10, 3);

        for (uint8_t replicas = 2; replicas <= 4; replicas += 2) {
            struct ring *next = ring_copy(now);
            struct plan_figures f;

            assert_non_null(next);
            next->replicas = replicas;
            plan(now, NULL, next);
            assert_int_equal(plan_measure(now, NULL, next, &f), 0);
            assert_true(f.owners_moved * 10 <= ring_partitions(next));
            assert_true(counts[i] > 16 || f.owners_moved == 0);
            ring_free(next);
        }
        ring_free(now);
    }
}

static void test_wrong_changes_are_refused(void **state)
{
    struct plan_rig rig = {.random = seed, .weight_max = 1};
    struct ring *now = planned(&rig, 4, 6, 3), *less = planned(&rig, 4, 5, 3);
    struct ring *next = rig_ring(&rig, 4, 6, 3);
    uint16_t twice[] = {0, 1, 1, 3}, beyond[] = {0, 1, 2, 4};
    char why[100] = "";

    (void)state;
    assert_int_equal(plan_owners(now, twice, next, why, sizeof(why)), RK_INVALID);
    assert_true(why[0]);
    assert_int_equal(plan_owners(now, beyond, next, NULL, 0), RK_INVALID);
    why[0] = '\0';
    assert_int_equal(plan_owners(now, NULL, less, why, sizeof(why)), RK_INVALID);
    assert_true(why[0]);
    why[0] = '\0';
    strcpy(next->members[1].zone, "z");
    assert_int_equal(plan_owners(now, NULL, next, why, sizeof(why)), RK_INVALID);
    assert_true(why[0]);
    ring_free(now);
    ring_free(less);
    ring_free(next);
}

/* Nobody stays: as good as a first placement. */
static void test_all_members_change(void **state)
{
    struct plan_rig rig = {.random = seed, .weight_max = 1};
    struct ring *now = planned(&rig, 5, 8, 3), *next = rig_ring(&rig, 6, 8, 3);
    struct verdict v;

    (void)state;
    plan(now, NULL, next);
    v = rig_judge(NULL, NULL, next);
    expect_structure(next, &v);
    assert_true(v.replica_over <= 0);
    ring_free(now);
    ring_free(next);
}

/* The sizes that the tools must cope with, down to where there are more members than partitions. */
static void test_extremes(void **state)
{
    static const struct {
        uint32_t members, zones, weight_max;
        uint8_t bits, replicas;
    } sizes[] = {
        {1, 0, 1, 0, 3},          {5, 0, 1, 0, 3},           {3, 3, 1, 1, 7},
        {1000, 0, 1, 6, 3},       {1000, 3, 10, 6, 3},       {1000, 40, 1, 6, 7},
        {8, 3, WEIGHT_MAX, 6, 3}, {8, 0, WEIGHT_MAX, 10, 5}, {MEMBERS_MAX, 5, 3, 11, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct plan_rig rig = {seed, 0, sizes[i].zones, sizes[i].weight_max};
        struct ring *r = planned(&rig, sizes[i].members, sizes[i].bits, sizes[i].replicas);
        struct verdict v = rig_judge(NULL, NULL, r);

        if (sizes[i].members <= ring_partitions(r) || ring_partitions(r) >= 64)
            expect_structure(r, &v);
        ring_free(r);
    }
}

static void expect_fresh(const struct plan_state *s, struct ring *r, struct plan_origin *origin)
{
    struct plan_state fresh;

    memcpy(r->owners, s->owners, s->partitions * sizeof(*s->owners));
    assert_int_equal(plan_state_init(&fresh, r, s->shares, origin), 0);
    assert_int_equal(ring_finish(r, NULL, 0), 0);
    for (uint32_t p = 0; p < s->partitions; p++) {
        assert_int_equal(s->sets[p].count, r->sets[p].count);
        assert_memory_equal(s->sets[p].member, r->sets[p].member,
                            r->sets[p].count * sizeof(r->sets[p].member[0]));
    }
    assert_memory_equal(s->owned, fresh.owned, sizeof(s->owned));
    assert_memory_equal(s->held, fresh.held, sizeof(s->held));
    assert_true(s->cost == fresh.cost && s->moved == fresh.moved);
    plan_state_free(&fresh);
}

/* What is kept up to date with each assignment is what would be computed anew; in rings so small
 * that walks go all around, and members lose their last partition and get their first. */
static void test_state_is_kept(void **state)
{
    static struct plan_shares shares;

    (void)state;
    for (uint64_t round = 0; round < effort(300); round++) {
        struct plan_rig rig = {.random = round, .weight_max = 3, .zones = round % 4};
        uint8_t bits = (uint8_t)(1 + round % 5), replicas = (uint8_t)(1 + round % 4);
        uint32_t members = 2 + (uint32_t)(round % 7);
        struct ring *r = rig_ring(&rig, members, bits, replicas);
        struct plan_origin origin;
        struct plan_state s;

        assert_int_equal(ring_finish(r, NULL, 0), 0);
        plan_shares(r, &shares);
        assert_int_equal(plan_origin_init(&origin, round % 2 ? r : NULL, NULL, r), 0);
        assert_int_equal(plan_state_init(&s, r, &shares, &origin), 0);
        for (int i = 0; i < 60; i++) {
            uint32_t partition = (uint32_t)(rig_random(&rig) % s.partitions);

            plan_state_assign(&s, partition, (uint16_t)(rig_random(&rig) % members));
            expect_fresh(&s, r, &origin);
        }
        plan_state_free(&s);
        plan_origin_free(&origin);
        ring_free(r);
    }
}

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void test_large(void **state)
{
    const uint32_t members = SANITIZED ? 250 : 1000;
    const uint8_t bits = SANITIZED ? 14 : 16;
    struct plan_rig rig = {.random = seed, .weight_max = 1};
    double begin = cpu_seconds();
    struct ring *now = planned(&rig, members, bits, 3);
    double first = cpu_seconds() - begin, change;
    uint16_t heirs[MEMBERS_MAX];
    struct ring *next = rig_change(&rig, now, ADD, heirs);
    struct verdict v;

    (void)state;
    begin = cpu_seconds();
    plan(now, heirs, next);
    change = cpu_seconds() - begin;
    v = rig_judge(now, heirs, next);
    expect_structure(next, &v);
    assert_true(v.replica_over <= 0);
    assert_true(v.moved * 10 <= v.least * 11);
    print_message("%u members, %u partitions: %.1f s of CPU for the first placement, %.1f s "
                  "for one more member\n",
                  (unsigned)members, 1u << bits, first, change);
    ring_free(now);
    ring_free(next);
}

/* A tenth over the least, and as a tenth of a few replicas is less than one: some more. From ROOMY
 * partitions a member on every change keeps to that: there the bounds, of 2 %, have room for one
 * partition more or less, which is as many replicas as each has. Below, many members may have to
 * change place at once; so much of the ring's replicas may that be. */
enum { SPARE_REPLICAS = 2, ROOMY = 50, CROWDED_PERCENT = 4, FEW_PERCENT = 15 };

struct tally {
    uint64_t changes, over, beyond, out, moved, least;
    double worst;        /* moved / least */
    double worst_excess; /* (moved - 1.1 least) / replicas of the ring */
    double worst_out;    /* replicas beyond the bound */
};

enum kind { ENOUGH, PLAIN, ZONES, FEW, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {
    "50 partitions or more a member",
    "8 to 50 partitions a member, no zones",
    "8 to 50 partitions a member, zones of uneven weight",
    "fewer than 8 partitions for the lightest member",
};

static struct tally tallies[KIND_COUNT][CHANGE_COUNT];

static double ratio(uint64_t moved, uint64_t least)
{
    return least ? (double)moved / (double)least : 1;
}

static enum kind kind_of(const struct ring *r, const struct verdict *v)
{
    if (v->lightest < 8)
        return FEW;
    if (v->lightest >= ROOMY)
        return ENOUGH;
    return r->members[0].zone[0] ? ZONES : PLAIN;
}

static void count(const struct ring *r, enum change change, const struct verdict *v)
{
    enum kind kind = kind_of(r, v);
    struct tally *t = &tallies[kind][change];
    double pairs = (double)ring_partitions(r) * r->replicas;
    double excess = (double)v->moved - 1.1 * (double)v->least;
    bool out = v->replica_over > 1e-6;

    t->changes++;
    t->moved += v->moved;
    t->least += v->least;
    t->out += out;
    t->over += v->moved * 10 > v->least * 11;
    t->beyond += v->moved * 10 > v->least * 11 + SPARE_REPLICAS * 10;
    t->worst = fmax(t->worst, ratio(v->moved, v->least));
    t->worst_excess = fmax(t->worst_excess, excess / pairs);
    t->worst_out = fmax(t->worst_out, v->replica_over);
    /* Who takes over all that another held gets no more. Where that was out of bounds, it stays so,
     * and the least, which is for rings within them, may be more. */
    if (change == REPLACE && !out)
        assert_int_equal(v->moved, v->least);
}

static void random_round(uint64_t seed_of_it, uint64_t number)
{
    struct plan_rig rig = {.random = seed_of_it << 32 | number};
    uint8_t bits = (uint8_t)(6 + rig_random(&rig) % (number % 4 ? 2 : 5));
    uint8_t replicas = (uint8_t)(rig_random(&rig) % 2 ? 3 : 1 + rig_random(&rig) % 5);
    uint32_t most = (1u << bits) / (rig_random(&rig) % 4 ? 8 : 2);
    uint32_t range = rig_random(&rig) % 2 ? 10 : most;
    uint32_t members = 2 + (uint32_t)(rig_random(&rig) % range);
    static const uint32_t weights[] = {1, 1, 3, 10, 1000};
    uint16_t heirs[MEMBERS_MAX];
    struct ring *now;

    rig.weight_max = weights[rig_random(&rig) % 5];
    rig.zones = rig_random(&rig) % 2 ? 2 + (uint32_t)(rig_random(&rig) % 4) : 0;
    now = planned(&rig, members < most ? members : most, bits, replicas);
    for (int step = 0; step < 6; step++) {
        enum change change = (enum change)(rig_random(&rig) % SPLIT);
        struct ring *next;
        struct verdict v;

        if (rig_random(&rig) % 20 == 0 && now->bits < 11)
            change = SPLIT;
        next = rig_change(&rig, now, change, heirs);
        if (next && next->member_count > most) {
            ring_free(next);
            next = NULL;
        }
        if (!next)
            continue;
        plan(now, heirs, next);
        v = rig_judge(now, heirs, next);
        expect_structure(next, &v);
        count(next, change, &v);
        ring_free(now);
        now = next;
    }
    ring_free(now);
}

static void print_tallies(enum kind kind)
{
    print_message("%s:\n", kind_names[kind]);
    for (int i = 0; i < CHANGE_COUNT; i++) {
        const struct tally *t = &tallies[kind][i];

        print_message("  %-12s %5u, moved/least %.3f in all, %.2f worst; %u over 1.1, %u by more "
                      "than %d, the worst by %.2f %% of the ring; %u unbalanced, by up to %.1f\n",
                      change_names[i], (unsigned)t->changes, ratio(t->moved, t->least), t->worst,
                      (unsigned)t->over, (unsigned)t->beyond, SPARE_REPLICAS, 100 * t->worst_excess,
                      (unsigned)t->out, t->worst_out);
    }
}

/* With few partitions a replica is more than 2 %, and there may be no balance to be had. */
static void expect_tallies(enum kind kind)
{
    uint64_t moved = 0, least = 0;

    for (int i = 0; i < CHANGE_COUNT; i++) {
        const struct tally *t = &tallies[kind][i];

        assert_true(t->beyond == 0 || kind != ENOUGH);
        assert_true(t->worst_excess * 100 <= (kind == FEW ? FEW_PERCENT : CROWDED_PERCENT));
        assert_true(t->out == 0 || kind == FEW);
        moved += t->moved;
        least += t->least;
    }
    /* With a sanitizer they are too few to say more together than one of them does. */
    assert_true(SANITIZED || moved * 10 <= least * 11);
}

static void test_random_changes(void **state)
{
    (void)state;
    if (!SANITIZED)
        random_round(9, 652); /* with walks so long that few exchanges help */
    for (unsigned long i = 0; i < rounds; i++)
        random_round(seed, i);
    for (int kind = 0; kind < KIND_COUNT; kind++)
        print_tallies((enum kind)kind);
    for (int kind = 0; kind < KIND_COUNT; kind++)
        expect_tallies((enum kind)kind);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_placement),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_failed_members_work_is_spread),
        cmocka_unit_test(test_same_everywhere),
        cmocka_unit_test(test_nothing_to_do_moves_nothing),
        cmocka_unit_test(test_replace_moves_what_it_held),
        cmocka_unit_test(test_replicas_keep_their_primaries),
        cmocka_unit_test(test_wrong_changes_are_refused),
        cmocka_unit_test(test_all_members_change),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_state_is_kept),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_random_changes),
    };

    rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : effort(40);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
