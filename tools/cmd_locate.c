/* ringctl locate KEY */
#include "shared/error.h"
#include "tools/survey.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_text(const struct ring *ring, uint64_t position, uint32_t partition)
{
    const struct ring_replicas *set = ring_replicas(ring, partition);

    printf("position   %016" PRIx64 "\npartition  %" PRIu32 " of %" PRIu32 "\nepoch      %" PRIu64
           "\nreplicas\n",
           position, partition, ring_partitions(ring), ring->epoch);
    for (uint16_t i = 0; i < set->count; i++) {
        const struct ring_member *m = &ring->members[set->member[i]];

        printf("  %u  %s  %s:%u%s%s%s\n", i + 1, m->name, m->host, m->port,
               m->zone[0] ? "  zone " : "", m->zone, i == 0 ? "  (preferred primary)" : "");
    }
}

static void print_json(const struct ring *ring, struct bytes key, uint64_t position,
                       uint32_t partition)
{
    const struct ring_replicas *set = ring_replicas(ring, partition);

    printf("{\"key\": ");
    json_string(key);
    printf(", \"position\": \"%016" PRIx64 "\", \"partition\": %" PRIu32
           ", \"partitions\": %" PRIu32 ", \"epoch\": %" PRIu64 ", \"replicas\": [",
           position, partition, ring_partitions(ring), ring->epoch);
    for (uint16_t i = 0; i < set->count; i++) {
        const struct ring_member *m = &ring->members[set->member[i]];

        printf("%s{\"name\": \"%s\", \"address\": \"%s:%u\", \"zone\": \"%s\"}", i ? ", " : "",
               m->name, m->host, m->port, m->zone);
    }
    puts("]}");
}

static int locate(const struct control *c, const struct ring *ring, struct bytes key)
{
    struct positioner *positioner = positioner_new(ring->hash);

    if (!positioner)
        return control_fail("the crypto library offers no %s", position_hash_name(ring->hash));

    uint64_t position = position_of(positioner, key);
    uint32_t partition = ring_partition(ring, position);

    if (c->json)
        print_json(ring, key, position, partition);
    else
        print_text(ring, position, partition);
    positioner_free(positioner);
    return EXIT_DONE;
}

static int run(const struct control *c, int argc, char **argv)
{
    struct survey survey;
    struct bytes key;
    int code;

    if (argc != 2)
        return control_usage(&command_locate, "one KEY is needed");
    key = bytes_from(argv[1]);
    if (key.size < 1 || key.size > KEY_SIZE_MAX)
        return control_usage(&command_locate, "a key has 1 to %d bytes, this one has %zu",
                             KEY_SIZE_MAX, key.size);
    code = survey_open(c, &survey);
    if (!code)
        code = locate(c, survey.ring, key);
    survey_close(&survey);
    return code;
}

const struct control_command command_locate = {
    "locate", "KEY", "Shows where a key lies: position, partition, replicas in order.",
    "What stands in the key's first {...} decides, if it is not empty (hash tag).\n\n"
    "Example:\n  ringctl locate user:1000\n",
    run};
