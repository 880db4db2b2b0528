/* Edge: the addresses that the names of hosts stand for.
 *
 * A resolver may take seconds, or hang, so names are looked up by threads that do nothing else: no
 * call in here waits. What a name stood for last is kept and used from then on, and looked up anew
 * beside its use when it is asked for NAMES_AGE_MS later or more. When that fails the last
 * addresses go on being used, and the log says so once. Of names that are not asked for any more
 * the table loses those first that were not for the longest time.
 *
 * One table for the process. Any thread.
 */
#ifndef RINGKV_SHARED_NAMES_H
#define RINGKV_SHARED_NAMES_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    NAMES_MAX = 2048,         /* names in the table */
    NAMES_ADDRESSES_MAX = 16, /* of one name; further ones are not tried */
    NAMES_THREADS_MAX = 4, /* so that a name for which the resolver hangs does not hold up others */
    NAMES_AGE_MS = 1000,
    NAMES_SLOW_MS = 2000, /* a look-up that takes longer is told of in the log */
};

struct name_address {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

struct name_addresses {
    size_t count;
    struct name_address all[NAMES_ADDRESSES_MAX]; /* in the order in which they are to be tried */
};

/* The addresses of a host, a name or a numeric address, with this port. 0; RK_MORE: it is being
 * looked up, ask again a little later; RK_NOTFOUND: it could not be looked up, and never could;
 * RK_NOMEM. */
int names_find(const char *host, uint16_t port, struct name_addresses *out);

#endif
