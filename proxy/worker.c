#include "proxy/worker.h"
#include "proxy/client.h"
#include "proxy/errands.h"
#include "proxy/link.h"
#include "proxy/process.h"
#include "proxy/ring_watch.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    SWEEP_MS = 500,
    SWEEP_CLIENTS = 4096, /* looked at in one sweep */
    DRAIN_MORE_MS = 500,  /* beyond request_timeout, for the last replies to leave */
};

/* --- timers and the end of a turn ------------------------------------------------------------ */

static void tick_at(struct worker *w, uint64_t after_ms)
{
    uint64_t at_ms = w->router.now_ms + after_ms;

    if (after_ms == UINT64_MAX || at_ms >= w->tick_at_ms)
        return;
    w->tick_at_ms = at_ms;
    loop_timer_set(w->tick_timer, after_ms);
}

static void on_tick(void *arg)
{
    struct worker *w = arg;

    w->tick_at_ms = UINT64_MAX;
    worker_look_at_clock(w);
    tick_at(w, router_tick(&w->router, w->router.now_ms));
}

static void flush_lanes(struct worker *w)
{
    struct lane *lane;

    while ((lane = router_next_dirty(&w->router)) != NULL)
        link_flush(link_of_lane(lane));
}

static void on_turn_end(void *arg)
{
    struct worker *w = arg;
    struct session *s;

    while ((s = router_next_ready(&w->router)) != NULL)
        client_settle(client_of_session(s));
    flush_lanes(w);
    tick_at(w, router_next_ms(&w->router));
    if (w->router.ring_wanted) {
        w->router.ring_wanted = false;
        worker_want_ring(w);
    }
    if (w->draining && !w->clients)
        loop_stop(w->loop);
}

static void on_linger(void *arg)
{
    struct worker *w = arg;
    uint64_t now_ms = loop_now_ms(w->loop);
    uint64_t due_ms = client_end_lingering(w, now_ms);

    if (due_ms)
        loop_timer_set(w->linger_timer, due_ms - now_ms);
}

/* --- clients and links ------------------------------------------------------------------------ */

static void on_accept(void *arg, int fd)
{
    client_accept(arg, fd);
}

/* Looks at some clients, those least lately looked at, and moves them to the end. */
static void sweep_clients(struct worker *w, uint64_t now_ms)
{
    uint64_t count = counter_read(&w->counters.clients);

    count = count < SWEEP_CLIENTS ? count : SWEEP_CLIENTS;
    while (count-- && w->clients) {
        struct client *c = w->clients;

        if (c->next) {
            w->clients = c->next;
            w->clients->previous = NULL;
            c->previous = w->clients_last;
            c->next = NULL;
            w->clients_last->next = c;
            w->clients_last = c;
        }
        client_check(c, now_ms);
    }
}

/* A link that the ring has no more goes when it has nothing in flight; at the latest after the
 * time-out. */
static void sweep_links(struct worker *w, uint64_t now_ms)
{
    uint64_t silence_ms = 2 * (uint64_t)w->proxy->options->request_timeout_ms;
    struct link **at = &w->links;

    while (*at) {
        struct link *l = *at;

        if (w->ring && l->epoch < w->ring->ring->epoch && !l->lane.in_flight) {
            *at = l->next;
            link_free(l);
        } else {
            link_check(l, now_ms, silence_ms);
            at = &l->next;
        }
    }
}

static void on_sweep(void *arg)
{
    struct worker *w = arg;

    worker_look_at_clock(w);
    stall_look(&w->stall, w->router.now_ms, "thread", w->index);
    atomic_store(&w->counters.accept_pauses, listener_pauses(w->listener));
    worker_take_ring(w); /* for which there was no memory */
    sweep_clients(w, w->router.now_ms);
    sweep_links(w, w->router.now_ms);
    stall_expect(&w->stall, loop_now_ms(w->loop) + SWEEP_MS);
    loop_timer_set(w->sweep_timer, SWEEP_MS);
}

/* --- the ring --------------------------------------------------------------------------------- */

/* The link for a member's shard: the one that there is, or a new one. */
static struct link *link_for(struct worker *w, const struct ring *ring,
                             const struct ring_member *member, uint16_t shard)
{
    const struct ring *old = w->ring ? w->ring->ring : NULL;
    int index = old ? ring_member_by_identity(old, member->identity) : -1;
    struct link *l;

    if (index >= 0 && shard < old->members[index].shards) {
        l = link_of_lane(w->router.lanes[w->router.lane_first[index] + shard]);
        if (link_leads_to(l, member)) {
            l->epoch = ring->epoch;
            return l;
        }
    }
    l = link_new(w, ring, member, shard);
    if (l) {
        l->next = w->links;
        w->links = l;
    }
    return l;
}

static int lanes_for(struct worker *w, const struct ring *ring, struct lane **lanes,
                     uint32_t *lane_first)
{
    uint32_t count = 0;

    for (uint32_t m = 0; m < ring->member_count; m++) {
        lane_first[m] = count;
        for (uint16_t shard = 0; shard < ring->members[m].shards; shard++) {
            struct link *l = link_for(w, ring, &ring->members[m], shard);

            if (!l)
                return RK_NOMEM;
            lanes[count++] = &l->lane;
        }
    }
    return 0;
}

static uint32_t count_lanes(const struct ring *ring)
{
    uint32_t count = 0;

    for (uint32_t m = 0; m < ring->member_count; m++)
        count += ring->members[m].shards;
    return count;
}

/* On failure the old ring stays, and the links made for the new one go. */
static int use_ring(struct worker *w, const struct ring *ring)
{
    struct lane **lanes = calloc(count_lanes(ring), sizeof(struct lane *));
    uint32_t *lane_first = calloc(ring->member_count, sizeof(*lane_first));
    struct link *before = w->links;
    int failed;

    worker_look_at_clock(w);
    failed = lanes && lane_first ? lanes_for(w, ring, lanes, lane_first) : RK_NOMEM;
    if (failed) {
        free(lanes);
        free(lane_first);
    } else {
        failed = router_set_ring(&w->router, ring, lanes, lane_first, w->router.now_ms);
    }
    while (failed && w->links != before) {
        struct link *l = w->links;

        w->links = l->next;
        link_free(l);
    }
    return failed;
}

void worker_take_ring(void *worker)
{
    struct worker *w = worker;
    struct ring_ref *next = atomic_exchange(&w->ring_next, NULL);

    if (!next)
        return;
    if (use_ring(w, next->ring) != 0) {
        struct ring_ref *newer = NULL;

        log_warn_few(&w->complaints, w->router.now_ms,
                     "worker: out of memory for the ring of epoch %llu, trying on",
                     (unsigned long long)next->ring->epoch);
        if (!atomic_compare_exchange_strong(&w->ring_next, &newer, next))
            ring_ref_put(next);
        return;
    }
    ring_ref_put(w->ring);
    w->ring = next;
}

void worker_want_ring(struct worker *w)
{
    ring_watch_hurry(w->proxy->watch);
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_drain_timeout(void *arg)
{
    struct worker *w = arg;

    while (w->clients)
        client_close(w->clients);
    loop_stop(w->loop);
}

void worker_drain(void *worker)
{
    struct worker *w = worker;

    if (w->draining)
        return;
    w->draining = true;
    listener_free(w->listener);
    w->listener = NULL;
    for (struct client *c = w->clients; c; c = c->next)
        client_finish(c);
    /* The sweep is not needed any more, and its timer is there. */
    loop_timer_free(w->sweep_timer);
    w->sweep_timer = loop_timer_new(w->loop, on_drain_timeout, w);
    if (w->sweep_timer)
        loop_timer_set(w->sweep_timer,
                       (uint64_t)w->proxy->options->request_timeout_ms + DRAIN_MORE_MS);
    else
        on_drain_timeout(w);
}

static void gather_facts(void *arg, struct facts *out)
{
    process_facts(((struct worker *)arg)->proxy, out);
}

static void gather_client(void *arg, struct session *s, struct client_facts *out)
{
    (void)arg;
    client_facts(client_of_session(s), out);
}

static struct records *take_records(void *arg)
{
    struct proxy *p = ((struct worker *)arg)->proxy;

    pthread_mutex_lock(&p->records_lock);
    return &p->records;
}

static void give_records(void *arg)
{
    pthread_mutex_unlock(&((struct worker *)arg)->proxy->records_lock);
}

static void gather_stats(void *arg, struct command_stats *sum)
{
    process_command_stats(((struct worker *)arg)->proxy, sum);
}

static void reset_facts(void *arg)
{
    process_reset(((struct worker *)arg)->proxy);
}

static uint64_t unix_us(void *arg)
{
    (void)arg;
    return process_unix_us();
}

static int begin_errand(void *arg, struct session *s, const struct errand *errand)
{
    struct worker *w = arg;

    return errands_begin(w->proxy->errands, client_of_session(s), errand);
}

static int worker_init(struct worker *w, struct proxy *p)
{
    struct router_ports ports = {
        .arg = w,
        .facts = gather_facts,
        .unix_us = unix_us,
        .client = gather_client,
        .records = take_records,
        .records_done = give_records,
        .command_stats = gather_stats,
        .reset_facts = reset_facts,
        .errand = begin_errand,
    };

    router_init(&w->router, &ports, &w->counters);
    if (logins_init(&w->logins, &p->options->users) != 0)
        return RK_NOMEM;
    w->router.logins = &w->logins;
    w->router.tunables = &p->tunables;
    w->stats = calloc(1, sizeof(*w->stats));
    if (!w->stats)
        return RK_NOMEM;
    w->router.stats = w->stats;
    if (getrandom(w->logins.key, sizeof(w->logins.key), 0) != sizeof(w->logins.key))
        return RK_IO;
    w->router.request_timeout_ms = (uint64_t)p->options->request_timeout_ms;
    w->router.node_timeout_ms = (uint64_t)p->options->node_timeout_ms;
    w->router.reply_max = (size_t)p->options->client_output / 2;
    w->router.lane_output_max = (size_t)p->options->node_output;
    if (getrandom(&w->router.session, sizeof(w->router.session), 0) != sizeof(w->router.session))
        return RK_IO;
    w->router.session |= 1; /* 0 means that there is none */
    w->tick_at_ms = UINT64_MAX;
    w->loop = loop_new();
    if (!w->loop)
        return RK_NOMEM;
    w->tick_timer = loop_timer_new(w->loop, on_tick, w);
    w->sweep_timer = loop_timer_new(w->loop, on_sweep, w);
    w->linger_timer = loop_timer_new(w->loop, on_linger, w);
    if (!w->tick_timer || !w->sweep_timer || !w->linger_timer)
        return RK_NOMEM;
    loop_timer_set(w->sweep_timer, SWEEP_MS);
    return loop_at_turn_end(w->loop, on_turn_end, w);
}

struct worker *worker_new(struct proxy *p, const char *host, uint16_t port, char *why,
                          size_t why_size)
{
    struct worker *w = NULL;

    /* The counters have a cache line of their own. */
    if (posix_memalign((void **)&w, 64, sizeof(*w)) != 0) {
        snprintf(why, why_size, "%s", rk_error_text(RK_NOMEM));
        return NULL;
    }
    memset(w, 0, sizeof(*w));
    w->proxy = p;
    w->index = p->worker_count;

    int failed = worker_init(w, p);

    if (failed)
        snprintf(why, why_size, "a thread could not be prepared: %s", rk_error_text(failed));
    else
        w->listener = listener_new(w->loop, host, port, true, on_accept, w, why, why_size);
    if (failed || !w->listener) {
        worker_free(w);
        return NULL;
    }
    return w;
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;

    loop_serve(w->loop, "worker");
    loop_post_note(w->proxy->loop, &w->ended_note, proxy_worker_ended, w->proxy);
    return NULL;
}

int worker_start(struct worker *w)
{
    errno = pthread_create(&w->thread, NULL, worker_run, w);
    return errno ? RK_NOMEM : 0;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    while (w->clients)
        client_close(w->clients);
    /* What is in flight for clients that left is tried again at other nodes when a link is lost, so
     * none may be freed before all are lost. */
    for (struct link *l = w->links; l; l = l->next)
        router_lane_lost(&w->router, &l->lane);
    while (w->links) {
        struct link *l = w->links;

        w->links = l->next;
        link_free(l);
    }
    router_destroy(&w->router);
    logins_destroy(&w->logins);
    free(w->stats);
    listener_free(w->listener);
    loop_timer_free(w->tick_timer);
    loop_timer_free(w->sweep_timer);
    loop_timer_free(w->linger_timer);
    if (w->loop)
        loop_free(w->loop);
    ring_ref_put(w->ring);
    ring_ref_put(atomic_exchange(&w->ring_next, NULL));
    free(w);
}
