/* A blocking connection from ringctl to one node. */
#ifndef RINGKV_TOOLS_CLIENT_H
#define RINGKV_TOOLS_CLIENT_H

#include "shared/buf.h"
#include "shared/bytes.h"
#include "shared/message.h"
#include "shared/ring.h"
#include <stdint.h>

enum { CLIENT_WHY_SIZE = 512 };

struct client {
    int fd;
    char address[HOST_SIZE_MAX + 8]; /* HOST:PORT, for messages */
    struct buf in;
    size_t taken; /* bytes of `in` that the last frame took */
    struct welcome welcome;
    uint64_t tag;
    char why[CLIENT_WHY_SIZE]; /* what went wrong last, naming the address */
};

/* Connects and shakes hands, within `timeout_ms` (which bounds every later step as well). 0;
 * RK_TIMEOUT, RK_IO, RK_REFUSED, RK_VERSION, RK_PROTOCOL with `why`. To be closed in any case. */
int client_open(struct client *c, const char *host, uint16_t port, int timeout_ms);
void client_close(struct client *c);

/* The node's ring: 0; RK_NOTFOUND when it is in none; else an error with `why`. */
int client_ring(struct client *c, struct ring **out);

/* The node's status lines; valid until the next call. */
int client_status(struct client *c, struct bytes *text);

/* Gives the node a ring. 0, the node's own error with its text in `why`, or a transport error (then
 * it is not known whether the node took it). */
int client_put_ring(struct client *c, uint64_t expected_epoch, const struct ring *ring);

/* The value of a line "name=value" in a status text; size 0 when there is none. */
struct bytes status_text(struct bytes status, const char *name);
/* The number that the value begins with; 0 when there is none, UINT64_MAX when it is larger. */
uint64_t status_number(struct bytes status, const char *name);

#endif
