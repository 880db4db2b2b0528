#include "tools/joining.h"
#include "shared/address.h"
#include "shared/error.h"
#include <inttypes.h>
#include <string.h>

static bool joins(const struct survey *s, const struct ring_member *m)
{
    return ring_member_by_number(s->ring, m->number) < 0;
}

static void ask(struct survey *s, uint32_t node)
{
    struct buf request = {0};
    uint64_t tag = fleet_tag(s->fleet);

    if (message_put_status_get(&request, tag) == 0)
        fleet_ask(s->fleet, node, MESSAGE_STATUS, tag, buf_bytes(&request));
    buf_free(&request);
}

/* A node that has a ring was a member once, of this cluster or another. */
static int check_ringless(const struct survey *s, const struct ring_member *m,
                          const struct welcome *w)
{
    char at[ADDRESS_TEXT_SIZE];

    address_text(m->host, m->port, at);
    if (w->epoch == 0)
        return EXIT_DONE;
    if (memcmp(w->cluster, s->ring->cluster, IDENTITY_SIZE) != 0)
        return control_fail("%s: the node at %s belongs to another cluster; start an empty one "
                            "there, with a data folder of its own",
                            m->name, at);
    return control_fail("%s: the node at %s was in this ring before (it has epoch %" PRIu64
                        "), and what it has is old; stop it, empty its data folder, start it and "
                        "try again",
                        m->name, at, w->epoch);
}

/* Two versions side by side may not understand each other: the first member that is up sets it. */
static int check_version(const struct survey *s, const struct ring_member *m, struct bytes text)
{
    struct bytes theirs = status_text(text, "version");

    for (uint32_t i = 0; i < s->ring->member_count; i++) {
        struct bytes ours = status_text(s->texts[i], "version");

        if (!s->facts[i].up)
            continue;
        if (bytes_equal(ours, theirs))
            return EXIT_DONE;
        return control_fail("%s runs version %.*s, and %s of the ring %.*s; install the same "
                            "version on it",
                            m->name, (int)theirs.size, (const char *)theirs.data,
                            s->ring->members[i].name, (int)ours.size, (const char *)ours.data);
    }
    return EXIT_DONE;
}

static int check_stranger(const struct survey *s, const struct ring *next, uint32_t index)
{
    const struct ring_member *m = &next->members[index];
    int known = ring_member_by_identity(s->ring, m->identity);
    char at[ADDRESS_TEXT_SIZE];

    if (known >= 0)
        return control_fail("%s: the node at %s is the ring's member %s", m->name,
                            address_text(m->host, m->port, at), s->ring->members[known].name);
    for (uint32_t i = 0; i < index; i++)
        if (memcmp(next->members[i].identity, m->identity, IDENTITY_SIZE) == 0)
            return control_fail("%s and %s are the same node", next->members[i].name, m->name);
    return EXIT_DONE;
}

static int take(struct survey *s, struct ring *next, uint32_t index, uint32_t node,
                struct node_facts *facts)
{
    struct ring_member *m = &next->members[index];
    const struct welcome *w = fleet_welcome(s->fleet, node);
    struct bytes body, text;
    uint64_t tag;
    int code, error = fleet_answer(s->fleet, node, &body);

    if (error || !w || message_get_tagged(body, &tag, &text) != 0)
        return control_fail("%s: %s%s", m->name, fleet_why(s->fleet, node),
                            error == RK_IO ? "; is ringnode started there?" : "");
    memcpy(m->identity, w->identity, IDENTITY_SIZE);
    m->shards = w->shards;
    survey_read_facts(text, facts);
    code = check_stranger(s, next, index);
    if (!code)
        code = check_ringless(s, m, w);
    if (!code)
        code = check_version(s, m, text);
    return code;
}

int joining_visit(struct survey *s, struct ring *next, struct node_facts *facts)
{
    uint32_t nodes[MEMBERS_MAX] = {0};
    int code = EXIT_DONE;

    for (uint32_t i = 0; i < next->member_count; i++) {
        const struct ring_member *m = &next->members[i];
        int node = joins(s, m) ? fleet_add(s->fleet, m->host, m->port, NULL) : 0;

        if (node < 0)
            return control_fail("out of memory");
        nodes[i] = (uint32_t)node;
        if (joins(s, m))
            ask(s, nodes[i]);
    }
    fleet_wait(s->fleet);
    for (uint32_t i = 0; i < next->member_count && !code; i++)
        if (joins(s, &next->members[i]))
            code = take(s, next, i, nodes[i], &facts[i]);
    return code;
}
