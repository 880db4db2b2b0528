/* ringctl verify: every replica of every partition against its primary, while they serve. */
#include "tools/survey.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 100, BEGIN_POLLS = 100 /* until all shards have begun: ten seconds */ };

/* What the shards of all nodes tell, together. */
struct result {
    uint64_t done, partitions, compared, left_out, differ, named;
    uint64_t shards;  /* that tell of this run */
    bool runs, other; /* another verify has begun since */
};

struct verification {
    struct survey survey;
    uint64_t run;
    bool repair, json;
    uint64_t shown[MEMBERS_MAX]; /* per member: bytes of its findings that were printed */
    uint64_t printed;
};

static bool is_line(struct bytes line, const char *name, struct bytes *value)
{
    size_t size = strlen(name);

    if (line.size <= size || memcmp(line.data, name, size) != 0 || line.data[size] != '=')
        return false;
    *value = bytes_of(line.data + size + 1, line.size - size - 1);
    return true;
}

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
    struct bytes line = end ? bytes_of(rest->data, (size_t)(end - rest->data)) : *rest;
    size_t taken = line.size + (end ? 1 : 0);

    *rest = bytes_of(rest->data + taken, rest->size - taken);
    return line;
}

/* difference=PARTITION MEMBER found|repaired KEY-IN-HEX */
static void print_difference(struct verification *v, struct bytes value)
{
    unsigned partition, number;
    char text[64], how[16];
    int at = 0;
    size_t size = value.size < sizeof(text) - 1 ? value.size : sizeof(text) - 1;

    memcpy(text, value.data, size);
    text[size] = '\0';
    if (sscanf(text, "%u %u %15s %n", &partition, &number, how, &at) < 3 || at == 0)
        return;

    int index = ring_member_by_number(v->survey.ring, (uint16_t)number);
    const char *member = index < 0 ? "?" : v->survey.ring->members[index].name;
    int key_size = (int)value.size - at;
    const char *key = (const char *)value.data + at;

    if (v->json)
        printf("%s{\"partition\": %u, \"member\": \"%s\", \"key_hex\": \"%.*s\", "
               "\"repaired\": %s}",
               v->printed ? ", " : "", partition, member, key_size, key,
               strcmp(how, "repaired") == 0 ? "true" : "false");
    else
        printf("partition %u, member %s: key 0x%.*s differs%s\n", partition, member, key_size, key,
               strcmp(how, "repaired") == 0 ? ", repaired" : "");
    v->printed++;
}

static void take_text(struct verification *v, uint32_t member, struct bytes text, struct result *r)
{
    static const char *const names[] = {"partitions_done", "partitions", "compared", "left_out",
                                        "differ"};
    uint64_t *const sums[] = {&r->done, &r->partitions, &r->compared, &r->left_out, &r->differ};
    struct bytes rest = text, value;
    uint64_t found = 0;

    while (rest.size) {
        struct bytes line = next_line(&rest);

        if (is_line(line, "difference", &value) && ++found > v->shown[member])
            print_difference(v, value);
        if (is_line(line, "run", &value)) {
            bool own = strtoull((const char *)value.data, NULL, 10) == v->run;

            r->shards += own;
            r->other |= !own;
        }
        if (is_line(line, "runs", &value) && value.data[0] == '1')
            r->runs = true;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (is_line(line, names[i], &value))
                *sums[i] += strtoull((const char *)value.data, NULL, 10);
    }
    if (found > v->shown[member])
        v->shown[member] = found;
}

/* One round. EXIT_DONE, or another code after having said why. */
static int ask(struct verification *v, uint8_t flags, struct result *r)
{
    struct survey *s = &v->survey;
    uint64_t tag = fleet_tag(s->fleet);
    struct buf request = {0};
    struct bytes body, text;

    *r = (struct result){0};
    if (message_put_verify(&request, tag, v->run, flags) != 0)
        return control_fail("out of memory");
    for (uint32_t i = 0; i < s->ring->member_count; i++)
        fleet_ask(s->fleet, s->nodes[i], MESSAGE_STATUS, tag, buf_bytes(&request));
    buf_free(&request);
    fleet_wait(s->fleet);
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        if (fleet_answer(s->fleet, s->nodes[i], &body) != 0)
            return control_fail("%s does not answer: %s; what it leads is not compared. Run verify "
                                "again when it is up",
                                s->ring->members[i].name, fleet_why(s->fleet, s->nodes[i]));
        if (message_get_tagged(body, &tag, &text) == 0 && !(flags & VERIFY_BEGIN))
            take_text(v, i, text, r);
    }
    return EXIT_DONE;
}

static void show_progress(const struct verification *v, const struct result *r)
{
    if (!v->json && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " partitions, %" PRIu64 " records differ ",
                r->done, r->partitions, r->differ);
}

static uint64_t count_shards(const struct ring *ring)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < ring->member_count; i++)
        count += ring->members[i].shards;
    return count;
}

/* Until a shard has begun it tells of the run before, or of none. One that tells of this run and
 * then no more was replaced by another run, or its node was restarted, and what it leads is not
 * compared. *begun: all have. */
static int look_whether_all_run(const struct verification *v, const struct result *r, bool *begun)
{
    bool all = !r->other && r->shards == count_shards(v->survey.ring);

    if (*begun && r->other)
        return control_fail("another 'ringctl verify' has begun meanwhile");
    if (*begun && !all)
        return control_fail("a node was restarted meanwhile, and what it led is not compared. Run "
                            "verify again");
    *begun = all;
    return EXIT_DONE;
}

/* Follows it to the end. */
static int follow(struct verification *v, struct result *r)
{
    struct timespec pause = {0, POLL_MS * 1000000L};
    bool begun = false;
    int code, polls = 0;

    do {
        nanosleep(&pause, NULL);
        code = ask(v, 0, r);
        if (!code)
            code = look_whether_all_run(v, r, &begun);
        if (!code && !begun && ++polls == BEGIN_POLLS)
            code = control_fail(r->other ? "another 'ringctl verify' has begun at the same moment"
                                         : "not all shards of all nodes have begun to compare: "
                                           "'ringctl check' tells what is the matter");
        if (!code)
            show_progress(v, r);
    } while (!code && (!begun || r->runs));
    if (!v->json && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    return code;
}

static int conclude(const struct verification *v, const struct result *r)
{
    if (v->json) {
        printf("], \"complete\": true, \"compared\": %" PRIu64 ", \"left_out\": %" PRIu64
               ", \"differ\": %" PRIu64 ", \"repaired\": %" PRIu64 "}\n",
               r->compared, r->left_out, r->differ, v->repair ? r->differ : 0);
    } else {
        if (r->differ > v->printed)
            printf("and %" PRIu64 " more\n", r->differ - v->printed);
        printf("%" PRIu64 " replicas compared with their primaries: %" PRIu64 " records differ%s\n",
               r->compared, r->differ, r->differ && v->repair ? ", repaired" : "");
        if (r->left_out)
            printf(
                "%" PRIu64 " replicas were not compared: they are away, behind, or their primary "
                "cannot read a record. Run verify again when 'ringctl status' shows none behind\n",
                r->left_out);
    }
    return r->left_out || (r->differ && !v->repair) ? EXIT_COULD_NOT : EXIT_DONE;
}

static int run(const struct control *c, int argc, char **argv)
{
    struct verification v = {.json = c->json};
    struct result r = {0};
    struct timespec now;
    int code;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--repair") != 0)
            return control_usage(&command_verify, "'%s' is not expected", argv[i]);
        v.repair = true;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    v.run = ((uint64_t)now.tv_sec << 30 | (uint64_t)now.tv_nsec) ^ (uint64_t)getpid() << 48;
    code = survey_open(c, &v.survey);
    if (!code)
        code = ask(&v, VERIFY_BEGIN | (v.repair ? VERIFY_REPAIR : 0), &r);
    if (!code && v.json)
        printf("{\"differences\": [");
    if (!code) {
        code = follow(&v, &r);
        if (!code)
            code = conclude(&v, &r);
        else if (v.json)
            puts("], \"complete\": false}");
    }
    survey_close(&v.survey);
    return code;
}

const struct control_command command_verify = {
    "verify", "[--repair]", "Compares every replica with its primary, while they serve.",
    "  --repair   give replicas that differ what their primary has\n\n"
    "Keys that differ are named in hexadecimal, up to 1000 for each shard of a node. The exit code "
    "is\n"
    "0 when all replicas are equal (or were repaired), 1 when some differ or were not compared.\n\n"
    "Example:\n  ringctl verify\n",
    run};
