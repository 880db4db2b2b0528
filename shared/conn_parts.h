/* What the files of a connection share; for shared/conn*.c only. */
#ifndef RINGKV_SHARED_CONN_PARTS_H
#define RINGKV_SHARED_CONN_PARTS_H

#include "shared/conn.h"
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

struct connecting;

struct conn {
    struct loop *loop;
    const struct conn_handler *handler;
    void *owner;
    struct event read_event, write_event;
    int fd;
    int busy; /* calls on the stack that still use this connection */
    bool paused, throttled, reads_always, ended, closing, parting, dead;
    bool reading, writing;    /* the events are armed */
    bool on_resume, on_flush; /* on the loop's lists */
    struct conn *next_resume, *next_flush;
    struct buf in, out;
    size_t out_max;
    size_t keep;                   /* an empty buffer larger than this is given back */
    uint64_t stalled_since;        /* loop time, lowest bit set; 0: the peer takes what is sent */
    char *peer, *local;            /* as text; NULL: not asked for yet */
    struct connecting *connecting; /* NULL: it is connected, or never will be */
};

/* --- conn.c --- */

/* A connection without a descriptor yet. NULL: out of memory. */
struct conn *conn_make(struct loop *l, const struct conn_handler *handler, void *owner);

/* Gives it an open socket; no event is armed yet. */
void conn_use_descriptor(struct conn *c, int fd);

/* Arm or disarm an event: for reading as the connection's state wants it, for writing as told.
 * Where libevent has no memory for it, c->reading and c->writing stay as they were. */
void conn_arm_read(struct conn *c);
void conn_arm_write(struct conn *c, bool wanted);

/* Tells the owner of the end (error 0: of the input alone); the caller holds `busy`. A failed
 * connection does nothing more by itself. */
void conn_end(struct conn *c, int error);

/* To be called by whoever has held `busy`, last. */
void conn_free_if_unused(struct conn *c);

/* --- conn_connect.c --- */

/* The socket that connects can be written to: it is connected, or was refused. The caller holds
 * `busy`. */
void conn_connected(struct conn *c);

/* Nothing is tried any more; the descriptor stays. */
void conn_end_connecting(struct conn *c);

#endif
