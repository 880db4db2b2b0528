/* ringctl init: makes the first ring of empty nodes. */
#include "shared/error.h"
#include "tools/member_spec.h"
#include "tools/plan.h"
#include "tools/ringctl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct init {
    const struct control *control;
    struct ring_member members[MEMBERS_MAX];
    uint32_t count;
    long replicas, partitions;
    enum position_hash hash;
    struct ring
        *found; /* the ring that some of the nodes have already: an init that was cut short */
};

/* --- arguments ------------------------------------------------------------------------------ */

static bool read_number(const char *text, long min, long max, long *out)
{
    char *end;

    *out = strtol(text, &end, 10);
    return *text && !*end && *out >= min && *out <= max;
}

static int read_option(struct init *init, const char *name, const char *value)
{
    int hash;

    if (!value)
        return control_usage(&command_init, "%s needs a value", name);
    if (strcmp(name, "--replicas") == 0)
        return read_number(value, 1, REPLICAS_MAX, &init->replicas)
                   ? 0
                   : control_usage(&command_init, "--replicas is 1 to %d, not '%s'", REPLICAS_MAX,
                                   value);
    if (strcmp(name, "--partitions") == 0) {
        if (read_number(value, 1, PARTITIONS_MAX, &init->partitions) &&
            (init->partitions & (init->partitions - 1)) == 0)
            return 0;
        return control_usage(&command_init, "--partitions is a power of two from 1 to %d, not '%s'",
                             PARTITIONS_MAX, value);
    }
    if (strcmp(name, "--hash") == 0) {
        hash = position_hash_from_name(value);
        if (hash < 0)
            return control_usage(&command_init, "--hash is md5 or sha1, not '%s'", value);
        init->hash = (enum position_hash)hash;
        return 0;
    }
    return control_usage(&command_init, "unknown option '%s'", name);
}

static int add_member(struct init *init, const char *text)
{
    struct ring_member *m = &init->members[init->count];
    char why[CLIENT_WHY_SIZE];

    if (init->count == MEMBERS_MAX)
        return control_usage(&command_init, "a ring has at most %d members", MEMBERS_MAX);
    if (member_spec_parse(text, m, why, sizeof(why)) != 0)
        return control_usage(&command_init, "%s", why);
    for (uint32_t i = 0; i < init->count; i++) {
        if (strcmp(init->members[i].name, m->name) == 0)
            return control_usage(&command_init, "the name %s is given twice", m->name);
        if (strcmp(init->members[i].host, m->host) == 0 && init->members[i].port == m->port)
            return control_usage(&command_init, "%s and %s have the same address %s:%u",
                                 init->members[i].name, m->name, m->host, m->port);
    }
    init->count++;
    return 0;
}

static int read_arguments(struct init *init, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int code;

        if (strncmp(argv[i], "--", 2) == 0) {
            code = read_option(init, argv[i], argv[i + 1]);
            i++;
        } else {
            code = add_member(init, argv[i]);
        }
        if (code)
            return code;
    }
    if (init->count == 0)
        return control_usage(&command_init, "at least one NAME=HOST:PORT is needed");
    return 0;
}

/* --- the nodes ------------------------------------------------------------------------------ */

/* Asks a node who it is. One that is in a ring already is fine only if that ring is the outcome of
 * an earlier, unfinished init. */
static int visit(struct init *init, struct ring_member *m)
{
    struct client client;
    struct ring *ring = NULL;
    int error = client_open(&client, m->host, m->port, init->control->timeout_ms);
    int code = EXIT_DONE;

    if (!error && client.welcome.epoch > 0)
        error = client_ring(&client, &ring);
    if (error)
        code = control_fail("%s: %s", m->name, client.why);
    memcpy(m->identity, client.welcome.identity, IDENTITY_SIZE);
    m->shards = client.welcome.shards;
    client_close(&client);
    if (ring && init->found && memcmp(init->found->cluster, ring->cluster, IDENTITY_SIZE) != 0)
        code = control_fail("%s: is in another ring than the nodes before it", m->name);
    if (ring && !init->found)
        init->found = ring;
    else
        ring_free(ring);
    return code;
}

static int check_identities(const struct init *init)
{
    for (uint32_t i = 0; i < init->count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (memcmp(init->members[i].identity, init->members[j].identity, IDENTITY_SIZE) == 0)
                return control_fail("%s and %s are the same node", init->members[j].name,
                                    init->members[i].name);
    return EXIT_DONE;
}

/* Whether a ring is what this very command would have made. */
static bool is_same(const struct init *init, const struct ring *ring)
{
    if (ring->epoch != 1 || ring->member_count != init->count || ring->replicas != init->replicas ||
        ring_partitions(ring) != init->partitions || ring->hash != init->hash)
        return false;
    for (uint32_t i = 0; i < init->count; i++) {
        const struct ring_member *a = &init->members[i], *b = &ring->members[i];

        if (memcmp(a->identity, b->identity, IDENTITY_SIZE) != 0 || strcmp(a->name, b->name) != 0)
            return false;
    }
    return true;
}

static struct ring *make_ring(const struct init *init, char *why, size_t why_size)
{
    uint8_t bits = 0;
    struct ring *ring;

    while (1L << bits < init->partitions)
        bits++;
    ring = ring_new(init->count, bits);
    if (!ring) {
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    ring->epoch = 1;
    ring->hash = init->hash;
    ring->replicas = (uint8_t)init->replicas;
    ring->next_number = (uint16_t)(init->count + 1);
    for (uint32_t i = 0; i < init->count; i++) {
        ring->members[i] = init->members[i];
        ring->members[i].number = (uint16_t)(i + 1);
    }
    if (getrandom(ring->cluster, IDENTITY_SIZE, 0) == IDENTITY_SIZE &&
        plan_owners(NULL, NULL, ring, why, why_size) == 0 && ring_finish(ring, why, why_size) == 0)
        return ring;
    ring_free(ring);
    return NULL;
}

/* Whether the node has this very ring already. */
static int compare_ring(struct client *client, const struct ring *ring)
{
    struct ring *there = NULL;
    int error = client_ring(client, &there);

    if (!error && memcmp(there->cluster, ring->cluster, IDENTITY_SIZE) != 0) {
        snprintf(client->why, sizeof(client->why), "%s: has been put into another ring meanwhile",
                 client->address);
        error = RK_CLUSTER;
    }
    ring_free(there);
    return error;
}

static int give(const struct init *init, const struct ring_member *m, const struct ring *ring)
{
    struct client client;
    int error = client_open(&client, m->host, m->port, init->control->timeout_ms);
    int code = EXIT_DONE;

    if (!error && client.welcome.epoch == 0)
        error = client_put_ring(&client, 0, ring);
    else if (!error)
        error = compare_ring(&client, ring);
    if (error)
        code = control_fail("%s: %s\nSome nodes may have the new ring already; mend this one and "
                            "give the same command again",
                            m->name, client.why);
    client_close(&client);
    return code;
}

static int run(const struct control *c, int argc, char **argv)
{
    static struct init init;
    char why[CLIENT_WHY_SIZE] = "";
    struct ring *ring;
    int code;

    init = (struct init){.control = c,
                         .replicas = REPLICAS_DEFAULT,
                         .partitions = PARTITIONS_DEFAULT,
                         .hash = POSITION_MD5};
    code = read_arguments(&init, argc, argv);
    for (uint32_t i = 0; i < init.count && !code; i++)
        code = visit(&init, &init.members[i]);
    if (!code)
        code = check_identities(&init);
    if (!code && init.found && !is_same(&init, init.found))
        code = control_fail("some of these nodes are in a ring already (epoch %llu); init makes a "
                            "first ring of empty nodes",
                            (unsigned long long)init.found->epoch);
    if (code) {
        ring_free(init.found);
        return code;
    }
    ring = init.found ? init.found : make_ring(&init, why, sizeof(why));
    if (!ring)
        return control_fail("no ring can be made of these nodes: %s", why);
    for (uint32_t i = 0; i < init.count && !code; i++)
        code = give(&init, &init.members[i], ring);
    if (!code && c->json)
        printf("{\"epoch\": 1, \"members\": %u, \"partitions\": %u, \"replicas\": %u}\n",
               ring->member_count, ring_partitions(ring), ring->replicas);
    else if (!code)
        printf("a ring of %u members, %u partitions, %u replicas; epoch 1\n", ring->member_count,
               ring_partitions(ring), ring->replicas);
    if (!code && ring->replicas % 2 == 0)
        fprintf(stderr, "ringctl: %u replicas survive no more dead nodes than %u would\n",
                ring->replicas, ring->replicas - 1);
    if (!code && ring->replicas > ring->member_count)
        fprintf(stderr,
                "ringctl: %u replicas are wanted and there are only %u members: each "
                "partition has %u for now\n",
                ring->replicas, ring->member_count, ring->member_count);
    ring_free(ring);
    return code;
}

const struct control_command command_init = {
    "init", "NAME=HOST:PORT[:ZONE[:WEIGHT]]... [--replicas N] [--partitions Q] [--hash md5|sha1]",
    "Makes the first ring of nodes that are in none.",
    "--replicas N     copies of every key, on different nodes (default 3)\n"
    "--partitions Q   slices of the key space, a power of two (default 1024); some hundred times\n"
    "                 the nodes that there will ever be\n"
    "--hash H         md5 (default) or sha1: what places a key on the ring\n"
    "ZONE             replicas go to different zones (racks, sites) as far as there are any\n"
    "WEIGHT           share of the keys, relative to the other nodes (default 1)\n\n"
    "Cut short, the same command finishes what it began.\n\n"
    "Example:\n"
    "  ringctl init n1=10.0.0.1:7400:east n2=10.0.0.2:7400:west n3=10.0.0.3:7400:north:2\n",
    run};
