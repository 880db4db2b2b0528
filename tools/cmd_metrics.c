/* ringctl metrics: the numbers of ring and nodes in the text form that Prometheus reads. */
#include "shared/address.h"
#include "tools/survey.h"
#include <inttypes.h>
#include <stdio.h>

static void print_text(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '"' || text.data[i] == '\\')
            printf("\\%c", text.data[i]);
        else if (text.data[i] == '\n')
            printf("\\n");
        else
            putchar(text.data[i]);
}

static void print_label(const char *name, struct bytes value)
{
    printf("%s=\"", name);
    print_text(value);
    putchar('"');
}

static void print_ring(const struct survey *s)
{
    const struct ring *ring = s->ring;

    printf("ringkv_ring_epoch %" PRIu64 "\n", ring->epoch);
    printf("ringkv_ring_members %u\n", ring->member_count);
    printf("ringkv_ring_replicas %u\n", ring->replicas);
    printf("ringkv_ring_partitions %u\n", ring_partitions(ring));
    printf("ringkv_ring_partitions_without_majority %u\n", ring_without_majority(ring, s->facts));
    printf("ringkv_ring_changing %d\n", ring->change != NULL);
}

/* A label whose value goes when the node does would make another series of it, and no alarm or
 * average over both: so the version stands apart. */
static void print_members(const struct survey *s)
{
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        const struct ring_member *m = &s->ring->members[i];
        char at[ADDRESS_TEXT_SIZE];

        printf("ringkv_node_up{");
        print_label("node", bytes_from(m->name));
        printf(",address=\"%s\",", address_text(m->host, m->port, at));
        print_label("zone", bytes_from(m->zone));
        printf("} %d\n", s->facts[i].up);
    }
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        if (!s->facts[i].up)
            continue;
        printf("ringkv_node_info{");
        print_label("node", bytes_from(s->ring->members[i].name));
        putchar(',');
        print_label("version", status_text(s->texts[i], "version"));
        printf("} 1\n");
    }
}

/* One number of all nodes that tell it: a metric's lines stand together. */
static void print_number(const struct survey *s, struct bytes name)
{
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        struct bytes rest = s->texts[i], found, value;

        while (status_next(&rest, &found, &value)) {
            if (!bytes_equal(found, name) || !status_is_number(value))
                continue;
            printf("ringkv_node_%.*s{", (int)name.size, (const char *)name.data);
            print_label("node", bytes_from(s->ring->members[i].name));
            printf("} %.*s\n", (int)value.size, (const char *)value.data);
        }
    }
}

/* Whether a member before this one tells it, so that it was printed already. */
static bool was_printed(const struct survey *s, uint32_t member, struct bytes name)
{
    for (uint32_t i = 0; i < member; i++) {
        struct bytes rest = s->texts[i], found, value;

        while (status_next(&rest, &found, &value))
            if (bytes_equal(found, name))
                return true;
    }
    return false;
}

static void print_numbers(const struct survey *s)
{
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        struct bytes rest = s->texts[i], name, value;

        while (status_next(&rest, &name, &value))
            if (status_is_number(value) && !was_printed(s, i, name))
                print_number(s, name);
    }
}

static int run(const struct control *c, int argc, char **argv)
{
    struct survey survey;
    int code;

    if (argc != 1)
        return control_usage(&command_metrics, "'%s' is not expected", argv[1]);
    if (c->json)
        return control_usage(&command_metrics, "it has a form of its own; for JSON there is "
                                               "'ringctl --json status'");
    code = survey_open(c, &survey);
    if (!code && survey_status(&survey) != 0)
        code = control_fail("out of memory");
    if (!code) {
        print_ring(&survey);
        print_members(&survey);
        print_numbers(&survey);
    }
    survey_close(&survey);
    return code;
}

const struct control_command command_metrics = {
    "metrics", "", "Prints the numbers of ring and nodes in the text form of Prometheus.",
    "They are those of 'ringctl --json status'; doc/operations.md says what each means. A node "
    "that\n"
    "is down has ringkv_node_up 0 and nothing else.\n\n"
    "Example, once a minute, for the textfile collector of node_exporter:\n"
    "  ringctl metrics >/var/lib/node_exporter/ringkv.tmp &&\n"
    "    mv /var/lib/node_exporter/ringkv.tmp /var/lib/node_exporter/ringkv.prom\n",
    run};
