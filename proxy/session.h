/* One client's session: what its commands may change, and its commands that are not answered yet.
 */
#ifndef RINGKV_PROXY_SESSION_H
#define RINGKV_PROXY_SESSION_H

#include "proxy/watch.h"
#include "shared/buf.h"
#include "shared/bytes.h"
#include <stdbool.h>
#include <stdint.h>

struct command;
struct errand;
struct lane;
struct slot;
struct transaction;

enum {
    SESSION_NAME_MAX = 1 << 10, /* bytes of a name that a client may give itself */
};

/* The texts that a client may set about itself. */
enum session_text { SESSION_NAME, SESSION_LIB_NAME, SESSION_LIB_VERSION, SESSION_TEXTS };

struct session {
    struct buf *out;           /* replies on their way to the client; the connection's */
    struct slot *first, *last; /* commands not answered yet, in the client's order */
    struct session *next_ready, **ready_at;
    uint64_t id;
    size_t kept;          /* bytes of replies that wait until earlier ones are there */
    size_t sent_bytes;    /* bytes of arguments of its commands in flight */
    size_t reply_guess;   /* how large the next reply of a node may be */
    uint32_t pending;     /* slots between first and last */
    uint32_t sent;        /* calls of its commands in flight */
    uint32_t waiting;     /* calls of its commands that wait for another attempt */
    uint8_t wait_reason;  /* enum failure: why the last of them began to wait */
    uint64_t held_pass;   /* the last pass of retries in which one of them had to go on waiting */
    uint32_t writes_sent; /* of those in flight: writes, */
    uint32_t reads_apart; /* and reads that do not go where a write goes */
    uint32_t led;         /* and those that another replica than the primary shall relay, */
    const struct lane *led_lane; /* all on this lane */
    uint64_t views_seen; /* router->views_learned, when all in flight named the newest views */
    uint64_t last_sent;  /* the highest number of a call in flight */
    uint8_t resp;        /* 2 or 3 */
    bool any_replica;    /* READONLY: reads may be answered by any replica, and be old */
    bool ending;         /* reads no more commands; closed when everything is answered */
    bool broken;         /* out of memory: a reply is lost, so it is closed at once */
    bool stranger;       /* it has to log in first */
    bool foreign;        /* it speaks HTTP: its replies end here */
    bool suspended;      /* its command comes again when its errand is done */
    bool reply_off;      /* CLIENT REPLY OFF */
    bool skip_next;      /* CLIENT REPLY SKIP: the next command's reply goes nowhere */
    bool silent;         /* likewise that of the command that is being run */
    bool no_evict;       /* CLIENT NO-EVICT, which changes nothing */
    uint8_t login_failures;
    uint32_t user;                 /* index among the users */
    struct errand *errand;         /* done for the command that comes again; the edge's */
    const struct command *command; /* the last one */
    uint32_t holding; /* of its commands: those that must be answered before the next is begun */
    struct transaction *transaction; /* NULL: not after MULTI */
    struct watch watch;
    char *texts[SESSION_TEXTS];
};

void session_init(struct session *s, uint64_t id, struct buf *out);

/* Takes back what its commands set: RESET. */
void session_reset(struct session *s);

/* Frees what the session owns; it must have been taken out of its router before (router_leave). */
void session_destroy(struct session *s);

/* "" unless it was set. */
const char *session_text(const struct session *s, enum session_text which);

/* Sets a text, size 0 to forget it. 0; RK_INVALID: a character that is not printable or is a space;
 * RK_TOOBIG; RK_NOMEM. */
int session_set_text(struct session *s, enum session_text which, struct bytes text);

#endif
