/* ringctl check: what is wrong with a ring, or soon will be, and what mends it. */
#include "shared/error.h"
#include "shared/ring_change.h"
#include "tools/check.h"
#include "tools/plan.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void check_find(struct check *k, const char *mend, const char *format, ...)
{
    va_list args;

    if (k->count == FINDINGS_MAX) {
        k->more++;
        return;
    }
    va_start(args, format);
    vsnprintf(k->findings[k->count].what, FINDING_SIZE, format, args);
    va_end(args);
    snprintf(k->findings[k->count].mend, FINDING_SIZE, "%s", mend);
    k->count++;
}

/* --- the ring ------------------------------------------------------------------------------- */

/* How many replicas a partition should have where it is: while their number is being changed, the
 * others have as many as before. */
static uint8_t wanted_replicas(const struct ring *ring, uint32_t partition)
{
    return ring->change && ring_phase(ring, partition) == RING_MOVED ? ring->change->replicas
                                                                     : ring->replicas;
}

static void check_copies(struct check *k)
{
    const struct ring *ring = k->survey.ring;
    uint32_t silent = ring_without_majority(ring, k->survey.facts), thin = 0;

    for (uint32_t p = 0; p < ring_partitions(ring); p++) {
        const struct ring_replicas *set = ring_replicas(ring, p);
        bool whole = set->count == wanted_replicas(ring, p);

        for (uint16_t i = 0; i < set->count; i++)
            whole &= k->survey.facts[set->member[i]].up;
        thin += !whole;
    }
    if (silent)
        check_find(k, "start the nodes that are down; until then these partitions answer -NOQUORUM",
                   "%u of %u partitions have no majority of their replicas", silent,
                   ring_partitions(ring));
    if (thin > silent)
        check_find(k,
                   ring->member_count < ring->replicas
                       ? "ringctl add NEW=HOST:PORT, until there are as "
                         "many nodes as replicas"
                       : "start the nodes that are down, or replace them",
                   "%u of %u partitions have fewer replicas up than they should; a majority serves "
                   "them",
                   thin - silent, ring_partitions(ring));
}

static void check_change(struct check *k)
{
    const struct ring_change *change = k->survey.ring->change;

    if (!change)
        return;
    check_find(
        k, change->cancelled ? "ringctl resume" : "ringctl resume (or ringctl cancel, to go back)",
        "a change is unfinished: '%s' of %s, begun in epoch %" PRIu64 "%s%s", change->what,
        change->who, change->begun_epoch, change->paused ? ", paused" : "",
        change->cancelled ? ", cancelled and on its way back" : "");
}

/* Out of balance is what a new plan would do better. */
static int check_balance(struct check *k)
{
    const struct ring *ring = k->survey.ring;
    struct plan_figures is, could;
    struct ring *next;
    int error;

    if (ring->change)
        return 0;
    error = plan_measure(ring, NULL, ring, &is);
    if (error || (is.replica_out == 0 && is.primary_off_milli <= 1000))
        return error;
    next = ring_copy(ring);
    if (!next)
        return RK_NOMEM;
    error = plan_owners(ring, NULL, next, NULL, 0);
    error = error ? error : ring_finish(next, NULL, 0);
    error = error ? error : plan_measure(ring, NULL, next, &could);
    ring_free(next);
    if (!error && (could.replica_out < is.replica_out ||
                   could.primary_off_milli + 1000 < is.primary_off_milli))
        check_find(
            k, "ringctl rebalance",
            "the ring is out of balance: %u members hold more or less than their weight wants",
            is.replica_out);
    return error;
}

/* --- the command ---------------------------------------------------------------------------- */

static void print_json(const struct check *k)
{
    printf("{\"healthy\": %s, \"epoch\": %" PRIu64 ", \"findings\": [", k->count ? "false" : "true",
           k->survey.ring->epoch);
    for (size_t i = 0; i < k->count; i++) {
        printf("%s{\"what\": ", i ? ", " : "");
        json_string(bytes_from(k->findings[i].what));
        printf(", \"mend\": ");
        json_string(bytes_from(k->findings[i].mend));
        putchar('}');
    }
    puts("]}");
}

static void print_text(const struct check *k)
{
    for (size_t i = 0; i < k->count; i++)
        printf("%s\n    %s\n", k->findings[i].what, k->findings[i].mend);
    if (k->more)
        printf("and %zu more\n", k->more);
    if (k->count == 0)
        printf("healthy: %u members, %u partitions, %u replicas, epoch %" PRIu64 "\n",
               k->survey.ring->member_count, ring_partitions(k->survey.ring),
               k->survey.ring->replicas, k->survey.ring->epoch);
}

static int check(const struct control *c, struct check *k)
{
    int code = survey_open(c, &k->survey);

    if (code)
        return code;
    if (survey_status(&k->survey) != 0)
        return control_fail("out of memory");
    check_copies(k);
    check_members(k);
    check_change(k);
    if (check_balance(k) != 0)
        return control_fail("out of memory");
    if (c->json)
        print_json(k);
    else
        print_text(k);
    return k->count ? EXIT_COULD_NOT : EXIT_DONE;
}

static int run(const struct control *c, int argc, char **argv)
{
    struct check k = {0};
    int code;

    if (argc != 1)
        return control_usage(&command_check, "'%s' is not expected", argv[1]);
    k.findings = calloc(FINDINGS_MAX, sizeof(*k.findings));
    code = k.findings ? check(c, &k) : control_fail("out of memory");
    survey_close(&k.survey);
    free(k.findings);
    return code;
}

const struct control_command command_check = {
    "check", "", "Tells what is wrong, or soon will be, each with what mends it.",
    "Members that are down, hang, are behind, short of disk, or cannot reach each other; clocks,\n"
    "versions and settings that differ; partitions with too few replicas; a change that is\n"
    "unfinished; a ring that is out of balance.\n\n"
    "Exit codes: 0 healthy, 1 something was found (or no ring was), 2 wrong usage.\n\n"
    "Example:\n  ringctl --nodes 10.0.0.1:7400,10.0.0.2:7400 check\n",
    run};
