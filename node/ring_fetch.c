#include "node/ring_fetch.h"
#include "shared/conn.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/log.h"
#include "shared/message.h"
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MS = 20,     /* before the first question: most often the ring is on its way already */
    PAUSE_MS = 200,   /* between two members that were of no use */
    ANSWER_MS = 2000, /* for one member to answer */
    RING_TAG = 1,
};

struct ring_fetch {
    struct loop *loop;
    struct loop_timer *timer; /* waits to ask, or for an answer */
    struct conn *conn;        /* NULL: nobody is being asked */
    uint8_t identity[IDENTITY_SIZE];
    const struct secret *secret;
    struct handshake handshake;
    bool welcome; /* who answers has shown that it is of the cluster */
    void (*take)(void *arg, struct bytes ring);
    void *arg;
    const struct ring *ring;
    uint64_t heard; /* the newest epoch */
    uint16_t from;  /* who is to be asked next; 0: `next` */
    uint32_t next;  /* index of a member */
    uint32_t left;  /* members that are still to be asked */
    bool waiting;   /* the timer is set, to ask */
};

static void rest(struct ring_fetch *f)
{
    loop_timer_cancel(f->timer);
    f->waiting = false;
    f->left = 0;
}

static void wait_to_ask(struct ring_fetch *f, uint64_t ms)
{
    f->waiting = true;
    loop_timer_set(f->timer, ms);
}

static void hang_up(struct ring_fetch *f)
{
    if (f->conn)
        conn_close(f->conn);
    f->conn = NULL;
}

/* This member was of no use; the next one, if any is left. */
static void give_up(struct ring_fetch *f)
{
    hang_up(f);
    if (f->left && f->ring && f->heard > f->ring->epoch)
        wait_to_ask(f, PAUSE_MS);
    else
        rest(f);
}

/* --- the conversation ----------------------------------------------------------------------- */

static int take_welcome(struct ring_fetch *f, const struct frame *frame)
{
    struct welcome welcome;

    conn_flush_later(f->conn);
    if (frame->type == MESSAGE_CHALLENGE)
        return handshake_answer(&f->handshake, f->secret, frame->body, conn_out(f->conn));
    if (frame->type != MESSAGE_WELCOME || message_get_welcome(frame->body, &welcome) != 0)
        return RK_CORRUPT;
    if (!handshake_trusts(&f->handshake, f->secret, &welcome))
        return RK_REFUSED;
    f->welcome = true;
    return message_put_ring_get(conn_out(f->conn), RING_TAG);
}

static int take_frame(struct ring_fetch *f, const struct frame *frame)
{
    struct bytes ring;
    uint64_t tag;

    if (!f->welcome)
        return take_welcome(f, frame);
    if (frame->type != MESSAGE_RING || message_get_tagged(frame->body, &tag, &ring) != 0)
        return RK_CORRUPT;
    f->take(f->arg, ring);
    return RK_CLOSED;
}

static size_t on_data(void *owner, struct conn *c, struct bytes in)
{
    struct ring_fetch *f = owner;
    size_t taken = 0;

    while (f->conn == c) {
        struct frame frame;
        int64_t size = frame_read(bytes_of(in.data + taken, in.size - taken),
                                  f->welcome ? FRAME_BODY_MAX : HANDSHAKE_BODY_MAX, &frame);
        int error = size < 0 ? (int)size : take_frame(f, &frame);

        if (error == RK_MORE)
            break;
        if (error)
            give_up(f);
        else
            taken += (size_t)size;
    }
    return taken;
}

static void on_end(void *owner, struct conn *c, int error)
{
    (void)c;
    (void)error;
    give_up(owner);
}

static void on_open(void *owner, struct conn *c)
{
    struct ring_fetch *f = owner;
    struct hello hello = {.role = ROLE_NODE, .shard = SHARD_FRONT, .epoch = f->ring->epoch};

    f->handshake = (struct handshake){.challenged = false};
    f->welcome = false;
    memcpy(hello.cluster, f->ring->cluster, IDENTITY_SIZE);
    memcpy(hello.identity, f->identity, IDENTITY_SIZE);
    if (message_put_hello(conn_out(c), &hello) != 0)
        give_up(f);
    else
        conn_flush_later(c);
}

static const struct conn_handler handler = {on_data, on_end, on_open, NULL};

/* Whom to ask: the one that told of the epoch, else the members in turn, this node left out. */
static const struct ring_member *choose(struct ring_fetch *f)
{
    int index = f->from ? ring_member_by_number(f->ring, f->from) : -1;

    f->from = 0;
    if (index < 0) {
        index = (int)(f->next++ % f->ring->member_count);
        f->left--;
    }
    return memcmp(f->ring->members[index].identity, f->identity, IDENTITY_SIZE) == 0
               ? NULL
               : &f->ring->members[index];
}

static void ask(struct ring_fetch *f)
{
    const struct ring_member *m = NULL;

    while (!m && f->left)
        m = choose(f);
    if (!m) {
        rest(f);
        return;
    }
    log_debug("ring: asks member=%s for epoch=%llu", m->name, (unsigned long long)f->heard);
    f->conn = conn_connect(f->loop, m->host, m->port, &handler, f);
    if (!f->conn)
        give_up(f);
    else
        loop_timer_set(f->timer, ANSWER_MS);
}

static void on_timer(void *arg)
{
    struct ring_fetch *f = arg;

    f->waiting = false;
    if (f->conn)
        give_up(f);
    else if (f->ring && f->heard > f->ring->epoch)
        ask(f);
    else
        rest(f);
}

/* --- its life ------------------------------------------------------------------------------- */

struct ring_fetch *ring_fetch_new(struct loop *loop, const uint8_t identity[IDENTITY_SIZE],
                                  const struct secret *secret,
                                  void (*take)(void *arg, struct bytes ring), void *arg)
{
    struct ring_fetch *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->loop = loop;
    f->secret = secret;
    f->take = take;
    f->arg = arg;
    memcpy(f->identity, identity, IDENTITY_SIZE);
    f->timer = loop_timer_new(loop, on_timer, f);
    if (f->timer)
        return f;
    free(f);
    return NULL;
}

void ring_fetch_free(struct ring_fetch *f)
{
    if (!f)
        return;
    hang_up(f);
    loop_timer_free(f->timer);
    free(f);
}

void ring_fetch_know(struct ring_fetch *f, const struct ring *ring)
{
    f->ring = ring;
}

void ring_fetch_hear(struct ring_fetch *f, uint64_t epoch, uint16_t member)
{
    if (!f->ring || epoch <= f->ring->epoch)
        return;
    if (epoch > f->heard)
        f->heard = epoch;
    if (member)
        f->from = member;
    f->left = f->ring->member_count;
    if (!f->conn && !f->waiting)
        wait_to_ask(f, WAIT_MS);
}
