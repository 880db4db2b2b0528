#include "node/clock.h"
#include "node/store_disk.h"
#include "node/worker_parts.h"
#include "shared/error.h"
#include "shared/file.h"
#include "shared/log.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 25,
    SWEEP_TICK_MS = 12, /* while expired records go: less at once, so that requests wait less */
    STOP_CHECK_MS = 5,
    HELD_MAX = 64 << 20, /* bytes of messages that wait for stable storage */
    HAND_BACK_MS = 2000, /* of keeping up, before the preferred primary leads again */
};

/* --- the shard's host ----------------------------------------------------------------------- */

static struct buf *peer_out(void *arg, uint16_t member, uint32_t partition)
{
    struct worker *w = arg;

    return links_out(w->links, member, partition);
}

static bool peer_has_room(void *arg, uint16_t member, uint32_t partition)
{
    struct worker *w = arg;

    return links_have_room(w->links, member, partition);
}

static bool peer_alive(void *arg, uint16_t member, uint32_t partition)
{
    struct worker *w = arg;

    return links_alive(w->links, member, partition);
}

static void peer_break(void *arg, uint16_t member, uint32_t partition)
{
    struct worker *w = arg;

    links_break(w->links, member, partition);
}

static void newer_epoch(void *arg, uint64_t epoch, uint16_t member)
{
    struct worker *w = arg;

    w->node->newer_epoch(w->node->newer_arg, epoch, member);
}

/* What a power cut may take back is not told as durable: it would come back as an old copy. */
static uint64_t durable(void *arg)
{
    struct worker *w = arg;
    int error = 0;
    uint64_t position = store_poll(w->store, &error);

    return error || w->node->options.sync != NODE_SYNC_ALWAYS ? 0 : position + 1;
}

static void stale(void *arg, struct bytes what)
{
    static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
    const struct worker *w = arg;

    /* All threads are told at about the same time; none must end the process before it is written.
     */
    pthread_mutex_lock(&first);
    log_error(
        "stop: another member says of this data folder: %.*s. It is an old copy: what the node "
        "acknowledged since is missing, so it stops now. Empty the folder %s, start the node, "
        "and put it in its own place: ringctl replace",
        (int)what.size, (const char *)what.data, w->node->folder.path);
    data_folder_condemn(&w->node->folder, what);
    _exit(1);
}

/* --- the store ------------------------------------------------------------------------------ */

/* Looks how far the store has synced. A store that failed ends the process at once, before anything
 * more is said: what it could not write must not be acknowledged, and no second attempt can be
 * trusted. */
static void look_at_store(struct worker *w)
{
    int error = 0;
    uint64_t position = store_poll(w->store, &error);

    if (error) {
        char why[STORE_WHY_SIZE];

        store_disk_why(w->store, why, sizeof(why));
        log_error("store: shard=%u cannot write any more: %s; the node stops now, so that it "
                  "acknowledges nothing that is not on disk; doc/operations.md says what to do",
                  w->index, why[0] ? why : rk_error_text(error));
        _exit(1);
    }
    shard_synced(w->shard, position);
}

static void store_news(void *arg)
{
    struct worker *w = arg;

    __atomic_store_n(&w->news, NEWS_NONE, __ATOMIC_RELEASE);

    /* When the checkpoint cannot keep up, all writers wait a little rather than some of them long.
     */
    uint64_t delay_ms = store_delay_us(w->store) / 1000;

    if (!delay_ms) {
        look_at_store(w);
    } else if (!w->release_set) {
        /* Not set anew by each sync: while they keep coming the time would never be up. */
        w->release_set = true;
        loop_timer_set(w->release, delay_ms);
    }
}

static void release_late(void *arg)
{
    struct worker *w = arg;

    w->release_set = false;
    look_at_store(w);
}

static void store_wake(void *arg)
{
    struct worker *w = arg;

    if (__atomic_exchange_n(&w->news, NEWS_POSTED, __ATOMIC_ACQ_REL) != NEWS_POSTED &&
        loop_post(w->loop, store_news, w) != 0)
        __atomic_store_n(&w->news, NEWS_LOST, __ATOMIC_RELEASE);
}

/* There may be more to take of what waits; without memory to post this, the next tick does it. */
static void another_turn(void *arg)
{
    (void)arg;
}

static void turn_end(void *arg)
{
    struct worker *w = arg;

    store_submit(w->store);
    w->shard->wall_ms = clock_unix_ms();
    if (shard_take_waiting(w->shard)) {
        store_submit(w->store);
        loop_post(w->loop, another_turn, w);
    }
    shard_turn_end(w->shard);
}

/* --- from other threads --------------------------------------------------------------------- */

struct adoption {
    struct worker *worker;
    int fd;
    struct hello hello;
    struct welcome welcome;
    size_t size;
    uint8_t rest[];
};

static void adopt(void *arg)
{
    struct adoption *a = arg;

    if (a->worker->stopping)
        close(a->fd);
    else if (a->hello.role == ROLE_NODE)
        links_adopt(a->worker->links, a->fd, bytes_of(a->rest, a->size), &a->hello, &a->welcome);
    else
        worker_client_start(a->worker, a->fd, &a->welcome, bytes_of(a->rest, a->size));
    free(a);
}

void worker_adopt(struct worker *w, int fd, const struct hello *hello,
                  const struct welcome *welcome, struct bytes rest)
{
    struct adoption *a = malloc(sizeof(*a) + rest.size);

    if (!a) {
        close(fd);
        return;
    }
    *a = (struct adoption){w, fd, *hello, *welcome, rest.size};
    if (rest.size)
        memcpy(a->rest, rest.data, rest.size);
    if (loop_post(w->loop, adopt, a) != 0) {
        close(fd);
        free(a);
    }
}

static void take_ring(void *arg)
{
    struct worker *w = arg;
    struct ring_ref *next = __atomic_exchange_n(&w->ring_next, NULL, __ATOMIC_ACQ_REL);
    const struct ring *ring;
    int me;

    if (!next)
        return;
    ring = next->ring;
    me = ring_member_by_identity(ring, w->node->folder.identity);
    /* From the first one on the shard notes since when somebody is away, so it has to know the
     * time. */
    if (!w->ring)
        shard_tick(w->shard, loop_now_ms(w->loop), clock_unix_ms());
    /* The shard first: what it still has to say by the old ring goes out on the links of that. */
    if (shard_set_ring(w->shard, ring, me < 0 ? 0 : ring->members[me].number) != 0 ||
        links_set_ring(w->links, ring, me) != 0) {
        log_error("ring: shard=%u cannot take epoch=%llu: out of memory, or its replication state "
                  "on disk is damaged; the node stops",
                  w->index, (unsigned long long)ring->epoch);
        _exit(1);
    }
    ring_ref_put(w->ring);
    w->ring = next;
}

void worker_set_ring(struct worker *w, struct ring_ref *ring)
{
    ring_ref_put(__atomic_exchange_n(&w->ring_next, ring, __ATOMIC_ACQ_REL));
    loop_post(w->loop, take_ring, w); /* without memory the next tick takes it */
}

struct verification {
    struct worker *worker;
    uint64_t run;
    bool repair;
};

static void begin_verify(void *arg)
{
    struct verification *v = arg;

    verify_begin(v->worker->shard, v->run, v->repair);
    free(v);
}

int worker_verify(struct worker *w, uint64_t run, bool repair)
{
    struct verification *v = malloc(sizeof(*v));

    if (!v)
        return RK_NOMEM;
    *v = (struct verification){w, run, repair};
    if (loop_post(w->loop, begin_verify, v) == 0)
        return 0;
    free(v);
    return RK_NOMEM;
}

/* --- ticks, and the end ---------------------------------------------------------------------- */

static bool quiet(struct worker *w)
{
    if (w->shard->held.count || w->shard->line.count)
        return false;
    for (uint32_t i = 0; i < w->shard->group_count; i++)
        if (w->shard->groups[i].pending_count)
            return false;
    return worker_clients_quiet(w);
}

static void check_stop(void *arg)
{
    struct worker *w = arg;

    if (quiet(w) || loop_now_ms(w->loop) >= w->stop_at_ms)
        loop_stop(w->loop);
    else
        loop_timer_set(w->stop_check, STOP_CHECK_MS);
}

static void begin_stop(void *arg)
{
    struct worker *w = arg;

    if (w->stopping)
        return;
    w->stopping = true;
    worker_clients_pause(w);
    w->stop_check = loop_timer_new(w->loop, check_stop, w);
    if (w->stop_check)
        check_stop(w);
    else
        loop_stop(w->loop);
}

/* What other threads have asked for, and had no memory to post. */
static void look_for_orders(struct worker *w)
{
    if (__atomic_load_n(&w->news, __ATOMIC_ACQUIRE) == NEWS_LOST)
        store_news(w);
    take_ring(w);
    if (__atomic_load_n(&w->stop_asked, __ATOMIC_ACQUIRE))
        begin_stop(w);
}

static void tick(void *arg)
{
    struct worker *w = arg;
    uint64_t next_ms;

    stall_look(&w->stall, loop_now_ms(w->loop), "shard", w->index);
    look_for_orders(w);
    links_tick(w->links);
    shard_tick(w->shard, loop_now_ms(w->loop), clock_unix_ms());
    worker_make_reports(w);
    next_ms = shard_is_sweeping(w->shard) ? SWEEP_TICK_MS : TICK_MS;
    stall_expect(&w->stall, loop_now_ms(w->loop) + next_ms);
    loop_timer_set(w->tick, next_ms);
}

/* --- start and stop ------------------------------------------------------------------------- */

static int open_store(struct worker *w, char *why, size_t why_size)
{
    const struct node_options *o = &w->node->options;
    char *folder = data_folder_shard(&w->node->folder, w->index);
    struct store_disk_options options = {.folder = folder,
                                         .sync = (enum store_sync)o->sync,
                                         .sync_interval_ms = (uint64_t)o->sync_interval_ms,
                                         .memory_table = (size_t)o->memory_table,
                                         .log_segment = (size_t)o->log_segment,
                                         .map_size = (size_t)o->map_size,
                                         .checkpoint_ms = (uint64_t)o->checkpoint_ms,
                                         .scrub_rate = (uint64_t)o->scrub_rate,
                                         .wake = store_wake,
                                         .wake_arg = w};
    int error = folder ? file_make_folder(folder, 0700) : RK_NOMEM;

    if (error)
        snprintf(why, why_size, "%s: %s", folder ? folder : "shard", strerror(errno));
    else
        error = store_disk_open(&options, &w->store, why, why_size);
    free(folder);
    return error;
}

struct worker *worker_new(struct node *node, uint16_t index, char *why, size_t why_size)
{
    struct worker *w = calloc(1, sizeof(*w));
    const struct node_options *o = &node->options;
    struct shard_options shard_options = {.index = index,
                                          .count = node->folder.shards,
                                          .value_max = (uint32_t)o->max_value,
                                          .history_bytes = (size_t)o->history,
                                          .history_steps = (uint32_t)o->window,
                                          .held_max = HELD_MAX,
                                          .candidate_ms = (uint64_t)o->node_timeout_ms * 2,
                                          .tick_ms = TICK_MS,
                                          .transfer_rate = (uint64_t)o->transfer_rate,
                                          .hand_back_ms = HAND_BACK_MS};
    struct shard_host host = {.client_out = worker_client_out,
                              .peer_out = peer_out,
                              .peer_has_room = peer_has_room,
                              .peer_alive = peer_alive,
                              .peer_break = peer_break,
                              .newer_epoch = newer_epoch,
                              .arg = w};
    struct links_options link_options = {.wall_ms = clock_unix_ms,
                                         .newer_epoch = newer_epoch,
                                         .durable = durable,
                                         .stale = stale,
                                         .arg = w,
                                         .identity = node->folder.identity,
                                         .secret = &node->secret,
                                         .shard = index,
                                         .node_timeout_ms = (uint64_t)o->node_timeout_ms,
                                         .out_max = (size_t)o->connection_output};

    snprintf(why, why_size, "out of memory");
    if (!w)
        return NULL;
    w->node = node;
    w->index = index;
    pthread_mutex_init(&w->report_lock, NULL);
    w->loop = loop_new();
    if (!w->loop || open_store(w, why, why_size) != 0)
        goto fail;
    w->shard = shard_new(&shard_options, &host, w->store);
    w->links = w->shard ? links_new(w->loop, w->shard, &link_options) : NULL;
    w->tick = loop_timer_new(w->loop, tick, w);
    w->release = loop_timer_new(w->loop, release_late, w);
    if (!w->links || !w->tick || !w->release || loop_at_turn_end(w->loop, turn_end, w) != 0) {
        snprintf(why, why_size, "out of memory");
        goto fail;
    }
    loop_timer_set(w->tick, 0);
    worker_make_report(w);
    return w;
fail:
    worker_free(w);
    return NULL;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    char name[16];

    snprintf(name, sizeof(name), "shard-%u", w->index);
    pthread_setname_np(pthread_self(), name);
    loop_serve(w->loop, name);
    return NULL;
}

int worker_start(struct worker *w)
{
    errno = pthread_create(&w->thread, NULL, run, w);
    if (errno)
        return RK_IO;
    w->thread_runs = true;
    return 0;
}

void worker_stop(struct worker *w, uint64_t within_ms)
{
    w->stop_at_ms = loop_now_ms(w->loop) + within_ms;
    __atomic_store_n(&w->stop_asked, true, __ATOMIC_RELEASE);
    loop_post(w->loop, begin_stop, w); /* without memory the next tick begins it */
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    if (w->thread_runs)
        pthread_join(w->thread, NULL);
    worker_clients_free(w);
    links_free(w->links);
    shard_free(w->shard);
    if (w->store)
        store_close(w->store);
    loop_timer_free(w->tick);
    loop_timer_free(w->release);
    loop_timer_free(w->stop_check);
    loop_free(w->loop);
    ring_ref_put(w->ring);
    ring_ref_put(w->ring_next);
    buf_free(&w->verify_text);
    buf_free(&w->progress_entries);
    pthread_mutex_destroy(&w->report_lock);
    free(w);
}
