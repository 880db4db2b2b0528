/* Edge: one client's connection. */
#ifndef RINGKV_PROXY_CLIENT_H
#define RINGKV_PROXY_CLIENT_H

#include "proxy/session.h"
#include "shared/resp.h"
#include <stdbool.h>
#include <stdint.h>

struct client_facts;
struct conn;
struct errand;
struct worker;

struct client {
    struct session session; /* first, so that a session is its client */
    struct conn *conn;
    struct worker *worker;
    struct resp_parser parser;
    struct client *previous, *next;               /* all of the worker's */
    struct client *previous_linger, *next_linger; /* in the order of linger_until_ms */
    struct errand *errand;                        /* that its command waits for; NULL: none */
    uint64_t began_ms;                            /* when it connected */
    uint64_t active_ms;                           /* when it last sent or took something */
    uint64_t linger_until_ms;                     /* 0: it does not linger */
    int descriptor;
    bool paused;   /* not read from until some commands are answered, or the next turn */
    bool more;     /* the connection keeps input that was not looked at yet */
    bool ended;    /* it sends nothing any more */
    bool violated; /* it broke the protocol */
    bool closing;  /* closed once its output has left */
    bool parted;   /* it has left: only the client's end is waited for, a little */
    bool trimmed;  /* idle, and holds no memory that it can do without */
};

static inline struct client *client_of_session(struct session *s)
{
    return (struct client *)s;
}

/* Takes over an accepted socket, or tells it that there are too many and closes it. */
void client_accept(struct worker *w, int fd);

/* Looks after a client whose session has output or may go on: sends, reads on, closes. It may be
 * gone afterwards. */
void client_settle(struct client *c);

/* No more commands are read; it is closed when what it asked for is answered. */
void client_finish(struct client *c);

void client_close(struct client *c);

/* Its command's errand is done: the command is run once more. */
void client_errand_done(struct client *c, struct errand *errand);

/* For CLIENT INFO and CLIENT LIST; valid until the client changes. */
void client_facts(struct client *c, struct client_facts *out);

/* Once a second or so: frees an idle client's memory, closes it when it is idle or stalled for too
 * long. */
void client_check(struct client *c, uint64_t now_ms);

/* Closes those that lingered long enough. Returns when the next one is due, 0: there is none. */
uint64_t client_end_lingering(struct worker *w, uint64_t now_ms);

#endif
