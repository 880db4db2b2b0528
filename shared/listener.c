#include "shared/listener.h"
#include "shared/address.h"
#include "shared/log.h"
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64, PAUSE_MS = 100 };

struct listener {
    struct event *event;
    struct loop_timer *pause;
    int fd;
    uint16_t port;
    uint64_t pauses;
    struct loop *loop;
    struct log_quota crowding;
    void (*on_accept)(void *arg, int fd);
    void *arg;
};

static void accept_some(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (accepted >= 0) {
            l->on_accept(l->arg, accepted);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            l->pauses++;
            log_warn_few(&l->crowding, loop_now_ms(l->loop),
                         "listener: new connections have to wait port=%u: %s; 'ulimit -n' bounds "
                         "the open files of a process",
                         l->port, strerror(errno));
            event_del(l->event);
            loop_timer_set(l->pause, PAUSE_MS);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void accept_again(void *arg)
{
    struct listener *l = arg;

    if (event_add(l->event, NULL) != 0)
        loop_timer_set(l->pause, PAUSE_MS);
}

enum purpose {
    LISTEN_ALONE,
    LISTEN_SHARED, /* with SO_REUSEPORT */
    ASK,           /* only bound: nobody can connect, so nobody is cut off when it is closed */
};

static int open_one(const struct addrinfo *at, enum purpose purpose)
{
    int one = 1, zero = 0;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    if ((purpose == LISTEN_SHARED &&
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0) ||
        bind(fd, at->ai_addr, at->ai_addrlen) != 0 ||
        (purpose != ASK && listen(fd, LISTENER_BACKLOG) != 0)) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* All addresses are those of IPv6 with IPv4 within, which getaddrinfo lists behind IPv4's own. */
static int open_all(const struct addrinfo *found, enum purpose purpose)
{
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        int fd = at->ai_family == AF_INET6 ? open_one(at, purpose) : -1;

        if (fd >= 0)
            return fd;
    }
    /* A machine without IPv6, or a port that is taken: the other says which. */
    return open_one(found, purpose);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

/* What would be right, where the error alone leaves one to guess. */
static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another process listens there ('ss -ltnp' shows which): stop it, or listen at "
               "another port";
    case EADDRNOTAVAIL:
        return "; this machine has no such address ('ip address' shows what it has)";
    case EACCES:
        return "; ports below 1024 are for root";
    default:
        return "";
    }
}

/* The descriptor; -1 with the reason in `why`. */
static int open_at(const char *host, uint16_t port, enum purpose purpose, char *why,
                   size_t why_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8], at[ADDRESS_TEXT_SIZE];
    bool all = strcmp(host, "*") == 0 || host[0] == '\0';
    int failed, fd;

    snprintf(service, sizeof(service), "%u", port);
    failed = getaddrinfo(all ? NULL : host, service, &hints, &found);
    if (failed) {
        snprintf(why, why_size, "%s: %s", address_text(host, port, at), gai_strerror(failed));
        return -1;
    }
    fd = all ? open_all(found, purpose) : open_one(found, purpose);
    failed = fd < 0 ? errno : 0;
    if (failed)
        snprintf(why, why_size, "%s: %s%s", address_text(host, port, at), strerror(failed),
                 advice(failed));
    freeaddrinfo(found);
    return fd;
}

struct listener *listener_new(struct loop *loop, const char *host, uint16_t port, bool reuse_port,
                              void (*on_accept)(void *arg, int fd), void *arg, char *why,
                              size_t why_size)
{
    int fd = open_at(host, port, reuse_port ? LISTEN_SHARED : LISTEN_ALONE, why, why_size);
    struct listener *l;
    char at[ADDRESS_TEXT_SIZE];

    if (fd < 0)
        return NULL;
    l = calloc(1, sizeof(*l));
    if (l) {
        *l = (struct listener){
            .fd = fd, .port = bound_port(fd), .loop = loop, .on_accept = on_accept, .arg = arg};
        l->event = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, accept_some, l);
        l->pause = loop_timer_new(loop, accept_again, l);
        if (l->event && l->pause && event_add(l->event, NULL) == 0)
            return l;
    } else {
        close(fd);
    }
    snprintf(why, why_size, "%s: out of memory", address_text(host, port, at));
    listener_free(l);
    return NULL;
}

uint16_t listener_ask(const char *host, uint16_t port, char *why, size_t why_size)
{
    int fd = open_at(host, port, ASK, why, why_size);
    uint16_t found;

    if (fd < 0)
        return 0;
    found = bound_port(fd);
    close(fd);
    return found;
}

void listener_free(struct listener *l)
{
    if (!l)
        return;
    if (l->event)
        event_free(l->event);
    loop_timer_free(l->pause);
    if (l->fd >= 0)
        close(l->fd);
    free(l);
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

uint64_t listener_pauses(const struct listener *l)
{
    return l->pauses;
}
