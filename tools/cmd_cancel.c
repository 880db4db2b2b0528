/* ringctl cancel: goes back to the ring as it was before the change. */
#include "tools/change.h"
#include "tools/change_run.h"
#include "tools/steer.h"
#include <stdio.h>

static int run(const struct control *c, int argc, char **argv)
{
    struct change_options options = {0};
    struct steer steer = {.cancel = true};
    struct survey s;
    int code = change_take_options(&command_cancel, &argc, argv, &options);

    if (code)
        return code;
    if (argc != 1 || options.dry_run)
        return control_usage(&command_cancel, "'%s' is not expected",
                             options.dry_run ? "--dry-run" : argv[1]);
    code = survey_open(c, &s);
    if (!code)
        code = steer_change(&s, &steer);
    if (!code && options.has_rate)
        code = steer_change(&s, &(struct steer){.set_rate = true, .rate = options.rate});
    if (!code)
        code = change_run(c, &s);
    survey_close(&s);
    return code;
}

const struct control_command command_cancel = {
    "cancel", "[--rate MB/s]", "Takes the change that is under way back, to the ring as it was.",
    "Partitions that have moved move back, as safely as they came; the others stay. Interrupted,\n"
    "'ringctl resume' goes on with it. A node that was to be added needs an empty data folder\n"
    "before it can be added again.\n\n"
    "Example:\n  ringctl cancel\n",
    run};
