/* ringctl add: adds nodes. */
#include "tools/change.h"

static int run(const struct control *c, int argc, char **argv)
{
    return change_by_words(c, &command_add, argc, argv);
}

const struct control_command command_add = {
    "add", "NAME=HOST:PORT [--weight W] [--zone Z]... [OPTION]...",
    "Adds nodes that are in no ring yet, and moves their share of the data to them.",
    "Each --weight and --zone belongs to the NAME before it.\n"
    "--weight W       share of the keys, relative to the other nodes (1)\n"
    "--zone Z         replicas go to different zones (racks, sites) as far as there are any\n"
    "\n" CHANGE_OPTIONS_HELP "\n"
    "Example:\n"
    "  ringctl add n4=10.0.0.4:7400 n5=10.0.0.5:7400 --weight 2 --rate 50\n",
    run};
