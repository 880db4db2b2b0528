/* ringctl set: weights, zones, the number of replicas. */
#include "tools/change.h"

static int run(const struct control *c, int argc, char **argv)
{
    return change_by_words(c, &command_set, argc, argv);
}

const struct control_command command_set = {
    "set", "NAME [weight=W] [zone=Z] | replicas=N [OPTION]...",
    "Changes a node's weight or zone, or the number of replicas.",
    "weight=W         share of the keys, relative to the other nodes; 1 to 10000\n"
    "zone=Z           replicas go to different zones as far as there are any\n"
    "replicas=N       copies of every key; 1 to 7\n"
    "\n" CHANGE_OPTIONS_HELP "\n"
    "Example:\n"
    "  ringctl set n3 weight=2\n"
    "  ringctl set replicas=5\n",
    run};
