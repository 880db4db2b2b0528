/* ringctl replace: an empty node takes the place of another. */
#include "tools/change.h"

static int run(const struct control *c, int argc, char **argv)
{
    return change_by_words(c, &command_replace, argc, argv);
}

const struct control_command command_replace = {
    "replace", "OLD NEW=HOST:PORT [OPTION]...",
    "Puts an empty node in the place of another, which may be dead.",
    "The new node takes over weight, zone and partitions; no other data moves. OLD never comes "
    "back:\n"
    "if it does, it is refused and harms nothing.\n"
    "\n" CHANGE_OPTIONS_HELP "\n"
    "Example:\n"
    "  ringctl replace n2 n5=10.0.0.5:7400\n",
    run};
