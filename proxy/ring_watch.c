#include "proxy/ring_watch.h"
#include "proxy/keyspace.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "shared/address.h"
#include "shared/config.h"
#include "shared/conn.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/log.h"
#include "shared/log_quota.h"
#include "shared/message.h"
#include "shared/ring.h"
#include "shared/ring_ref.h"
#include "shared/secret.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NEXT_MS = 10,   /* before another node is tried */
    ROUND_MS = 100, /* after none of them could help; doubles */
    ROUND_MAX_MS = 1000,
    /* A node that hangs must not keep the proxy from a ring that others have: it is left for the
     * next one soon, while clients can still be answered. Doubles too, as all may be slow. */
    ANSWER_MS = 500,
};

enum watch_state {
    WATCH_PAUSES,   /* no connection */
    WATCH_CONNECTS, /* until WELCOME */
    WATCH_ASKS,     /* until RING */
    WATCH_RESTS,    /* connected, until the next question */
};

struct address {
    char *host;
    uint16_t port;
};

struct ring_watch {
    struct proxy *proxy;
    struct loop_timer *timer; /* ends what the state waits for */
    struct conn *conn;        /* unless it pauses */
    struct ring_ref *ring;    /* the newest known; NULL: none yet */
    struct address *nodes;    /* of the configuration */
    uint32_t node_count;
    uint32_t candidate; /* who is asked: one of the nodes, then of the ring's members */
    uint32_t failures;  /* nodes in a row that could not help */
    uint32_t wanted; /* nodes to be asked before a refusal is put down to a node that is behind */
    enum watch_state state;
    struct log_quota told;
    uint64_t tag;
    _Atomic bool hurried; /* watch_hurry is posted */
    struct handshake handshake;
};

static void watch_connect(struct ring_watch *w);

static uint32_t candidates(const struct ring_watch *w)
{
    return w->node_count + (w->ring ? w->ring->ring->member_count : 0);
}

static const char *candidate_host(const struct ring_watch *w, uint16_t *port)
{
    const struct ring_member *member;

    if (w->candidate < w->node_count) {
        *port = w->nodes[w->candidate].port;
        return w->nodes[w->candidate].host;
    }
    member = &w->ring->ring->members[w->candidate - w->node_count];
    *port = member->port;
    return member->host;
}

/* --- from one node to the next ---------------------------------------------------------------- */

static void watch_pause(struct ring_watch *w, uint64_t after_ms)
{
    if (w->conn)
        conn_close(w->conn);
    w->conn = NULL;
    w->state = WATCH_PAUSES;
    loop_timer_set(w->timer, after_ms);
}

/* Whether a member of the ring stands among cluster.nodes as well, and is asked as one of those. */
static bool is_named(const struct ring_watch *w, const struct ring_member *member)
{
    for (uint32_t i = 0; i < w->node_count; i++)
        if (w->nodes[i].port == member->port && strcmp(w->nodes[i].host, member->host) == 0)
            return true;
    return false;
}

static void watch_move(struct ring_watch *w)
{
    do
        w->candidate = (w->candidate + 1) % candidates(w);
    while (w->candidate >= w->node_count &&
           is_named(w, &w->ring->ring->members[w->candidate - w->node_count]));
}

/* How many nodes there are to ask. */
static uint32_t count_nodes(const struct ring_watch *w)
{
    uint32_t count = w->node_count;

    for (uint32_t i = 0; w->ring && i < w->ring->ring->member_count; i++)
        count += !is_named(w, &w->ring->ring->members[i]);
    return count;
}

/* How often every node has been asked in vain, as a power of two that times are multiplied by. */
static uint64_t patience(const struct ring_watch *w)
{
    uint32_t rounds = w->failures / count_nodes(w);

    return (uint64_t)1 << (rounds < 4 ? rounds : 4);
}

/* The present node cannot help. */
static void watch_next(struct ring_watch *w, const char *why)
{
    uint32_t count = count_nodes(w);
    uint64_t wait;
    uint16_t port;
    const char *host = candidate_host(w, &port);
    char at[ADDRESS_TEXT_SIZE];

    w->failures++;
    wait = ROUND_MS * patience(w);
    /* Every node once, then only when nothing has changed for a while. */
    if (w->failures <= count)
        log_warn_few(&w->told, loop_now_ms(w->proxy->loop), "ring: no answer node=%s why=\"%s\"",
                     address_text(host, port, at), why);
    if (w->failures == count)
        log_warn("ring: none of %u nodes could be asked; trying on", count);
    watch_move(w);
    if (w->failures % count)
        wait = NEXT_MS;
    watch_pause(w, wait < ROUND_MAX_MS ? wait : ROUND_MAX_MS);
}

/* Waits for what the node has to say. */
static void watch_await(struct ring_watch *w, enum watch_state state)
{
    uint64_t most = (uint64_t)w->proxy->options->request_timeout_ms;
    uint64_t wait = ANSWER_MS * patience(w);

    w->state = state;
    loop_timer_set(w->timer, wait < most ? wait : most);
}

static void watch_rest(struct ring_watch *w)
{
    w->state = WATCH_RESTS;
    loop_timer_set(w->timer, (uint64_t)w->proxy->options->ring_poll_ms);
}

static void watch_ask(struct ring_watch *w)
{
    struct buf *out = conn_out(w->conn);

    if (message_put_ring_get(out, ++w->tag) != 0 || message_put_status_get(out, w->tag) != 0) {
        watch_next(w, rk_error_text(RK_NOMEM));
        return;
    }
    conn_flush_later(w->conn);
    watch_await(w, WATCH_ASKS);
}

/* --- what a node answers --------------------------------------------------------------------- */

static void watch_publish(struct ring_watch *w)
{
    for (uint32_t i = 0; i < w->proxy->worker_count; i++) {
        struct worker *worker = w->proxy->workers[i];
        struct ring_ref *unused = atomic_exchange(&worker->ring_next, ring_ref_get(w->ring));

        ring_ref_put(unused);
        /* Without memory to post it, it is found by the worker's next sweep. */
        loop_post(worker->loop, worker_take_ring, worker);
    }
}

/* Whether a ring is one that may follow the known one; says why not. */
static bool ring_follows(const struct ring *known, const struct ring *next, const char **why)
{
    *why = NULL;
    if (memcmp(known->cluster, next->cluster, IDENTITY_SIZE) != 0)
        *why = "it belongs to another cluster";
    else if (known->bits != next->bits || known->hash != next->hash)
        *why = "it cuts the positions differently";
    return !*why && next->epoch > known->epoch;
}

/* The node has answered, with no newer ring. When one is wanted, it may be this node that is
 * behind.
 */
static void keep_ring(struct ring_watch *w)
{
    w->failures = 0;
    if (w->wanted && --w->wanted) {
        watch_move(w);
        watch_pause(w, NEXT_MS);
    } else {
        watch_rest(w);
    }
}

static void take_ring(struct ring_watch *w, struct ring *ring)
{
    struct ring_ref *ref;
    const char *why = NULL;

    if (w->ring && !ring_follows(w->ring->ring, ring, &why)) {
        ring_free(ring);
        if (why)
            watch_next(w, why);
        else
            keep_ring(w);
        return;
    }
    ref = ring_ref_new(ring);
    if (!ref) {
        watch_next(w, rk_error_text(RK_NOMEM));
        return;
    }
    log_info("ring: taken epoch=%llu members=%u partitions=%u replicas=%u",
             (unsigned long long)ring->epoch, ring->member_count, ring_partitions(ring),
             ring->replicas);
    if (w->candidate >= w->node_count)
        w->candidate = 0; /* the members may be others now */
    ring_ref_put(w->ring);
    w->ring = ref;
    w->wanted = 0;
    w->failures = 0;
    watch_publish(w);
    watch_rest(w);
}

static void read_ring(struct ring_watch *w, struct bytes body)
{
    struct ring *ring;
    struct bytes rest;
    char why[256] = "";
    uint64_t tag;
    int failed = message_get_tagged(body, &tag, &rest);

    if (!failed && rest.size == 0) {
        watch_next(w, "it is in no ring; ringctl init makes one");
        return;
    }
    if (!failed)
        failed = ring_decode(rest, &ring, why, sizeof(why));
    if (failed)
        watch_next(w, *why ? why : rk_error_text(failed));
    else
        take_ring(w, ring);
}

/* What the node says of its keys, for INFO keyspace. */
static void read_status(struct ring_watch *w, struct bytes body)
{
    struct keyspace keyspace;
    struct bytes text;
    uint64_t tag;

    if (message_get_tagged(body, &tag, &text) != 0) {
        watch_next(w, "damaged message");
        return;
    }
    if (!w->ring || !keyspace_estimate(text, ring_partitions(w->ring->ring), &keyspace))
        return;
    atomic_store(&w->proxy->keys, keyspace.keys);
    atomic_store(&w->proxy->expiring, keyspace.expiring);
}

static void read_goodbye(struct ring_watch *w, struct bytes body)
{
    struct goodbye goodbye;
    char why[200];

    if (message_get_goodbye(body, &goodbye) != 0) {
        watch_next(w, "damaged message");
        return;
    }
    snprintf(why, sizeof(why), "%s: %.*s", rk_error_text(goodbye.error),
             (int)(goodbye.text.size < 150 ? goodbye.text.size : 150),
             (const char *)goodbye.text.data);
    watch_next(w, why);
}

static void read_challenge(struct ring_watch *w, struct bytes body)
{
    if (handshake_answer(&w->handshake, &w->proxy->secret, body, conn_out(w->conn)) != 0)
        watch_next(w, HANDSHAKE_NO_SECRET);
    else
        conn_flush_later(w->conn);
}

static void read_welcome(struct ring_watch *w, const struct welcome *welcome)
{
    if (handshake_trusts(&w->handshake, &w->proxy->secret, welcome))
        watch_ask(w);
    else
        watch_next(w, HANDSHAKE_NO_TRUST);
}

static void take_frame(struct ring_watch *w, const struct frame *f)
{
    struct welcome welcome;

    if (f->type == MESSAGE_GOODBYE)
        read_goodbye(w, f->body);
    else if (w->state != WATCH_CONNECTS && f->type == MESSAGE_RING)
        read_ring(w, f->body);
    else if (w->state != WATCH_CONNECTS && f->type == MESSAGE_STATUS)
        read_status(w, f->body);
    else if (w->state == WATCH_CONNECTS && f->type == MESSAGE_CHALLENGE)
        read_challenge(w, f->body);
    else if (w->state == WATCH_CONNECTS && f->type == MESSAGE_WELCOME &&
             message_get_welcome(f->body, &welcome) == 0)
        read_welcome(w, &welcome);
    else
        watch_next(w, "damaged or unexpected message");
}

static size_t on_data(void *owner, struct conn *c, struct bytes in)
{
    struct ring_watch *w = owner;
    size_t used = 0;

    while (w->conn == c) {
        struct frame frame;
        int64_t size =
            frame_read(bytes_of(in.data + used, in.size - used),
                       w->state == WATCH_CONNECTS ? HANDSHAKE_BODY_MAX : FRAME_BODY_MAX, &frame);

        if (size == RK_MORE)
            break;
        if (size < 0) {
            watch_next(w, rk_error_text((int)size));
            break;
        }
        used += (size_t)size;
        take_frame(w, &frame);
    }
    return used;
}

static void on_end(void *owner, struct conn *c, int error)
{
    (void)c;
    watch_next(owner, error ? strerror(error) : "closed by the node");
}

static void on_open(void *owner, struct conn *c)
{
    struct ring_watch *w = owner;
    struct hello hello = {.role = ROLE_PROXY, .shard = SHARD_FRONT};

    w->handshake = (struct handshake){.challenged = false};
    if (w->ring) {
        memcpy(hello.cluster, w->ring->ring->cluster, IDENTITY_SIZE);
        hello.epoch = w->ring->ring->epoch;
    }
    if (message_put_hello(conn_out(c), &hello) != 0)
        watch_next(w, rk_error_text(RK_NOMEM));
    else
        conn_flush_later(c);
}

static const struct conn_handler handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_open = on_open,
};

static void watch_connect(struct ring_watch *w)
{
    uint16_t port;
    const char *host = candidate_host(w, &port);

    w->conn = conn_connect(w->proxy->loop, host, port, &handler, w);
    if (!w->conn) {
        watch_next(w, strerror(errno));
        return;
    }
    watch_await(w, WATCH_CONNECTS);
}

static void on_timer(void *arg)
{
    struct ring_watch *w = arg;

    switch (w->state) {
    case WATCH_PAUSES:
        watch_connect(w);
        break;
    case WATCH_CONNECTS:
    case WATCH_ASKS:
        watch_next(w, "it does not answer");
        break;
    case WATCH_RESTS:
        watch_ask(w);
        break;
    }
}

static void watch_hurry(void *arg)
{
    struct ring_watch *w = arg;

    atomic_store(&w->hurried, false);
    if (!w->wanted)
        w->wanted = count_nodes(w);
    if (w->state == WATCH_RESTS)
        watch_ask(w);
}

void ring_watch_hurry(struct ring_watch *w)
{
    /* A thousand refusals at once are one reason to ask. */
    if (!atomic_exchange(&w->hurried, true) && loop_post(w->proxy->loop, watch_hurry, w) != 0)
        atomic_store(&w->hurried, false);
}

/* --- life ------------------------------------------------------------------------------------- */

static int read_nodes(struct ring_watch *w)
{
    const char *rest = w->proxy->options->nodes;
    struct address a;
    int failed;

    while (!(failed = address_next(&rest, &a.host, &a.port))) {
        struct address *nodes = realloc(w->nodes, (w->node_count + 1) * sizeof(*nodes));

        if (!nodes) {
            free(a.host);
            return RK_NOMEM;
        }
        w->nodes = nodes;
        w->nodes[w->node_count++] = a;
    }
    return failed == RK_NOTFOUND && w->node_count ? 0 : RK_INVALID;
}

struct ring_watch *ring_watch_new(struct proxy *p)
{
    struct ring_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->proxy = p;
    w->timer = loop_timer_new(p->loop, on_timer, w);
    if (!w->timer || read_nodes(w) != 0) {
        ring_watch_free(w);
        return NULL;
    }
    loop_timer_set(w->timer, 0);
    return w;
}

void ring_watch_free(struct ring_watch *w)
{
    if (!w)
        return;
    if (w->conn)
        conn_close(w->conn);
    loop_timer_free(w->timer);
    for (uint32_t i = 0; i < w->node_count; i++)
        free(w->nodes[i].host);
    free(w->nodes);
    ring_ref_put(w->ring);
    free(w);
}
