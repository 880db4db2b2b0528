/* Requests that wait until their shard has room for them: a line, first come, first served.
 *
 * Bounded by bytes. Each place may wait until a time that its proxy has given (wait_ms of struct
 * request); the caller takes it out when that is over.
 */
#ifndef RINGKV_NODE_LINE_H
#define RINGKV_NODE_LINE_H

#include "shared/message.h"
#include <stddef.h>
#include <stdint.h>

/* Arguments and places of the requests in one line. Half of the history that a node keeps by
 * default, so that what was done before a request's turn is hardly ever forgotten at it. */
enum { LINE_BYTES_MAX = 32 << 20 };

struct line_place {
    struct line_place *next;
    uint64_t client;
    uint64_t until_ms;
    struct request request; /* its arguments lie behind: */
    uint8_t args[];
};

struct line {
    struct line_place *first, *last;
    uint32_t count;
    size_t bytes;
};

/* Copies a request to the end of the line. 0; RK_FULL: LINE_BYTES_MAX wait (a single one may be
 * larger); RK_NOMEM. */
int line_join(struct line *l, uint64_t client, const struct request *m, uint64_t until_ms);

/* Takes out and frees the place behind `before`; NULL: the first. There must be one. */
void line_leave(struct line *l, struct line_place *before);

void line_free(struct line *l);

#endif
