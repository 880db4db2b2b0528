#include "tools/survey.h"
#include "shared/address.h"
#include "shared/error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

enum { ROUNDS_MAX = 8 }; /* of looking for a newer ring; a change makes some epochs a second */

/* --- the ring ------------------------------------------------------------------------------- */

int survey_take_ring(struct survey *s, struct ring *ring)
{
    uint32_t nodes[MEMBERS_MAX];
    struct node_facts *facts = calloc(ring->member_count, sizeof(*facts));
    struct bytes *texts = calloc(ring->member_count, sizeof(*texts));

    if (!facts || !texts || fleet_add_ring(s->fleet, ring, nodes) != 0) {
        free(facts);
        free(texts);
        ring_free(ring);
        return RK_NOMEM;
    }
    ring_free(s->ring);
    free(s->facts);
    free(s->texts);
    s->ring = ring;
    s->facts = facts;
    s->texts = texts;
    memcpy(s->nodes, nodes, ring->member_count * sizeof(nodes[0]));
    memset(s->epochs, 0, sizeof(s->epochs));
    return 0;
}

static void ask_ring(struct survey *s, uint32_t node)
{
    struct buf request = {0};
    uint64_t tag = fleet_tag(s->fleet);

    if (message_put_ring_get(&request, tag) == 0)
        fleet_ask(s->fleet, node, MESSAGE_RING, tag, buf_bytes(&request));
    buf_free(&request);
}

/* The ring in a node's answer, if it is newer than ours. 0 also when it has none. */
static int read_ring(struct survey *s, uint32_t node, char *why, size_t why_size)
{
    struct bytes body, encoded;
    struct ring *ring;
    char reason[256] = "";
    uint64_t tag;
    int error = fleet_answer(s->fleet, node, &body);

    if (error) {
        snprintf(why, why_size, "%s", fleet_why(s->fleet, node));
        return error;
    }
    if (message_get_tagged(body, &tag, &encoded) != 0 || encoded.size == 0) {
        snprintf(why, why_size, "%s: is in no ring yet; 'ringctl init' makes the first one",
                 fleet_address(s->fleet, node));
        return 0;
    }
    error = ring_decode(encoded, &ring, reason, sizeof(reason));
    if (error) {
        snprintf(why, why_size, "%s: sent a ring that cannot be used: %s",
                 fleet_address(s->fleet, node), reason[0] ? reason : rk_error_text(error));
        return error;
    }
    if (s->ring && memcmp(ring->cluster, s->ring->cluster, IDENTITY_SIZE) != 0) {
        snprintf(why, why_size, "%s: belongs to another cluster than %s",
                 fleet_address(s->fleet, node), s->ring->members[0].name);
        ring_free(ring);
        return RK_CLUSTER;
    }
    if (!s->ring || ring->epoch > s->ring->epoch)
        return survey_take_ring(s, ring);
    ring_free(ring);
    return 0;
}

int survey_fetch_ring(struct survey *s, uint32_t node)
{
    char why[FLEET_WHY_SIZE];

    ask_ring(s, node);
    fleet_wait(s->fleet);
    return read_ring(s, node, why, sizeof(why));
}

/* --- opening -------------------------------------------------------------------------------- */

static char *trimmed(char *text)
{
    size_t size;

    text += strspn(text, BLANKS);
    size = strlen(text);
    while (size && strchr(BLANKS, text[size - 1]))
        size--;
    text[size] = '\0';
    return text;
}

static int add_address(struct survey *s, const char *address)
{
    struct bytes none;
    uint16_t port;
    const char *wrong = address_check(bytes_from(address), &none, &port);
    char *host = NULL;
    int code = EXIT_DONE;

    if (!*address || strpbrk(address, BLANKS))
        wrong = "write HOST:PORT,HOST:PORT with one comma between two";
    if (wrong) {
        control_fail("'%s' in --nodes: %s", address, wrong);
        return EXIT_USAGE;
    }
    if (address_split(address, &host, &port) != 0 || fleet_add(s->fleet, host, port, NULL) < 0)
        code = control_fail("out of memory");
    free(host);
    return code;
}

/* Adds the addresses of --nodes to the fleet: HOST:PORT with commas between them, and blanks round
 * them as in a proxy's cluster.nodes. */
static int add_named(const struct control *c, struct survey *s)
{
    char *list = strdup(c->nodes), *rest = list, *address;
    int code = list ? EXIT_DONE : control_fail("out of memory");

    while (code == EXIT_DONE && (address = strsep(&rest, ",")) != NULL)
        code = add_address(s, trimmed(address));
    free(list);
    return code;
}

static int find_first_ring(struct survey *s)
{
    uint32_t named = fleet_count(s->fleet);
    char(*whys)[FLEET_WHY_SIZE] = calloc(named, sizeof(*whys));
    int code = whys ? EXIT_DONE : control_fail("out of memory");

    for (uint32_t i = 0; whys && i < named; i++)
        ask_ring(s, i);
    fleet_wait(s->fleet);
    for (uint32_t i = 0; whys && i < named && !code; i++)
        if (read_ring(s, i, whys[i], sizeof(whys[i])) == RK_CLUSTER)
            code = control_fail("--nodes names nodes of two clusters: %s", whys[i]);
    if (!code && !s->ring) {
        code = control_fail("none of the nodes that were asked gives a ring:");
        for (uint32_t i = 0; i < named; i++)
            fprintf(stderr, "  %s\n", whys[i][0] ? whys[i] : "out of memory");
    }
    free(whys);
    return code;
}

/* Whether some member has a newer ring, which is then fetched. */
static bool find_newer(struct survey *s)
{
    uint64_t newest = s->ring->epoch;
    uint32_t from = 0;

    for (uint32_t i = 0; i < s->ring->member_count; i++)
        fleet_greet(s->fleet, s->nodes[i]);
    fleet_wait(s->fleet);
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        const struct welcome *w = fleet_welcome(s->fleet, s->nodes[i]);

        if (w && w->epoch > newest && memcmp(w->cluster, s->ring->cluster, IDENTITY_SIZE) == 0) {
            newest = w->epoch;
            from = s->nodes[i];
        }
    }
    return newest > s->ring->epoch && survey_fetch_ring(s, from) == 0;
}

int survey_open(const struct control *c, struct survey *s)
{
    int code;

    *s = (struct survey){0};
    if (!c->nodes || !c->nodes[0]) {
        control_fail("which ring? Give --nodes HOST:PORT,... or set RINGCTL_NODES");
        return EXIT_USAGE;
    }
    s->fleet = fleet_new(c->timeout_ms, &c->secret);
    if (!s->fleet)
        return control_fail("out of memory");
    code = add_named(c, s);
    if (!code)
        code = find_first_ring(s);
    for (int i = 0; i < ROUNDS_MAX && !code; i++)
        if (!find_newer(s))
            break;
    return code;
}

void survey_close(struct survey *s)
{
    fleet_free(s->fleet);
    ring_free(s->ring);
    free(s->facts);
    free(s->texts);
    *s = (struct survey){0};
}

/* --- status --------------------------------------------------------------------------------- */

void survey_read_facts(struct bytes status, struct node_facts *facts)
{
    *facts = (struct node_facts){
        .up = true,
        .keys = status_number(status, "keys"),
        .live_bytes = status_number(status, "live_bytes"),
        .disk_used = status_number(status, "file_bytes") + status_number(status, "log_bytes"),
        .disk_free = status_number(status, "disk_free"),
        .disk_total = status_number(status, "disk_total"),
    };
}

int survey_status(struct survey *s)
{
    struct buf request = {0};
    uint64_t tag = fleet_tag(s->fleet);
    int error = message_put_status_get(&request, tag);

    for (uint32_t i = 0; i < s->ring->member_count && !error; i++)
        fleet_ask(s->fleet, s->nodes[i], MESSAGE_STATUS, tag, buf_bytes(&request));
    buf_free(&request);
    if (error)
        return error;
    fleet_wait(s->fleet);
    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        struct bytes body;
        uint64_t answered;

        s->facts[i] = (struct node_facts){0};
        s->texts[i] = (struct bytes){0};
        if (fleet_answer(s->fleet, s->nodes[i], &body) != 0 ||
            message_get_tagged(body, &answered, &s->texts[i]) != 0)
            continue;
        survey_read_facts(s->texts[i], &s->facts[i]);
        s->epochs[i] = status_number(s->texts[i], "epoch");
    }
    return 0;
}
