/* Edge: one thread's event loop over libevent.
 *
 * A turn is: wait, run what is ready, run the turn-end hooks (e.g. hand the turn's writes to the
 * store), then flush the connections, one write each. Nothing but loop_post may be called from
 * another thread.
 */
#ifndef RINGKV_SHARED_LOOP_H
#define RINGKV_SHARED_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct loop;
struct loop_timer;

struct loop *loop_new(void); /* NULL: out of memory or descriptors */
void loop_free(struct loop *l);
struct event_base *loop_base(struct loop *l);

/* Runs until loop_stop. 0 or RK_IO. */
int loop_run(struct loop *l);

/* Likewise for a thread of a daemon. Should the event loop itself fail, the log says so and the
 * process ends with exit code 1: a thread that is gone would leave its connections hanging, and its
 * share of new ones. */
void loop_serve(struct loop *l, const char *thread);
void loop_stop(struct loop *l); /* after this turn; on the loop's own thread */

/* Runs fn(arg) on the loop's thread at its next turn. Callable from any thread. 0, RK_NOMEM (not
 * posted). */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* Likewise with memory that the caller keeps until fn is called, so that it cannot fail: for what
 * somebody waits for. Zeros before the first time; nothing happens while it is still on its way. */
struct loop_note {
    void (*fn)(void *arg);
    void *arg;
    struct loop_note *next;
    bool on_its_way;
    bool allocated; /* by loop_post */
};
void loop_post_note(struct loop *l, struct loop_note *n, void (*fn)(void *arg), void *arg);

/* Milliseconds of the monotonic clock, as coarse as the kernel's tick (1 to 4 ms); cheap. */
uint64_t loop_now_ms(const struct loop *l);

/* Microseconds of it, exact. They may be ahead of the milliseconds by a tick. */
uint64_t loop_now_us(const struct loop *l);

/* fn runs at the end of every turn, hooks in the order in which they were added. 0 or RK_FULL. */
int loop_at_turn_end(struct loop *l, void (*fn)(void *arg), void *arg);

/* A timer that fires once each time it is set. NULL: out of memory. */
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, uint64_t after_ms);
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* Room for one read, shared by all connections of the loop: idle connections own no buffer. */
uint8_t *loop_scratch(struct loop *l, size_t *size);

/* For conn.c: connections whose kept input is to be handed over, and those with output to flush, at
 * the end of this turn. What is put on the first list meanwhile waits for the next turn, which then
 * does not sleep. */
struct conn;
struct loop_work {
    struct conn *resume, *flush;
    uint64_t throttles; /* how often the output of a connection passed its bound */
    int again;          /* a callback ran after the hooks: take another turn before sleeping */
};
struct loop_work *loop_work(struct loop *l);
void conn_resume_all(struct loop *l);
void conn_flush_all(struct loop *l);
void conn_forget_all(struct loop *l); /* the loop ends: frees those closed since its last turn */

#endif
