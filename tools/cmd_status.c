/* ringctl status: the ring's members, and what each tells about itself. */
#include "shared/address.h"
#include "tools/change_run.h"
#include "tools/headway.h"
#include "tools/human.h"
#include "tools/survey.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t number(const struct survey *s, uint32_t i, const char *name)
{
    return status_number(s->texts[i], name);
}

static const char *state(const struct survey *s, uint32_t i)
{
    uint8_t flags = s->ring->members[i].flags;

    if (!s->facts[i].up)
        return "DOWN";
    return !(flags & RING_MEMBER_CURRENT)  ? "joins"
           : !(flags & RING_MEMBER_TARGET) ? "leaves"
                                           : "up";
}

static void print_member(const struct survey *s, uint32_t i)
{
    const struct ring_member *m = &s->ring->members[i];
    char address[ADDRESS_TEXT_SIZE], live[HUMAN_SIZE], files[HUMAN_SIZE], log[HUMAN_SIZE];

    printf("%-12s %-21s %-8s %6u  %-6s", m->name, address_text(m->host, m->port, address),
           m->zone[0] ? m->zone : "-", m->weight, state(s, i));
    if (!s->facts[i].up) {
        printf(" %s\n", fleet_why(s->fleet, s->nodes[i]));
        return;
    }
    printf(" %5" PRIu64 " %7" PRIu64 " %6" PRIu64 " %6" PRIu64 " %11" PRIu64 " %9s %9s %9s\n",
           number(s, i, "partitions_primary"), number(s, i, "partitions_backup"),
           number(s, i, "partitions_behind") + number(s, i, "partitions_idle"),
           number(s, i, "partitions_transfer"), number(s, i, "keys"),
           human_bytes(number(s, i, "live_bytes"), live),
           human_bytes(number(s, i, "file_bytes"), files),
           human_bytes(number(s, i, "log_bytes"), log));
}

static void print_change(const struct ring *ring)
{
    const struct ring_change *change = ring->change;
    struct headway h;

    if (!change)
        return;
    headway_of_ring(ring, &h);
    printf(
        "\nbeing changed since epoch %" PRIu64 ", by %s: %s\n%u of %u partitions have moved%s\n",
        change->begun_epoch, change->who, change->what, h.moved, h.total,
        change->paused ? "; paused: 'ringctl resume' goes on"
        : change->cancelled
            ? "; cancelled: it goes back, 'ringctl resume' when it does not"
            : "; 'ringctl status --watch' shows how it goes on, 'ringctl resume' when it does not");
}

static void print_table(const struct survey *s)
{
    const struct ring *ring = s->ring;
    uint32_t silent = ring_without_majority(ring, s->facts);

    printf("epoch %" PRIu64 ", %" PRIu32 " partitions, %u replicas, hash %s\n\n", ring->epoch,
           ring_partitions(ring), ring->replicas, position_hash_name(ring->hash));
    printf("%-12s %-21s %-8s %6s  %-6s %5s %7s %6s %6s %11s %9s %9s %9s\n", "NAME", "ADDRESS",
           "ZONE", "WEIGHT", "STATE", "LEADS", "FOLLOWS", "BEHIND", "COPIES", "KEYS", "LIVE",
           "FILES", "LOG");
    for (uint32_t i = 0; i < ring->member_count; i++)
        print_member(s, i);
    print_change(ring);
    if (silent)
        printf("\n%" PRIu32 " of %" PRIu32 " partitions have no majority of their replicas: they "
               "answer -NOQUORUM until more members are up\n",
               silent, ring_partitions(ring));
}

/* The node's own lines become fields: numbers bare, the rest quoted. */
static void print_fields(struct bytes text)
{
    struct bytes name, value;

    while (status_next(&text, &name, &value)) {
        if (bytes_equal(name, bytes_from("name")))
            continue;
        printf(", ");
        json_string(name);
        printf(": ");
        if (status_is_number(value))
            printf("%.*s", (int)value.size, (const char *)value.data);
        else
            json_string(value);
    }
}

static void print_json_change(const struct ring *ring)
{
    struct headway h;

    if (!ring->change)
        return;
    headway_of_ring(ring, &h);
    printf(", \"change\": {\"what\": ");
    json_string(bytes_from(ring->change->what));
    printf(", \"who\": ");
    json_string(bytes_from(ring->change->who));
    printf(", \"epoch_begun\": %" PRIu64 ", \"paused\": %s, \"cancelled\": %s, "
           "\"bytes_per_second_max\": %" PRIu64 ", \"partitions\": %u, \"partitions_moved\": %u}",
           ring->change->begun_epoch, h.paused ? "true" : "false", h.cancelled ? "true" : "false",
           ring->change->rate, h.total, h.moved);
}

static void print_json(const struct survey *s)
{
    const struct ring *ring = s->ring;

    printf("{\"epoch\": %" PRIu64 ", \"partitions\": %" PRIu32
           ", \"replicas\": %u, \"hash\": \"%s\", \"partitions_without_majority\": %" PRIu32,
           ring->epoch, ring_partitions(ring), ring->replicas, position_hash_name(ring->hash),
           ring_without_majority(ring, s->facts));
    print_json_change(ring);
    printf(", \"members\": [");
    for (uint32_t i = 0; i < ring->member_count; i++) {
        const struct ring_member *m = &ring->members[i];
        char address[ADDRESS_TEXT_SIZE];

        printf("%s{\"name\": \"%s\", \"address\": \"%s\", \"zone\": \"%s\", \"weight\": %u, "
               "\"state\": \"%s\", \"joins\": %s, \"leaves\": %s",
               i ? ", " : "", m->name, address_text(m->host, m->port, address), m->zone, m->weight,
               s->facts[i].up ? "up" : "down", m->flags & RING_MEMBER_CURRENT ? "false" : "true",
               m->flags & RING_MEMBER_TARGET ? "false" : "true");
        if (s->facts[i].up) {
            print_fields(s->texts[i]);
        } else {
            printf(", \"error\": ");
            json_string(bytes_from(fleet_why(s->fleet, s->nodes[i])));
        }
        printf("}");
    }
    puts("]}");
}

static int show(const struct control *c, struct survey *s)
{
    if (survey_status(s) != 0)
        return control_fail("out of memory");
    if (c->json)
        print_json(s);
    else
        print_table(s);
    fflush(stdout);
    return EXIT_DONE;
}

static int run(const struct control *c, int argc, char **argv)
{
    bool watch = argc == 2 && strcmp(argv[1], "--watch") == 0;
    struct survey s;
    int code;

    if (argc != 1 && !watch)
        return control_usage(&command_status, "'%s' is not expected",
                             argv[strcmp(argv[1], "--watch") == 0 ? 2 : 1]);
    code = survey_open(c, &s);
    if (!code)
        code = show(c, &s);
    if (!code && watch && s.ring->change) {
        if (!c->json)
            putchar('\n');
        code = change_watch(c, &s);
    } else if (!code && watch && !c->json) {
        puts("\nnothing is being changed");
    }
    survey_close(&s);
    return code;
}

const struct control_command command_status = {
    "status", "[--watch]", "Shows the ring's members, their state, partitions, keys and bytes.",
    "--watch          go on and show how a change proceeds that another ringctl makes\n"
    "LEADS, FOLLOWS   partitions as primary, and as a backup that is up to date\n"
    "BEHIND, COPIES   partitions that are not up to date, and that are being copied whole\n"
    "LIVE             bytes of the keys and values that are there\n"
    "FILES, LOG       bytes on disk: the tree, and the log that is not in it yet\n\n"
    "Example:\n  ringctl --nodes 10.0.0.1:7400 --json status\n",
    run};
