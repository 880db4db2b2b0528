/* Runs seeds. */
#include "tests/sim/world.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage_text[] =
    "usage: sim --seeds A..B [--shape SETTINGS] [--keep-going]\n"
    "       sim --trace SEED [--shape SETTINGS]\n"
    "       sim --file FILE\n"
    "       sim --script FILE [--shape SETTINGS] [--trace 0]\n"
    "\n"
    "Runs a simulated cluster once for each seed and checks what it did.\n"
    "\n"
    "  --seeds A..B      the seeds A to B\n"
    "  --trace SEED      one seed, every event printed\n"
    "  --shape SETTINGS  name=number,... instead of what the seed draws; --shape help lists the "
    "names\n"
    "  --script FILE     one directed schedule (tests/sim/script.h), instead of chance\n"
    "  --keep-going      don't stop at the first failure\n"
    "  --expect-failure  succeed when a seed fails, fail when none does (for broken rules)\n"
    "  --file FILE       seeds that once failed, a line each: SEED SETTINGS-OR-DASH WHAT IT "
    "SHOWED\n"
    "\n"
    "Exit status: 0 nothing was violated, 1 something was, 2 wrong usage.\n";

struct totals {
    uint64_t runs, failures, events, ops, undecided;
};

static void print_shape_names(void)
{
#define X(name, text) printf("  %-14s %s\n", #name, text);
    SHAPE_FIELDS(X)
    SHAPE_MASKS(X)
#undef X
}

static bool run_world(struct world *w, const char *settings, struct totals *t)
{
    bool good;

    world_run(w);
    good = !w->violation[0];
    t->runs++;
    t->failures += !good;
    t->events += w->event_count;
    t->ops += w->op_count;
    t->undecided += w->undecided;
    if (!good && w->script)
        printf("script: %s\n", w->violation);
    else if (!good)
        printf("seed %" PRIu64 ": %s\n  sim --trace %" PRIu64 "%s%s\n", w->seed, w->violation,
               w->seed, settings ? " --shape " : "", settings ? settings : "");
    world_free(w);
    return good;
}

static bool run_seed(uint64_t seed, const char *settings, const struct sim_keys *keys, FILE *trace,
                     struct totals *t)
{
    return run_world(world_new(seed, settings, NULL, keys, trace), settings, t);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_totals(const struct totals *t, double took)
{
    printf("%" PRIu64 " seeds, %" PRIu64 " failed, %.0f seeds/s, %" PRIu64 " operations, %" PRIu64
           " events, %" PRIu64 " histories undecided\n",
           t->runs, t->failures, took > 0 ? (double)t->runs / took : 0, t->ops, t->events,
           t->undecided);
}

static int run_seeds(uint64_t from, uint64_t to, const char *settings, bool keep_going,
                     const struct sim_keys *keys)
{
    struct totals t = {0};
    double began = seconds();

    for (uint64_t seed = from; seed <= to; seed++)
        if (!run_seed(seed, settings, keys, NULL, &t) && !keep_going)
            break;
    print_totals(&t, seconds() - began);
    return t.failures ? 1 : 0;
}

static int run_file(const char *path, const struct sim_keys *keys)
{
    FILE *in = fopen(path, "r");
    char line[1024], settings[512], why[600];
    struct totals t = {0};
    double began = seconds();
    int status = 0;

    if (!in) {
        fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
        return 2;
    }
    while (status != 2 && fgets(line, sizeof(line), in)) {
        uint64_t seed;

        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (sscanf(line, "%" SCNu64 " %511s", &seed, settings) != 2 ||
            (strcmp(settings, "-") && shape_check(settings, why, sizeof(why)) != 0)) {
            fprintf(stderr, "sim: %s: cannot be understood: %s", path, line);
            status = 2;
        } else if (!run_seed(seed, strcmp(settings, "-") ? settings : NULL, keys, NULL, &t)) {
            status = 1;
        }
    }
    fclose(in);
    print_totals(&t, seconds() - began);
    return status;
}

struct arguments {
    uint64_t from, to, trace;
    bool seeds, traces, keep_going, expect_failure;
    const char *settings, *file, *script;
};

static int run_script(const struct arguments *a, const struct sim_keys *keys)
{
    struct totals t = {0};
    struct script *script;
    char why[600];
    bool good;

    if (script_read(a->script, &script, why, sizeof(why)) != 0 ||
        shape_check(script_shape(script), why, sizeof(why)) != 0) {
        fprintf(stderr, "sim: %s: %s\n", a->script, why);
        return 2;
    }
    good = run_world(world_new(0, a->settings, script, keys, a->traces ? stdout : NULL),
                     a->settings, &t);
    script_free(script);
    return good ? 0 : 1;
}

static bool read_seeds(const char *text, struct arguments *a)
{
    char *end;

    a->from = a->to = strtoull(text, &end, 10);
    if (strncmp(end, "..", 2) == 0)
        a->to = strtoull(end + 2, &end, 10);
    return end != text && *end == 0 && a->from <= a->to;
}

static bool read_arguments(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 's'},    {"trace", required_argument, NULL, 't'},
        {"shape", required_argument, NULL, 'h'},    {"file", required_argument, NULL, 'f'},
        {"script", required_argument, NULL, 'c'},   {"keep-going", no_argument, NULL, 'k'},
        {"expect-failure", no_argument, NULL, 'e'}, {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            a->seeds = true;
            if (!read_seeds(optarg, a))
                return false;
            break;
        case 't':
            a->traces = true;
            a->trace = strtoull(optarg, NULL, 10);
            break;
        case 'h':
            a->settings = optarg;
            break;
        case 'f':
            a->file = optarg;
            break;
        case 'c':
            a->script = optarg;
            break;
        case 'k':
            a->keep_going = true;
            break;
        case 'e':
            a->expect_failure = true;
            break;
        default:
            return false;
        }
    }
    return optind == argc && a->seeds + (a->traces || a->script) + (a->file != NULL) == 1;
}

int main(int argc, char **argv)
{
    struct arguments a = {0};
    struct sim_keys keys;
    char why[600];
    int status;

    if (!read_arguments(argc, argv, &a)) {
        if (a.settings && strcmp(a.settings, "help") == 0) {
            print_shape_names();
            return 0;
        }
        fputs(usage_text, stderr);
        return 2;
    }
    if (a.settings && shape_check(a.settings, why, sizeof(why)) != 0) {
        fprintf(stderr, "sim: --shape: %s\n", why);
        return 2;
    }
    if (sim_keys_make(&keys) != 0) {
        fputs("sim: out of memory\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (a.script) {
        status = run_script(&a, &keys);
        return a.expect_failure && status < 2 ? !status : status;
    }
    if (a.traces) {
        struct totals t = {0};

        return run_seed(a.trace, a.settings, &keys, stdout, &t) ? 0 : 1;
    }
    if (a.file)
        return run_file(a.file, &keys);
    status = run_seeds(a.from, a.to, a.settings, a.keep_going, &keys);
    return a.expect_failure ? !status : status;
}
