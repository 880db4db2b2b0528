#include "node/link_parts.h"
#include "node/shard.h"
#include "shared/address.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/log.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LINK_SILENCE_FACTOR = 4, /* times node_timeout */
    STEADY_MS = 250, /* a link that ends sooner is made again ever later, as one that failed */
};

/* --- up and down ---------------------------------------------------------------------------- */

static void say_alive(struct link *l)
{
    struct links *s = l->links;

    l->said_ms = loop_now_ms(s->loop);
    if (message_put_ping(conn_out(l->conn), s->options.durable(s->options.arg)) == 0)
        conn_flush_later(l->conn);
}

static void link_up(struct link *l)
{
    l->state = LINK_UP;
    l->broken = false;
    /* Before anything that an old copy of a data folder could be believed. */
    say_alive(l);
    l->heard_ms = l->up_ms = loop_now_ms(l->links->loop);
    l->links->counters.up++;
    l->links->counters.opened++;
    shard_peer_up(l->links->shard, l->member->number, l->shard, l->member->shards);
}

static void leave(struct link *l, enum link_state state)
{
    bool was_up = l->state == LINK_UP;

    l->state = (uint8_t)state;
    l->told_up = false;
    if (!was_up)
        return;
    l->links->counters.up--;
    l->links->counters.lost++;
    shard_peer_down(l->links->shard, l->member->number, l->shard, l->member->shards);
}

void links_close(struct link *l)
{
    uint64_t now = loop_now_ms(l->links->loop);

    if (l->conn)
        conn_close(l->conn);
    l->conn = NULL;
    /* Two versions that do not understand each other would meet fifty times a second. */
    if (l->state == LINK_UP && now - l->up_ms >= STEADY_MS)
        l->backoff_ms = LINK_BACKOFF_MS_MIN;
    l->retry_ms = now + l->backoff_ms;
    l->backoff_ms =
        l->backoff_ms * 2 > LINK_BACKOFF_MS_MAX ? LINK_BACKOFF_MS_MAX : l->backoff_ms * 2;
    leave(l, LINK_DOWN);
}

static void link_failed(struct link *l, int error, const char *what)
{
    char at[ADDRESS_TEXT_SIZE];

    if (l->told_up || l->told_error != error)
        log_warn("link: %s member=%s address=%s shard=%u", what, l->member->name,
                 address_text(l->member->host, l->member->port, at), l->shard);
    l->told_error = error;
    links_close(l);
}

/* --- what arrives --------------------------------------------------------------------------- */

/* The other side is told by its HELLO or WELCOME how new its ring is. */
static void compare_epochs(struct link *l, uint64_t epoch)
{
    struct links *s = l->links;

    if (epoch > s->ring->epoch)
        s->options.newer_epoch(s->options.arg, epoch, l->member->number);
}

static void tell_refusal(struct link *l, int error, struct bytes text)
{
    char at[ADDRESS_TEXT_SIZE];

    if (l->told_error != error)
        log_warn("link: refused by member=%s address=%s: %.*s", l->member->name,
                 address_text(l->member->host, l->member->port, at), (int)text.size,
                 (const char *)text.data);
    l->told_error = error;
    l->links->counters.refused++;
}

static int challenged(struct link *l, struct bytes body)
{
    int error = handshake_answer(&l->handshake, l->links->options.secret, body, conn_out(l->conn));

    if (error == RK_REFUSED)
        tell_refusal(l, error, bytes_from(HANDSHAKE_NO_SECRET));
    conn_flush_later(l->conn);
    return error;
}

static int greeted(struct link *l, const struct frame *f)
{
    struct welcome welcome;
    struct goodbye goodbye;

    if (f->type == MESSAGE_CHALLENGE)
        return challenged(l, f->body);
    if (f->type == MESSAGE_GOODBYE && message_get_goodbye(f->body, &goodbye) == 0) {
        tell_refusal(l, goodbye.error, goodbye.text);
        /* It may have a ring that this node is not in. */
        if (goodbye.error == RK_MEMBER)
            compare_epochs(l, l->links->ring->epoch + 1);
        return RK_REFUSED;
    }
    if (f->type != MESSAGE_WELCOME || message_get_welcome(f->body, &welcome) != 0)
        return RK_CORRUPT;
    if (!handshake_trusts(&l->handshake, l->links->options.secret, &welcome)) {
        tell_refusal(l, RK_REFUSED, bytes_from(HANDSHAKE_NO_TRUST));
        return RK_REFUSED;
    }
    if (memcmp(welcome.identity, l->member->identity, IDENTITY_SIZE) != 0)
        return RK_MEMBER;
    compare_epochs(l, welcome.epoch);
    link_up(l);
    return 0;
}

/* What was acknowledged, promised and read from there is forgotten: nothing it says now counts. */
static void refuse_stale(struct link *l, uint64_t durable)
{
    char what[200];

    snprintf(what, sizeof(what),
             "the log of shard %u is at %" PRIu64 ", and was at %" PRIu64 " before", l->shard,
             durable - 1, l->durable - 1);
    log_error(
        "link: member=%s comes with an old copy of its data folder: %s; it is refused. Replace "
        "it (ringctl replace)",
        l->member->name, what);
    l->links->counters.refused++;
    message_put_goodbye(conn_out(l->conn), RK_STALE, what);
    leave(l, LINK_REFUSING);
    conn_close_after_flush(l->conn);
}

static int take_sign_of_life(struct link *l, struct bytes body)
{
    uint64_t durable;
    int error = message_get_tag(body, &durable);

    if (error || !durable)
        return error;
    if (durable < l->durable)
        refuse_stale(l, durable);
    else
        l->durable = durable;
    return 0;
}

static int take_goodbye(struct link *l, struct bytes body)
{
    struct goodbye goodbye;

    if (message_get_goodbye(body, &goodbye) == 0 && goodbye.error == RK_STALE)
        l->links->options.stale(l->links->options.arg, goodbye.text);
    return RK_CLOSED;
}

static int take_frame(struct link *l, const struct frame *f)
{
    if (l->state == LINK_GREETING)
        return greeted(l, f);
    switch (f->type) {
    case MESSAGE_PING:
        return take_sign_of_life(l, f->body);
    case MESSAGE_GOODBYE:
        return take_goodbye(l, f->body);
    default:
        return shard_peer_message(l->links->shard, l->member->number, f->type, f->body);
    }
}

static size_t on_data(void *owner, struct conn *c, struct bytes in)
{
    struct link *l = owner;
    size_t taken = 0;

    l->heard_ms = loop_now_ms(l->links->loop);
    l->links->shard->wall_ms = l->links->options.wall_ms();
    while (l->conn == c && l->state != LINK_REFUSING) {
        struct frame f;
        int64_t size =
            frame_read(bytes_of(in.data + taken, in.size - taken),
                       l->state == LINK_GREETING ? HANDSHAKE_BODY_MAX : FRAME_BODY_MAX, &f);
        int error = size < 0 ? (int)size : 0;

        if (error == RK_MORE)
            break;
        if (!error)
            error = take_frame(l, &f);
        if (error == RK_REFUSED) { /* which was told */
            links_close(l);
            break;
        }
        if (error) {
            link_failed(l, error, rk_error_text(error));
            break;
        }
        taken += (size_t)size;
    }
    l->links->counters.bytes_in += taken;
    return taken;
}

static void on_end(void *owner, struct conn *c, int error)
{
    struct link *l = owner;

    (void)c;
    link_failed(l, error ? error : -1, error ? strerror(error) : "closed by the other side");
}

static void on_open(void *owner, struct conn *c)
{
    struct link *l = owner;
    struct links *s = l->links;
    struct hello hello = {.role = ROLE_NODE,
                          .from_shard = (uint8_t)s->options.shard,
                          .shard = l->shard,
                          .epoch = s->ring->epoch};

    memcpy(hello.cluster, s->ring->cluster, IDENTITY_SIZE);
    memcpy(hello.identity, s->options.identity, IDENTITY_SIZE);
    memcpy(hello.target, l->member->identity, IDENTITY_SIZE);
    l->handshake = (struct handshake){.challenged = false};
    l->state = LINK_GREETING;
    l->heard_ms = loop_now_ms(s->loop);
    if (message_put_hello(conn_out(c), &hello) != 0)
        links_close(l);
    else
        conn_flush_later(c);
}

static void on_drain(void *owner, struct conn *c)
{
    struct link *l = owner;

    (void)c;
    if (l->state == LINK_UP)
        shard_peer_room(l->links->shard, l->member->number, l->shard, l->member->shards);
}

static const struct conn_handler handler = {on_data, on_end, on_open, on_drain};

void links_adopt(struct links *s, int fd, struct bytes rest, const struct hello *hello,
                 const struct welcome *welcome)
{
    int index = s->ring ? ring_member_by_identity(s->ring, hello->identity) : -1;
    struct link *l = index < 0 || hello->from_shard >= s->ring->members[index].shards
                         ? NULL
                         : s->all[s->base[index] + hello->from_shard];

    if (!l || index >= s->me) {
        close(fd);
        return;
    }
    /* The other side has noticed first that the old connection is of no use. */
    links_close(l);
    l->conn = conn_attach(s->loop, fd, rest, &handler, l);
    if (!l->conn)
        return;
    conn_set_out_max(l->conn, s->options.out_max);
    conn_keep(l->conn, CONN_KEEP_BUSY);
    conn_read_always(l->conn);
    if (message_put_welcome(conn_out(l->conn), welcome) != 0) {
        links_close(l);
        return;
    }
    conn_flush_later(l->conn);
    compare_epochs(l, hello->epoch);
    link_up(l);
}

/* --- for the shard -------------------------------------------------------------------------- */

struct buf *links_out(struct links *s, uint16_t member, uint32_t partition)
{
    struct link *l = links_find(s, member, partition);

    if (!l || l->state != LINK_UP || l->broken)
        return NULL;
    conn_flush_later(l->conn);
    return conn_out(l->conn);
}

bool links_have_room(struct links *s, uint16_t member, uint32_t partition)
{
    struct link *l = links_find(s, member, partition);

    return l && l->state == LINK_UP && !l->broken && conn_out_len(l->conn) <= s->options.out_max;
}

void links_break(struct links *s, uint16_t member, uint32_t partition)
{
    struct link *l = links_find(s, member, partition);

    if (l)
        l->broken = true;
}

/* For how long nothing has been heard. */
static uint64_t silence_ms(const struct link *l)
{
    return loop_now_ms(l->links->loop) - l->heard_ms;
}

bool links_alive(struct links *s, uint16_t member, uint32_t partition)
{
    struct link *l = links_find(s, member, partition);

    return l && l->state == LINK_UP && silence_ms(l) <= s->options.node_timeout_ms;
}

void links_counters(const struct links *s, struct links_counters *out)
{
    *out = s->counters;
}

/* --- time ----------------------------------------------------------------------------------- */

static void open_link(struct link *l)
{
    struct links *s = l->links;

    l->conn = conn_connect(s->loop, l->member->host, l->member->port, &handler, l);
    if (!l->conn) {
        link_failed(l, errno, strerror(errno));
        return;
    }
    conn_set_out_max(l->conn, s->options.out_max);
    conn_keep(l->conn, CONN_KEEP_BUSY);
    conn_read_always(l->conn);
    l->state = LINK_CONNECTING;
    l->heard_ms = loop_now_ms(s->loop);
}

/* Not at once: a node that did not run for a while finds all the connections that others made and
 * gave up meanwhile. */
static void tell_up(struct link *l)
{
    l->told_up = true;
    l->told_error = 0;
    log_info("link: up member=%s shard=%u", l->member->name, l->shard);
}

void links_tick(struct links *s)
{
    uint64_t now = loop_now_ms(s->loop), timeout = s->options.node_timeout_ms;

    for (size_t i = 0; i < s->count; i++) {
        struct link *l = s->all[i];
        int index = (int)(l->member - s->ring->members);

        if (l->state == LINK_UP && !l->told_up)
            tell_up(l);
        if (l->state == LINK_DOWN) {
            if (l->meets && index > s->me && now >= l->retry_ms)
                open_link(l);
        } else if (l->state == LINK_UP && l->broken) {
            link_failed(l, ENOMEM, "out of memory for what was to be sent");
        } else if (silence_ms(l) > timeout * LINK_SILENCE_FACTOR) {
            link_failed(l, ETIMEDOUT, "silent for too long");
        } else if (l->state == LINK_UP && now - l->said_ms > timeout / 3) {
            say_alive(l);
        }
    }
}
