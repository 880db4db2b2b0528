#include "shared/conn_parts.h"
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OUT_MAX_DEFAULT = 1 << 20,
    READ_SIZE_MIN = 16 << 10,
    KEEP_DEFAULT = 4 << 10,
};

void conn_free_if_unused(struct conn *c)
{
    if (!c->dead || c->busy || c->on_resume || c->on_flush)
        return;
    buf_free(&c->in);
    buf_free(&c->out);
    free(c->peer);
    free(c->local);
    free(c);
}

/* Output beyond its bound stops reading, unless the owner wants it not to. */
static bool held_up(const struct conn *c)
{
    return c->throttled && !c->reads_always;
}

void conn_arm_read(struct conn *c)
{
    bool open = !c->paused && !held_up(c) && !c->ended && !c->closing && !c->connecting;
    bool wanted = !c->dead && (open || c->parting);

    if (wanted == c->reading)
        return;
    if ((wanted ? event_add(&c->read_event, NULL) : event_del(&c->read_event)) == 0)
        c->reading = wanted;
}

void conn_arm_write(struct conn *c, bool wanted)
{
    if (wanted == c->writing)
        return;
    if ((wanted ? event_add(&c->write_event, NULL) : event_del(&c->write_event)) == 0)
        c->writing = wanted;
}

void conn_end(struct conn *c, int error)
{
    if (c->dead)
        return;
    c->ended = true;
    conn_arm_read(c);
    if (error || c->closing)
        conn_arm_write(c, false);
    loop_work(c->loop)->again = 1;
    c->handler->on_end(c->owner, c, error);
}

/* Hands input over; the caller holds `busy`. */
static void deliver(struct conn *c, struct bytes in)
{
    bool kept = in.data == buf_head(&c->in) && buf_len(&c->in) > 0;
    size_t taken = c->handler->on_data(c->owner, c, in);

    if (c->dead)
        return;
    assert(taken <= in.size);
    if (kept) {
        buf_consume(&c->in, taken);
        buf_trim(&c->in, c->keep);
    } else if (buf_append(&c->in, in.data + taken, in.size - taken) != 0) {
        conn_end(c, ENOMEM);
    }
}

/* The caller holds `busy`. */
static void throw_away(struct conn *c)
{
    size_t size;
    uint8_t *to = loop_scratch(c->loop, &size);
    ssize_t n = recv(c->fd, to, size, 0);

    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    c->parting = false;
    conn_end(c, n < 0 ? errno : 0);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    size_t size;
    uint8_t *to = loop_scratch(c->loop, &size);
    bool kept = buf_len(&c->in) > 0;

    (void)what;
    /* What was kept is handed over at the end of this turn; before it, the end of the input could
     * overtake it. */
    if (kept && c->on_resume)
        return;
    c->busy++;
    if (c->parting) {
        throw_away(c);
        goto out;
    }
    if (kept) {
        /* Behind an incomplete command: large ones grow in large steps. */
        size_t room = c->in.size - c->in.end;

        size = room > READ_SIZE_MIN ? room : READ_SIZE_MIN;
        to = buf_reserve(&c->in, size);
        if (!to) {
            conn_end(c, ENOMEM);
            goto out;
        }
    }

    ssize_t n = recv(fd, to, size, 0);

    if (n > 0 && kept) {
        buf_commit(&c->in, (size_t)n);
        deliver(c, buf_bytes(&c->in));
    } else if (n > 0) {
        deliver(c, bytes_of(to, (size_t)n));
    } else if (n == 0) {
        conn_end(c, 0);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_end(c, errno);
    }
out:
    c->busy--;
    conn_free_if_unused(c);
}

/* Output has fallen to half of its bound. */
static void drained(struct conn *c)
{
    c->throttled = false;
    conn_arm_read(c);
    if (!c->paused)
        conn_resume(c);
    loop_work(c->loop)->again = 1;
    if (c->handler->on_drain)
        c->handler->on_drain(c->owner, c);
}

static void throttle(struct conn *c)
{
    if (c->throttled || buf_len(&c->out) <= c->out_max)
        return;
    c->throttled = true;
    loop_work(c->loop)->throttles++;
}

static void flush(struct conn *c)
{
    if (c->connecting)
        return;
    /* Looked at before the write: the owner may have stopped for it, and waits for on_drain even
     * when all of it leaves at once. */
    throttle(c);
    if (buf_len(&c->out) > 0) {
        ssize_t n = send(c->fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);

        if (n > 0) {
            buf_consume(&c->out, (size_t)n);
            c->stalled_since = 0;
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            int error = errno;

            buf_free(&c->out);
            conn_end(c, error);
            return;
        }
    }
    if (buf_len(&c->out) == 0) {
        buf_trim(&c->out, c->keep);
        conn_arm_write(c, false);
        if (c->closing && !c->parting) {
            conn_end(c, 0);
            return;
        }
    } else {
        if (!c->stalled_since)
            c->stalled_since = loop_now_ms(c->loop) | 1;
        conn_arm_write(c, true);
    }
    if (c->throttled && buf_len(&c->out) <= c->out_max / 2)
        drained(c);
    else
        conn_arm_read(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    (void)what;
    c->busy++;
    if (c->connecting)
        conn_connected(c);
    else
        flush(c);
    c->busy--;
    conn_free_if_unused(c);
}

uint64_t conn_throttles(struct loop *l)
{
    return loop_work(l)->throttles;
}

void conn_resume_all(struct loop *l)
{
    struct conn *c = loop_work(l)->resume;

    loop_work(l)->resume = NULL;
    while (c) {
        struct conn *next = c->next_resume;

        c->on_resume = false;
        if (!c->dead && !c->paused && !held_up(c) && !c->ended && !c->closing &&
            buf_len(&c->in) > 0) {
            c->busy++;
            deliver(c, buf_bytes(&c->in));
            c->busy--;
        }
        conn_free_if_unused(c);
        c = next;
    }
}

void conn_flush_all(struct loop *l)
{
    struct conn *c;

    while ((c = loop_work(l)->flush) != NULL) {
        loop_work(l)->flush = c->next_flush;
        c->on_flush = false;
        c->busy++;
        /* While the write event is armed the kernel says when there is room. */
        if (!c->dead && !c->writing) {
            flush(c);
        } else if (!c->dead) {
            throttle(c);
            conn_arm_read(c);
        }
        c->busy--;
        conn_free_if_unused(c);
    }
}

void conn_forget_all(struct loop *l)
{
    struct loop_work *work = loop_work(l);
    struct conn *c;

    while ((c = work->resume) != NULL) {
        work->resume = c->next_resume;
        c->on_resume = false;
        conn_free_if_unused(c);
    }
    while ((c = work->flush) != NULL) {
        work->flush = c->next_flush;
        c->on_flush = false;
        conn_free_if_unused(c);
    }
}

void conn_use_descriptor(struct conn *c, int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, CONN_ALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, CONN_ALIVE_AGAIN_S},
        {IPPROTO_TCP, TCP_KEEPCNT, CONN_ALIVE_TIMES},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
    };

    /* Fails on sockets that are not TCP (socketpairs in tests), where it is not needed. */
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    c->fd = fd;
    event_assign(&c->read_event, loop_base(c->loop), fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->write_event, loop_base(c->loop), fd, EV_WRITE | EV_PERSIST, on_writable, c);
}

struct conn *conn_make(struct loop *l, const struct conn_handler *handler, void *owner)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->fd = -1;
    c->loop = l;
    c->handler = handler;
    c->owner = owner;
    c->out_max = OUT_MAX_DEFAULT;
    c->keep = KEEP_DEFAULT;
    return c;
}

struct conn *conn_new(struct loop *l, int fd, const struct conn_handler *handler, void *owner)
{
    return conn_attach(l, fd, (struct bytes){0}, handler, owner);
}

struct conn *conn_attach(struct loop *l, int fd, struct bytes rest,
                         const struct conn_handler *handler, void *owner)
{
    struct conn *c = conn_make(l, handler, owner);

    if (!c || evutil_make_socket_nonblocking(fd) != 0 || evutil_make_socket_closeonexec(fd) != 0) {
        free(c);
        close(fd);
        return NULL;
    }
    conn_use_descriptor(c, fd);
    conn_arm_read(c);
    if (!c->reading || buf_append(&c->in, rest.data, rest.size) != 0) {
        conn_close(c);
        return NULL;
    }
    if (rest.size)
        conn_resume(c);
    return c;
}

/* Unhooks the connection from the loop; its descriptor stays open. */
static void forget(struct conn *c)
{
    conn_end_connecting(c);
    if (c->fd >= 0) {
        event_del(&c->read_event);
        event_del(&c->write_event);
    }
    c->reading = c->writing = false;
    c->dead = true;
}

void conn_close(struct conn *c)
{
    if (c->dead)
        return;
    forget(c);
    if (c->fd >= 0)
        close(c->fd);
    conn_free_if_unused(c);
}

int conn_detach(struct conn *c)
{
    int fd = c->fd;

    forget(c);
    conn_free_if_unused(c);
    return fd;
}

void conn_close_after_flush(struct conn *c)
{
    if (c->dead)
        return;
    c->closing = true;
    conn_arm_read(c);
    conn_flush_later(c);
}

void conn_part(struct conn *c)
{
    if (c->dead)
        return;
    shutdown(c->fd, SHUT_WR);
    buf_free(&c->in);
    c->parting = true;
    conn_arm_read(c);
}

struct buf *conn_out(struct conn *c)
{
    return &c->out;
}

void conn_flush_later(struct conn *c)
{
    if (c->on_flush || c->dead)
        return;
    c->on_flush = true;
    c->next_flush = loop_work(c->loop)->flush;
    loop_work(c->loop)->flush = c;
}

void conn_set_out_max(struct conn *c, size_t out_max)
{
    c->out_max = out_max;
}

void conn_keep(struct conn *c, size_t size)
{
    c->keep = size;
}

void conn_read_always(struct conn *c)
{
    c->reads_always = true;
    conn_arm_read(c);
}

void conn_pause(struct conn *c)
{
    c->paused = true;
    conn_arm_read(c);
}

void conn_resume(struct conn *c)
{
    if (c->dead)
        return;
    c->paused = false;
    conn_arm_read(c);
    /* From inside on_data it is not known yet whether something will be kept. */
    if (c->on_resume || (buf_len(&c->in) == 0 && !c->busy))
        return;
    c->on_resume = true;
    c->next_resume = loop_work(c->loop)->resume;
    loop_work(c->loop)->resume = c;
}

uint64_t conn_stalled_ms(const struct conn *c)
{
    return c->stalled_since ? loop_now_ms(c->loop) - (c->stalled_since & ~(uint64_t)1) : 0;
}

/* One side's address, kept in *text. */
static const char *name_side(int fd, int (*side)(int, struct sockaddr *, socklen_t *), char **text)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (*text)
        return *text;
    if (side(fd, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "";
    if (asprintf(text, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port) < 0) {
        *text = NULL;
        return "";
    }
    return *text;
}

const char *conn_peer(const struct conn *c)
{
    return name_side(c->fd, getpeername, &((struct conn *)c)->peer);
}

const char *conn_local(const struct conn *c)
{
    return name_side(c->fd, getsockname, &((struct conn *)c)->local);
}

size_t conn_in_len(const struct conn *c)
{
    return buf_len(&c->in);
}
