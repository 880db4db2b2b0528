/* What all threads of a proxy write down together about commands that took long.
 *
 * A command's time is that from being read to being answered, as the client sees it, without the
 * network between: waiting for nodes is nearly all of it. It is as coarse as the loop's clock (1 to
 * 4 ms).
 */
#ifndef RINGKV_PROXY_RECORDS_H
#define RINGKV_PROXY_RECORDS_H

#include "proxy/latency.h"
#include "proxy/slow_log.h"

struct execution;
struct router;
struct slot;

struct records {
    struct slow_log slow;
    struct latency latency;
};

/* A command that went to nodes is answered, and its calls are there still. */
void records_note_slot(struct router *r, const struct slot *slot);

/* A command that needs no node is done. Takes no time, and is written down when everything is. */
void records_note_local(struct execution *x);

#endif
