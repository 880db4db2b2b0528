#include "node/front.h"
#include "node/status.h"
#include "node/worker.h"
#include "shared/conn.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/listener.h"
#include "shared/log.h"
#include "shared/ring_ref.h"
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
};

struct front {
    struct node *node;
    struct loop *loop;
    struct listener *listener;
    struct loop_timer *sweep;
    struct visitor *visitors;
    struct ring_ref *ring;
    uint64_t started_ms;
    struct status_front counters;
};

static void visitor_end(struct visitor *v)
{
    *v->at = v->next;
    if (v->next)
        v->next->at = v->at;
    v->front->counters.connections--;
    free(v);
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
    v->front->counters.handshake_failures++;
    log_warn("front: refused address=%s: %s", conn_peer(v->conn), text);
    message_put_goodbye(conn_out(v->conn), error, text);
    conn_close_after_flush(v->conn);
}

/* --- ring ----------------------------------------------------------------------------------- */

static int check_place(const struct node *node, const struct ring *ring, char *why, size_t why_size)
{
    int me = ring_member_by_identity(ring, node->folder.identity);

    if (me < 0) {
        snprintf(why, why_size,
                 "this node's identity is not in the ring of epoch %llu: it was "
                 "replaced, or its data folder is another node's",
                 (unsigned long long)ring->epoch);
        return RK_MEMBER;
    }
    if (ring->members[me].shards != node->folder.shards) {
        snprintf(why, why_size, "the ring says that %s has %u shards, its data folder has %u",
                 ring->members[me].name, ring->members[me].shards, node->folder.shards);
        return RK_INVALID;
    }
    return 0;
}

int front_set_ring(struct front *f, struct ring *ring, char *why, size_t why_size)
{
    int error = check_place(f->node, ring, why, why_size);
    struct ring_ref *ref;

    if (error) {
        ring_free(ring);
        return error;
    }
    ref = ring_ref_new(ring);
    if (!ref) {
        snprintf(why, why_size, "out of memory");
        return RK_NOMEM;
    }
    ring_ref_put(f->ring);
    f->ring = ref;
    for (uint16_t i = 0; i < f->node->folder.shards; i++)
        worker_set_ring(f->node->workers[i], ring_ref_get(ref));
    log_info("ring: epoch=%llu members=%u partitions=%u replicas=%u",
             (unsigned long long)ring->epoch, ring->member_count, ring_partitions(ring),
             ring->replicas);
    return 0;
}

/* Takes the ring of a RING_PUT if it follows the one that this node has. */
static int put_ring(struct front *f, const struct ring_put *m, char *why, size_t why_size)
{
    const struct ring *now = f->ring ? f->ring->ring : NULL;
    uint64_t epoch = now ? now->epoch : 0;
    struct ring *ring;
    int error = ring_decode(m->ring, &ring, why, why_size);

    if (error) {
        if (!why[0])
            snprintf(why, why_size, "%s", rk_error_text(error));
        return error;
    }
    if (now && memcmp(now->cluster, ring->cluster, IDENTITY_SIZE) != 0) {
        snprintf(why, why_size, "this node belongs to another cluster");
        error = RK_CLUSTER;
    } else if (m->expected_epoch != epoch || ring->epoch != epoch + 1) {
        snprintf(why, why_size,
                 "the ring is at epoch %llu here, the change was made for epoch "
                 "%llu",
                 (unsigned long long)epoch, (unsigned long long)m->expected_epoch);
        error = RK_EPOCH;
    } else {
        error = check_place(f->node, ring, why, why_size);
    }
    if (!error) {
        error = data_folder_save_ring(&f->node->folder, ring);
        if (error)
            snprintf(why, why_size, "cannot write the ring to %s: %s", f->node->folder.path,
                     rk_error_text(error));
    }
    if (error) {
        ring_free(ring);
        return error;
    }
    return front_set_ring(f, ring, why, why_size);
}

static void log_newer(void *arg)
{
    struct front *f = arg;

    log_warn("ring: another program knows epoch=%llu, this node has epoch=%llu",
             (unsigned long long)__atomic_load_n(&f->counters.newer_epoch_heard, __ATOMIC_RELAXED),
             (unsigned long long)(f->ring ? f->ring->ring->epoch : 0));
}

void front_newer_epoch(struct front *f, uint64_t epoch, uint16_t member)
{
    (void)member;

    uint64_t heard = __atomic_load_n(&f->counters.newer_epoch_heard, __ATOMIC_RELAXED);

    /* Said once for each epoch. */
    if (epoch > heard && __atomic_compare_exchange_n(&f->counters.newer_epoch_heard, &heard, epoch,
                                                     false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        loop_post(f->loop, log_newer, f);
}

/* --- what ringctl and ring watchers ask ----------------------------------------------------- */

static int answer_ring(struct visitor *v, uint64_t tag)
{
    struct front *f = v->front;
    struct buf encoded = {0};
    int error = f->ring ? ring_encode(f->ring->ring, &encoded) : 0;

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

    f->counters.uptime_s = (loop_now_ms(f->loop) - f->started_ms) / 1000;
    error = status_write(f->node, f->ring ? f->ring->ring : NULL, &f->counters, &text);
    if (!error)
        error = message_put_status(conn_out(v->conn), tag, buf_bytes(&text));
    buf_free(&text);
    return error;
}

static int answer_put(struct visitor *v, const struct ring_put *m)
{
    struct front *f = v->front;
    char why[WHY_SIZE] = "";
    struct done done = {.tag = m->tag, .error = put_ring(f, m, why, sizeof(why))};

    if (done.error)
        log_warn("ring: refused a ring from address=%s: %s", conn_peer(v->conn), why);
    done.epoch = f->ring ? f->ring->ring->epoch : 0;
    done.text = bytes_from(why);
    return message_put_done(conn_out(v->conn), &done);
}

static int answer(struct visitor *v, const struct frame *frame)
{
    struct ring_put put;
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
        return message_get_ring_put(frame->body, &put) ? RK_CORRUPT : answer_put(v, &put);
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
    const struct ring *ring = v->front->ring ? v->front->ring->ring : NULL;

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

static void fill_welcome(const struct front *f, struct welcome *m)
{
    *m = (struct welcome){.shards = f->node->folder.shards};
    memcpy(m->identity, f->node->folder.identity, IDENTITY_SIZE);
    if (!f->ring)
        return;
    m->epoch = f->ring->ring->epoch;
    memcpy(m->cluster, f->ring->ring->cluster, IDENTITY_SIZE);
}

/* Hands the connection to its shard, with what was read behind the HELLO. */
static void hand_over(struct visitor *v, const struct hello *m, struct bytes behind)
{
    struct front *f = v->front;
    struct welcome welcome;
    struct buf rest = {0};
    int fd;

    fill_welcome(f, &welcome);
    if (buf_append(&rest, behind.data, behind.size) != 0) {
        conn_close(v->conn);
        visitor_end(v);
        return;
    }

    struct buf none = {0};

    fd = conn_detach(v->conn, &none);
    buf_free(&none);
    worker_adopt(f->node->workers[m->shard], fd, m, &welcome, buf_bytes(&rest));
    buf_free(&rest);
    visitor_end(v);
}

/* Reads a HELLO. False when the connection has gone elsewhere or is being closed. */
static bool greet(struct visitor *v, const struct frame *frame, struct bytes behind)
{
    struct hello hello;
    struct welcome welcome;

    if (frame->type != MESSAGE_HELLO || message_get_hello(frame->body, &hello) != 0) {
        say_goodbye(v, RK_PROTOCOL, "a connection begins with a HELLO of this version");
        return false;
    }
    if (!may_enter(v, &hello))
        return false;
    if (hello.shard != SHARD_FRONT) {
        hand_over(v, &hello, behind);
        return false;
    }
    v->greeted = true;
    fill_welcome(v->front, &welcome);
    conn_flush_later(v->conn);
    if (message_put_welcome(conn_out(v->conn), &welcome) == 0)
        return true;
    conn_close_after_flush(v->conn);
    return false;
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
            say_goodbye(v, error, "%s", rk_error_text(error));
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
            f->counters.handshake_failures++;
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
    if (f->sweep && config_split_address(node->options.listen, &host, &port) == 0)
        f->listener = listener_new(loop, host, port, false, on_accept, f, why, why_size);
    free(host);
    if (!f->listener) {
        front_free(f);
        return NULL;
    }
    loop_timer_set(f->sweep, SWEEP_MS);
    return f;
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
    ring_ref_put(f->ring);
    free(f);
}
