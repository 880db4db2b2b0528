/* ringctl check: what is wrong with a ring, or soon will be, and what mends it. */
#include "shared/error.h"
#include "shared/ring_change.h"
#include "tools/plan.h"
#include "tools/survey.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FINDINGS_MAX = 256, /* a thousand dead nodes are no better understood one by one */
    FINDING_SIZE = 384,
    DISK_FREE_PERCENT_MIN = 15,
};

struct finding {
    char what[FINDING_SIZE], mend[FINDING_SIZE];
};

struct check {
    struct survey survey;
    struct finding *findings;
    size_t count, more;
};

__attribute__((format(printf, 3, 4))) static void find(struct check *k, const char *mend,
                                                       const char *format, ...)
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

/* --- members -------------------------------------------------------------------------------- */

static void check_down(struct check *k, uint32_t i)
{
    const struct ring_member *m = &k->survey.ring->members[i];
    struct bytes body;
    char mend[FINDING_SIZE];
    int error = fleet_answer(k->survey.fleet, k->survey.nodes[i], &body);

    if (error == RK_MEMBER)
        snprintf(mend, sizeof(mend),
                 "bring its data folder back; if it is lost: ringctl replace %s NEW=%s:%u", m->name,
                 m->host, m->port);
    else
        snprintf(mend, sizeof(mend),
                 "start ringnode on %s; if its data is lost: ringctl replace %s NEW=HOST:PORT",
                 m->host, m->name);
    find(k, mend, "%s is down: %s", m->name, fleet_why(k->survey.fleet, k->survey.nodes[i]));
}

static void check_disk(struct check *k, uint32_t i)
{
    const struct node_facts *f = &k->survey.facts[i];
    const struct ring_member *m = &k->survey.ring->members[i];
    char mend[FINDING_SIZE];

    if (f->disk_total == 0 || f->disk_free / DISK_FREE_PERCENT_MIN >= f->disk_total / 100)
        return;
    snprintf(mend, sizeof(mend), "make room on %s, or spread the data: ringctl add NEW=HOST:PORT",
             m->host);
    find(k, mend, "%s's disk is nearly full: %" PRIu64 " of %" PRIu64 " MiB are free", m->name,
         f->disk_free >> 20, f->disk_total >> 20);
}

static void check_up(struct check *k, uint32_t i)
{
    struct bytes text = k->survey.texts[i];
    const struct ring *ring = k->survey.ring;
    const char *name = ring->members[i].name;
    uint64_t behind = status_number(text, "partitions_behind");
    uint64_t copied = status_number(text, "partitions_transfer");
    uint64_t damaged = status_number(text, "scrub_damaged");

    check_disk(k, i);
    if (k->survey.epochs[i] < ring->epoch)
        find(k,
             "it fetches the ring from others; if it does not, they cannot reach each other: "
             "look for 'link:' in its log",
             "%s has the ring of epoch %" PRIu64 ", the newest is %" PRIu64, name,
             k->survey.epochs[i], ring->epoch);
    if (behind + copied > 0 && !ring->change)
        find(k, "wait; 'ringctl status' shows under BEHIND and COPIES how it gets on",
             "%s is not up to date with %" PRIu64 " of its partitions", name, behind + copied);
    if (damaged > 0)
        find(k,
             "replace its disk, then: ringctl replace (see doc/operations.md, \"A record is "
             "damaged\")",
             "%s found %" PRIu64 " damaged records on its disk", name, damaged);
}

static void check_versions(struct check *k)
{
    const struct ring *ring = k->survey.ring;
    int first = -1;

    for (uint32_t i = 0; i < ring->member_count; i++) {
        struct bytes mine = status_text(k->survey.texts[i], "version"), other;

        if (!k->survey.facts[i].up)
            continue;
        if (first < 0)
            first = (int)i;
        other = status_text(k->survey.texts[first], "version");
        if (!bytes_equal(mine, other)) {
            find(k, "install the same version everywhere, one node after the other",
                 "%s runs version %.*s, %s runs %.*s", ring->members[first].name, (int)other.size,
                 (const char *)other.data, ring->members[i].name, (int)mine.size,
                 (const char *)mine.data);
            return;
        }
    }
}

/* --- the ring ------------------------------------------------------------------------------- */

static void check_copies(struct check *k)
{
    const struct ring *ring = k->survey.ring;
    uint32_t silent = ring_without_majority(ring, k->survey.facts), thin = 0;

    for (uint32_t p = 0; p < ring_partitions(ring); p++) {
        const struct ring_replicas *set = ring_replicas(ring, p);
        bool whole = set->count == ring->replicas;

        for (uint16_t i = 0; i < set->count; i++)
            whole &= k->survey.facts[set->member[i]].up;
        thin += !whole;
    }
    if (silent)
        find(k, "start the nodes that are down; until then these partitions answer -NOQUORUM",
             "%u of %u partitions have no majority of their replicas", silent,
             ring_partitions(ring));
    if (thin > silent)
        find(k,
             ring->member_count < ring->replicas ? "ringctl add NEW=HOST:PORT, until there are as "
                                                   "many nodes as replicas"
                                                 : "start the nodes that are down, or replace them",
             "%u of %u partitions have fewer than %u replicas that are up", thin,
             ring_partitions(ring), ring->replicas);
}

static void check_change(struct check *k)
{
    const struct ring_change *change = k->survey.ring->change;

    if (!change)
        return;
    find(k, change->cancelled ? "ringctl resume" : "ringctl resume (or ringctl cancel, to go back)",
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
        find(k, "ringctl rebalance",
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
    for (uint32_t i = 0; i < k->survey.ring->member_count; i++)
        if (k->survey.facts[i].up)
            check_up(k, i);
        else
            check_down(k, i);
    check_change(k);
    check_versions(k);
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
    "Members that are down, behind, of another version, or short of disk; partitions with too few\n"
    "replicas; a change that is unfinished; a ring that is out of balance.\n\n"
    "Exit codes: 0 healthy, 1 something was found (or no ring was), 2 wrong usage.\n\n"
    "Example:\n  ringctl --nodes 10.0.0.1:7400,10.0.0.2:7400 check\n",
    run};
