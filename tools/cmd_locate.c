/* ringctl locate KEY */
#include "shared/address.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include "tools/survey.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A key's place, and what its replicas say of it. */
struct place {
    const struct ring *ring;
    struct bytes key;
    uint64_t position;
    uint32_t partition;
    const struct ring_replicas *set;
    struct {
        const char *down;   /* why it did not answer; NULL: it did */
        const char *leader; /* who leads, it says; "": it knows of nobody */
    } replicas[REPLICAS_MAX];
};

static const struct ring_member *replica(const struct place *p, uint16_t i)
{
    return &p->ring->members[p->set->member[i]];
}

/* --- who leads ------------------------------------------------------------------------------ */

/* A read that names no view is refused by everybody, and tells which view he knows. */
static int put_question(const struct place *p, uint64_t tag, struct buf *out)
{
    uint8_t arg[4 + STORE_KEY_SIZE_MAX];
    struct request m = {.id = tag,
                        .epoch = ring_changed(p->ring, p->partition),
                        .partition = p->partition,
                        .op = OP_GET,
                        .level = LEVEL_LINEAR,
                        .arg_count = 1,
                        .args = bytes_of(arg, 4 + POSITION_SIZE + p->key.size)};

    wire_put_u32(arg, (uint32_t)(POSITION_SIZE + p->key.size));
    wire_put_position(arg + 4, p->position);
    memcpy(arg + 4 + POSITION_SIZE, p->key.data, p->key.size);
    return message_put_request(out, &m);
}

static void take_answer(struct place *p, uint16_t i, const struct fleet *f, uint32_t node)
{
    struct bytes body;
    struct reply reply;
    int leader;

    p->replicas[i].leader = "";
    p->replicas[i].down = NULL;
    if (fleet_answer(f, node, &body) != 0) {
        p->replicas[i].down = fleet_why(f, node);
    } else if (message_get_reply(body, &reply) == 0 && reply.view) {
        leader = ring_member_by_number(p->ring, view_member(reply.view));
        p->replicas[i].leader = leader < 0 ? "" : p->ring->members[leader].name;
    }
}

/* 0 or RK_NOMEM. Those that were not there for their handshake are asked for nothing more. */
static int ask_replicas(struct survey *s, struct place *p)
{
    uint64_t tag = fleet_tag(s->fleet);
    struct buf question = {0};
    int nodes[REPLICAS_MAX], error = put_question(p, tag, &question);

    for (uint16_t i = 0; i < p->set->count && !error; i++) {
        const struct ring_member *m = replica(p, i);
        uint32_t front = s->nodes[p->set->member[i]];
        struct bytes none;

        nodes[i] = (int)front;
        if (fleet_answer(s->fleet, front, &none) != 0)
            continue;
        nodes[i] =
            fleet_add_shard(s->fleet, m, p->ring->cluster, (uint16_t)(p->partition % m->shards));
        if (nodes[i] < 0)
            error = nodes[i];
        else
            fleet_ask(s->fleet, (uint32_t)nodes[i], MESSAGE_REPLY, tag, buf_bytes(&question));
    }
    buf_free(&question);
    if (error)
        return error;
    fleet_wait(s->fleet);
    for (uint16_t i = 0; i < p->set->count; i++)
        take_answer(p, i, s->fleet, (uint32_t)nodes[i]);
    return 0;
}

static bool leads(const struct place *p, uint16_t i)
{
    return !p->replicas[i].down && strcmp(p->replicas[i].leader, replica(p, i)->name) == 0;
}

/* --- telling -------------------------------------------------------------------------------- */

static void print_text(const struct place *p)
{
    printf("position   %016" PRIx64 "\npartition  %" PRIu32 " of %" PRIu32 "\nepoch      %" PRIu64
           "\nreplicas\n",
           p->position, p->partition, ring_partitions(p->ring), p->ring->epoch);
    for (uint16_t i = 0; i < p->set->count; i++) {
        const struct ring_member *m = replica(p, i);
        char at[ADDRESS_TEXT_SIZE];

        printf("  %u  %s  %s%s%s  ", i + 1, m->name, address_text(m->host, m->port, at),
               m->zone[0] ? "  zone " : "", m->zone);
        if (p->replicas[i].down)
            printf("DOWN");
        else if (leads(p, i))
            printf("leads");
        else if (p->replicas[i].leader[0])
            printf("follows %s", p->replicas[i].leader);
        else
            printf("knows of no leader");
        puts(i == 0 ? "  (preferred primary)" : "");
    }
    for (uint16_t i = 0; i < p->set->count; i++)
        if (p->replicas[i].down)
            printf("%s\n", p->replicas[i].down);
}

static void print_json(const struct place *p)
{
    printf("{\"key\": ");
    json_string(p->key);
    printf(", \"position\": \"%016" PRIx64 "\", \"partition\": %" PRIu32
           ", \"partitions\": %" PRIu32 ", \"epoch\": %" PRIu64 ", \"replicas\": [",
           p->position, p->partition, ring_partitions(p->ring), p->ring->epoch);
    for (uint16_t i = 0; i < p->set->count; i++) {
        const struct ring_member *m = replica(p, i);
        char at[ADDRESS_TEXT_SIZE];

        printf("%s{\"name\": \"%s\", \"address\": \"%s\", \"zone\": \"%s\", \"state\": \"%s\"",
               i ? ", " : "", m->name, address_text(m->host, m->port, at), m->zone,
               p->replicas[i].down        ? "down"
               : leads(p, i)              ? "leads"
               : p->replicas[i].leader[0] ? "follows"
                                          : "idle");
        if (p->replicas[i].down) {
            printf(", \"error\": ");
            json_string(bytes_from(p->replicas[i].down));
        } else if (p->replicas[i].leader[0]) {
            printf(", \"leader\": \"%s\"", p->replicas[i].leader);
        }
        putchar('}');
    }
    puts("]}");
}

/* --- the command ---------------------------------------------------------------------------- */

static int locate(const struct control *c, struct survey *s, struct bytes key)
{
    struct positioner *positioner = positioner_new(s->ring->hash);
    struct place p = {.ring = s->ring, .key = key};

    if (!positioner)
        return control_fail("the crypto library offers no %s", position_hash_name(s->ring->hash));
    p.position = position_of(positioner, key);
    positioner_free(positioner);
    p.partition = ring_partition(s->ring, p.position);
    p.set = ring_replicas(s->ring, p.partition);
    if (ask_replicas(s, &p) != 0)
        return control_fail("out of memory");
    if (c->json)
        print_json(&p);
    else
        print_text(&p);
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
        code = locate(c, &survey, key);
    survey_close(&survey);
    return code;
}

const struct control_command command_locate = {
    "locate", "KEY",
    "Shows where a key lies: position, partition, replicas, and which of them leads.",
    "Replicas stand in their order; the first one that can leads, or is going to. What stands in\n"
    "the key's first {...} decides where it lies, if it is not empty (hash tag).\n\n"
    "Example:\n  ringctl locate user:1000\n",
    run};
