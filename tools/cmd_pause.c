/* ringctl pause: lets a change stand where it is. */
#include "tools/steer.h"
#include <stdio.h>

static int run(const struct control *c, int argc, char **argv)
{
    struct steer steer = {.set_paused = true, .paused = true};
    struct survey s;
    int code;

    if (argc != 1)
        return control_usage(&command_pause, "'%s' is not expected", argv[1]);
    code = survey_open(c, &s);
    if (!code)
        code = steer_change(&s, &steer);
    if (!code && c->json)
        printf("{\"event\": \"paused\", \"epoch\": %llu}\n", (unsigned long long)s.ring->epoch);
    else if (!code)
        puts("paused; 'ringctl resume' goes on, 'ringctl cancel' goes back");
    survey_close(&s);
    return code;
}

const struct control_command command_pause = {
    "pause", "", "Lets the change that is under way stand where it is.",
    "The ring serves, half-way. Copies that have begun are completed; no partition goes on.\n\n"
    "Example:\n  ringctl pause\n",
    run};
