#include "tools/fleet.h"
#include "shared/address.h"
#include "shared/error.h"
#include "shared/frame.h"
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { UNKNOWN_MS = 10000 };

enum node_state { CLOSED, CONNECTING, GREETING, READY };

struct fleet_node {
    char host[HOST_SIZE_MAX + 1];
    uint16_t port;
    bool has_identity;
    uint8_t identity[IDENTITY_SIZE];
    uint16_t shard;                 /* SHARD_FRONT: the node itself */
    uint8_t cluster[IDENTITY_SIZE]; /* of a shard */
    char address[ADDRESS_TEXT_SIZE];
    enum node_state state;
    int fd;
    unsigned turn, addresses; /* which address of the name is tried, of how many */
    int unknown;              /* getaddrinfo's error, while the name is not known, */
    int64_t unknown_until_ms; /* and when it is looked up again */
    struct buf out, in;
    const struct secret *secret;
    struct handshake handshake;
    struct welcome welcome;
    bool greeted; /* `welcome` is of some connection */
    /* What is asked. */
    bool pending; /* owes an answer */
    bool skipped; /* and so was not asked what the round asks: what it owes is no answer to that */
    bool greet;   /* the handshake is all that is asked */
    bool
        suspect; /* was silent for a whole timeout, here or as what --nodes names: no round waits */
    bool reused; /* asked on a connection of an earlier round, which may have died since */
    uint8_t type; /* of the answer */
    uint64_t tag; /* of the answer */
    int64_t asked_ms, answered_ms;
    struct buf request; /* kept until it is answered */
    struct buf answer;  /* the body */
    int error;
    char why[FLEET_WHY_SIZE];
};

struct fleet {
    int timeout_ms;
    const struct secret *secret;
    uint64_t tag;
    uint32_t count, room;
    struct fleet_node *nodes;
    struct pollfd *polls; /* as many as `room` */
};

/* --- making --------------------------------------------------------------------------------- */

int64_t fleet_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct fleet *fleet_new(int timeout_ms, const struct secret *secret)
{
    struct fleet *f = calloc(1, sizeof(*f));

    if (f) {
        f->timeout_ms = timeout_ms;
        f->secret = secret;
    }
    return f;
}

static void disconnect(struct fleet_node *n)
{
    if (n->state != CLOSED)
        close(n->fd);
    n->state = CLOSED;
    buf_free(&n->in);
    buf_free(&n->out);
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->count; i++) {
        disconnect(&f->nodes[i]);
        buf_free(&f->nodes[i].request);
        buf_free(&f->nodes[i].answer);
    }
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

/* --- one node ------------------------------------------------------------------------------- */

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
    n->state = CONNECTING;
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
        n->state = GREETING;
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
    if (n->state == GREETING && frame->type == MESSAGE_CHALLENGE) {
        if (handshake_answer(&n->handshake, n->secret, frame->body, &n->out) != 0)
            fail(n, RK_REFUSED, "asks for the cluster's secret; name its file with --secret-file");
        return;
    }
    if (n->state == GREETING) {
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
        n->state = READY;
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

    if (n->state == GREETING && resp)
        fail(n, error,
             "does not answer as a ringnode of this version does, but as a ringproxy or a Redis: "
             "name the port of a node");
    else
        fail(n, error, "does not answer as a ringnode of this version does: %s",
             n->state == GREETING ? "another version, or something else listens there"
                                  : rk_error_text(error));
}

static void take_input(struct fleet_node *n)
{
    while (n->state != CLOSED) {
        struct frame frame;
        int64_t size = frame_read(buf_bytes(&n->in), FRAME_BODY_MAX, &frame);

        if (size == RK_MORE)
            return;
        if (size < 0) {
            fail_to_read(n, (int)size);
            return;
        }
        take_frame(n, &frame);
        if (n->state != CLOSED)
            buf_consume(&n->in, (size_t)size);
    }
}

static void readable(struct fleet_node *n)
{
    uint8_t *to = buf_reserve(&n->in, 64 << 10);
    ssize_t size = to ? recv(n->fd, to, 64 << 10, 0) : -1;

    if (!to) {
        fail(n, RK_NOMEM, "out of memory");
    } else if (size == 0) {
        lose(n, RK_CLOSED,
             n->state == READY ? "closed the connection"
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
    if (n->state == CONNECTING)
        say_hello(n);
    if (n->state == CLOSED || buf_len(&n->out) == 0)
        return;

    ssize_t size = send(n->fd, buf_head(&n->out), buf_len(&n->out), MSG_NOSIGNAL);

    if (size >= 0)
        buf_consume(&n->out, (size_t)size);
    else if (errno != EAGAIN && errno != EINTR)
        lose(n, RK_IO, strerror(errno));
}

/* --- rounds --------------------------------------------------------------------------------- */

uint64_t fleet_tag(struct fleet *f)
{
    return ++f->tag;
}

static void ask(struct fleet *f, struct fleet_node *n, struct bytes request)
{
    int64_t now = fleet_now_ms();

    n->skipped = n->pending && now - n->asked_ms < f->timeout_ms;
    if (n->skipped)
        return;
    if (n->pending)
        disconnect(n);
    n->asked_ms = now;
    n->pending = true;
    n->reused = n->state == READY;
    snprintf(n->why, sizeof(n->why), "%s: does not answer", n->address);
    n->error = RK_TIMEOUT;
    buf_free(&n->request);
    if (!n->greet && buf_append(&n->request, request.data, request.size) != 0) {
        fail(n, RK_NOMEM, "out of memory");
        return;
    }
    if (n->state == CLOSED)
        begin_connect(n);
    else if (n->state == READY)
        send_request(n);
}

void fleet_ask(struct fleet *f, uint32_t node, uint8_t type, uint64_t tag, struct bytes request)
{
    struct fleet_node *n = &f->nodes[node];

    assert(node < f->count);
    if (!n->pending || fleet_now_ms() - n->asked_ms >= f->timeout_ms) {
        n->greet = false;
        n->type = type;
        n->tag = tag;
    }
    ask(f, n, request);
}

void fleet_greet(struct fleet *f, uint32_t node)
{
    struct fleet_node *n = &f->nodes[node];

    assert(node < f->count);
    if (!n->pending || fleet_now_ms() - n->asked_ms >= f->timeout_ms)
        n->greet = true;
    ask(f, n, (struct bytes){0});
}

static bool is_waiting(const struct fleet *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->nodes[i].pending && !f->nodes[i].suspect)
            return true;
    return false;
}

static void handle(struct fleet_node *n, short events)
{
    if (n->state == CONNECTING && events)
        writable(n);
    else if (n->state != CLOSED && events & POLLOUT)
        writable(n);
    if (n->state > CONNECTING && events & (POLLIN | POLLERR | POLLHUP))
        readable(n);
}

/* Waits for events once, and handles them. */
static void turn(struct fleet *f, int wait_ms)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct fleet_node *n = &f->nodes[i];
        bool writes = n->state == CONNECTING || buf_len(&n->out) > 0;

        f->polls[i] = (struct pollfd){.fd = n->state == CLOSED ? -1 : n->fd,
                                      .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
    }
    if (poll(f->polls, f->count, wait_ms) > 0)
        for (uint32_t i = 0; i < f->count; i++)
            handle(&f->nodes[i], f->polls[i].revents);
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
