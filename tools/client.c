#include "tools/client.h"
#include "shared/error.h"
#include "shared/frame.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int fail(struct client *c, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct client *c, int error, const char *format, ...)
{
    int size = snprintf(c->why, sizeof(c->why), "%s: ", c->address);
    va_list args;

    va_start(args, format);
    vsnprintf(c->why + size, sizeof(c->why) - (size_t)size, format, args);
    va_end(args);
    return error;
}

static int connect_within(struct client *c, const struct addrinfo *to, int timeout_ms)
{
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

    c->fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return fail(c, RK_IO, "%s", strerror(errno));
    /* Linux bounds connect() by the sending timeout as well. */
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (connect(c->fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno == EINPROGRESS || errno == EAGAIN)
        return fail(c, RK_TIMEOUT, "no connection within %d ms", timeout_ms);
    return fail(c, RK_IO, "%s", strerror(errno));
}

static int send_all(struct client *c, struct buf *out)
{
    while (buf_len(out)) {
        ssize_t n = send(c->fd, buf_head(out), buf_len(out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(c, errno == EAGAIN ? RK_TIMEOUT : RK_IO, "cannot send: %s",
                        errno == EAGAIN ? "timed out" : strerror(errno));
        buf_consume(out, (size_t)n);
    }
    return 0;
}

/* Waits for the next frame. */
static int read_frame(struct client *c, struct frame *f)
{
    buf_consume(&c->in, c->taken);
    c->taken = 0;
    for (;;) {
        int64_t size = frame_read(buf_bytes(&c->in), FRAME_BODY_MAX, f);

        if (size > 0) {
            c->taken = (size_t)size;
            return 0;
        }
        if (size != RK_MORE)
            return fail(c, (int)size, "does not answer as a ringnode of this version does: %s",
                        rk_error_text((int)size));

        uint8_t *to = buf_reserve(&c->in, 64 << 10);
        ssize_t n = to ? recv(c->fd, to, 64 << 10, 0) : -1;

        if (!to)
            return fail(c, RK_NOMEM, "out of memory");
        if (n == 0)
            return fail(c, RK_CLOSED, "closed the connection; is it a ringnode?");
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(c, errno == EAGAIN ? RK_TIMEOUT : RK_IO, "%s",
                        errno == EAGAIN ? "does not answer" : strerror(errno));
        buf_commit(&c->in, (size_t)n);
    }
}

/* Sends what is in `out` and waits for a frame of this type with our tag. */
static int ask(struct client *c, struct buf *out, uint8_t type, struct frame *f)
{
    struct goodbye goodbye;
    int error = send_all(c, out);

    buf_free(out);
    if (!error)
        error = read_frame(c, f);
    if (error)
        return error;
    if (f->type == MESSAGE_GOODBYE && message_get_goodbye(f->body, &goodbye) == 0)
        return fail(c, RK_REFUSED, "%.*s", (int)goodbye.text.size, (const char *)goodbye.text.data);
    if (f->type != type)
        return fail(c, RK_PROTOCOL, "sent a message of another type than was asked for");
    return 0;
}

int client_open(struct client *c, const char *host, uint16_t port, int timeout_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    struct hello hello = {.role = ROLE_CONTROL, .shard = SHARD_FRONT};
    struct buf out = {0};
    struct frame f;
    char service[8];
    int error;

    *c = (struct client){.fd = -1};
    snprintf(c->address, sizeof(c->address), "%s:%u", host, port);
    snprintf(service, sizeof(service), "%u", port);
    error = getaddrinfo(host, service, &hints, &found);
    if (error)
        return fail(c, RK_NOTFOUND, "%s", gai_strerror(error));
    error = connect_within(c, found, timeout_ms);
    freeaddrinfo(found);
    if (!error && message_put_hello(&out, &hello) != 0)
        error = fail(c, RK_NOMEM, "out of memory");
    if (!error)
        error = ask(c, &out, MESSAGE_WELCOME, &f);
    if (!error && message_get_welcome(f.body, &c->welcome) != 0)
        error = fail(c, RK_PROTOCOL, "its welcome cannot be read");
    return error;
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_free(&c->in);
}

int client_ring(struct client *c, struct ring **out)
{
    struct buf request = {0};
    struct frame f;
    struct bytes encoded;
    uint64_t tag;
    char why[256] = "";
    int error = message_put_ring_get(&request, ++c->tag);

    *out = NULL;
    error = error ? error : ask(c, &request, MESSAGE_RING, &f);
    if (error)
        return error;
    if (message_get_tagged(f.body, &tag, &encoded) != 0)
        return fail(c, RK_PROTOCOL, "its answer cannot be read");
    if (encoded.size == 0)
        return fail(c, RK_NOTFOUND, "is in no ring yet");
    error = ring_decode(encoded, out, why, sizeof(why));
    return error ? fail(c, error, "sent a ring that cannot be used: %s", why) : 0;
}

int client_status(struct client *c, struct bytes *text)
{
    struct buf request = {0};
    struct frame f;
    uint64_t tag;
    int error = message_put_status_get(&request, ++c->tag);

    error = error ? error : ask(c, &request, MESSAGE_STATUS, &f);
    if (!error && message_get_tagged(f.body, &tag, text) != 0)
        error = fail(c, RK_PROTOCOL, "its answer cannot be read");
    return error;
}

int client_put_ring(struct client *c, uint64_t expected_epoch, const struct ring *ring)
{
    struct buf request = {0}, encoded = {0};
    struct frame f;
    struct done done;
    int error = ring_encode(ring, &encoded);

    if (!error) {
        struct ring_put put = {++c->tag, expected_epoch, buf_bytes(&encoded)};

        error = message_put_ring_put(&request, &put);
    }
    buf_free(&encoded);
    error = error ? error : ask(c, &request, MESSAGE_DONE, &f);
    if (error)
        return error;
    if (message_get_done(f.body, &done) != 0)
        return fail(c, RK_PROTOCOL, "its answer cannot be read");
    return done.error
               ? fail(c, done.error, "%.*s", (int)done.text.size, (const char *)done.text.data)
               : 0;
}

struct bytes status_text(struct bytes status, const char *name)
{
    const char *at = (const char *)status.data, *end = status.size ? at + status.size : at;
    size_t length = strlen(name);

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));

        if (!line_end)
            break;
        if ((size_t)(line_end - at) > length && memcmp(at, name, length) == 0 && at[length] == '=')
            return bytes_of(at + length + 1, (size_t)(line_end - at) - length - 1);
        at = line_end + 1;
    }
    return (struct bytes){0};
}

uint64_t status_number(struct bytes status, const char *name)
{
    struct bytes text = status_text(status, name);
    uint64_t value = 0;

    for (size_t i = 0; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.data[i] - '0', &value))
            return UINT64_MAX;
    return value;
}
