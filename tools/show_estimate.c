/* The estimate of a change, for people and for programs. */
#include "tools/change.h"
#include "tools/human.h"
#include <inttypes.h>
#include <stdio.h>

static void print_node(const struct estimate_node *n)
{
    char owns[32], holds[32], before[HUMAN_SIZE], after[HUMAN_SIZE], in[HUMAN_SIZE],
        peak[HUMAN_SIZE], free_now[HUMAN_SIZE];

    snprintf(owns, sizeof(owns), "%u -> %u", n->owned_before, n->owned_after);
    snprintf(holds, sizeof(holds), "%u -> %u", n->held_before, n->held_after);
    printf("%-12s %-8s %6u  %-7s %15s %15s %9s -> %-9s %9s %9s %9s\n", n->member->name,
           n->member->zone[0] ? n->member->zone : "-", n->member->weight,
           !n->up       ? "down"
           : !n->before ? "joins"
           : !n->after  ? "leaves"
                        : "stays",
           owns, holds, n->up ? human_bytes(n->bytes_before, before) : "-",
           n->up ? human_bytes(n->bytes_after, after) : "-", human_bytes(n->bytes_in, in),
           n->up ? human_bytes(n->disk_peak, peak) : "-",
           n->disk_total ? human_bytes(n->disk_free, free_now) : "-");
}

static void print_text(const struct estimate *e, const char *what, uint64_t rate)
{
    char keys[HUMAN_SIZE + 8], bytes[HUMAN_SIZE], time[HUMAN_SIZE], pace[HUMAN_SIZE];

    printf("%s\n\n", what);
    printf("partitions   %u of %u change: %u their replicas, %u their preferred primary\n",
           e->partitions_changed, e->partitions, e->partitions_moved, e->owners_moved);
    printf("replicas     %u are copied, %u are dropped afterwards\n", e->replicas_copied,
           e->replicas_dropped);
    printf("to copy      about %s keys, %s\n", human_count(e->keys, keys),
           human_bytes(e->bytes, bytes));
    printf("time         about %s, at %s a node%s\n\n",
           human_seconds(e->seconds ? e->seconds : 1, time),
           human_rate(rate ? rate : ESTIMATE_RATE, pace),
           rate ? "" : " (no --rate: more when idle, less beside clients)");
    printf("%-12s %-8s %6s  %-7s %15s %15s %9s    %-9s %9s %9s %9s\n", "NAME", "ZONE", "WEIGHT", "",
           "OWNS", "HOLDS", "BYTES", "AFTER", "COPIED", "DISK MAX", "FREE NOW");
    for (uint32_t i = 0; i < e->node_count; i++)
        print_node(&e->nodes[i]);
    for (uint32_t i = 0; i < e->warning_count; i++)
        printf("%swarning: %s\n", i == 0 ? "\n" : "", e->warnings[i]);
    putchar('\n');
}

static void print_json(const struct estimate *e, const char *what)
{
    printf("{\"event\": \"plan\", \"change\": ");
    json_string(bytes_from(what));
    printf(", \"partitions\": %u, \"partitions_changed\": %u, \"partitions_moved\": %u, "
           "\"primaries_moved\": %u, \"replicas_copied\": %u, \"replicas_dropped\": %u, \"keys\": "
           "%" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %" PRIu64 ", \"nodes\": [",
           e->partitions, e->partitions_changed, e->partitions_moved, e->owners_moved,
           e->replicas_copied, e->replicas_dropped, e->keys, e->bytes, e->seconds);
    for (uint32_t i = 0; i < e->node_count; i++) {
        const struct estimate_node *n = &e->nodes[i];

        printf(
            "%s{\"name\": \"%s\", \"up\": %s, \"before\": %s, \"after\": %s, "
            "\"weight\": %u, \"zone\": \"%s\", \"owns_before\": %u, \"owns_after\": %u, "
            "\"holds_before\": %u, \"holds_after\": %u, \"bytes_before\": %" PRIu64
            ", \"bytes_after\": %" PRIu64 ", \"bytes_copied\": %" PRIu64 ", \"disk_peak\": %" PRIu64
            ", \"disk_free\": %" PRIu64 ", \"disk_total\": %" PRIu64 "}",
            i ? ", " : "", n->member->name, n->up ? "true" : "false", n->before ? "true" : "false",
            n->after ? "true" : "false", n->member->weight, n->member->zone, n->owned_before,
            n->owned_after, n->held_before, n->held_after, n->bytes_before, n->bytes_after,
            n->bytes_in, n->disk_peak, n->disk_free, n->disk_total);
    }
    printf("], \"warnings\": [");
    for (uint32_t i = 0; i < e->warning_count; i++) {
        printf("%s", i ? ", " : "");
        json_string(bytes_from(e->warnings[i]));
    }
    puts("]}");
}

void show_estimate(const struct control *c, const struct estimate *e, const char *what,
                   uint64_t rate)
{
    if (c->json)
        print_json(e, what);
    else
        print_text(e, what, rate);
    fflush(stdout);
}
