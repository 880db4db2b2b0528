/* Edge: runs errands (errand.h): on the threads of all workers one after the other, or, for
 * passwords, on a thread of its own, because a hash takes about 0.1 s. */
#ifndef RINGKV_PROXY_ERRANDS_H
#define RINGKV_PROXY_ERRANDS_H

#include "proxy/errand.h"

struct client;
struct errands;
struct proxy;

enum { PASSWORD_CHECKS_MAX = 256 }; /* that wait for their thread; then clients get -BUSY */

/* NULL: out of memory or threads. */
struct errands *errands_new(struct proxy *p);

/* Ends its thread; to be called when the workers' have ended. */
void errands_stop(struct errands *e);

/* Frees it with the errands that nobody came back for. No client may be left. */
void errands_free(struct errands *e);

/* Begins an errand for a client. When it is done, client_errand_done is called on the client's
 * thread. 0; RK_FULL: too many passwords wait; RK_NOMEM. */
int errands_begin(struct errands *e, struct client *c, const struct errand *errand);

/* The client is through with its errand, or closes. */
void errands_end(struct client *c);

#endif
