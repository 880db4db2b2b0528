#include "tools/change_run.h"
#include "shared/ring_change.h"
#include "tools/change.h"
#include "tools/change_step.h"
#include "tools/decide.h"
#include "tools/headway.h"
#include "tools/human.h"
#include "tools/reports.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    POLL_MS = 40,
    POLL_QUIET_MS = 250,      /* when nothing has happened for a while */
    QUIET_MS = 2000,          /* that while; then it is said for whom it waits */
    QUIET_WATCHED_MS = 10000, /* the same for who only watches */
    SPREAD_AFTER_MS = 500,    /* who has not got the ring by then gets it from us */
    RETRY_MS = 1000,          /* after an epoch that found no majority */
    WAITING_SIZE = DECIDE_WHY_SIZE + 16,
};

struct run {
    const struct control *control;
    struct survey *survey;
    struct reports *reports;
    struct headway headway;
    struct headway_view view;
    uint8_t *phases;
    char waiting[WAITING_SIZE];
    char leavers[512];    /* members that are gone when it has ended */
    bool drives;          /* else it only watches */
    bool went_back;       /* it was cancelled when this run began */
    bool looked;          /* once at least */
    uint64_t begun_epoch; /* of the change that is run */
    int64_t started_ms, epoch_ms,
        moved_ms; /* the run; the ring's epoch; when anything moved last */
    uint64_t moved_bytes;
    uint32_t moved_milli;
};

/* --- interruption --------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* What was ignored when ringctl was started (nohup, a job in the background) stays so. */
static void catch (int number, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags}, before;

    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void change_run_catch(void)
{
    catch (SIGINT, (int)SA_RESETHAND);
    catch (SIGTERM, (int)SA_RESETHAND);
    catch (SIGHUP, (int)SA_RESETHAND);
    catch (SIGPIPE, 0); /* the reader of the lines is gone: what is left to say fails, too */
}

static void sleep_ms(int64_t ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* --- what it waits for ---------------------------------------------------------------------- */

static void note_ring(struct run *r)
{
    r->epoch_ms = fleet_now_ms();
    r->moved_ms = r->epoch_ms;
    r->waiting[0] = '\0';
}

/* In words for whom a change waits that is driven here. */
static void name_waited_for(struct run *r)
{
    const struct ring *ring = r->survey->ring;
    char missing[256];
    uint32_t stuck;

    reports_missing(r->reports, ring, missing, sizeof(missing));
    stuck = r->headway.cancelled ? reports_stuck(r->reports, ring) : 0;
    if (!missing[0])
        snprintf(r->waiting, sizeof(r->waiting), "waits for the nodes to catch up");
    else if (!r->headway.cancelled)
        snprintf(r->waiting, sizeof(r->waiting),
                 "waits for %s to answer: start it, or 'ringctl cancel'", missing);
    else if (!stuck)
        snprintf(r->waiting, sizeof(r->waiting),
                 "waits for %s to answer, ten seconds at most: the others are a majority", missing);
    else
        snprintf(r->waiting, sizeof(r->waiting),
                 "waits for %s to answer: %u partitions go back to replicas of which the others "
                 "are no majority; start it with its data (if that is lost: doc/operations.md, "
                 "\"The data of a majority are lost\")",
                 missing, stuck);
}

/* Once nothing has moved for a while. A change that is only watched may have nobody to drive it. */
static void note_waiting(struct run *r)
{
    int64_t now = fleet_now_ms();
    uint32_t milli = headway_milli(&r->headway);

    if (r->reports->bytes != r->moved_bytes || milli != r->moved_milli) {
        r->moved_ms = now;
        r->moved_bytes = r->reports->bytes;
        r->moved_milli = milli;
        r->waiting[0] = '\0';
    }
    if (r->headway.paused || now < r->moved_ms + (r->drives ? QUIET_MS : QUIET_WATCHED_MS))
        return;
    if (r->drives)
        name_waited_for(r);
    else
        snprintf(r->waiting, sizeof(r->waiting),
                 "does not move: 'ringctl resume' goes on with it, also when another ringctl "
                 "drives it, and tells for whom it waits");
}

/* Whether another node has come to a member's address. */
static bool is_replaced_there(const struct ring *ring, const struct ring_member *m)
{
    for (uint32_t i = 0; i < ring->member_count; i++) {
        const struct ring_member *other = &ring->members[i];

        if (other != m && other->port == m->port && strcmp(other->host, m->host) == 0)
            return true;
    }
    return false;
}

/* Who leaves is known before the last epoch, not after it. Who was replaced at his own address is
 * gone already: nobody shall stop the one who is there now. */
static void note_leavers(struct run *r)
{
    const struct ring *ring = r->survey->ring;
    size_t used = 0;

    r->leavers[0] = '\0';
    for (uint32_t i = 0; ring->change && i < ring->member_count; i++) {
        if (ring->members[i].flags & RING_MEMBER_TARGET ||
            is_replaced_there(ring, &ring->members[i]) ||
            used + NAME_SIZE_MAX + 8 > sizeof(r->leavers))
            continue;
        used += (size_t)snprintf(r->leavers + used, sizeof(r->leavers) - used, "%s%s",
                                 used ? ", " : "", ring->members[i].name);
    }
}

/* --- one turn ------------------------------------------------------------------------------- */

/* Takes over what others have decided. True: it did, and what was reported is of no use any more.
 */
static bool follow(struct run *r)
{
    if (r->reports->newest_epoch <= r->survey->ring->epoch ||
        survey_fetch_ring(r->survey, r->reports->newest_from) != 0)
        return false;
    note_ring(r);
    return true;
}

static void spread(struct run *r)
{
    bool late = false;

    if (fleet_now_ms() < r->epoch_ms + SPREAD_AFTER_MS)
        return;
    for (uint32_t i = 0; i < r->survey->ring->member_count; i++)
        late |= !r->reports->silent[i] && r->survey->epochs[i] < r->survey->ring->epoch;
    if (late)
        decide_spread(r->survey);
}

static int make_epoch(struct run *r, enum change_step step)
{
    const struct ring *now = r->survey->ring;
    char why[DECIDE_WHY_SIZE] = "out of memory";
    struct ring *next = NULL;
    int error;

    if (step == STEP_FINISH)
        error = ring_finish_change(now, change_unix_ms(), &next, why, sizeof(why));
    else
        error = ring_advance(now, r->phases, &next, why, sizeof(why));
    if (error)
        return control_fail("the next ring cannot be made: %s", why);
    if (decide_ring(r->survey, next, why, sizeof(why)) != DECIDED_NOT) {
        note_ring(r);
        return EXIT_DONE;
    }
    /* The majority may be back in a moment, or another ringctl be at it. */
    snprintf(r->waiting, sizeof(r->waiting), "waits: %s", why);
    r->moved_ms = fleet_now_ms();
    r->epoch_ms = r->moved_ms;
    sleep_ms(RETRY_MS);
    return EXIT_DONE;
}

static void show(struct run *r)
{
    int64_t now = fleet_now_ms();

    r->headway.seconds = (uint64_t)(now - r->started_ms) / 1000;
    r->headway.waiting = r->waiting[0] ? r->waiting : NULL;
    headway_show(&r->view, &r->headway, r->survey->ring->epoch, now);
}

/* One look at the nodes, and what follows from it. *done: nothing more is to be done. */
static int turn(struct run *r, bool *done)
{
    struct survey *s = r->survey;
    int64_t now;
    enum change_step step;

    *done = !s->ring->change || s->ring->change->begun_epoch != r->begun_epoch;
    if (*done)
        return EXIT_DONE;
    if (reports_poll(r->reports, s) != 0)
        return control_fail("out of memory");
    if (follow(r))
        return EXIT_DONE;
    reports_headway(r->reports, s->ring, &r->headway);
    if (!r->looked)
        r->headway.begun_milli = headway_milli(&r->headway);
    r->looked = true;
    note_waiting(r);
    note_leavers(r);
    show(r);
    if (!r->drives)
        return EXIT_DONE;
    spread(r);
    now = fleet_now_ms();
    step =
        change_step(s->ring, r->reports->known, now - r->epoch_ms, now - r->started_ms, r->phases);
    *done = step == STEP_DONE || step == STEP_PAUSED;
    return step == STEP_ADVANCE || step == STEP_FINISH ? make_epoch(r, step) : EXIT_DONE;
}

/* --- the end -------------------------------------------------------------------------------- */

static const struct ring_event *find_event(const struct run *r)
{
    const struct ring *ring = r->survey->ring;

    for (uint8_t i = 0; i < ring->log_count; i++)
        if (ring->log[i].begun_epoch == r->begun_epoch)
            return &ring->log[i];
    return NULL;
}

/* One that somebody else has cancelled meanwhile is not what was asked for here. */
static int end_code(const struct run *r, const struct ring_event *event)
{
    return r->drives && event->cancelled && !r->went_back ? EXIT_COULD_NOT : EXIT_DONE;
}

static void print_end(const struct run *r, const struct ring_event *event)
{
    char time[HUMAN_SIZE], bytes[HUMAN_SIZE], keys[HUMAN_SIZE + 8];
    uint64_t seconds = (uint64_t)(fleet_now_ms() - r->started_ms) / 1000;

    if (r->control->json) {
        printf("{\"event\": \"done\", \"epoch\": %" PRIu64
               ", \"cancelled\": %s, \"seconds\": %" PRIu64 ", \"keys_sent\": %" PRIu64
               ", \"bytes_sent\": %" PRIu64 "}\n",
               event->ended_epoch, event->cancelled ? "true" : "false", seconds, r->reports->keys,
               r->reports->bytes);
        return;
    }
    printf("%s: epoch %" PRIu64 ", %s keys and %s copied in %s\n",
           event->cancelled ? "cancelled, and back where it was" : "done", event->ended_epoch,
           human_count(r->reports->keys, keys), human_bytes(r->reports->bytes, bytes),
           human_seconds(seconds, time));
    if (r->leavers[0])
        printf("%s: out of the ring; %s\n", r->leavers,
               strchr(r->leavers, ',') ? "stop them, and delete their data folders"
                                       : "stop it, and delete its data folder");
}

static int end(struct run *r)
{
    const struct ring *ring = r->survey->ring;
    const struct ring_event *event = find_event(r);

    headway_close(&r->view);
    if (event) {
        print_end(r, event);
        return end_code(r, event);
    }
    if (ring->change && ring->change->begun_epoch == r->begun_epoch)
        return control_fail("paused: the ring serves as it is, half-way. 'ringctl resume' goes on, "
                            "'ringctl cancel' goes back");
    return control_fail("the ring went on to epoch %" PRIu64
                        ", and its history does not reach back "
                        "to this change; 'ringctl history' shows what it has",
                        ring->epoch);
}

static int stop(struct run *r)
{
    headway_close(&r->view);
    if (!r->drives)
        return EXIT_DONE;
    control_fail("interrupted: the ring serves as it is, half-way, and does not go on by itself. "
                 "'ringctl resume' goes on%s",
                 r->headway.cancelled ? "" : ", 'ringctl cancel' goes back");
    return EXIT_COULD_NOT;
}

static int run_turns(struct run *r)
{
    bool done = false;
    int code = EXIT_DONE;

    while (!done && !code && !interrupted) {
        code = turn(r, &done);
        if (!done && !code)
            sleep_ms(fleet_now_ms() > r->moved_ms + QUIET_MS ? POLL_QUIET_MS : POLL_MS);
    }
    if (interrupted && !done)
        return stop(r);
    return code ? code : end(r);
}

static int run(const struct control *c, struct survey *s, struct reports *reports,
               uint64_t begun_epoch, uint64_t bytes_total, bool drives)
{
    struct run *r = calloc(1, sizeof(*r));
    int code;

    if (r)
        r->phases = calloc(ring_partitions(s->ring), 1);
    if (!r || !r->phases) {
        free(r);
        return control_fail("out of memory");
    }
    r->control = c;
    r->survey = s;
    r->reports = reports;
    r->drives = drives;
    r->begun_epoch = begun_epoch;
    r->went_back = s->ring->change && s->ring->change->begun_epoch == begun_epoch &&
                   s->ring->change->cancelled;
    r->headway.bytes_total = bytes_total;
    r->started_ms = fleet_now_ms();
    note_ring(r);
    headway_open(&r->view, c->json);
    change_run_catch();
    code = run_turns(r);
    free(r->phases);
    free(r);
    return code;
}

int change_run_begun(const struct control *c, struct survey *s, struct reports *reports,
                     uint64_t begun_epoch, uint64_t bytes_total)
{
    return run(c, s, reports, begun_epoch, bytes_total, true);
}

static int run_unknown(const struct control *c, struct survey *s, bool drives)
{
    struct reports reports = {0};
    int code = EXIT_DONE;

    if (s->ring->change)
        code = run(c, s, &reports, s->ring->change->begun_epoch, 0, drives);
    reports_free(&reports);
    return code;
}

int change_run(const struct control *c, struct survey *s)
{
    return run_unknown(c, s, true);
}

int change_watch(const struct control *c, struct survey *s)
{
    return run_unknown(c, s, false);
}
