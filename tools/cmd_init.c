/* ringctl init: makes the first ring of empty nodes. */
#include "shared/address.h"
#include "shared/error.h"
#include "tools/fleet.h"
#include "tools/member_spec.h"
#include "tools/plan.h"
#include "tools/ringctl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { WHY_SIZE = 512 };

struct init {
    const struct control *control;
    struct ring_member members[MEMBERS_MAX];
    uint32_t count;
    long replicas, partitions;
    enum position_hash hash;
    struct fleet *fleet;
    uint32_t nodes[MEMBERS_MAX]; /* their numbers in the fleet */
    bool has_ring[MEMBERS_MAX];
    struct ring *found; /* what some of the nodes have already (of an init that was cut short), else
                           what is made */
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
    char why[WHY_SIZE], at[ADDRESS_TEXT_SIZE];

    if (init->count == MEMBERS_MAX)
        return control_usage(&command_init, "a ring has at most %d members", MEMBERS_MAX);
    if (member_spec_parse(text, m, why, sizeof(why)) != 0)
        return control_usage(&command_init, "%s", why);
    for (uint32_t i = 0; i < init->count; i++) {
        if (strcmp(init->members[i].name, m->name) == 0)
            return control_usage(&command_init, "the name %s is given twice", m->name);
        if (strcmp(init->members[i].host, m->host) == 0 && init->members[i].port == m->port)
            return control_usage(&command_init, "%s and %s have the same address %s",
                                 init->members[i].name, m->name,
                                 address_text(m->host, m->port, at));
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

static int ask_rings(struct init *init)
{
    struct buf request = {0};
    uint64_t tag = fleet_tag(init->fleet);
    int error = message_put_ring_get(&request, tag);

    for (uint32_t i = 0; i < init->count && !error; i++) {
        int node = fleet_add(init->fleet, init->members[i].host, init->members[i].port, NULL);

        error = node < 0 ? node : 0;
        init->nodes[i] = (uint32_t)node;
        if (!error)
            fleet_ask(init->fleet, init->nodes[i], MESSAGE_RING, tag, buf_bytes(&request));
    }
    buf_free(&request);
    fleet_wait(init->fleet);
    return error ? control_fail("out of memory") : EXIT_DONE;
}

/* Who a node is. One that is in a ring already is fine only if that ring is the outcome of an
 * earlier, unfinished init. */
static int visit(struct init *init, uint32_t i)
{
    struct ring_member *m = &init->members[i];
    const struct welcome *w = fleet_welcome(init->fleet, init->nodes[i]);
    struct bytes body, encoded;
    struct ring *ring = NULL;
    char why[WHY_SIZE] = "";
    uint64_t tag;
    int error = fleet_answer(init->fleet, init->nodes[i], &body);

    if (error || !w || message_get_tagged(body, &tag, &encoded) != 0)
        return control_fail("%s: %s%s", m->name, fleet_why(init->fleet, init->nodes[i]),
                            error == RK_IO ? "; is ringnode started there?" : "");
    memcpy(m->identity, w->identity, IDENTITY_SIZE);
    m->shards = w->shards;
    init->has_ring[i] = encoded.size > 0;
    if (!init->has_ring[i])
        return EXIT_DONE;
    if (ring_decode(encoded, &ring, why, sizeof(why)) != 0)
        return control_fail("%s: %s: sent a ring that cannot be used: %s", m->name,
                            fleet_address(init->fleet, init->nodes[i]), why);
    if (!init->found) {
        init->found = ring;
        return EXIT_DONE;
    }

    bool same = memcmp(init->found->cluster, ring->cluster, IDENTITY_SIZE) == 0;

    ring_free(ring);
    return same ? EXIT_DONE
                : control_fail("%s: is in another ring than the nodes before it", m->name);
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

/* What the node said to the ring that it was given; `then`: what follows from a no. */
static int read_done(const struct init *init, uint32_t i, const char *then)
{
    struct bytes body;
    struct done done;
    int error = fleet_answer(init->fleet, init->nodes[i], &body);

    if (!error && message_get_done(body, &done) == 0 && done.error == 0)
        return EXIT_DONE;
    return control_fail(
        "%s: %s: %.*s\n%s", init->members[i].name, fleet_address(init->fleet, init->nodes[i]),
        error ? (int)strlen(fleet_why(init->fleet, init->nodes[i])) : (int)done.text.size,
        error ? fleet_why(init->fleet, init->nodes[i]) : (const char *)done.text.data, then);
}

/* Of two inits at once of the same nodes, both find them empty. So each gives its ring first to one
 * node, which is the same for both: it takes one ring, and who is refused has given none to
 * anybody. */
static uint32_t first_of(const struct init *init)
{
    uint32_t first = 0;

    for (uint32_t i = 1; i < init->count; i++)
        if (memcmp(init->members[i].identity, init->members[first].identity, IDENTITY_SIZE) < 0)
            first = i;
    return first;
}

static int give_first(struct init *init, const struct ring_put *put, struct bytes request)
{
    uint32_t first = first_of(init);
    int code;

    if (init->has_ring[first])
        return EXIT_DONE;
    fleet_ask(init->fleet, init->nodes[first], MESSAGE_DONE, put->tag, request);
    fleet_wait(init->fleet);
    code = read_done(init, first,
                     "The other nodes were given nothing. If somebody else made a ring of these "
                     "nodes meanwhile, ringctl status shows it; else give the same command again");
    init->has_ring[first] = code == EXIT_DONE;
    return code;
}

static int give_others(struct init *init, const struct ring_put *put, struct bytes request)
{
    int code = EXIT_DONE;

    for (uint32_t i = 0; i < init->count; i++)
        if (!init->has_ring[i])
            fleet_ask(init->fleet, init->nodes[i], MESSAGE_DONE, put->tag, request);
    fleet_wait(init->fleet);
    for (uint32_t i = 0; i < init->count && !code; i++)
        if (!init->has_ring[i])
            code = read_done(init, i,
                             "Some nodes have the new ring already; mend this one and give the "
                             "same command again");
    return code;
}

/* To all that have none. */
static int give(struct init *init, const struct ring *ring)
{
    struct buf encoded = {0}, request = {0};
    struct ring_put put = {.tag = fleet_tag(init->fleet)};
    int error = ring_encode(ring, &encoded), code;

    put.ring = buf_bytes(&encoded);
    error = error ? error : message_put_ring_put(&request, &put);
    code = error ? control_fail("out of memory") : give_first(init, &put, buf_bytes(&request));
    if (!code)
        code = give_others(init, &put, buf_bytes(&request));
    buf_free(&encoded);
    buf_free(&request);
    return code;
}

static void print(const struct control *c, const struct ring *ring)
{
    if (c->json)
        printf("{\"epoch\": 1, \"members\": %u, \"partitions\": %u, \"replicas\": %u}\n",
               ring->member_count, ring_partitions(ring), ring->replicas);
    else
        printf("a ring of %u members, %u partitions, %u replicas; epoch 1\n", ring->member_count,
               ring_partitions(ring), ring->replicas);
    if (ring->replicas % 2 == 0)
        fprintf(stderr, "ringctl: %u replicas survive no more dead nodes than %u would\n",
                ring->replicas, ring->replicas - 1);
    if (ring->replicas > ring->member_count)
        fprintf(stderr,
                "ringctl: %u replicas are wanted and there are only %u members: each "
                "partition has %u for now\n",
                ring->replicas, ring->member_count, ring->member_count);
}

static int make(struct init *init)
{
    char why[WHY_SIZE] = "";
    int code = ask_rings(init);

    for (uint32_t i = 0; i < init->count && !code; i++)
        code = visit(init, i);
    if (!code)
        code = check_identities(init);
    if (!code && init->found && !is_same(init, init->found))
        code =
            control_fail("some of these nodes are in a ring already (epoch %llu), which 'ringctl "
                         "status' shows; init makes a first ring of empty nodes",
                         (unsigned long long)init->found->epoch);
    if (code)
        return code;
    if (!init->found)
        init->found = make_ring(init, why, sizeof(why));
    if (!init->found)
        return control_fail("no ring can be made of these nodes: %s", why);
    code = give(init, init->found);
    if (!code)
        print(init->control, init->found);
    return code;
}

static int run(const struct control *c, int argc, char **argv)
{
    struct init *init = calloc(1, sizeof(*init));
    int code;

    if (!init)
        return control_fail("out of memory");
    *init = (struct init){.control = c,
                          .replicas = REPLICAS_DEFAULT,
                          .partitions = PARTITIONS_DEFAULT,
                          .hash = POSITION_MD5,
                          .fleet = fleet_new(c->timeout_ms, &c->secret)};
    code = init->fleet ? read_arguments(init, argc, argv) : control_fail("out of memory");
    if (!code)
        code = make(init);
    ring_free(init->found);
    fleet_free(init->fleet);
    free(init);
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
