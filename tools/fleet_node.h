/* One node of a fleet (tools/fleet.h): its connection, the handshake, one question at a time. */
#ifndef RINGKV_TOOLS_FLEET_NODE_H
#define RINGKV_TOOLS_FLEET_NODE_H

#include "shared/address.h"
#include "tools/fleet.h"
#include <poll.h>
#include <stdbool.h>

enum node_state { NODE_CLOSED, NODE_CONNECTING, NODE_GREETING, NODE_READY };

struct fleet_node {
    char host[HOST_SIZE_MAX + 1];
    uint16_t port;
    bool has_identity;
    uint8_t identity[IDENTITY_SIZE];
    uint16_t shard;                 /* SHARD_FRONT: the node itself */
    uint8_t cluster[IDENTITY_SIZE]; /* of a shard */
    char address[ADDRESS_TEXT_SIZE];
    enum node_state state;
    int fd;
    unsigned turn, addresses; /* which address of the name is tried, of how many */
    int unknown;              /* getaddrinfo's error, while the name is not known, */
    int64_t unknown_until_ms; /* and when it is looked up again */
    struct buf out, in;
    const struct secret *secret;
    struct handshake handshake;
    struct welcome welcome;
    bool greeted; /* `welcome` is of some connection */
    /* What is asked. */
    bool pending; /* owes an answer */
    bool skipped; /* and so was not asked what the round asks: what it owes is no answer to that */
    bool greet;   /* the handshake is all that is asked */
    bool suspect; /* was silent for a whole timeout, this or another of its address: no round waits
                   */
    bool reused;  /* asked on a connection of an earlier round, which may have died since */
    uint8_t type; /* of the answer */
    uint64_t tag; /* of the answer */
    int64_t asked_ms, answered_ms;
    struct buf request; /* kept until it is answered */
    struct buf answer;  /* the body */
    int error;
    char why[FLEET_WHY_SIZE];
};

/* Frees what it points to. */
void fleet_node_free(struct fleet_node *n);

/* Asks what `greet`, `type` and `tag` tell; `request` is a whole frame, of which a copy is taken. A
 * question that is still open is given up, with its connection. The outcome is in `error` and
 * `why`, or `answer`, once `pending` is false. */
void fleet_node_ask(struct fleet_node *n, struct bytes request);

/* What to wait for, and to do when it has come. */
struct pollfd fleet_node_poll(const struct fleet_node *n);
void fleet_node_handle(struct fleet_node *n, short events);

#endif
