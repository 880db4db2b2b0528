/* The keys that a client watches, each as a node told of it when the client began to. */
#ifndef RINGKV_PROXY_WATCH_H
#define RINGKV_PROXY_WATCH_H

#include "shared/bytes.h"
#include "shared/transaction.h"
#include <stdint.h>

enum { WATCH_KEYS_MAX = 1024 }; /* of one client */

struct watched {
    struct watched *next;
    uint8_t token[WATCH_TOKEN_SIZE];
    uint16_t size;
    uint8_t key[]; /* a store key */
};

/* Zero-initialise. */
struct watch {
    struct watched *first;
    uint32_t count;
    uint32_t partition; /* where all of them lie */
};

/* Whether a store key, position and key, is among them. */
bool watch_has(const struct watch *w, uint64_t position, struct bytes key);

/* Adds `count` keys, as in the arguments of a request, with their tokens, as in the values of a
 * reply. 0; RK_CORRUPT: a token is none; RK_NOMEM. On an error none is added. */
int watch_add(struct watch *w, uint32_t partition, uint16_t count, struct bytes keys,
              struct bytes tokens);

void watch_clear(struct watch *w);

#endif
