/* ringctl rate: how much of the network a change that is under way may take. */
#include "tools/change.h"
#include "tools/human.h"
#include "tools/steer.h"
#include <stdio.h>

static int run(const struct control *c, int argc, char **argv)
{
    struct steer steer = {.set_rate = true};
    char rate[HUMAN_SIZE];
    struct survey s;
    int code;

    if (argc != 2)
        return control_usage(&command_rate, "one MB/S is needed");
    if (!change_read_rate(argv[1], &steer.rate))
        return control_usage(&command_rate,
                             "a rate is in MB a second, such as 20 or 2.5, or "
                             "'none', not '%s'",
                             argv[1]);
    code = survey_open(c, &s);
    if (!code)
        code = steer_change(&s, &steer);
    if (!code && c->json)
        printf("{\"event\": \"rate\", \"epoch\": %llu, \"bytes_per_second\": %llu}\n",
               (unsigned long long)s.ring->epoch, (unsigned long long)steer.rate);
    else if (!code && steer.rate)
        printf("each node sends at most %s for the change\n", human_rate(steer.rate, rate));
    else if (!code)
        puts("nodes send as fast as their clients allow");
    survey_close(&s);
    return code;
}

const struct control_command command_rate = {
    "rate", "MB/S|none", "Bounds what each node sends for the change that is under way.",
    "In MB (10^6 bytes) a second. Holds at once, while another ringctl drives the change.\n"
    "Without a rate, nodes send as fast as they can while they have no requests, and at most\n"
    "3 MiB a second for each of their shards while they have; a rate takes the place of both.\n\n"
    "Example:\n  ringctl rate 20\n",
    run};
