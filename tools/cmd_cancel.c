/* ringctl cancel: goes back to the ring as it was before the change. */
#include "tools/change.h"
#include "tools/change_run.h"
#include "tools/steer.h"
#include <stdio.h>

/* Whether a partition that goes back has a majority there of members that answer. */
static bool has_way_back(const struct ring *ring, uint32_t partition, const bool *answers)
{
    enum ring_phase phase = ring_phase(ring, partition);
    const struct ring_replicas *set = &ring->sets[partition];
    uint16_t there = 0;

    if (phase != RING_MOVED && phase != RING_JOINT)
        return true;
    for (uint16_t i = 0; i < set->count; i++)
        there += answers[set->member[i]];
    return 2 * there > set->count;
}

/* The names of those that do not answer: "n1, n3". */
static void name_silent(const struct ring *ring, const bool *answers, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < ring->member_count && used + NAME_SIZE_MAX + 8 < size; i++)
        if (!answers[i])
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     ring->members[i].name);
}

/* A change that is cancelled cannot be turned again. Where members are dead, those of a partition's
 * former replicas that are left have to be a majority, or it would be stuck for ever. */
static int check_way_back(const struct survey *s)
{
    const struct ring *ring = s->ring;
    bool answers[MEMBERS_MAX];
    uint32_t stuck = 0;
    struct bytes none;
    char silent[256];

    if (!ring->change || ring->change->cancelled)
        return EXIT_DONE;
    for (uint32_t i = 0; i < ring->member_count; i++)
        answers[i] = fleet_answer(s->fleet, s->nodes[i], &none) == 0;
    for (uint32_t p = 0; p < ring_partitions(ring); p++)
        stuck += !has_way_back(ring, p, answers);
    if (!stuck)
        return EXIT_DONE;
    name_silent(ring, answers, silent, sizeof(silent));
    return control_fail(
        "%u partitions would go back to replicas of which no majority answers, and a change that "
        "is cancelled cannot be turned again. Start %s first; what has lost its data is replaced "
        "when the change has ended ('ringctl resume')",
        stuck, silent);
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
        change_run_catch();
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
    "cancel", "[--rate MB/S]", "Takes the change that is under way back, to the ring as it was.",
    "Partitions that have moved move back, as safely as they came; the others stay. A dead member\n"
    "is waited for ten seconds, and can be replaced when that is done. Interrupted, 'ringctl\n"
    "resume' goes on with it. A node that was to be added needs an empty data folder before it "
    "can\n"
    "be added again.\n\n"
    "Example:\n  ringctl cancel\n",
    run};
