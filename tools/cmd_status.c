/* ringctl status: the ring's members, and what each tells about itself. */
#include "shared/error.h"
#include "tools/ringctl.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct member_status {
    bool up;
    struct buf text; /* the node's lines */
    char why[CLIENT_WHY_SIZE];
};

static void ask(const struct control *c, const struct ring_member *m, struct member_status *out)
{
    struct client client;
    struct bytes text = {0};
    int error = client_open(&client, m->host, m->port, c->timeout_ms);

    if (!error && memcmp(client.welcome.identity, m->identity, IDENTITY_SIZE) != 0)
        snprintf(out->why, sizeof(out->why), "%s: another node answers there", client.address);
    else if (error || client_status(&client, &text) != 0)
        snprintf(out->why, sizeof(out->why), "%s", client.why);
    else
        out->up = buf_append(&out->text, text.data, text.size) == 0;
    client_close(&client);
}

/* A number of bytes as a person reads it, at most 8 characters. */
static const char *human(uint64_t bytes, char to[16])
{
    static const char *const units[] = {"B", "K", "M", "G", "T", "P"};
    double value = (double)bytes;
    int unit = 0;

    while (value >= 1000 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(to, 16, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return to;
}

static uint64_t number(const struct member_status *s, const char *name)
{
    return status_number(buf_bytes(&s->text), name);
}

static void print_member(const struct ring_member *m, const struct member_status *s)
{
    char address[HOST_SIZE_MAX + 8], live[16], files[16], log[16];

    snprintf(address, sizeof(address), "%s:%u", m->host, m->port);
    printf("%-12s %-21s %-8s %6u  %-5s", m->name, address, m->zone[0] ? m->zone : "-", m->weight,
           s->up ? "up" : "DOWN");
    if (!s->up) {
        printf(" %s\n", s->why);
        return;
    }
    printf(" %6" PRIu64 " %7" PRIu64 " %6" PRIu64 " %6" PRIu64 " %11" PRIu64 " %9s %9s %9s\n",
           number(s, "partitions_primary"), number(s, "partitions_backup"),
           number(s, "partitions_behind") + number(s, "partitions_idle"),
           number(s, "partitions_transfer"), number(s, "keys"),
           human(number(s, "live_bytes"), live), human(number(s, "file_bytes"), files),
           human(number(s, "log_bytes"), log));
}

/* Partitions of which no majority of the replicas answers. */
static uint32_t without_majority(const struct ring *ring, const struct member_status *all)
{
    uint32_t count = 0;

    for (uint32_t p = 0; p < ring_partitions(ring); p++) {
        const struct ring_replicas *set = ring_replicas(ring, p);
        uint16_t up = 0;

        for (uint16_t i = 0; i < set->count; i++)
            up += all[set->member[i]].up;
        count += 2 * up <= set->count;
    }
    return count;
}

static void print_table(const struct ring *ring, const struct member_status *all)
{
    uint32_t silent = without_majority(ring, all);

    printf("epoch %" PRIu64 ", %" PRIu32 " partitions, %u replicas, hash %s\n\n", ring->epoch,
           ring_partitions(ring), ring->replicas, position_hash_name(ring->hash));
    printf("%-12s %-21s %-8s %6s  %-5s %6s %7s %6s %6s %11s %9s %9s %9s\n", "NAME", "ADDRESS",
           "ZONE", "WEIGHT", "STATE", "LEADS", "FOLLOWS", "BEHIND", "COPIES", "KEYS", "LIVE",
           "FILES", "LOG");
    for (uint32_t i = 0; i < ring->member_count; i++)
        print_member(&ring->members[i], &all[i]);
    if (silent)
        printf("\n%" PRIu32 " of %" PRIu32 " partitions have no majority of their replicas: they "
               "answer -NOQUORUM until more members are up\n",
               silent, ring_partitions(ring));
}

/* The node's own lines become fields: numbers bare, the rest quoted. */
static void print_fields(struct bytes text)
{
    const char *at = (const char *)text.data, *end = at + text.size, *line_end;

    for (; at < end && (line_end = memchr(at, '\n', (size_t)(end - at))) != NULL;
         at = line_end + 1) {
        const char *equals = memchr(at, '=', (size_t)(line_end - at));
        size_t size = equals ? (size_t)(line_end - equals) - 1 : 0;

        if (!equals || (equals - at == 4 && memcmp(at, "name", 4) == 0))
            continue;
        printf(", ");
        json_string(bytes_of(at, (size_t)(equals - at)));
        printf(": ");
        if (size && size < 20 && strspn(equals + 1, "0123456789") == size)
            printf("%.*s", (int)size, equals + 1);
        else
            json_string(bytes_of(equals + 1, size));
    }
}

static void print_json(const struct ring *ring, const struct member_status *all)
{
    printf("{\"epoch\": %" PRIu64 ", \"partitions\": %" PRIu32
           ", \"replicas\": %u, \"hash\": \"%s\", \"partitions_without_majority\": %" PRIu32
           ", \"members\": [",
           ring->epoch, ring_partitions(ring), ring->replicas, position_hash_name(ring->hash),
           without_majority(ring, all));
    for (uint32_t i = 0; i < ring->member_count; i++) {
        const struct ring_member *m = &ring->members[i];

        printf("%s{\"name\": \"%s\", \"address\": \"%s:%u\", \"zone\": \"%s\", \"weight\": %u, "
               "\"state\": \"%s\"",
               i ? ", " : "", m->name, m->host, m->port, m->zone, m->weight,
               all[i].up ? "up" : "down");
        if (all[i].up) {
            print_fields(buf_bytes(&all[i].text));
        } else {
            printf(", \"error\": ");
            json_string(bytes_from(all[i].why));
        }
        printf("}");
    }
    puts("]}");
}

static int run(const struct control *c, int argc, char **argv)
{
    struct ring *ring;
    struct member_status *all;
    int code;

    if (argc != 1)
        return control_usage(&command_status, "'%s' is not expected", argv[1]);
    ring = control_ring(c, &code);
    if (!ring)
        return code;
    all = calloc(ring->member_count, sizeof(*all));
    for (uint32_t i = 0; all && i < ring->member_count; i++)
        ask(c, &ring->members[i], &all[i]);
    if (all && c->json)
        print_json(ring, all);
    else if (all)
        print_table(ring, all);
    for (uint32_t i = 0; all && i < ring->member_count; i++)
        buf_free(&all[i].text);
    ring_free(ring);
    if (!all)
        return control_fail("out of memory");
    free(all);
    return EXIT_DONE;
}

const struct control_command command_status = {
    "status", "", "Shows the ring's members, their state, partitions, keys and bytes.",
    "LEADS, FOLLOWS   partitions as primary, and as a backup that is up to date\n"
    "BEHIND, COPIES   partitions that are not up to date, and that are being copied whole\n"
    "LIVE             bytes of the keys and values that are there\n"
    "FILES, LOG       bytes on disk: the tree, and the log that is not in it yet\n\n"
    "Example:\n  ringctl --nodes 10.0.0.1:7400 --json status\n",
    run};
