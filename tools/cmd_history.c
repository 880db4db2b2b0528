/* ringctl history: the changes that the ring has seen. */
#include "tools/change.h"
#include "tools/human.h"
#include "tools/survey.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* As the programs' logs have it, to be held against them: in UTC. */
static void print_time(int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    char text[32] = "?";

    if (gmtime_r(&seconds, &parts))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    printf("%-20s", text);
}

/* Clocks of different machines may disagree: no change took less than no time. */
static uint64_t took_seconds(int64_t begun_ms, int64_t ended_ms)
{
    return ended_ms > begun_ms ? (uint64_t)(ended_ms - begun_ms + 500) / 1000 : 0;
}

static void print_line(uint64_t from, uint64_t to, int64_t begun_ms, int64_t ended_ms,
                       const char *outcome, const char *who, const char *what)
{
    char took[HUMAN_SIZE], epochs[48];

    snprintf(epochs, sizeof(epochs), "%" PRIu64 "-%" PRIu64, from, to);
    printf("%-11s ", epochs);
    print_time(begun_ms);
    printf(" %12s  %-11s %-20s %s\n", human_seconds(took_seconds(begun_ms, ended_ms), took),
           outcome, who, what);
}

static const char *under_way(const struct ring_change *change)
{
    return change->cancelled ? "going back" : change->paused ? "paused" : "under way";
}

static void print_text(const struct ring *ring)
{
    printf("%-11s %-20s %12s  %-11s %-20s %s\n", "EPOCHS", "BEGUN", "TOOK", "OUTCOME", "WHO",
           "WHAT");
    for (uint8_t i = 0; i < ring->log_count; i++) {
        const struct ring_event *e = &ring->log[i];

        print_line(e->begun_epoch, e->ended_epoch, e->begun_ms, e->ended_ms,
                   e->cancelled ? "cancelled" : "done", e->who, e->what);
    }
    if (ring->change)
        print_line(ring->change->begun_epoch, ring->epoch, ring->change->begun_ms, change_unix_ms(),
                   under_way(ring->change), ring->change->who, ring->change->what);
    if (ring->log_count == 0 && !ring->change)
        puts("the ring is as 'ringctl init' made it");
}

static void print_json_line(const char *separator, uint64_t from, uint64_t to, int64_t begun_ms,
                            int64_t ended_ms, const char *outcome, const char *who,
                            const char *what)
{
    printf("%s{\"epoch_begun\": %" PRIu64 ", \"epoch_ended\": %" PRIu64
           ", \"begun_unix_ms\": %" PRId64 ", \"ended_unix_ms\": %" PRId64
           ", \"outcome\": \"%s\", \"who\": ",
           separator, from, to, begun_ms, ended_ms, outcome);
    json_string(bytes_from(who));
    printf(", \"what\": ");
    json_string(bytes_from(what));
    putchar('}');
}

static void print_json(const struct ring *ring)
{
    printf("{\"epoch\": %" PRIu64 ", \"changes\": [", ring->epoch);
    for (uint8_t i = 0; i < ring->log_count; i++) {
        const struct ring_event *e = &ring->log[i];

        print_json_line(i ? ", " : "", e->begun_epoch, e->ended_epoch, e->begun_ms, e->ended_ms,
                        e->cancelled ? "cancelled" : "done", e->who, e->what);
    }
    if (ring->change)
        print_json_line(ring->log_count ? ", " : "", ring->change->begun_epoch, ring->epoch,
                        ring->change->begun_ms, change_unix_ms(), under_way(ring->change),
                        ring->change->who, ring->change->what);
    puts("]}");
}

static int run(const struct control *c, int argc, char **argv)
{
    struct survey s;
    int code;

    if (argc != 1)
        return control_usage(&command_history, "'%s' is not expected", argv[1]);
    code = survey_open(c, &s);
    if (!code && c->json)
        print_json(s.ring);
    else if (!code)
        print_text(s.ring);
    survey_close(&s);
    return code;
}

const struct control_command command_history = {
    "history", "", "Shows the last changes: who asked for what, when, how long it took.",
    "The ring remembers 32 of them. Times are in UTC, by the clock of the machine that ringctl ran "
    "on.\n\n"
    "Example:\n  ringctl history\n",
    run};
