/* Edge: a listening TCP socket. */
#ifndef RINGKV_SHARED_LISTENER_H
#define RINGKV_SHARED_LISTENER_H

#include "shared/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LISTENER_BACKLOG = 4096 }; /* connections that wait to be accepted */

struct listener;

/* Listens on host:port (numeric address or name; "*" and "" are all addresses). A name is waited
 * for, as long as the resolver takes: this is for the start, when nothing is served yet, and TERM
 * must end the process meanwhile. `reuse_port` lets
 * several threads of one process have a socket each (SO_REUSEPORT) among which the kernel spreads
 * connections. on_accept owns the descriptor, which is non-blocking and close-on-exec. When
 * descriptors run out it pauses for 100 ms instead of spinning, counts it and says so in the log.
 * On failure NULL and a text in `why` that names the address ("127.0.0.1:7379: Address already in
 * use"). */
struct listener *listener_new(struct loop *l, const char *host, uint16_t port, bool reuse_port,
                              void (*on_accept)(void *arg, int fd), void *arg, char *why,
                              size_t why_size);
void listener_free(struct listener *l);

/* Whether nobody listens there yet, which with `reuse_port` goes unnoticed where it is another
 * process of the same user. The port, a free one when 0 was asked for; 0 with the reason in `why`,
 * as above. */
uint16_t listener_ask(const char *host, uint16_t port, char *why, size_t why_size);

uint16_t listener_port(const struct listener *l); /* the real one when 0 was asked for */
/* How often it has paused. From the loop's thread. */
uint64_t listener_pauses(const struct listener *l);

#endif
