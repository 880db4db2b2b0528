#include "tools/fleet_node.h"
#include "shared/error.h"
#include "shared/frame.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    UNKNOWN_MS = 10000,   /* a name that is not known is not looked up again for this long */
    READ_SIZE = 64 << 10, /* bytes that are read at a time, at most */
};

int64_t fleet_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void disconnect(struct fleet_node *n)
{
    if (n->state != NODE_CLOSED)
        close(n->fd);
    n->state = NODE_CLOSED;
    buf_free(&n->in);
    buf_free(&n->out);
}

void fleet_node_free(struct fleet_node *n)
{
    disconnect(n);
    buf_free(&n->request);
    buf_free(&n->answer);
}

__attribute__((format(printf, 3, 4))) static void fail(struct fleet_node *n, int error,
                                                       const char *format, ...)
{
    int size = snprintf(n->why, sizeof(n->why), "%s: ", n->address);
    va_list args;

    va_start(args, format);
    vsnprintf(n->why + size, sizeof(n->why) - (size_t)size, format, args);
    va_end(args);
    /* What others say goes to a terminal. */
    for (char *at = n->why; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    n->error = error;
    n->pending = false;
    disconnect(n);
}

static void finish(struct fleet_node *n)
{
    n->error = 0;
    n->answered_ms = fleet_now_ms();
    n->pending = false;
    n->suspect = false;
    buf_free(&n->request);
}

static void begin_connect(struct fleet_node *n);

/* A name may stand for an address at which nobody listens, and for one at which somebody does:
 * localhost mostly is ::1 and 127.0.0.1. */
static void cannot_connect(struct fleet_node *n, int error)
{
    disconnect(n);
    if (++n->turn < n->addresses) {
        begin_connect(n);
        return;
    }
    n->turn = 0;
    fail(n, RK_IO, "%s", strerror(error));
}

/* 0 when it is under way, or an errno. */
static int connect_to(struct fleet_node *n, const struct addrinfo *to)
{
    int one = 1;

    n->fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0)
        return errno;
    n->state = NODE_CONNECTING;
    setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return connect(n->fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS ? 0 : errno;
}

/* A name that is not known is not looked up in every round: each time may take seconds. */
static int look_up(struct fleet_node *n, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char service[8];

    if (n->unknown && fleet_now_ms() < n->unknown_until_ms)
        return n->unknown;
    snprintf(service, sizeof(service), "%u", n->port);
    n->unknown = getaddrinfo(n->host, service, &hints, found);
    n->unknown_until_ms = fleet_now_ms() + UNKNOWN_MS;
    return n->unknown;
}

/* Begins a connection to the address whose turn it is. */
static void begin_connect(struct fleet_node *n)
{
    struct addrinfo *found;
    const struct addrinfo *to;
    int error = look_up(n, &found);

    if (error) {
        fail(n, RK_NOTFOUND, "%s", gai_strerror(error));
        return;
    }
    n->addresses = 0;
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        n->addresses++;
    n->turn %= n->addresses;
    to = found;
    for (unsigned i = 0; i < n->turn; i++)
        to = to->ai_next;
    error = connect_to(n, to);
    freeaddrinfo(found);
    if (error)
        cannot_connect(n, error);
}

/* The connection is lost. One that was open before it was asked may have ended with a restart of
 * the node long ago: then it is made anew, once. Whatever is asked may be asked twice. */
static void lose(struct fleet_node *n, int error, const char *text)
{
    bool again = n->pending && n->reused;

    if (!again) {
        fail(n, error, "%s", text);
        return;
    }
    n->reused = false;
    disconnect(n);
    begin_connect(n);
}

static void say_hello(struct fleet_node *n)
{
    struct hello hello = {.role = ROLE_CONTROL, .shard = n->shard};
    socklen_t size = sizeof(int);
    int error = 0;

    if (getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error) {
        cannot_connect(n, error);
        return;
    }
    n->handshake = (struct handshake){.challenged = false};
    memcpy(hello.cluster, n->cluster, IDENTITY_SIZE);
    memcpy(hello.target, n->identity, IDENTITY_SIZE);
    if (message_put_hello(&n->out, &hello) != 0)
        fail(n, RK_NOMEM, "out of memory");
    else
        n->state = NODE_GREETING;
}

/* Sends what waited for the handshake. */
static void send_request(struct fleet_node *n)
{
    struct bytes request = buf_bytes(&n->request);

    if (!n->pending)
        return;
    if (n->greet) {
        finish(n);
        return;
    }
    if (buf_append(&n->out, request.data, request.size) != 0)
        fail(n, RK_NOMEM, "out of memory");
}

static void take_answer(struct fleet_node *n, struct bytes body)
{
    buf_free(&n->answer);
    if (buf_append(&n->answer, body.data, body.size) != 0)
        fail(n, RK_NOMEM, "out of memory");
    else
        finish(n);
}

static void take_frame(struct fleet_node *n, const struct frame *frame)
{
    struct goodbye goodbye;
    struct bytes rest;
    uint64_t tag;

    if (frame->type == MESSAGE_GOODBYE && message_get_goodbye(frame->body, &goodbye) == 0) {
        fail(n, goodbye.error ? goodbye.error : RK_REFUSED, "%.*s", (int)goodbye.text.size,
             (const char *)goodbye.text.data);
        return;
    }
    if (n->state == NODE_GREETING && frame->type == MESSAGE_CHALLENGE) {
        if (handshake_answer(&n->handshake, n->secret, frame->body, &n->out) != 0)
            fail(n, RK_REFUSED, "asks for the cluster's secret; name its file with --secret-file");
        return;
    }
    if (n->state == NODE_GREETING) {
        if (frame->type != MESSAGE_WELCOME || message_get_welcome(frame->body, &n->welcome) != 0) {
            fail(n, RK_PROTOCOL, "does not answer as a ringnode of this version does");
            return;
        }
        if (!handshake_trusts(&n->handshake, n->secret, &n->welcome)) {
            fail(n, RK_REFUSED,
                 "does not know the cluster's secret: it has another one, or none (its "
                 "secret_file)");
            return;
        }
        n->state = NODE_READY;
        n->greeted = true;
        send_request(n);
        return;
    }
    /* What was asked for too late, or was never asked for (a new ring), is passed over. */
    if (n->pending && frame->type == n->type && message_get_tagged(frame->body, &tag, &rest) == 0 &&
        tag == n->tag)
        take_answer(n, frame->body);
}

/* What comes is no frame: of a proxy, mostly, whose port was taken for a node's. */
static void fail_to_read(struct fleet_node *n, int error)
{
    bool resp = buf_len(&n->in) && memchr("+-:$*", *buf_head(&n->in), 5);

    if (n->state == NODE_GREETING && resp)
        fail(n, error,
             "does not answer as a ringnode of this version does, but as a ringproxy or a Redis: "
             "name the port of a node");
    else
        fail(n, error, "does not answer as a ringnode of this version does: %s",
             n->state == NODE_GREETING ? "another version, or something else listens there"
                                       : rk_error_text(error));
}

static void take_input(struct fleet_node *n)
{
    while (n->state != NODE_CLOSED) {
        struct frame frame;
        int64_t size = frame_read(buf_bytes(&n->in), FRAME_BODY_MAX, &frame);

        if (size == RK_MORE)
            return;
        if (size < 0) {
            fail_to_read(n, (int)size);
            return;
        }
        take_frame(n, &frame);
        if (n->state != NODE_CLOSED)
            buf_consume(&n->in, (size_t)size);
    }
}

static void readable(struct fleet_node *n)
{
    uint8_t *to = buf_reserve(&n->in, READ_SIZE);
    ssize_t size = to ? recv(n->fd, to, READ_SIZE, 0) : -1;

    if (!to) {
        fail(n, RK_NOMEM, "out of memory");
    } else if (size == 0) {
        lose(n, RK_CLOSED,
             n->state == NODE_READY ? "closed the connection"
                                    : "closed the connection; is it a ringnode?");
    } else if (size < 0) {
        if (errno != EAGAIN && errno != EINTR)
            lose(n, RK_IO, strerror(errno));
    } else {
        buf_commit(&n->in, (size_t)size);
        take_input(n);
    }
}

static void writable(struct fleet_node *n)
{
    if (n->state == NODE_CONNECTING)
        say_hello(n);
    if (n->state == NODE_CLOSED || buf_len(&n->out) == 0)
        return;

    ssize_t size = send(n->fd, buf_head(&n->out), buf_len(&n->out), MSG_NOSIGNAL);

    if (size >= 0)
        buf_consume(&n->out, (size_t)size);
    else if (errno != EAGAIN && errno != EINTR)
        lose(n, RK_IO, strerror(errno));
}

void fleet_node_ask(struct fleet_node *n, struct bytes request)
{
    if (n->pending)
        disconnect(n);
    n->asked_ms = fleet_now_ms();
    n->pending = true;
    n->reused = n->state == NODE_READY;
    snprintf(n->why, sizeof(n->why), "%s: does not answer", n->address);
    n->error = RK_TIMEOUT;
    buf_free(&n->request);
    if (!n->greet && buf_append(&n->request, request.data, request.size) != 0) {
        fail(n, RK_NOMEM, "out of memory");
        return;
    }
    if (n->state == NODE_CLOSED)
        begin_connect(n);
    else if (n->state == NODE_READY)
        send_request(n);
}

struct pollfd fleet_node_poll(const struct fleet_node *n)
{
    bool writes = n->state == NODE_CONNECTING || buf_len(&n->out) > 0;

    return (struct pollfd){.fd = n->state == NODE_CLOSED ? -1 : n->fd,
                           .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
}

void fleet_node_handle(struct fleet_node *n, short events)
{
    if (n->state == NODE_CONNECTING && events)
        writable(n);
    else if (n->state != NODE_CLOSED && events & POLLOUT)
        writable(n);
    if (n->state > NODE_CONNECTING && events & (POLLIN | POLLERR | POLLHUP))
        readable(n);
}
