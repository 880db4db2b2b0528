/* ringctl rebalance: a new plan for the same members. */
#include "tools/change.h"

static int run(const struct control *c, int argc, char **argv)
{
    return change_by_words(c, &command_rebalance, argc, argv);
}

const struct control_command command_rebalance = {
    "rebalance", "[OPTION]...", "Plans the ring anew for the members that it has.",
    "For a ring that 'ringctl check' finds out of balance.\n"
    "\n" CHANGE_OPTIONS_HELP "\n"
    "Example:\n"
    "  ringctl rebalance --dry-run\n",
    run};
