#include "proxy/link.h"
#include "proxy/link_report.h"
#include "proxy/worker.h"
#include "shared/conn.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/message.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BACKOFF_MIN_MS = 10,
    BACKOFF_MAX_MS = 1000,
    STEADY_MS = 250,    /* a link that ends sooner counts as one that failed */
    SEND_ALL = 1 << 30, /* replies are read however much waits to be sent: otherwise two full
                           buffers could wait for each other */
};

static void link_open(struct link *l);

/* Doubles with each failure, and differs from link to link, so that they do not all come at once.
 */
static uint64_t backoff_ms(const struct link *l)
{
    uint32_t doublings = l->failures < 7 ? l->failures : 7;
    uint64_t wait = (uint64_t)BACKOFF_MIN_MS << doublings;
    uint64_t spread = (l->shard * 7u + l->identity[0] + l->failures * 13u) % 32;

    wait = wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS;
    return wait - wait * spread / 128;
}

static void link_down(struct link *l, const char *why)
{
    bool was_up = l->lane.state == LANE_UP;
    uint32_t reason = crc32c(0, why, strlen(why));

    if (l->conn)
        conn_close(l->conn);
    l->conn = NULL;
    if (was_up || l->failures == 0 || l->told != reason)
        link_report_note(l->worker->proxy->links, l->member, was_up ? LINK_LOST : LINK_FAILED,
                         l->shard, why);
    l->told = reason;
    /* A node that welcomes us and closes at the first request, as another version may, would be
     * asked a hundred times a second. */
    if (was_up && l->worker->router.now_ms - l->up_ms >= STEADY_MS)
        l->failures = 0;
    else
        l->failures++;
    if (was_up) {
        router_lane_lost(&l->worker->router, &l->lane);
    } else {
        router_lane_failed(&l->worker->router, &l->lane);
    }
    loop_timer_set(l->timer, backoff_ms(l));
}

static void take_welcome(struct link *l, const struct frame *f)
{
    const struct secret *secret = &l->worker->proxy->secret;
    struct welcome welcome;

    if (f->type == MESSAGE_CHALLENGE) {
        if (handshake_answer(&l->handshake, secret, f->body, conn_out(l->conn)) != 0)
            link_down(l, HANDSHAKE_NO_SECRET);
        else
            conn_flush_later(l->conn);
        return;
    }
    if (f->type != MESSAGE_WELCOME || message_get_welcome(f->body, &welcome) != 0) {
        link_down(l, "it does not answer the handshake");
        return;
    }
    if (!handshake_trusts(&l->handshake, secret, &welcome)) {
        link_down(l, HANDSHAKE_NO_TRUST);
        return;
    }
    if (memcmp(welcome.cluster, l->cluster, IDENTITY_SIZE) != 0 ||
        memcmp(welcome.identity, l->identity, IDENTITY_SIZE) != 0) {
        link_down(l, "another node answers there");
        worker_want_ring(l->worker);
        return;
    }
    loop_timer_cancel(l->timer);
    link_report_note(l->worker->proxy->links, l->member, LINK_UP, l->shard, "");
    l->up_ms = l->worker->router.now_ms;
    if (welcome.epoch > l->epoch)
        worker_want_ring(l->worker);
    router_lane_up(&l->worker->router, &l->lane, conn_out(l->conn));
}

static void take_goodbye(struct link *l, struct bytes body)
{
    struct goodbye goodbye;
    char why[200];

    if (message_get_goodbye(body, &goodbye) != 0) {
        link_down(l, "damaged message");
        return;
    }
    snprintf(why, sizeof(why), "%s: %.*s", rk_error_text(goodbye.error),
             (int)(goodbye.text.size < 150 ? goodbye.text.size : 150),
             (const char *)goodbye.text.data);
    /* Most refusals come from a ring that one of us has not seen yet. */
    worker_want_ring(l->worker);
    link_down(l, why);
}

/* 0 or RK_CORRUPT. */
static int take_answer(struct link *l, const struct frame *f)
{
    struct router *r = &l->worker->router;

    if (f->type == MESSAGE_WAITS)
        return router_waits(r, &l->lane, f->body);
    if (f->type == MESSAGE_TOUCHED)
        return router_touched(r, &l->lane, f->body);
    return f->type == MESSAGE_REPLY ? router_reply(r, &l->lane, f->body) : RK_CORRUPT;
}

static void take_frame(struct link *l, const struct frame *f)
{
    if (f->type == MESSAGE_GOODBYE)
        take_goodbye(l, f->body);
    else if (l->lane.state != LANE_UP)
        take_welcome(l, f);
    else if (f->type == MESSAGE_RING)
        worker_want_ring(l->worker);
    else if (f->type == MESSAGE_PONG)
        l->lane.unanswered = 0;
    else if (take_answer(l, f) != 0)
        link_down(l, "damaged or unexpected message");
}

static size_t on_data(void *owner, struct conn *c, struct bytes in)
{
    struct link *l = owner;
    size_t used = 0;

    worker_look_at_clock(l->worker);
    l->lane.heard_ms = l->worker->router.now_ms;
    while (l->conn == c) {
        struct frame frame;
        int64_t size =
            frame_read(bytes_of(in.data + used, in.size - used),
                       l->lane.state == LANE_UP ? FRAME_BODY_MAX : HANDSHAKE_BODY_MAX, &frame);

        if (size == RK_MORE)
            break;
        if (size < 0) {
            link_down(l, rk_error_text((int)size));
            break;
        }
        used += (size_t)size;
        take_frame(l, &frame);
    }
    return used;
}

static void on_end(void *owner, struct conn *c, int error)
{
    struct link *l = owner;

    (void)c;
    worker_look_at_clock(l->worker);
    link_down(l, error ? strerror(error) : "closed by the node");
}

static void on_open(void *owner, struct conn *c)
{
    struct link *l = owner;
    struct hello hello = {.role = ROLE_PROXY, .shard = l->shard, .epoch = l->epoch};

    l->handshake = (struct handshake){.challenged = false};
    memcpy(hello.cluster, l->cluster, IDENTITY_SIZE);
    memcpy(hello.target, l->identity, IDENTITY_SIZE);
    if (message_put_hello(conn_out(c), &hello) != 0) {
        link_down(l, rk_error_text(RK_NOMEM));
        return;
    }
    conn_flush_later(c);
}

static const struct conn_handler handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_open = on_open,
};

static void link_open(struct link *l)
{
    l->conn = conn_connect(l->worker->loop, l->host, l->port, &handler, l);
    if (!l->conn) {
        link_down(l, strerror(errno));
        return;
    }
    conn_set_out_max(l->conn, SEND_ALL);
    conn_keep(l->conn, CONN_KEEP_BUSY);
    loop_timer_set(l->timer, (uint64_t)l->worker->proxy->options->request_timeout_ms);
}

static void on_timer(void *arg)
{
    struct link *l = arg;

    worker_look_at_clock(l->worker);
    if (l->conn)
        link_down(l, "no answer to the handshake");
    else
        link_open(l);
}

struct link *link_new(struct worker *w, const struct ring *ring, const struct ring_member *member,
                      uint16_t shard)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->worker = w;
    l->shard = shard;
    l->port = member->port;
    l->epoch = ring->epoch;
    memcpy(l->cluster, ring->cluster, IDENTITY_SIZE);
    memcpy(l->identity, member->identity, IDENTITY_SIZE);
    memcpy(l->host, member->host, sizeof(l->host));
    l->lane.state = LANE_OPENING;
    l->timer = loop_timer_new(w->loop, on_timer, l);
    l->member = l->timer ? link_report_join(w->proxy->links, member) : NULL;
    if (!l->member) {
        loop_timer_free(l->timer);
        free(l);
        return NULL;
    }
    link_open(l);
    return l;
}

bool link_leads_to(const struct link *l, const struct ring_member *member)
{
    return memcmp(l->identity, member->identity, IDENTITY_SIZE) == 0 && l->port == member->port &&
           strcmp(l->host, member->host) == 0;
}

void link_flush(struct link *l)
{
    if (l->conn)
        conn_flush_later(l->conn);
}

void link_check(struct link *l, uint64_t now_ms, uint64_t silence_ms)
{
    if (l->lane.state == LANE_UP && l->lane.unanswered && l->lane.heard_ms + silence_ms < now_ms)
        link_down(l, "requests time out and nothing arrives");
}

void link_free(struct link *l)
{
    if (l->conn)
        conn_close(l->conn);
    l->conn = NULL;
    link_report_leave(l->worker->proxy->links, l->member, l->lane.state == LANE_UP);
    router_lane_lost(&l->worker->router, &l->lane);
    loop_timer_free(l->timer);
    free(l);
}
