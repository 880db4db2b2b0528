#include "tools/fleet.h"
#include "shared/error.h"
#include "tools/fleet_node.h"
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fleet {
    int timeout_ms;
    const struct secret *secret;
    uint64_t tag;
    uint32_t count, room;
    struct fleet_node *nodes;
    struct pollfd *polls; /* as many as `room` */
};

/* --- making --------------------------------------------------------------------------------- */

struct fleet *fleet_new(int timeout_ms, const struct secret *secret)
{
    struct fleet *f = calloc(1, sizeof(*f));

    if (f) {
        f->timeout_ms = timeout_ms;
        f->secret = secret;
    }
    return f;
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->count; i++)
        fleet_node_free(&f->nodes[i]);
    free(f->nodes);
    free(f->polls);
    free(f);
}

uint32_t fleet_count(const struct fleet *f)
{
    return f->count;
}

static int make_room(struct fleet *f)
{
    uint32_t room = f->room ? 2 * f->room : 16;
    struct fleet_node *nodes;
    struct pollfd *polls;

    if (f->count < f->room)
        return 0;
    nodes = realloc(f->nodes, room * sizeof(*nodes));
    if (!nodes)
        return RK_NOMEM;
    f->nodes = nodes;
    polls = realloc(f->polls, room * sizeof(*polls));
    if (!polls)
        return RK_NOMEM;
    f->polls = polls;
    f->room = room;
    return 0;
}

static bool is_same(const struct fleet_node *n, const char *host, uint16_t port,
                    const uint8_t *identity, uint16_t shard)
{
    if (n->shard != shard || n->port != port || strcmp(n->host, host) != 0 ||
        n->has_identity != (identity != NULL))
        return false;
    return !identity || memcmp(n->identity, identity, IDENTITY_SIZE) == 0;
}

static int add(struct fleet *f, const char *host, uint16_t port, const uint8_t *identity,
               uint16_t shard)
{
    struct fleet_node *n;
    bool suspect = false;

    for (uint32_t i = 0; i < f->count; i++) {
        if (is_same(&f->nodes[i], host, port, identity, shard))
            return (int)i;
        suspect |=
            f->nodes[i].suspect && f->nodes[i].port == port && strcmp(f->nodes[i].host, host) == 0;
    }
    if (make_room(f) != 0)
        return RK_NOMEM;
    n = &f->nodes[f->count];
    *n = (struct fleet_node){.port = port,
                             .has_identity = identity != NULL,
                             .shard = shard,
                             .suspect = suspect,
                             .secret = f->secret,
                             .fd = -1};
    snprintf(n->host, sizeof(n->host), "%s", host);
    address_text(host, port, n->address);
    if (identity)
        memcpy(n->identity, identity, IDENTITY_SIZE);
    return (int)f->count++;
}

int fleet_add(struct fleet *f, const char *host, uint16_t port, const uint8_t *identity)
{
    return add(f, host, port, identity, SHARD_FRONT);
}

int fleet_add_shard(struct fleet *f, const struct ring_member *m, const uint8_t *cluster,
                    uint16_t shard)
{
    int number = add(f, m->host, m->port, m->identity, shard);

    if (number >= 0)
        memcpy(f->nodes[number].cluster, cluster, IDENTITY_SIZE);
    return number;
}

int fleet_add_ring(struct fleet *f, const struct ring *ring, uint32_t numbers[MEMBERS_MAX])
{
    for (uint32_t i = 0; i < ring->member_count; i++) {
        const struct ring_member *m = &ring->members[i];
        int number = fleet_add(f, m->host, m->port, m->identity);

        if (number < 0)
            return number;
        numbers[i] = (uint32_t)number;
    }
    return 0;
}

/* --- rounds --------------------------------------------------------------------------------- */

uint64_t fleet_tag(struct fleet *f)
{
    return ++f->tag;
}

/* Whether the node still owes an answer, for which it has time left: nothing new is asked. Looks at
 * the clock once, so that what is asked and what its answer is known by change together. */
static bool skip(const struct fleet *f, struct fleet_node *n)
{
    n->skipped = n->pending && fleet_now_ms() - n->asked_ms < f->timeout_ms;
    return n->skipped;
}

void fleet_ask(struct fleet *f, uint32_t node, uint8_t type, uint64_t tag, struct bytes request)
{
    struct fleet_node *n = &f->nodes[node];

    assert(node < f->count);
    if (skip(f, n))
        return;
    n->greet = false;
    n->type = type;
    n->tag = tag;
    fleet_node_ask(n, request);
}

void fleet_greet(struct fleet *f, uint32_t node)
{
    struct fleet_node *n = &f->nodes[node];

    assert(node < f->count);
    if (skip(f, n))
        return;
    n->greet = true;
    fleet_node_ask(n, (struct bytes){0});
}

static bool is_waiting(const struct fleet *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->nodes[i].pending && !f->nodes[i].suspect)
            return true;
    return false;
}

/* Waits for events once, and handles them. */
static void turn(struct fleet *f, int wait_ms)
{
    for (uint32_t i = 0; i < f->count; i++)
        f->polls[i] = fleet_node_poll(&f->nodes[i]);
    if (poll(f->polls, f->count, wait_ms) > 0)
        for (uint32_t i = 0; i < f->count; i++)
            fleet_node_handle(&f->nodes[i], f->polls[i].revents);
}

void fleet_wait(struct fleet *f)
{
    int64_t deadline = fleet_now_ms() + f->timeout_ms, now;

    while (is_waiting(f) && (now = fleet_now_ms()) < deadline)
        turn(f, (int)(deadline - now));
    turn(f, 0); /* what the suspects have to say */
    for (uint32_t i = 0; i < f->count; i++)
        f->nodes[i].suspect |= f->nodes[i].pending;
}

int fleet_answer(const struct fleet *f, uint32_t node, struct bytes *body)
{
    const struct fleet_node *n = &f->nodes[node];

    int error = n->skipped && !n->error ? RK_TIMEOUT : n->error;

    *body = error ? (struct bytes){0} : buf_bytes(&n->answer);
    return error;
}

void fleet_when(const struct fleet *f, uint32_t node, int64_t *asked_ms, int64_t *answered_ms)
{
    *asked_ms = f->nodes[node].asked_ms;
    *answered_ms = f->nodes[node].answered_ms;
}

const char *fleet_why(const struct fleet *f, uint32_t node)
{
    return f->nodes[node].why;
}

const struct welcome *fleet_welcome(const struct fleet *f, uint32_t node)
{
    return f->nodes[node].greeted ? &f->nodes[node].welcome : NULL;
}

const char *fleet_address(const struct fleet *f, uint32_t node)
{
    return f->nodes[node].address;
}
