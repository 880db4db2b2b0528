/* Proposers against the nodes' acceptors (node/ring_slot.h) in one thread: whatever is lost, late,
 * or ends in the middle, no two rings are decided for one epoch, and one is when the network allows
 * it.
 *
 *   test_ring_propose [rounds [seed]]    default: 20000 rounds, seed 1 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ring_slot.h"
#include "shared/error.h"
#include "tools/ring_propose.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROPOSERS = 3, ACCEPTORS_MAX = 7, TURNS = 120, EPOCH = 1, NEXT_EPOCH = 2 };

static unsigned long rounds = 20000, seed = 1;

struct proposer {
    struct ring_propose run;
    uint8_t own;
    bool alive;
    uint8_t learned; /* what it was told is decided */
};

struct world {
    uint64_t random;
    uint32_t count;
    struct ring_slot acceptors[ACCEPTORS_MAX]; /* rings are one byte */
    struct proposer proposers[PROPOSERS];
    uint8_t decided;
};

static uint32_t below(struct world *w, uint32_t bound)
{
    uint64_t x = w->random += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((x ^ x >> 31) % bound);
}

static void begin(struct world *w, uint32_t i, uint64_t number)
{
    struct proposer *p = &w->proposers[i];

    ring_propose_begin(&p->run, w->count, number, i + 1, bytes_of(&p->own, 1));
}

/* What node/ring_keeper.c does with a slot's next state: it is written, then taken, then told. A
 * node may end right behind that; what it reads then is what it goes on with. */
static void take(struct world *w, struct ring_slot *slot, struct ring_slot *next)
{
    struct buf file = {0};

    ring_slot_free(slot);
    *slot = *next;
    if (below(w, 4))
        return;
    assert_int_equal(ring_slot_encode(slot, &file), 0);
    ring_slot_free(slot);
    assert_int_equal(ring_slot_decode(buf_bytes(&file), slot), 0);
    buf_free(&file);
}

static void prepare(struct world *w, struct proposer *p, uint32_t at, bool answer_lost)
{
    struct ring_prepare m = {.epoch = NEXT_EPOCH, .ballot = p->run.ballot};
    struct ring_slot *slot = &w->acceptors[at], next;
    struct ring_promise promise = {.error = ring_slot_prepare(slot, &m, &next), .epoch = EPOCH};

    if (!promise.error)
        take(w, slot, &next);
    promise.promised = slot->promised;
    promise.accepted = slot->accepted;
    promise.ring = buf_bytes(&slot->ring);
    if (!answer_lost)
        assert_int_equal(ring_propose_promise(&p->run, at, &promise), 0);
}

static void accept(struct world *w, struct proposer *p, uint32_t at, bool answer_lost)
{
    struct ring_accept m = {.ballot = p->run.ballot, .ring = ring_propose_value(&p->run)};
    struct ring_slot *slot = &w->acceptors[at], next;
    int error = ring_slot_accept(slot, &m, NEXT_EPOCH, &next);

    if (!error)
        take(w, slot, &next);
    if (!answer_lost)
        ring_propose_accepted(&p->run, at, error, EPOCH);
}

/* One message of a proposer to one acceptor, or its ballot's end. */
static void turn(struct world *w)
{
    uint32_t i = below(w, PROPOSERS), at = below(w, w->count), luck = below(w, 100);
    struct proposer *p = &w->proposers[i];

    if (!p->alive)
        return;
    if (luck == 0) {
        p->alive = false;
        return;
    }
    if (luck < 6)
        ring_propose_silent(&p->run, at);
    else if (p->run.state == PROPOSE_PREPARING && luck < 90)
        prepare(w, p, at, luck < 15);
    else if (p->run.state == PROPOSE_ACCEPTING && luck < 90)
        accept(w, p, at, luck < 15);
    if (p->run.state == PROPOSE_DECIDED) {
        uint8_t value = ring_propose_value(&p->run).data[0];

        assert_true(w->decided == 0 || w->decided == value);
        w->decided = value;
        assert_int_equal(ring_propose_is_own(&p->run), value == p->own);
    } else if (p->run.state > PROPOSE_DECIDED) {
        uint64_t number = p->run.highest_number + 1;

        ring_propose_free(&p->run);
        begin(w, i, number);
    }
}

static void test_agreement(void **state)
{
    uint64_t decided = 0;

    (void)state;
    for (unsigned long round = 0; round < rounds; round++) {
        struct world *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        w->random = seed * 1000003 + round;
        w->count = 1 + below(w, ACCEPTORS_MAX);
        for (uint32_t i = 0; i < w->count; i++)
            w->acceptors[i] = ring_slot_of(NEXT_EPOCH);
        for (uint32_t i = 0; i < PROPOSERS; i++) {
            w->proposers[i].alive = true;
            w->proposers[i].own = (uint8_t)(i + 1);
            begin(w, i, 1);
        }
        for (int i = 0; i < TURNS; i++)
            turn(w);
        decided += w->decided != 0;
        for (uint32_t i = 0; i < PROPOSERS; i++)
            ring_propose_free(&w->proposers[i].run);
        for (uint32_t i = 0; i < w->count; i++)
            ring_slot_free(&w->acceptors[i]);
        free(w);
    }
    print_message("%lu of %lu rounds decided\n", (unsigned long)decided, rounds);
    assert_true(decided > rounds / 2);
}

static void promise(struct ring_propose *p, uint32_t from, int error, struct ballot promised,
                    uint64_t epoch)
{
    struct ring_promise m = {.error = error, .epoch = epoch, .promised = promised};

    assert_int_equal(ring_propose_promise(p, from, &m), 0);
}

static void test_one_of_three_is_dead(void **state)
{
    struct ring_propose *p = calloc(1, sizeof(*p));

    (void)state;
    ring_propose_begin(p, 3, 1, 9, bytes_from("a"));
    ring_propose_silent(p, 0);
    promise(p, 1, 0, p->ballot, 1);
    assert_int_equal(p->state, PROPOSE_PREPARING);
    promise(p, 1, 0, p->ballot, 1); /* counts once */
    assert_int_equal(p->state, PROPOSE_PREPARING);
    promise(p, 2, 0, p->ballot, 1);
    assert_int_equal(p->state, PROPOSE_ACCEPTING);
    ring_propose_silent(p, 0);
    ring_propose_accepted(p, 1, 0, 1);
    assert_int_equal(p->state, PROPOSE_ACCEPTING);
    ring_propose_accepted(p, 2, 0, 1);
    assert_int_equal(p->state, PROPOSE_DECIDED);
    assert_true(ring_propose_is_own(p));
    ring_propose_free(p);
    free(p);
}

static void test_ends(void **state)
{
    struct ring_propose *p = calloc(1, sizeof(*p));

    (void)state;
    ring_propose_begin(p, 3, 1, 9, bytes_from("a"));
    ring_propose_silent(p, 0);
    ring_propose_silent(p, 1);
    assert_int_equal(p->state, PROPOSE_FAILED);

    ring_propose_begin(p, 3, 1, 9, bytes_from("a"));
    promise(p, 0, RK_REFUSED, (struct ballot){7, 3}, 1);
    promise(p, 1, RK_REFUSED, (struct ballot){5, 3}, 1);
    assert_int_equal(p->state, PROPOSE_OVERTAKEN);
    assert_int_equal(p->highest_number, 7);

    ring_propose_begin(p, 3, 1, 9, bytes_from("a"));
    promise(p, 0, RK_EPOCH, (struct ballot){0}, 5);
    assert_int_equal(p->state, PROPOSE_STALE);
    assert_int_equal(p->newest_epoch, 5);
    ring_propose_free(p);
    free(p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_one_of_three_is_dead),
        cmocka_unit_test(test_ends),
    };

    if (argc > 1)
        rounds = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
