#include "shared/loop.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { TURN_END_MAX = 8, SCRATCH_SIZE = 256 << 10 };

struct loop_timer {
    struct loop *loop;
    struct event *event;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    struct event_base *base;
    struct event *wake_event;
    int wake_fd;
    bool stopping;
    size_t hook_count;
    struct {
        void (*fn)(void *arg);
        void *arg;
    } hooks[TURN_END_MAX];
    struct loop_work work;
    uint8_t *scratch;

    pthread_mutex_t lock; /* guards the posted list, the only thing other threads touch */
    struct loop_note *posted_first, **posted_last;
};

/* From here on it may be posted again, or be gone. */
static void let_go(struct loop *l, struct loop_note *n)
{
    if (n->allocated) {
        free(n);
        return;
    }
    pthread_mutex_lock(&l->lock);
    n->on_its_way = false;
    pthread_mutex_unlock(&l->lock);
}

static void run_posted(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        return;
    pthread_mutex_lock(&l->lock);
    struct loop_note *list = l->posted_first;
    l->posted_first = NULL;
    l->posted_last = &l->posted_first;
    pthread_mutex_unlock(&l->lock);
    while (list) {
        struct loop_note note = *list;

        let_go(l, list);
        note.fn(note.arg);
        list = note.next;
    }
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->wake_fd = -1;
    l->posted_last = &l->posted_first;
    pthread_mutex_init(&l->lock, NULL);

    /* A base is used by one thread only, so it needs no locks; the precise timer costs a system
     * call for each timeout and buys nothing here. */
    struct event_config *config = event_config_new();

    if (config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        l->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    l->scratch = malloc(SCRATCH_SIZE);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!l->base || !l->scratch || l->wake_fd < 0)
        goto fail;
    l->wake_event = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, run_posted, l);
    if (!l->wake_event || event_add(l->wake_event, NULL) != 0)
        goto fail;
    return l;
fail:
    loop_free(l);
    return NULL;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    conn_forget_all(l);
    if (l->wake_event)
        event_free(l->wake_event);
    if (l->base)
        event_base_free(l->base);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    while (l->posted_first) {
        struct loop_note *next = l->posted_first->next;

        let_go(l, l->posted_first);
        l->posted_first = next;
    }
    pthread_mutex_destroy(&l->lock);
    free(l->scratch);
    free(l);
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

int loop_run(struct loop *l)
{
    while (!l->stopping) {
        bool sleep = !l->work.resume && !l->work.again;

        l->work.again = 0;
        /* ONCE in both cases: without it the call returns only when nothing is ready any more, and
         * a busy turn would never end. */
        if (event_base_loop(l->base, sleep ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
            return RK_IO;
        conn_resume_all(l);
        for (size_t i = 0; i < l->hook_count; i++)
            l->hooks[i].fn(l->hooks[i].arg);
        conn_flush_all(l);
    }
    return 0;
}

void loop_serve(struct loop *l, const char *thread)
{
    if (loop_run(l) == 0)
        return;
    log_error("loop: the event loop of thread=%s failed: %s; the process ends", thread,
              strerror(errno));
    _exit(1);
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

void loop_post_note(struct loop *l, struct loop_note *n, void (*fn)(void *arg), void *arg)
{
    uint64_t one = 1;

    pthread_mutex_lock(&l->lock);
    if (!n->on_its_way) {
        n->fn = fn;
        n->arg = arg;
        n->next = NULL;
        n->on_its_way = true;
        *l->posted_last = n;
        l->posted_last = &n->next;
    }
    pthread_mutex_unlock(&l->lock);
    /* Can fail only when the counter is at its maximum, and then the loop is awake anyway. */
    ssize_t written = write(l->wake_fd, &one, sizeof(one));

    (void)written;
}

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct loop_note *n = malloc(sizeof(*n));

    if (!n)
        return RK_NOMEM;
    *n = (struct loop_note){.allocated = true};
    loop_post_note(l, n, fn, arg);
    return 0;
}

uint64_t loop_now_ms(const struct loop *l)
{
    struct timespec t;

    (void)l;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t loop_now_us(const struct loop *l)
{
    struct timespec t;

    (void)l;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int loop_at_turn_end(struct loop *l, void (*fn)(void *arg), void *arg)
{
    if (l->hook_count == TURN_END_MAX)
        return RK_FULL;
    l->hooks[l->hook_count].fn = fn;
    l->hooks[l->hook_count].arg = arg;
    l->hook_count++;
    return 0;
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *t = arg;

    (void)fd;
    (void)what;
    t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct loop_timer *t = malloc(sizeof(*t));

    if (!t)
        return NULL;
    *t = (struct loop_timer){l, NULL, fn, arg};
    t->event = evtimer_new(l->base, timer_fired, t);
    if (!t->event) {
        free(t);
        return NULL;
    }
    return t;
}

void loop_timer_set(struct loop_timer *t, uint64_t after_ms)
{
    struct timeval after = {(time_t)(after_ms / 1000), (suseconds_t)(after_ms % 1000) * 1000};

    /* Adding a timeout can only fail for want of memory, when the heap of timers grows. There is no
     * one to tell and no way to go on without time. */
    if (evtimer_add(t->event, &after) != 0)
        abort();
}

void loop_timer_cancel(struct loop_timer *t)
{
    evtimer_del(t->event);
}

void loop_timer_free(struct loop_timer *t)
{
    if (!t)
        return;
    event_free(t->event);
    free(t);
}

uint8_t *loop_scratch(struct loop *l, size_t *size)
{
    *size = SCRATCH_SIZE;
    return l->scratch;
}

struct loop_work *loop_work(struct loop *l)
{
    return &l->work;
}
