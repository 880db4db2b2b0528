/* Edge: the thread of one shard. It owns the shard's store, groups, links and proxy connections;
 * nothing of them is locked. */
#ifndef RINGKV_NODE_WORKER_H
#define RINGKV_NODE_WORKER_H

#include "node/link.h"
#include "node/node.h"
#include "node/shard.h"
#include "shared/buf.h"
#include "shared/message_ring.h"
#include "shared/ring_ref.h"

struct worker;

/* What a worker tells about itself, as of its last report (every fourth tick: 100 ms). */
struct worker_report {
    struct store_stats store;
    struct shard_counters shard;
    struct shard_summary groups;
    struct links_counters links;
    uint64_t clients, held_bytes, held_items, line_bytes, line_requests, history_bytes,
        history_dropped;
    uint64_t output_pauses; /* connections that were not read for a while, for their output */
    uint64_t bad_requests;  /* of proxies, which were closed for it */
};

/* Opens the shard's store. NULL with a text in `why`. */
struct worker *worker_new(struct node *node, uint16_t shard, char *why, size_t why_size);

/* Starts the thread. 0, or RK_IO: errno says why. */
int worker_start(struct worker *w);

/* From any thread. worker_adopt takes over a socket whose HELLO was read and checked, with input
 * read behind it. */
void worker_adopt(struct worker *w, int fd, const struct hello *hello,
                  const struct welcome *welcome, struct bytes rest);
void worker_set_ring(struct worker *w, struct ring_ref *ring);
void worker_report(struct worker *w, struct worker_report *out);

/* Adds what this shard tells of a change of the ring, as of its last tick (25 ms ago): to the sums
 * of `m`, and its entries when they are meant by the ring of m->epoch. 0 or RK_NOMEM. */
int worker_progress(struct worker *w, struct progress *m, struct buf *entries);

/* From any thread: begins a comparison (node/verify.h) / appends how far it is. 0 or RK_NOMEM. */
int worker_verify(struct worker *w, uint64_t run, bool repair);
int worker_verify_report(struct worker *w, struct buf *out);

/* Answers what is in flight, for at most so long, then ends the thread. worker_free waits for it,
 * syncs and closes. */
void worker_stop(struct worker *w, uint64_t within_ms);
void worker_free(struct worker *w);

#endif
