#include "proxy/client.h"
#include "proxy/client_line.h"
#include "proxy/errands.h"
#include "proxy/login.h"
#include "proxy/worker.h"
#include "shared/conn.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TURN_COMMANDS = 128, /* of one client, before others have their turn */
    SENT_BYTES_MAX =
        1 << 20,      /* arguments of one client's commands in flight, unless it is one command */
    GUESS_SHARE = 64, /* the first replies are taken to be this part of the room for output */
    IDLE_MS = 1000,   /* then a client gives back its buffers */
    STALL_MS = 1000,  /* a client over its output limit must take something in this time */
    CLOSE_STALL_MS = 10000, /* likewise one that is to be closed when its output has left */
    LINGER_MS = 100,        /* closing at once could destroy the reply that says why */
};

static size_t output_max(const struct client *c)
{
    return c->session.stranger ? STRANGER_OUTPUT_MAX
                               : (size_t)c->worker->proxy->options->client_output;
}

/* Whether another command may be begun, or reading goes on after a pause. */
static bool may_begin(const struct client *c, bool after_pause)
{
    const struct proxy_options *o = c->worker->proxy->options;
    const struct session *s = &c->session;
    uint64_t share = after_pause ? 2 : 1;
    uint64_t promised;

    if (s->suspended || s->holding)
        return false;
    if (s->pending == 0)
        return s->kept + conn_out_len(c->conn) <= output_max(c);
    promised = (uint64_t)s->pending * s->reply_guess + s->kept + conn_out_len(c->conn);
    return s->pending < (uint64_t)o->client_pending / share + (share - 1) &&
           s->sent_bytes < SENT_BYTES_MAX / share && promised < (uint64_t)o->client_output / 2;
}

static void pause_reading(struct client *c)
{
    if (!c->paused)
        conn_pause(c->conn);
    c->paused = true;
    c->more = true;
}

static void protocol_error(struct client *c)
{
    char text[sizeof(c->parser.error) + 8];

    counter_add(&c->worker->counters.protocol_errors, 1);
    snprintf(text, sizeof(text), "ERR %s", c->parser.error);
    log_warn_few(&c->worker->complaints, loop_now_ms(c->worker->loop),
                 "client: protocol error client=%s why=\"%s\"", conn_peer(c->conn),
                 c->parser.error);
    c->session.silent |= c->session.skip_next;
    router_complain(&c->worker->router, &c->session, text);
    c->session.ending = true;
    c->violated = true;
}

/* What a browser sends that a page has made to connect here. Nothing of what follows is run: its
 * body would be commands. */
static void refuse_http(struct client *c)
{
    counter_add(&c->worker->counters.protocol_errors, 1);
    log_warn_few(&c->worker->complaints, loop_now_ms(c->worker->loop),
                 "client: closed, it speaks HTTP, perhaps for somebody who attacks through a "
                 "browser client=%s",
                 conn_peer(c->conn));
}

static struct resp_limits limits_of(const struct client *c)
{
    int64_t query_size = tunable_read(&c->worker->proxy->tunables.query_size);
    uint32_t bulk_max = query_size < RESP_BULK_MAX ? (uint32_t)query_size : RESP_BULK_MAX;

    if (c->session.stranger)
        return (struct resp_limits){
            .args_max = STRANGER_ARGS_MAX,
            .bulk_max = STRANGER_BULK_MAX,
            .inline_max = STRANGER_BULK_MAX,
            .total_max = STRANGER_SIZE_MAX,
            .stranger = true,
        };
    return (struct resp_limits){
        .args_max = RESP_ARGS_MAX,
        .bulk_max = bulk_max,
        .inline_max = RESP_INLINE_MAX,
        .total_max = (uint64_t)query_size,
    };
}

/* The command logged in, or out. */
static void change_bounds(struct client *c, struct resp_limits *limits)
{
    *limits = limits_of(c);
    conn_set_out_max(c->conn, output_max(c) / 2);
}

/* Runs the command that the parser has found. False: it will come again. */
static bool run_command(struct client *c, struct resp_limits *limits)
{
    struct session *s = &c->session;

    if (c->parser.arg_count == 0)
        return true;
    router_execute(&c->worker->router, s, c->parser.args, c->parser.arg_count);
    if (s->suspended)
        return false;
    if (s->foreign)
        refuse_http(c);
    if (s->errand) {
        s->errand = NULL;
        errands_end(c);
    }
    if (s->stranger != limits->stranger)
        change_bounds(c, limits);
    return true;
}

/* Runs the commands that `in` holds, as many as a turn allows. Returns the bytes they took. */
static size_t run_commands(struct client *c, struct bytes in)
{
    struct resp_limits limits = limits_of(c);
    uint32_t budget = TURN_COMMANDS;
    size_t used = 0;

    while (!c->session.ending && !c->session.broken) {
        int64_t size;

        if (used < in.size && (budget == 0 || !may_begin(c, false))) {
            if (budget && !c->paused)
                counter_add(&c->worker->counters.pauses, 1);
            pause_reading(c);
            break;
        }
        size = resp_parse(&c->parser, bytes_of(in.data + used, in.size - used), &limits);
        if (size == RK_MORE)
            break;
        if (size == RK_PROTOCOL) {
            protocol_error(c);
        } else if (size < 0) {
            c->session.broken = true;
        } else if (run_command(c, &limits)) {
            used += (size_t)size;
            budget--;
        } else {
            pause_reading(c);
            break;
        }
    }
    counter_add(&c->worker->counters.bytes_in, used);
    return used;
}

static size_t on_data(void *owner, struct conn *conn, struct bytes in)
{
    struct client *c = owner;
    size_t used;

    (void)conn;
    if (c->session.ending || c->closing)
        return in.size;
    worker_look_at_clock(c->worker);
    c->active_ms = c->worker->router.now_ms;
    c->trimmed = c->more = false;
    used = run_commands(c, in);
    if (c->ended && !c->more)
        c->session.ending = true;
    /* Whatever it is that happened, the end of the turn looks after it. */
    if (c->paused || c->session.ending || c->session.broken)
        router_mark_ready(&c->worker->router, &c->session);
    return c->session.ending ? in.size : used;
}

static void close_when_flushed(struct client *c)
{
    c->closing = true;
    conn_close_after_flush(c->conn);
}

static void begin_lingering(struct client *c)
{
    struct worker *w = c->worker;

    c->linger_until_ms = w->router.now_ms + LINGER_MS;
    c->previous_linger = w->lingering_last;
    if (w->lingering_last)
        w->lingering_last->next_linger = c;
    else
        w->lingering = c;
    w->lingering_last = c;
    if (w->lingering == c)
        loop_timer_set(w->linger_timer, LINGER_MS);
}

static void stop_lingering(struct client *c)
{
    struct worker *w = c->worker;

    if (!c->linger_until_ms)
        return;
    if (c->previous_linger)
        c->previous_linger->next_linger = c->next_linger;
    else
        w->lingering = c->next_linger;
    if (c->next_linger)
        c->next_linger->previous_linger = c->previous_linger;
    else
        w->lingering_last = c->previous_linger;
    c->next_linger = c->previous_linger = NULL;
    c->linger_until_ms = 0;
}

/* All output has left. It may not have arrived, and the client may be sending still. */
static void part(struct client *c)
{
    c->parted = true;
    stop_lingering(c);
    conn_part(c->conn);
    begin_lingering(c);
}

static void on_end(void *owner, struct conn *conn, int error)
{
    struct client *c = owner;
    bool left = c->closing && !c->ended && !c->parted && !error;

    (void)conn;
    if (left) {
        part(c);
        return;
    }
    c->ended = true;
    if (error || c->closing)
        client_close(c);
    else if (c->linger_until_ms)
        close_when_flushed(c);
    else if (!c->more)
        /* It may have closed only its own direction: what it asked for is still answered. */
        client_finish(c);
}

static void on_drain(void *owner, struct conn *conn)
{
    struct client *c = owner;

    (void)conn;
    router_mark_ready(&c->worker->router, &c->session);
}

static const struct conn_handler handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drain = on_drain,
};

static const char too_many[] = "-ERR max number of clients reached\r\n";

/* As Redis says it, with what is right here. */
static const char protected_mode[] =
    "-DENIED ringproxy is running in protected mode because no password is set. In this mode "
    "connections are only accepted from the loopback interface. If you want to connect from other "
    "machines you may do one of these, and restart the proxy: 1) Set a password: put what "
    "'ringproxy --hash-password' prints into the configuration file, section [security], as "
    "requirepass. 2) If nobody else can reach this port, switch protected mode off: set "
    "protected_mode = no in the section [security]. 3) If it was started by hand for a trial, "
    "start it with --set security.protected_mode=no.\r\n";

static void refuse(struct worker *w, int fd, const char *text, const char *setting,
                   _Atomic uint64_t *counter)
{
    ssize_t n = send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)n; /* it is told if it can be */
    close(fd);
    counter_add(counter, 1);
    log_warn_few(&w->complaints, loop_now_ms(w->loop), "client: refused a connection because of %s",
                 setting);
}

/* Whether the other side is this machine, through its loopback interface. */
static bool from_loopback(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    const struct in6_addr *v6 = &((struct sockaddr_in6 *)&address)->sin6_addr;
    uint8_t first = 0;

    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0)
        return false;
    if (address.ss_family == AF_INET)
        memcpy(&first, &((struct sockaddr_in *)&address)->sin_addr, 1);
    else if (address.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6))
        first = v6->s6_addr[12];
    else
        return address.ss_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(v6);
    return first == 127;
}

static bool is_protected(const struct proxy_options *o)
{
    return o->protected_mode && users_open(&o->users);
}

static void enlist(struct client *c)
{
    struct worker *w = c->worker;

    c->previous = w->clients_last;
    if (w->clients_last)
        w->clients_last->next = c;
    else
        w->clients = c;
    w->clients_last = c;
}

void client_accept(struct worker *w, int fd)
{
    const struct proxy_options *o = w->proxy->options;
    struct client *c;

    if (is_protected(o) && !from_loopback(fd)) {
        refuse(w, fd, protected_mode, "protected_mode", &w->counters.denied_connections);
        return;
    }
    if (atomic_fetch_add(&w->proxy->clients, 1) >=
        (uint64_t)tunable_read(&w->proxy->tunables.max_clients)) {
        atomic_fetch_sub(&w->proxy->clients, 1);
        refuse(w, fd, too_many, "max_clients", &w->counters.rejected_connections);
        return;
    }
    c = calloc(1, sizeof(*c));
    if (c)
        c->conn = conn_new(w->loop, fd, &handler, c);
    else
        close(fd);
    if (!c || !c->conn) {
        atomic_fetch_sub(&w->proxy->clients, 1);
        free(c);
        return;
    }
    session_init(&c->session, atomic_fetch_add(&w->proxy->last_client_id, 1) + 1,
                 conn_out(c->conn));
    login_reset(&w->logins, &c->session);
    c->descriptor = fd;
    c->session.reply_guess = (size_t)o->client_output / GUESS_SHARE / 2;
    c->worker = w;
    c->active_ms = c->began_ms = loop_now_ms(w->loop);
    conn_set_out_max(c->conn, output_max(c) / 2);
    enlist(c);
    counter_add(&w->counters.connections, 1);
    counter_add(&w->counters.clients, 1);
}

void client_close(struct client *c)
{
    struct worker *w = c->worker;

    stop_lingering(c);
    errands_end(c);
    router_leave(&w->router, &c->session);
    session_destroy(&c->session);
    resp_parser_free(&c->parser);
    conn_close(c->conn);
    if (c->previous)
        c->previous->next = c->next;
    else
        w->clients = c->next;
    if (c->next)
        c->next->previous = c->previous;
    else
        w->clients_last = c->previous;
    free(c);
    atomic_fetch_sub(&w->proxy->clients, 1);
    counter_add(&w->counters.clients, (uint64_t)-1);
}

static void close_for_output(struct client *c)
{
    log_warn_few(&c->worker->complaints, loop_now_ms(c->worker->loop),
                 "client: closed, it does not read its replies client=%s waiting=%zu",
                 conn_peer(c->conn), c->session.kept + conn_out_len(c->conn));
    counter_add(&c->worker->counters.closed_for_output, 1);
    client_close(c);
}

static bool over_output(const struct client *c)
{
    return c->session.kept + conn_out_len(c->conn) >
           (uint64_t)c->worker->proxy->options->client_output;
}

/* Goes on reading, and throwing away, for a while: a socket closed with unread input resets the
 * connection, and the client might never see the error that tells it why. */
static void linger(struct client *c)
{
    conn_flush_later(c->conn);
    if (c->linger_until_ms)
        return;
    if (c->paused)
        conn_resume(c->conn);
    c->paused = false;
    begin_lingering(c);
}

uint64_t client_end_lingering(struct worker *w, uint64_t now_ms)
{
    struct client *c;

    while ((c = w->lingering) != NULL && c->linger_until_ms <= now_ms) {
        stop_lingering(c);
        if (c->parted)
            client_close(c);
        else
            close_when_flushed(c);
    }
    return c ? c->linger_until_ms : 0;
}

void client_settle(struct client *c)
{
    struct session *s = &c->session;

    if (s->broken) {
        log_warn_few(&c->worker->complaints, c->worker->router.now_ms,
                     "client: closed, out of memory client=%s", conn_peer(c->conn));
        client_close(c);
    } else if (over_output(c) && (conn_stalled_ms(c->conn) ||
                                  s->kept > (uint64_t)c->worker->proxy->options->client_output)) {
        close_for_output(c);
    } else if (s->ending && !s->pending && !c->closing) {
        if (c->violated && !c->ended)
            linger(c);
        else
            close_when_flushed(c);
    } else {
        if (conn_out_len(c->conn)) {
            c->active_ms = c->worker->router.now_ms;
            conn_flush_later(c->conn);
        }
        if (c->paused && !s->ending && may_begin(c, true)) {
            c->paused = false;
            conn_resume(c->conn);
        }
    }
}

void client_errand_done(struct client *c, struct errand *errand)
{
    c->session.suspended = false;
    c->session.errand = errand;
    router_mark_ready(&c->worker->router, &c->session);
}

void client_facts(struct client *c, struct client_facts *out)
{
    const struct session *s = &c->session;
    uint64_t now_ms = loop_now_ms(c->worker->loop);
    size_t in = conn_in_len(c->conn), waiting = conn_out_len(c->conn);

    *out = (struct client_facts){
        .session = s,
        .address = conn_peer(c->conn),
        .local_address = conn_local(c->conn),
        .user = c->worker->logins.users->list[s->user].name,
        .descriptor = c->descriptor,
        .age_s = (now_ms - c->began_ms) / 1000,
        .idle_s = now_ms > c->active_ms ? (now_ms - c->active_ms) / 1000 : 0,
        .query_bytes = in,
        .output_bytes = waiting,
        .memory_bytes = sizeof(*c) + in + waiting + s->kept + s->sent_bytes,
        .closing = c->closing,
    };
}

void client_finish(struct client *c)
{
    c->session.ending = true;
    router_mark_ready(&c->worker->router, &c->session);
}

/* Whether commands wait that were not read yet, here or in the socket. */
static bool has_unread(const struct client *c)
{
    int size = 0;

    return conn_in_len(c->conn) || (ioctl(c->descriptor, FIONREAD, &size) == 0 && size > 0);
}

/* It sends, and takes none of its replies. One that reads when it has sent everything, as some
 * libraries do, and has sent too much for that, would wait for ever. */
static bool is_stuck(const struct client *c)
{
    int64_t stall_ms = c->worker->proxy->options->client_stall_ms;

    return stall_ms && conn_stalled_ms(c->conn) > (uint64_t)stall_ms && has_unread(c);
}

/* A large reply may take longer than the client may be idle. */
static void note_taking(struct client *c, uint64_t now_ms)
{
    uint64_t took_ms = now_ms - conn_stalled_ms(c->conn);

    if (conn_out_len(c->conn) && took_ms > c->active_ms)
        c->active_ms = took_ms;
}

void client_check(struct client *c, uint64_t now_ms)
{
    int64_t timeout_ms = tunable_read(&c->worker->proxy->tunables.idle_timeout_ms);
    uint64_t idle_ms;

    note_taking(c, now_ms);
    idle_ms = now_ms > c->active_ms ? now_ms - c->active_ms : 0;
    if ((over_output(c) && conn_stalled_ms(c->conn) > STALL_MS) || is_stuck(c)) {
        close_for_output(c);
    } else if (c->closing && conn_stalled_ms(c->conn) > CLOSE_STALL_MS) {
        client_close(c);
    } else if (timeout_ms && !c->session.pending && idle_ms > (uint64_t)timeout_ms) {
        counter_add(&c->worker->counters.closed_idle, 1);
        client_close(c);
    } else if (!c->trimmed && idle_ms > IDLE_MS && !c->session.pending) {
        resp_parser_trim(&c->parser);
        buf_trim(conn_out(c->conn), 0);
        c->trimmed = true;
    }
}
