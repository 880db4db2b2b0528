/* Power cuts: a run of writes, syncs and checkpoints is recorded; after every event, and for many
 * ways to lose what was not synced, a store opened on what is left holds everything that was told
 * and nothing that was never applied. Then the recovery is recorded and cut in the same way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/error.h"
#include "shared/log.h"
#include "tests/unit/power_cut.h"
#include "tests/unit/store_support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Recovering over and over wants a file system in memory: what is safe there is in the record
 * alone. */
static void new_folder(char folder[512])
{
    static const char *const memory = "/dev/shm";

    if (!getenv("TMPDIR") && access(memory, W_OK) == 0)
        setenv("TMPDIR", memory, 1);
    snprintf(folder, 512, "%s", test_folder_new());
}

static struct store *open_at(const char *folder, const struct store_files *files)
{
    struct store_disk_options options = test_options(folder);
    char why[STORE_WHY_SIZE];
    struct store *s;
    int error;

    options.files = files;
    options.checkpoint_ms = 2;
    error = store_disk_open(&options, &s, why, sizeof(why));
    if (error)
        print_message("%s\n", why);
    assert_int_equal(error, 0);
    return s;
}

/* What the reply of a read would tell, as well as of writes: nothing beyond what store_poll gave.
 */
static void note_told(struct power_cut *cut, struct store *s)
{
    int error;
    uint64_t position = store_poll(s, &error);

    assert_int_equal(error, 0);
    power_cut_note(cut, position);
}

static void run(struct power_cut *cut, struct store *s, struct model *m, int batches)
{
    uint64_t random = m->seed + m->applied;

    for (int i = 0; i < batches; i++) {
        struct model_batch batch;
        uint64_t position;
        int error;

        model_next(m, &batch);
        while ((error = store_apply(s, &batch.batch, &position)) == RK_FULL)
            store_submit(s);
        assert_int_equal(error, 0);
        model_advance(m);
        assert_int_equal(position, m->applied);
        if (model_random(&random) % 3 == 0)
            store_submit(s);
        if (model_random(&random) % 8 == 0)
            assert_int_equal(test_sync(s, position), 0);
        if (model_random(&random) % 30 == 0)
            test_write_down(s);
        note_told(cut, s);
    }
}

/* Opens what a power cut left; *m becomes what is there. */
static struct store *recover(const char *folder, const struct store_files *files, struct model *m,
                             uint64_t told, uint64_t applied)
{
    struct store *s = open_at(folder, files);
    uint64_t remembered = model_remembered(s);

    assert_true(remembered >= told);
    assert_true(remembered <= applied);
    model_init(m, m->seed, m->large_values);
    while (m->applied < remembered)
        model_advance(m);
    model_check(m, s);
    return s;
}

struct cutting {
    char from[512], to[512];
    uint64_t cuts;
};

/* Cuts a recorded run after every `step` events. `deeper`: every so many recoveries are recorded
 * and cut too. */
static void cut_everywhere(struct cutting *c, const struct power_cut *cut, const struct model *end,
                           size_t step, unsigned deeper)
{
    for (size_t events = 0; events <= power_cut_count(cut); events += step) {
        for (int variant = 0; variant < LOSS_KINDS + 2; variant++) {
            enum power_cut_loss loss =
                variant < LOSS_KINDS ? (enum power_cut_loss)variant : LOSE_AT_RANDOM;
            uint64_t told =
                power_cut_make(cut, events, loss, events * 10 + (uint64_t)variant, c->to);
            struct model m = *end;
            bool record = deeper && ++c->cuts % deeper == 0;
            struct power_cut *again = record ? power_cut_new(c->to) : NULL;
            struct store *s =
                recover(c->to, again ? power_cut_files(again) : NULL, &m, told, end->applied);

            if (again) {
                struct cutting inner = {.cuts = 0};

                power_cut_note(again, m.applied); /* what is read is told */
                run(again, s, &m, 12);
                store_close(s);
                new_folder(inner.to);
                cut_everywhere(&inner, again, &m, 1, 0);
                test_folder_remove(inner.to);
                power_cut_free(again);
            } else {
                store_close(s);
            }
        }
    }
}

static void test_every_power_cut_is_recovered_from(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct cutting c = {.cuts = seed};
        struct power_cut *cut;
        struct store *s;
        struct model m;

        new_folder(c.from);
        new_folder(c.to);
        model_init(&m, seed, seed == 2);
        cut = power_cut_new(c.from);
        s = open_at(c.from, power_cut_files(cut));
        power_cut_note(cut, 0);
        run(cut, s, &m, seed == 2 ? 40 : 80);
        store_close(s);
        cut_everywhere(&c, cut, &m, 1, 61);
        power_cut_free(cut);
        test_folder_remove(c.from);
        test_folder_remove(c.to);
    }
}

/* What a process wrote before it was killed is found by the next one, which tells it: then it must
 * be safe, whether the first one came to sync it or not. */
static void test_what_is_found_after_a_kill_is_safe(void **state)
{
    struct power_cut *cut;
    struct cutting c;
    struct store *s;
    struct model m;

    (void)state;
    new_folder(c.from);
    new_folder(c.to);
    model_init(&m, 4, false);
    cut = power_cut_new(c.from);
    s = open_at(c.from, power_cut_files(cut));
    run(cut, s, &m, 60);
    store_close(s);
    for (size_t events = 0; events <= power_cut_count(cut); events++) {
        struct power_cut *next = power_cut_killed(cut, events, c.to);
        struct model found = m, then = m;
        uint64_t told;

        s = recover(c.to, power_cut_files(next), &found, 0, m.applied);
        power_cut_note(next, found.applied);
        store_close(s);
        told = power_cut_make(next, power_cut_count(next), LOSE_EVERYTHING, 0, c.to);
        assert_int_equal(told, found.applied);
        store_close(recover(c.to, NULL, &then, told, m.applied));
        power_cut_free(next);
    }
    power_cut_free(cut);
    test_folder_remove(c.from);
    test_folder_remove(c.to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_power_cut_is_recovered_from),
        cmocka_unit_test(test_what_is_found_after_a_kill_is_safe),
    };

    /* Torn ends are what this makes. */
    log_open("test_store_power", "/dev/null", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
