/* ringctl cancel: goes back to the ring as it was before the change. */
#include "tools/change.h"
#include "tools/change_run.h"
#include "tools/steer.h"
#include <stdio.h>

static bool set_has(const struct ring_replicas *set, uint32_t member)
{
    for (uint16_t i = 0; i < set->count; i++)
        if (set->member[i] == member)
            return true;
    return false;
}

/* How many partitions a member has handed on, or is handing on, and would have to get back. */
static uint32_t count_back(const struct ring *ring, uint32_t member)
{
    const struct ring_change *change = ring->change;
    uint32_t count = 0;

    for (uint32_t p = 0; p < ring_partitions(ring); p++)
        count += (change->phases[p] == RING_MOVED || change->phases[p] == RING_JOINT) &&
                 set_has(&ring->sets[p], member) && !set_has(&change->sets[p], member);
    return count;
}

/* The way back would wait for a member that may never come, and there is no way on from there. */
static int check_way_back(const struct survey *s)
{
    const struct ring *ring = s->ring;
    struct bytes none;

    for (uint32_t i = 0; ring->change && !ring->change->cancelled && i < ring->member_count; i++) {
        uint32_t back = count_back(ring, i);
        const char *name = ring->members[i].name;

        if (back && fleet_answer(s->fleet, s->nodes[i], &none) != 0)
            return control_fail(
                "%s does not answer, and %u partitions that it has handed on would have to go back "
                "to it; a change that is cancelled cannot be turned again. Start it first; if its "
                "data is lost, let the change go on ('ringctl resume'), then replace it: 'ringctl "
                "replace %s NEW=HOST:PORT'",
                name, back, name);
    }
    return EXIT_DONE;
}

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
        code = check_way_back(&s);
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
    "Partitions that have moved move back, as safely as they came; the others stay. Who has "
    "handed\n"
    "some on has to be up for that. Interrupted, 'ringctl resume' goes on with it. A node that was "
    "to be added needs an empty data folder\n"
    "before it can be added again.\n\n"
    "Example:\n  ringctl cancel\n",
    run};
