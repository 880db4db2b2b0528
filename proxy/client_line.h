/* A client as CLIENT INFO and CLIENT LIST show it, and which clients a command means. */
#ifndef RINGKV_PROXY_CLIENT_LINE_H
#define RINGKV_PROXY_CLIENT_LINE_H

#include "shared/buf.h"
#include <stdbool.h>
#include <stdint.h>

struct users;
struct session;

/* What the edge knows of a client. Texts are borrowed. */
struct client_facts {
    const struct session *session;
    const char *address, *local_address; /* HOST:PORT */
    const char *user;
    int descriptor;
    uint64_t age_s, idle_s;
    uint64_t query_bytes, output_bytes, memory_bytes;
    bool closing;
};

/* Appends the line, with its newline. 0 or RK_NOMEM. */
int client_line_put(struct buf *out, const struct client_facts *f);

/* Redis's kinds of clients. Here all are normal ones. */
enum client_type { CLIENT_ANY, CLIENT_NORMAL, CLIENT_OTHER };

/* Whom CLIENT LIST and CLIENT KILL mean: those that everything matches which is set. */
struct client_filter {
    enum client_type type;
    char *address, *local_address, *user; /* malloced; NULL: any */
    uint64_t *ids;                        /* malloced, ascending; NULL: any */
    uint32_t id_count;
    bool skip_self;
};

/* Puts the ids in order. There may be a million of them, and each is looked for at every client. */
void client_filter_order(struct client_filter *f);

bool client_filter_matches(const struct client_filter *f, const struct client_facts *client,
                           uint64_t self);
void client_filter_free(struct client_filter *f);

#endif
