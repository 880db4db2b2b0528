/* ringctl resume: goes on with a change that was paused, or whose ringctl is gone. */
#include "tools/change.h"
#include "tools/change_run.h"
#include "tools/decide.h"
#include "tools/steer.h"
#include <stdio.h>

/* Nothing is being changed: members that do not have the ring get it, if there are any. One that
 * lost the file has nobody else to get it from. */
static int spread(const struct control *c, struct survey *s)
{
    if (survey_status(s) != 0)
        return control_fail("out of memory");
    decide_spread(s);
    puts(c->json ? "{\"event\": \"none\"}" : "nothing is being changed");
    return EXIT_DONE;
}

static int resume(const struct control *c, const struct change_options *options, struct survey *s)
{
    struct steer steer = {.set_paused = true, .set_rate = options->has_rate, .rate = options->rate};
    int code = survey_open(c, s);

    if (code)
        return code;
    if (!s->ring->change)
        return spread(c, s);
    if (!c->json)
        printf("%s%s, asked for by %s\n", s->ring->change->cancelled ? "going back from: " : "",
               s->ring->change->what, s->ring->change->who);
    change_run_catch();
    code = steer_change(s, &steer);
    return code ? code : change_run(c, s);
}

static int run(const struct control *c, int argc, char **argv)
{
    struct change_options options = {0};
    struct survey s;
    int code = change_take_options(&command_resume, &argc, argv, &options);

    if (code)
        return code;
    if (argc != 1 || options.dry_run)
        return control_usage(&command_resume, "'%s' is not expected",
                             options.dry_run ? "--dry-run" : argv[1]);
    code = resume(c, &options, &s);
    survey_close(&s);
    return code;
}

const struct control_command command_resume = {
    "resume", "[--rate MB/S]", "Goes on with a change that was paused or interrupted.",
    "What was done stays done. It runs on any machine that reaches the nodes, and does no harm\n"
    "while another ringctl is at the same change. When nothing is being changed, it only gives "
    "the\n"
    "ring to members that have lost it.\n\n"
    "Example:\n  ringctl resume --rate 50\n",
    run};
