/* The clients of a shard: the connections from proxies, or from whoever speaks their part. */
#include "node/clock.h"
#include "node/worker_parts.h"
#include "shared/conn.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/log.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client {
    struct worker *worker;
    struct conn *conn;
    uint32_t generation; /* tells a connection from the one that had its slot before */
    uint32_t slot;
};

static uint64_t client_name(const struct client *c)
{
    return (uint64_t)c->generation << 32 | c->slot;
}

struct buf *worker_client_out(void *arg, uint64_t name)
{
    struct worker *w = arg;
    uint32_t slot = (uint32_t)name;
    struct client *c = slot < w->client_slots ? w->clients[slot] : NULL;

    if (!c || c->generation != name >> 32)
        return NULL;
    conn_flush_later(c->conn);
    return conn_out(c->conn);
}

static void client_end(struct client *c)
{
    struct worker *w = c->worker;

    conn_close(c->conn);
    w->clients[c->slot] = NULL;
    w->client_count--;
    free(c);
}

static void client_refuse(struct client *c, int error)
{
    c->worker->bad_requests++;
    log_warn_few(&c->worker->refusals, loop_now_ms(c->worker->loop),
                 "client: %s; closing address=%s", rk_error_text(error), conn_peer(c->conn));
    message_put_goodbye(conn_out(c->conn), error, rk_error_text(error));
    conn_close_after_flush(c->conn);
}

/* What was read and checked, and not yet acted upon. */
struct arrived {
    int64_t size; /* of its frame, or an error */
    struct frame frame;
    struct request request; /* MESSAGE_REQUEST */
};

/* What comes next of a client. */
struct intake {
    struct arrived arrived[STORE_EXPECTED_MAX];
    unsigned count;
};

static void read_one(struct bytes in, struct arrived *a)
{
    a->size = frame_read(in, FRAME_BODY_MAX, &a->frame);
    if (a->size > 0 && a->frame.type == MESSAGE_REQUEST &&
        message_get_request(a->frame.body, &a->request) != 0)
        a->size = RK_CORRUPT;
}

/* Reads a few requests, up to the first that is not whole, or wrong: what they need comes from
 * memory for all of them at the same time. */
static void read_some(const struct client *c, struct bytes in, struct intake *i)
{
    const struct request *requests[STORE_EXPECTED_MAX];
    struct arrived *a;
    size_t count = 0;

    i->count = 0;
    do {
        a = &i->arrived[i->count++];
        read_one(in, a);
        if (a->size <= 0)
            break;
        in = bytes_of(in.data + a->size, in.size - (size_t)a->size);
        if (a->frame.type == MESSAGE_REQUEST)
            requests[count++] = &a->request;
    } while (i->count < STORE_EXPECTED_MAX);
    shard_expect(c->worker->shard, requests, count);
}

static int act_upon(struct client *c, const struct arrived *a)
{
    struct touched_get get;
    uint64_t tag;

    if (a->size < 0)
        return (int)a->size;
    switch (a->frame.type) {
    case MESSAGE_REQUEST:
        shard_request(c->worker->shard, client_name(c), &a->request);
        return 0;
    case MESSAGE_TOUCHED_GET:
        return message_get_touched_get(a->frame.body, &get) != 0
                   ? RK_CORRUPT
                   : shard_tell_touched(c->worker->shard, client_name(c), &get);
    case MESSAGE_PING:
        if (message_get_tag(a->frame.body, &tag) != 0)
            return RK_CORRUPT;
        conn_flush_later(c->conn);
        return message_put_pong(conn_out(c->conn), tag);
    default:
        return RK_PROTOCOL;
    }
}

static size_t client_data(void *owner, struct conn *conn, struct bytes in)
{
    struct client *c = owner;
    struct intake intake;
    size_t taken = 0;

    c->worker->shard->wall_ms = clock_unix_ms();
    for (;;) {
        read_some(c, bytes_of(in.data + taken, in.size - taken), &intake);
        for (unsigned i = 0; i < intake.count; i++) {
            const struct arrived *now = &intake.arrived[i];
            int error;

            /* Small requests may have large answers: go on once these have left. */
            if (now->size == RK_MORE ||
                conn_out_len(conn) > (size_t)c->worker->node->options.connection_output)
                return taken;
            error = act_upon(c, now);
            if (error) {
                client_refuse(c, error);
                return in.size;
            }
            taken += (size_t)now->size;
        }
    }
}

static void client_ended(void *owner, struct conn *conn, int error)
{
    (void)conn;
    (void)error;
    client_end(owner);
}

static const struct conn_handler client_handler = {client_data, client_ended, NULL, NULL};

static uint32_t free_slot(struct worker *w)
{
    uint32_t slot = 0;

    while (slot < w->client_slots && w->clients[slot])
        slot++;
    if (slot < w->client_slots)
        return slot;

    uint32_t slots = w->client_slots ? w->client_slots * 2 : 16;
    struct client **more = realloc(w->clients, slots * sizeof(*more));

    if (!more)
        return UINT32_MAX;
    memset(more + w->client_slots, 0, (slots - w->client_slots) * sizeof(*more));
    w->clients = more;
    w->client_slots = slots;
    return slot;
}

void worker_client_start(struct worker *w, int fd, const struct welcome *welcome, struct bytes rest)
{
    uint32_t slot = free_slot(w);
    struct client *c = slot == UINT32_MAX ? NULL : calloc(1, sizeof(*c));

    if (!c) {
        close(fd);
        return;
    }
    /* 31 bits: the highest of a client's name is SHARD_CLIENT_RELAY. */
    w->next_generation = w->next_generation % INT32_MAX + 1;
    *c = (struct client){w, NULL, w->next_generation, slot};
    c->conn = conn_attach(w->loop, fd, rest, &client_handler, c);
    if (!c->conn) {
        free(c);
        return;
    }
    conn_set_out_max(c->conn, (size_t)w->node->options.connection_output);
    conn_keep(c->conn, CONN_KEEP_BUSY);
    w->clients[slot] = c;
    w->client_count++;
    if (message_put_welcome(conn_out(c->conn), welcome) != 0)
        client_end(c);
    else
        conn_flush_later(c->conn);
}

bool worker_clients_quiet(const struct worker *w)
{
    for (uint32_t i = 0; i < w->client_slots; i++)
        if (w->clients[i] && conn_out_len(w->clients[i]->conn))
            return false;
    return true;
}

void worker_clients_pause(struct worker *w)
{
    for (uint32_t i = 0; i < w->client_slots; i++)
        if (w->clients[i])
            conn_pause(w->clients[i]->conn);
}

void worker_clients_free(struct worker *w)
{
    for (uint32_t i = 0; i < w->client_slots; i++)
        if (w->clients[i])
            client_end(w->clients[i]);
    free(w->clients);
}
