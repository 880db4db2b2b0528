/* ringctl remove: takes nodes out of the ring. */
#include "tools/change.h"

static int run(const struct control *c, int argc, char **argv)
{
    return change_by_words(c, &command_remove, argc, argv);
}

const struct control_command command_remove = {
    "remove", "NAME... [OPTION]...",
    "Moves the data of nodes to the others, and takes them out of the ring.",
    "The nodes may be dead, as long as the others have a majority of each partition's replicas.\n"
    "Afterwards they can be stopped, and their data folders deleted.\n"
    "\n" CHANGE_OPTIONS_HELP "\n"
    "Example:\n"
    "  ringctl remove n2\n",
    run};
