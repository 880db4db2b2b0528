#include "node/front.h"
#include "node/clock.h"
#include "node/ring_keeper.h"
#include "node/status.h"
#include "node/worker.h"
#include "shared/address.h"
#include "shared/conn.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/listener.h"
#include "shared/log.h"
#include "shared/secret.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HANDSHAKE_MAX = 1024,         /* bytes of a frame before the handshake is done */
    CONTROL_FRAME_MAX = 16 << 20, /* and after: a ring */
    OUTPUT_MAX = 1 << 20,         /* then it is not read until it has taken some */
    HANDSHAKE_MS = 5000,          /* time for a connection to introduce itself */
    SWEEP_MS = 500,
    WHY_SIZE = 512,
};

/* A connection in its handshake, or of ringctl and ring watchers. */
struct visitor {
    struct front *front;
    struct conn *conn;
    struct visitor *next, **at;
    uint64_t since_ms;
    bool greeted;
    struct hello hello;         /* while its proof is waited for */
    struct handshake handshake; /* where there is a secret */
};

struct front {
    struct node *node;
    struct loop *loop;
    struct listener *listener;
    struct loop_timer *sweep;
    struct visitor *visitors;
    struct ring_keeper *keeper;
    uint64_t started_ms;
    struct status_front counters;
    struct log_quota refusals, crowding;
};

static void visitor_end(struct visitor *v)
{
    *v->at = v->next;
    if (v->next)
        v->next->at = v->at;
    v->front->counters.connections--;
    free(v);
}

/* Whoever is refused tries again every second. */
static void tell_refused(struct visitor *v, const char *why)
{
    struct front *f = v->front;

    f->counters.handshake_failures++;
    log_warn_few(&f->refusals, loop_now_ms(f->loop), "front: refused address=%s: %s",
                 conn_peer(v->conn), why);
}

static void say_goodbye(struct visitor *v, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say_goodbye(struct visitor *v, int error, const char *format, ...)
{
    char text[WHY_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    tell_refused(v, text);
    message_put_goodbye(conn_out(v->conn), error, text);
    conn_close_after_flush(v->conn);
}

/* --- what ringctl and ring watchers ask ----------------------------------------------------- */

static int answer_ring(struct visitor *v, uint64_t tag)
{
    struct front *f = v->front;
    const struct ring *ring = ring_keeper_ring(f->keeper);
    struct buf encoded = {0};
    int error = ring ? ring_encode(ring, &encoded) : 0;

    if (!error)
        error = message_put_ring(conn_out(v->conn), tag, buf_bytes(&encoded));
    buf_free(&encoded);
    return error;
}

static int answer_status(struct visitor *v, uint64_t tag)
{
    struct front *f = v->front;
    struct buf text = {0};
    int error;

    f->counters.epoch_heard = ring_keeper_heard(f->keeper);
    if (f->listener)
        f->counters.accept_pauses = listener_pauses(f->listener);
    f->counters.uptime_s = (loop_now_ms(f->loop) - f->started_ms) / 1000;
    f->counters.unix_ms = (uint64_t)clock_unix_ms();
    error = status_write(f->node, ring_keeper_ring(f->keeper), &f->counters, &text);
    if (!error)
        error = message_put_status(conn_out(v->conn), tag, buf_bytes(&text));
    buf_free(&text);
    return error;
}

/* DONE, with the epoch that this node has then. */
static int answer_done(struct visitor *v, uint64_t tag, int error, const char *why)
{
    const struct ring *ring = ring_keeper_ring(v->front->keeper);
    struct done done = {
        .tag = tag, .error = error, .epoch = ring ? ring->epoch : 0, .text = bytes_from(why)};

    if (error)
        log_warn_few(&v->front->refusals, loop_now_ms(v->front->loop),
                     "ring: refused a ring from address=%s: %s", conn_peer(v->conn), why);
    return message_put_done(conn_out(v->conn), &done);
}

static int answer_put(struct visitor *v, struct bytes body)
{
    char why[WHY_SIZE] = "";
    struct ring_put m;

    if (message_get_ring_put(body, &m) != 0)
        return RK_CORRUPT;
    return answer_done(v, m.tag, ring_keeper_put(v->front->keeper, &m, why, sizeof(why)), why);
}

static int answer_prepare(struct visitor *v, struct bytes body)
{
    struct ring_prepare m;
    struct ring_promise promise;

    if (message_get_ring_prepare(body, &m) != 0)
        return RK_CORRUPT;
    ring_keeper_prepare(v->front->keeper, &m, &promise);
    return message_put_ring_promise(conn_out(v->conn), &promise);
}

static int answer_accept(struct visitor *v, struct bytes body)
{
    char why[WHY_SIZE] = "";
    struct ring_accept m;

    if (message_get_ring_accept(body, &m) != 0)
        return RK_CORRUPT;
    return answer_done(v, m.tag, ring_keeper_accept(v->front->keeper, &m, why, sizeof(why)), why);
}

/* Only of those shards that go by the ring of the answer's epoch already. */
static int answer_progress(struct visitor *v, uint64_t tag)
{
    const struct node *node = v->front->node;
    const struct ring *ring = ring_keeper_ring(v->front->keeper);
    struct progress m = {.tag = tag, .epoch = ring ? ring->epoch : 0};
    struct buf entries = {0};
    int error = 0;

    for (uint16_t i = 0; i < node->folder.shards && !error; i++)
        error = worker_progress(node->workers[i], &m, &entries);
    m.entries = buf_bytes(&entries);
    if (!error)
        error = message_put_progress(conn_out(v->conn), &m);
    buf_free(&entries);
    return error;
}

static int answer_verify(struct visitor *v, struct bytes body)
{
    const struct node *node = v->front->node;
    struct buf text = {0};
    uint64_t tag, run;
    uint8_t flags;
    int error = 0;

    if (message_get_verify(body, &tag, &run, &flags) != 0)
        return RK_CORRUPT;
    for (uint16_t i = 0; i < node->folder.shards && !error; i++)
        error = flags & VERIFY_BEGIN ? worker_verify(node->workers[i], run, flags & VERIFY_REPAIR)
                                     : worker_verify_report(node->workers[i], &text);
    if (!error)
        error = message_put_status(conn_out(v->conn), tag, buf_bytes(&text));
    buf_free(&text);
    return error;
}

static int answer(struct visitor *v, const struct frame *frame)
{
    uint64_t tag;

    conn_flush_later(v->conn);
    switch (frame->type) {
    case MESSAGE_PING:
        return message_get_tag(frame->body, &tag) ? RK_CORRUPT
                                                  : message_put_pong(conn_out(v->conn), tag);
    case MESSAGE_RING_GET:
        return message_get_tag(frame->body, &tag) ? RK_CORRUPT : answer_ring(v, tag);
    case MESSAGE_STATUS_GET:
        return message_get_tag(frame->body, &tag) ? RK_CORRUPT : answer_status(v, tag);
    case MESSAGE_RING_PUT:
        return answer_put(v, frame->body);
    case MESSAGE_RING_PREPARE:
        return answer_prepare(v, frame->body);
    case MESSAGE_RING_ACCEPT:
        return answer_accept(v, frame->body);
    case MESSAGE_PROGRESS_GET:
        return message_get_tag(frame->body, &tag) ? RK_CORRUPT : answer_progress(v, tag);
    case MESSAGE_VERIFY:
        return answer_verify(v, frame->body);
    default:
        return RK_PROTOCOL;
    }
}

/* --- handshake ------------------------------------------------------------------------------ */

static bool is_zero(const uint8_t id[IDENTITY_SIZE])
{
    static const uint8_t zero[IDENTITY_SIZE];

    return memcmp(id, zero, IDENTITY_SIZE) == 0;
}

/* Whether this HELLO may come in; if not, the goodbye is said. */
static bool may_enter(struct visitor *v, const struct hello *m)
{
    const struct node *node = v->front->node;
    const struct ring *ring = ring_keeper_ring(v->front->keeper);

    if (!is_zero(m->target) && memcmp(m->target, node->folder.identity, IDENTITY_SIZE) != 0) {
        say_goodbye(v, RK_MEMBER,
                    "another node answers at this address: its data folder was "
                    "lost or exchanged; bring the right one back");
        return false;
    }
    if (!is_zero(m->cluster) && ring && memcmp(m->cluster, ring->cluster, IDENTITY_SIZE) != 0) {
        say_goodbye(v, RK_CLUSTER, "this node belongs to another cluster");
        return false;
    }
    if (m->shard == SHARD_FRONT)
        return true;
    if (!ring) {
        say_goodbye(v, RK_EPOCH, "this node is in no ring yet");
        return false;
    }
    if (ring_keeper_is_out(v->front->keeper)) {
        say_goodbye(v, RK_MEMBER, "this node was removed from the ring, which is at epoch %llu now",
                    (unsigned long long)ring->epoch);
        return false;
    }
    if (is_zero(m->cluster) || m->shard >= node->folder.shards) {
        say_goodbye(v, RK_INVALID,
                    "a connection to a shard names the cluster and a shard below "
                    "%u",
                    node->folder.shards);
        return false;
    }
    if (m->role == ROLE_NODE && ring_member_by_identity(ring, m->identity) < 0) {
        say_goodbye(v, RK_MEMBER, "your identity is not in the ring of epoch %llu",
                    (unsigned long long)ring->epoch);
        return false;
    }
    return true;
}

/* All but the proof. */
static void fill_welcome(const struct front *f, struct welcome *m)
{
    const struct ring *ring = ring_keeper_ring(f->keeper);

    m->shards = f->node->folder.shards;
    m->epoch = 0;
    memset(m->cluster, 0, IDENTITY_SIZE);
    memcpy(m->identity, f->node->folder.identity, IDENTITY_SIZE);
    if (!ring)
        return;
    m->epoch = ring->epoch;
    memcpy(m->cluster, ring->cluster, IDENTITY_SIZE);
}

/* Hands the connection to its shard, with what was read behind the handshake. */
static void hand_over(struct visitor *v, const struct welcome *welcome, struct bytes behind)
{
    /* `behind` stays until the connection's own call returns. */
    int fd = conn_detach(v->conn);

    worker_adopt(v->front->node->workers[v->hello.shard], fd, &v->hello, welcome, behind);
    visitor_end(v);
}

/* The visitor is who it says, as far as that is asked for. False when the connection has gone
 * elsewhere or is being closed. */
static bool let_in(struct visitor *v, struct welcome *welcome, struct bytes behind)
{
    if (!may_enter(v, &v->hello))
        return false;
    fill_welcome(v->front, welcome);
    if (v->hello.shard != SHARD_FRONT) {
        hand_over(v, welcome, behind);
        return false;
    }
    v->greeted = true;
    conn_flush_later(v->conn);
    if (message_put_welcome(conn_out(v->conn), welcome) == 0)
        return true;
    conn_close_after_flush(v->conn);
    return false;
}

static bool challenge(struct visitor *v)
{
    conn_flush_later(v->conn);
    if (handshake_challenge(&v->handshake, conn_out(v->conn)) == 0)
        return true;
    conn_close_after_flush(v->conn);
    return false;
}

/* Reads a HELLO, or the PROOF behind it. False as let_in. */
static bool greet(struct visitor *v, const struct frame *frame, struct bytes behind)
{
    const struct secret *secret = &v->front->node->secret;
    struct welcome welcome = {.proven = false};

    if (v->handshake.challenged) {
        if (frame->type == MESSAGE_PROOF &&
            handshake_proven(&v->handshake, secret, frame->body, &welcome))
            return let_in(v, &welcome, behind);
        say_goodbye(v, RK_REFUSED, "this is not the cluster's secret");
        return false;
    }
    if (frame->type != MESSAGE_HELLO || message_get_hello(frame->body, &v->hello) != 0) {
        say_goodbye(v, RK_PROTOCOL, "a connection begins with a HELLO of this version");
        return false;
    }
    return secret->set ? challenge(v) : let_in(v, &welcome, behind);
}

/* What is wrong with what came. A client whose port is wrong speaks no other version of this: text
 * it is. */
static const char *describe(struct bytes came, int error)
{
    if (error != RK_VERSION)
        return rk_error_text(error);
    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        if ((came.data[i] < ' ' && came.data[i] != '\r' && came.data[i] != '\n') ||
            came.data[i] > '~')
            return rk_error_text(error);
    return "text came, as from a Redis client or a browser: this is a node's port, clients connect "
           "to a ringproxy";
}

static size_t on_data(void *owner, struct conn *c, struct bytes in)
{
    struct visitor *v = owner;
    size_t taken = 0;

    for (;;) {
        /* A ring is much larger than the question for it: go on once the answers have left. */
        if (conn_out_len(c) > OUTPUT_MAX)
            return taken;

        struct bytes rest = bytes_of(in.data + taken, in.size - taken);
        struct frame frame;
        int64_t size = frame_read(rest, v->greeted ? CONTROL_FRAME_MAX : HANDSHAKE_MAX, &frame);
        int error = size < 0 ? (int)size : 0;

        if (error == RK_MORE)
            return taken;
        if (!error)
            taken += (size_t)size;
        if (!error && !v->greeted) {
            if (!greet(v, &frame, bytes_of(in.data + taken, in.size - taken)))
                return in.size;
            continue;
        }
        if (!error)
            error = answer(v, &frame);
        if (error) {
            say_goodbye(v, error, "%s", describe(rest, error));
            return in.size;
        }
    }
}

static void on_end(void *owner, struct conn *c, int error)
{
    (void)error;
    conn_close(c);
    visitor_end(owner);
}

static const struct conn_handler handler = {on_data, on_end, NULL, NULL};

/* Visitors, and the proxies' connections that the shards have taken over. */
static uint64_t connections(const struct front *f)
{
    uint64_t count = f->counters.connections;

    for (uint16_t i = 0; i < f->node->folder.shards; i++) {
        struct worker_report report;

        worker_report(f->node->workers[i], &report);
        count += report.clients;
    }
    return count;
}

static void on_accept(void *arg, int fd)
{
    struct front *f = arg;
    struct visitor *v = NULL;

    if (connections(f) < (uint64_t)f->node->options.max_connections)
        v = calloc(1, sizeof(*v));
    if (!v) {
        f->counters.refused++;
        log_warn_few(&f->crowding, loop_now_ms(f->loop),
                     "front: closed a new connection: over max_connections=%lld, or out of memory",
                     (long long)f->node->options.max_connections);
        close(fd);
        return;
    }
    v->front = f;
    v->since_ms = loop_now_ms(f->loop);
    v->conn = conn_new(f->loop, fd, &handler, v);
    if (!v->conn) {
        free(v);
        return;
    }
    conn_set_out_max(v->conn, OUTPUT_MAX);
    f->counters.accepted++;
    f->counters.connections++;
    v->at = &f->visitors;
    v->next = f->visitors;
    if (v->next)
        v->next->at = &v->next;
    f->visitors = v;
}

/* Ends connections that do not introduce themselves. */
static void sweep(void *arg)
{
    struct front *f = arg;
    uint64_t now = loop_now_ms(f->loop);

    for (struct visitor *v = f->visitors, *next; v; v = next) {
        next = v->next;
        if (!v->greeted && now - v->since_ms > HANDSHAKE_MS) {
            tell_refused(v, "it did not introduce itself in time");
            conn_close(v->conn);
            visitor_end(v);
        }
    }
    loop_timer_set(f->sweep, SWEEP_MS);
}

struct front *front_new(struct node *node, struct loop *loop, char *why, size_t why_size)
{
    struct front *f = calloc(1, sizeof(*f));
    char *host = NULL;
    uint16_t port;

    snprintf(why, why_size, "out of memory");
    if (!f)
        return NULL;
    f->node = node;
    f->loop = loop;
    f->started_ms = loop_now_ms(loop);
    f->sweep = loop_timer_new(loop, sweep, f);
    f->keeper = ring_keeper_new(node, loop);
    if (f->sweep && f->keeper && address_split(node->options.listen, &host, &port) == 0)
        f->listener = listener_new(loop, host, port, false, on_accept, f, why, why_size);
    free(host);
    if (!f->listener) {
        front_free(f);
        return NULL;
    }
    loop_timer_set(f->sweep, SWEEP_MS);
    return f;
}

int front_load_ring(struct front *f, char *why, size_t why_size)
{
    return ring_keeper_load(f->keeper, why, why_size);
}

void front_newer_epoch(void *front, uint64_t epoch, uint16_t member)
{
    struct front *f = front;

    ring_keeper_hear(f->keeper, epoch, member);
}

void front_stop(struct front *f)
{
    listener_free(f->listener);
    f->listener = NULL;
}

void front_free(struct front *f)
{
    if (!f)
        return;
    while (f->visitors) {
        conn_close(f->visitors->conn);
        visitor_end(f->visitors);
    }
    listener_free(f->listener);
    loop_timer_free(f->sweep);
    ring_keeper_free(f->keeper);
    free(f);
}
