/* What the files of a worker share; for node/worker*.c only. */
#ifndef RINGKV_NODE_WORKER_PARTS_H
#define RINGKV_NODE_WORKER_PARTS_H

#include "node/worker.h"
#include "shared/log_quota.h"
#include "shared/loop.h"
#include "shared/stall.h"
#include <pthread.h>

/* The store has woken us and we have not looked yet. */
enum worker_news {
    NEWS_NONE,
    NEWS_POSTED,
    NEWS_LOST, /* without memory to post it: the next tick looks */
};

struct worker {
    struct node *node;
    uint16_t index;
    struct loop *loop;
    struct loop_timer *tick, *release, *stop_check;
    struct store *store;
    struct shard *shard;
    struct links *links;
    struct ring_ref *ring;
    struct ring_ref *ring_next; /* atomic: left here by the main thread; NULL: taken */
    struct client **clients;    /* by slot; NULL: the slot is free */
    uint32_t client_slots, client_count, next_generation;
    uint64_t bad_requests;      /* of clients, which were closed for them */
    struct log_quota refusals;  /* what the log tells of those */
    uint32_t leads, leads_told; /* partitions that are led here: by the last report, in the log */
    unsigned ticks;
    struct stall stall;
    bool thread_runs, stopping;
    bool release_set; /* the timer that releases late is running */
    uint64_t stop_at_ms;
    bool stop_asked; /* atomic */
    int news;        /* atomic, enum worker_news */
    pthread_t thread;
    pthread_mutex_t report_lock;
    struct worker_report report;
    struct buf verify_text;   /* under the report's lock */
    uint64_t verify_run;      /* the last one told of */
    struct progress progress; /* with the report's lock; its entries stand here: */
    struct buf progress_entries;
};

/* --- worker_clients.c --- */

/* Takes over the socket of a proxy whose HELLO was checked: WELCOME is sent here, and `rest` is
 * input that was read behind the HELLO. The socket is closed when there is no memory for it. */
void worker_client_start(struct worker *w, int fd, const struct welcome *welcome,
                         struct bytes rest);

/* For struct shard_host: where the frames for a client go; NULL when it is gone. `worker` is the
 * struct worker, `name` what shard_request was given. */
struct buf *worker_client_out(void *worker, uint64_t name);

/* Whether all output has left. */
bool worker_clients_quiet(const struct worker *w);

/* Nothing more is read from any of them. */
void worker_clients_pause(struct worker *w);

/* Closes them all. */
void worker_clients_free(struct worker *w);

/* --- worker_report.c --- */

/* What the worker's thread tells all others about itself: its report, for the first time before
 * there are others; all of it, with every tick. */
void worker_make_report(struct worker *w);
void worker_make_reports(struct worker *w);

#endif
