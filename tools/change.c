#include "tools/change.h"
#include "shared/ring_change.h"
#include "tools/change_run.h"
#include "tools/decide.h"
#include "tools/joining.h"
#include "tools/plan.h"
#include <ctype.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RATE_MB = 1000000, RATE_MB_MAX = 1000000 };

/* --- options -------------------------------------------------------------------------------- */

bool change_read_rate(const char *text, uint64_t *rate)
{
    char *end;
    double value;

    if (strcmp(text, "none") == 0) {
        *rate = 0;
        return true;
    }
    value = strtod(text, &end);
    if (!isdigit((unsigned char)*text) || *end || !isfinite(value) || value > RATE_MB_MAX)
        return false;
    *rate = (uint64_t)(value * RATE_MB);
    return *rate > 0;
}

int change_take_options(const struct control_command *command, int *argc, char **argv,
                        struct change_options *options)
{
    int left = 0;

    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--yes") == 0) {
            options->yes = true;
        } else if (strcmp(argv[i], "--dry-run") == 0) {
            options->dry_run = true;
        } else if (strcmp(argv[i], "--rate") == 0) {
            if (i + 1 >= *argc || !change_read_rate(argv[i + 1], &options->rate))
                return control_usage(command,
                                     "--rate is in MB a second, such as 20 or 2.5, or "
                                     "'none', not '%s'",
                                     i + 1 < *argc ? argv[i + 1] : "");
            options->has_rate = true;
            i++;
        } else {
            argv[left++] = argv[i];
        }
    }
    argv[left] = NULL;
    *argc = left;
    return EXIT_DONE;
}

/* --- who and when --------------------------------------------------------------------------- */

void change_who(char who[CHANGE_WHO_SIZE])
{
    const struct passwd *user = getpwuid(getuid());
    char host[64] = "";

    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    snprintf(who, CHANGE_WHO_SIZE, "%.32s@%s", user ? user->pw_name : "?", host[0] ? host : "?");
}

int64_t change_unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- one change ----------------------------------------------------------------------------- */

struct change {
    const struct control *control;
    const struct change_options *options;
    struct survey survey;
    struct ring *target; /* what the ring shall be */
    struct node_facts *joining;
    struct estimate estimate;
    struct reports reports;
    char what[RING_WHAT_MAX + 1];
    uint64_t begun_epoch; /* the change's first epoch, when there is one */
};

static int refuse_second(const struct ring *ring)
{
    return control_fail("the ring is being changed already: '%s', asked for by %s. "
                        "'ringctl status --watch' shows how far it is; 'ringctl resume' carries it "
                        "to its end, 'ringctl cancel' goes back",
                        ring->change->what, ring->change->who);
}

/* The target, with owners. None: the ring is like that already. */
static int plan_target(struct change *h, const struct edits *edits)
{
    uint16_t heirs[MEMBERS_MAX];
    char why[EDIT_WHY_SIZE] = "out of memory";
    int code;

    if (h->survey.ring->change)
        return refuse_second(h->survey.ring);
    if (edits_apply(edits, h->survey.ring, &h->target, heirs, why, sizeof(why)) != 0)
        return control_fail("%s", why);
    if (!h->target)
        return EXIT_DONE;
    h->joining = calloc(h->target->member_count, sizeof(*h->joining));
    if (!h->joining || survey_status(&h->survey) != 0)
        return control_fail("out of memory");
    code = joining_visit(&h->survey, h->target, h->joining);
    if (code)
        return code;
    if (plan_owners(h->survey.ring, heirs, h->target, why, sizeof(why)) != 0 ||
        ring_finish(h->target, why, sizeof(why)) != 0)
        return control_fail("no ring can be made of these nodes: %s", why);
    return EXIT_DONE;
}

static int show(struct change *h)
{
    if (estimate_change(h->survey.ring, h->survey.facts, h->target, h->joining, h->options->rate,
                        &h->estimate) != 0)
        return control_fail("out of memory");
    show_estimate(h->control, &h->estimate, h->what, h->options->rate);
    return EXIT_DONE;
}

/* Whether the plan comes to the ring as it is. */
static bool changes_nothing(const struct change *h)
{
    const struct ring *now = h->survey.ring, *target = h->target;
    bool same = h->estimate.partitions_changed == 0 && target->replicas == now->replicas &&
                target->member_count == now->member_count;

    for (uint32_t i = 0; same && i < now->member_count; i++)
        same = target->members[i].number == now->members[i].number &&
               target->members[i].weight == now->members[i].weight &&
               strcmp(target->members[i].zone, now->members[i].zone) == 0;
    return same;
}

static void tell_unchanged(const struct change *h)
{
    if (h->control->json)
        printf("{\"event\": \"done\", \"epoch\": %llu, \"cancelled\": false, \"seconds\": 0, "
               "\"keys_sent\": 0, \"bytes_sent\": 0}\n",
               (unsigned long long)h->survey.ring->epoch);
    else
        puts("the ring is like that already: nothing to change");
}

static int ask_user(const struct change *h)
{
    char answer[16];

    if (h->options->yes)
        return EXIT_DONE;
    if (!isatty(STDIN_FILENO))
        return control_fail("there is no terminal to ask on; give --yes to change the ring, or "
                            "--dry-run to only see the plan");
    /* Not among the lines that may go to a file or another program. */
    fputs("Change the ring? [y/N] ", stderr);
    if (!fgets(answer, sizeof(answer), stdin)) {
        fputc('\n', stderr);
        return control_fail("nothing was changed");
    }
    if (answer[0] != 'y' && answer[0] != 'Y')
        return control_fail("nothing was changed");
    return EXIT_DONE;
}

/* The ring went on to another epoch while this change was being made. */
static int lost(const struct change *h)
{
    const struct ring *ring = h->survey.ring;

    if (ring->change)
        return control_fail("the ring moved to epoch %llu meanwhile: '%s' by %s. Nothing of this "
                            "change was made; try again when that one is done: 'ringctl status "
                            "--watch' shows how far it is, 'ringctl resume' goes on with it when "
                            "nobody does",
                            (unsigned long long)ring->epoch, ring->change->what, ring->change->who);
    return control_fail(
        "the ring moved to epoch %llu meanwhile%s%s%s%s. Nothing of this change was "
        "made; try again",
        (unsigned long long)ring->epoch, ring->log_count ? ": '" : "",
        ring->log_count ? ring->log[ring->log_count - 1].what : "", ring->log_count ? "' by " : "",
        ring->log_count ? ring->log[ring->log_count - 1].who : "");
}

/* Whether this change was begun: another ringctl that found it half decided has decided it, and may
 * have brought it to its end already, and more after it. */
static bool was_begun(const struct change *h, const struct ring_asked *asked)
{
    const struct ring *ring = h->survey.ring;
    const struct ring_change *change = ring->change;

    if (change && change->begun_epoch == h->begun_epoch && change->begun_ms == asked->now_ms &&
        strcmp(change->what, asked->what) == 0)
        return true;
    for (uint8_t i = 0; i < ring->log_count; i++) {
        const struct ring_event *e = &ring->log[i];

        if (e->begun_epoch == h->begun_epoch && e->begun_ms == asked->now_ms &&
            strcmp(e->what, asked->what) == 0)
            return true;
    }
    return false;
}

static int begin(struct change *h)
{
    char who[CHANGE_WHO_SIZE], why[DECIDE_WHY_SIZE] = "out of memory";
    struct ring_asked asked = {h->what, who, change_unix_ms(), h->options->rate};
    struct ring *next;

    change_who(who);
    if (ring_begin(h->survey.ring, h->target, &asked, &next, why, sizeof(why)) != 0)
        return control_fail("%s", why);
    h->begun_epoch = next->epoch;
    switch (decide_ring(&h->survey, next, why, sizeof(why))) {
    case DECIDED:
        return EXIT_DONE;
    case DECIDED_OTHER:
        return was_begun(h, &asked) ? EXIT_DONE : lost(h);
    default:
        return control_fail("the change was not begun: %s" DECIDE_AGAIN, why);
    }
}

static int make(struct change *h, const struct edits *edits)
{
    int code = survey_open(h->control, &h->survey);

    edits_text(edits, h->what, sizeof(h->what));
    if (!code)
        code = plan_target(h, edits);
    if (!code && h->target)
        code = show(h);
    if (code || (h->target && h->options->dry_run))
        return code;
    if (!h->target || changes_nothing(h)) {
        tell_unchanged(h);
        return EXIT_DONE;
    }
    code = ask_user(h);
    if (!code)
        change_run_catch();
    if (!code && reports_poll(&h->reports, &h->survey) != 0)
        code = control_fail("out of memory");
    if (!code)
        code = begin(h);
    return code ? code
                : change_run_begun(h->control, &h->survey, &h->reports, h->begun_epoch,
                                   h->estimate.bytes);
}

int change_make(const struct control *c, const struct edits *edits,
                const struct change_options *options)
{
    struct change *h = calloc(1, sizeof(*h));
    int code;

    if (!h)
        return control_fail("out of memory");
    h->control = c;
    h->options = options;
    code = make(h, edits);
    estimate_free(&h->estimate);
    reports_free(&h->reports);
    free(h->joining);
    ring_free(h->target);
    survey_close(&h->survey);
    free(h);
    return code;
}

int change_by_words(const struct control *c, const struct control_command *command, int argc,
                    char **argv)
{
    struct change_options options = {0};
    struct edits edits = {0};
    char why[EDIT_WHY_SIZE] = "";
    int code = change_take_options(command, &argc, argv, &options);

    if (code)
        return code;
    if (edits_parse_words(&edits, argc, argv, why, sizeof(why)) != 0)
        code = control_usage(command, "%s", why);
    else
        code = change_make(c, &edits, &options);
    edits_free(&edits);
    return code;
}
