/* Connecting: to the addresses of a host one after the other, once its name has been looked up. */
#include "shared/conn_parts.h"
#include "shared/error.h"
#include "shared/names.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_MS_MAX = 100 }; /* between two looks whether a name has been looked up */

struct connecting {
    struct event look; /* to see whether the name has been looked up */
    uint64_t look_ms;  /* how long to wait until then */
    size_t next;       /* the address that is tried when the present one refuses */
    struct name_addresses addresses;
    uint16_t port;
    char host[];
};

void conn_end_connecting(struct conn *c)
{
    if (c->connecting)
        event_del(&c->connecting->look);
    free(c->connecting);
    c->connecting = NULL;
}

static int connect_to(const struct name_address *to)
{
    int fd = socket(to->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, &to->at.any, to->size) != 0 && errno != EINPROGRESS) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Begins to connect to the next address that does not refuse at once. 0 or an errno: there is none,
 * or no memory. */
static int connect_next(struct conn *c)
{
    struct connecting *k = c->connecting;
    int fd = -1;

    errno = EHOSTUNREACH;
    while (fd < 0 && k->next < k->addresses.count)
        fd = connect_to(&k->addresses.all[k->next++]);
    if (fd < 0)
        return errno;
    if (c->fd >= 0)
        close(c->fd);
    conn_use_descriptor(c, fd);
    conn_arm_write(c, true);
    return c->writing ? 0 : ENOMEM;
}

/* One address has refused. False: so have all. */
static bool connect_elsewhere(struct conn *c)
{
    return c->connecting->next < c->connecting->addresses.count && connect_next(c) == 0;
}

void conn_connected(struct conn *c)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    conn_arm_write(c, false);
    if (error && connect_elsewhere(c))
        return;
    conn_end_connecting(c);
    if (error) {
        conn_end(c, error);
        return;
    }
    conn_arm_read(c);
    if (c->handler->on_open)
        c->handler->on_open(c->owner, c);
    if (!c->dead)
        conn_flush_later(c);
}

/* Connects, or comes back when the name has been looked up. 0 or an errno. */
static int look_and_connect(struct conn *c)
{
    struct connecting *k = c->connecting;
    struct timeval after;

    switch (names_find(k->host, k->port, &k->addresses)) {
    case 0:
        return connect_next(c);
    case RK_MORE:
        k->look_ms = k->look_ms * 2 < LOOK_MS_MAX ? k->look_ms * 2 : LOOK_MS_MAX;
        after = (struct timeval){.tv_usec = (suseconds_t)k->look_ms * 1000};
        return event_add(&k->look, &after) == 0 ? 0 : ENOMEM;
    case RK_NOTFOUND:
        return EHOSTUNREACH;
    default:
        return ENOMEM;
    }
}

static void look_again(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    int error;

    (void)fd;
    (void)what;
    c->busy++;
    error = look_and_connect(c);
    if (error) {
        conn_end_connecting(c);
        conn_end(c, error);
    }
    c->busy--;
    conn_free_if_unused(c);
}

static struct connecting *connecting_new(struct conn *c, const char *host, uint16_t port)
{
    size_t size = strlen(host) + 1;
    struct connecting *k = calloc(1, sizeof(*k) + size);

    if (!k)
        return NULL;
    memcpy(k->host, host, size);
    k->port = port;
    k->look_ms = 1;
    event_assign(&k->look, loop_base(c->loop), -1, 0, look_again, c);
    return k;
}

struct conn *conn_connect(struct loop *l, const char *host, uint16_t port,
                          const struct conn_handler *handler, void *owner)
{
    struct conn *c = conn_make(l, handler, owner);
    int error = ENOMEM;

    if (!c)
        return NULL;
    c->connecting = connecting_new(c, host, port);
    if (c->connecting)
        error = look_and_connect(c);
    if (!error)
        return c;
    conn_close(c);
    errno = error;
    return NULL;
}
