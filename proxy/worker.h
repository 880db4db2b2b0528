/* Edge: one thread of the proxy, with its own loop, listener, clients and links. */
#ifndef RINGKV_PROXY_WORKER_H
#define RINGKV_PROXY_WORKER_H

#include "proxy/command_stats.h"
#include "proxy/counters.h"
#include "proxy/login.h"
#include "proxy/proxy.h"
#include "proxy/router.h"
#include "shared/listener.h"
#include "shared/log_quota.h"
#include "shared/loop.h"
#include "shared/ring_ref.h"
#include "shared/stall.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct client;
struct link;

struct worker {
    struct proxy *proxy;
    uint32_t index; /* among its threads */
    struct loop *loop;
    struct listener *listener;   /* NULL once it accepts no more */
    struct log_quota complaints; /* about clients, and the want of memory */
    struct router router;
    struct counters counters;
    struct logins logins;
    struct command_stats *stats;

    struct ring_ref *ring;              /* what the router routes by */
    struct ring_ref *_Atomic ring_next; /* left here by the main thread */
    struct link *links;                 /* those of older rings too while they are busy */
    struct client *clients, *clients_last;
    struct client *lingering, *lingering_last;
    struct loop_timer *tick_timer;   /* time-outs and retries */
    struct loop_timer *sweep_timer;  /* idle clients, silent links */
    struct stall stall;              /* of the sweeps */
    struct loop_timer *linger_timer; /* clients told that they broke the protocol */
    uint64_t tick_at_ms;             /* when tick_timer fires; UINT64_MAX: not set */
    bool draining;
    struct loop_note drain_note; /* to its loop, */
    struct loop_note ended_note; /* and to the main thread's */
    pthread_t thread;
};

/* A worker that listens already, so that the caller learns of a port in use; its thread is not
 * running. NULL with the reason in `why`. */
struct worker *worker_new(struct proxy *p, const char *host, uint16_t port, char *why,
                          size_t why_size);

/* The router's time is the present one. */
static inline void worker_look_at_clock(struct worker *w)
{
    w->router.now_ms = loop_now_ms(w->loop);
    w->router.now_us = loop_now_us(w->loop);
}

/* Starts the thread. 0, or RK_NOMEM: errno says why. */
int worker_start(struct worker *w);

/* To be posted to the worker's loop: takes ring_next over; without memory the next sweep tries
 * again, as it does for what could not be posted. */
void worker_take_ring(void *worker);

/* To be posted likewise: stops accepting, answers what is in flight within request_timeout, then
 * ends the loop and posts proxy_worker_ended to the main one. */
void worker_drain(void *worker);

/* Asks the main thread for a newer ring. */
void worker_want_ring(struct worker *w);

/* Ends the thread's remains; the thread must have been joined, or never started. */
void worker_free(struct worker *w);

/* In main.c, on the main thread: one worker has ended. */
void proxy_worker_ended(void *proxy);

#endif
