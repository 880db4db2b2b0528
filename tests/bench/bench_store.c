/* Measures one shard's store: writes "name value" lines for tests/bench/store.
 *
 *   bench_store FOLDER [KEYS [SECONDS [REWRITES]]]
 *
 * SECONDS are those of the sustained writes; other writes are measured for 10 at most.
 *
 * Keys are 8 bytes of a hash and 16 of text, values 128 bytes, as a ring's would be. FOLDER must
 * not be there; it is left for the caller to look at and remove.
 */
#include "node/store_disk.h"
#include "shared/error.h"
#include "shared/log.h"
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    KEY_SIZE = 24,
    BENCH_VALUE_SIZE = 128,
    OUTSTANDING_MAX = 4096,
    LATENCY_STEP_US = 10,
    LATENCY_STEPS = 100000,
    SHORT_SECONDS = 10, /* of what need not be sustained */
};

struct bench {
    struct store *store;
    int wake_fd;
    const char *folder;
    uint64_t keys;
    double seconds;
    uint64_t random;
    bool stuck; /* checkpoints do not end */
    uint64_t stats_memory_max;
};

/* Put replies that wait: positions ascend, so it is a ring. */
struct outstanding {
    struct waiting {
        uint64_t position;
        double start, ready;
    } items[OUTSTANDING_MAX];
    size_t first, count, max;
    uint64_t done;
    uint32_t latency[LATENCY_STEPS];
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of this thread's processor time: what else runs on the machine is not part of it. */
static double worked(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t next_random(struct bench *b)
{
    return mix(b->random += UINT64_C(0x9e3779b97f4a7c15));
}

static void key_of(uint64_t number, uint8_t key[KEY_SIZE])
{
    char text[KEY_SIZE];
    uint64_t hash = mix(number + 1);

    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(hash >> (56 - 8 * i));
    memset(text, 0, sizeof(text));
    memcpy(text, "key:", 4);
    memcpy(text + 8, &number, sizeof(number));
    memcpy(key + 8, text, 16);
}

static void wake(void *arg)
{
    const struct bench *b = arg;
    uint64_t one = 1;

    if (write(b->wake_fd, &one, sizeof(one)) < 0)
        die("eventfd", "write");
}

/* Opening commits as well: only what comes after it gets stuck. */
static int commit_stuck(void *arg, struct MDB_txn *txn)
{
    struct bench *b = arg;

    while (b->store)
        pause();
    return store_files_real.commit(NULL, txn);
}

static double open_store(struct bench *b)
{
    static struct store_files stuck;
    struct store_disk_options options = {.folder = b->folder, .wake = wake, .wake_arg = b};
    char why[STORE_WHY_SIZE];
    double start = now();

    stuck = store_files_real;
    stuck.commit = commit_stuck;
    stuck.arg = b;
    b->store = NULL;
    if (b->stuck)
        options.files = &stuck;
    if (store_disk_open(&options, &b->store, why, sizeof(why)) != 0)
        die("open", why);
    return now() - start;
}

static void wait_news(struct bench *b, double until)
{
    struct pollfd news = {.fd = b->wake_fd, .events = POLLIN};
    double left = until - now();
    uint64_t count;

    if (poll(&news, 1, left <= 0 ? 0 : (int)(left * 1000) + 1) > 0 &&
        read(b->wake_fd, &count, sizeof(count)) < 0)
        die("eventfd", "read");
}

/* Takes the replies that may leave. Returns when the next one held back may, or 1 s from now. */
static double complete(struct bench *b, struct outstanding *o)
{
    double at = now(), next = at + 1;
    int error;
    uint64_t synced = store_poll(b->store, &error);

    if (error)
        die("poll", rk_error_text(error));
    while (o->count) {
        struct waiting *w = &o->items[o->first];
        size_t step;

        if (w->position > synced)
            break;
        if (w->ready > at) {
            next = w->ready;
            break;
        }
        step = (size_t)((at - w->start) * 1e6 / LATENCY_STEP_US);
        o->latency[step < LATENCY_STEPS ? step : LATENCY_STEPS - 1]++;
        o->first = (o->first + 1) % OUTSTANDING_MAX;
        o->count--;
        o->done++;
    }
    return next;
}

static bool put(struct bench *b, struct outstanding *o, uint64_t number, bool remove)
{
    static uint8_t value[BENCH_VALUE_SIZE];
    static uint64_t op;
    uint8_t key[KEY_SIZE];
    struct store_change change = {STORE_PUT, {key, KEY_SIZE}, {.version = {1, ++op}}};
    struct store_batch batch = {.partition = 0, .changes = &change, .change_count = 1};
    struct waiting w = {.start = now()};
    int error;

    key_of(number, key);
    memcpy(value, &op, sizeof(op));
    change.record.deleted = remove;
    if (!remove)
        change.record.value = bytes_of(value, sizeof(value));
    error = store_apply(b->store, &batch, &w.position);
    if (error == RK_FULL)
        return false;
    if (error)
        die("apply", rk_error_text(error));
    w.ready = w.start + (double)store_delay_us(b->store) * 1e-6;
    o->items[(o->first + o->count++) % OUTSTANDING_MAX] = w;
    return true;
}

static double percentile(const struct outstanding *o, double part)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)o->done * part);

    for (size_t i = 0; i < LATENCY_STEPS; i++) {
        seen += o->latency[i];
        if (seen > wanted)
            return (double)(i + 1) * LATENCY_STEP_US / 1000;
    }
    return 0;
}

static void drain(struct bench *b, struct outstanding *o)
{
    while (o->count) {
        store_submit(b->store);
        wait_news(b, complete(b, o));
    }
}

static void note_memory(struct bench *b)
{
    struct store_stats stats;

    store_stats(b->store, &stats);
    if (stats.memory_bytes > b->stats_memory_max)
        b->stats_memory_max = stats.memory_bytes;
}

/* Keeps `max` writes outstanding, each loop turn handing over what the turn before let go. `total`
 * 0: random keys for as long as `seconds`; else every key once. */
static void run_writes(struct bench *b, const char *name, size_t max, double seconds,
                       uint64_t total, bool remove)
{
    struct outstanding *o = calloc(1, sizeof(*o));
    double start = now(), took;
    uint64_t sent = 0, turns = 0;
    bool full;

    if (!o)
        die(name, "memory");
    for (;;) {
        double at = now(), next;

        full = false;
        if (total ? sent >= total : at - start >= seconds)
            break;
        while (o->count < max && !full && !(total && sent >= total)) {
            full = !put(b, o, total ? sent : next_random(b) % b->keys, remove);
            sent += !full;
        }
        store_submit(b->store);
        next = complete(b, o);
        if (o->count == max || full)
            wait_news(b, full ? at + 0.001 : next);
        if (++turns % 256 == 0)
            note_memory(b);
    }
    drain(b, o);
    took = now() - start;
    printf("%s_per_s %.0f\n%s_p50_ms %.2f\n%s_p99_ms %.2f\n%s_p9999_ms %.2f\n", name,
           (double)o->done / took, name, percentile(o, 0.5), name, percentile(o, 0.99), name,
           percentile(o, 0.9999));
    fflush(stdout);
    free(o);
}

/* Until everything is in the tree. */
static void settle(struct bench *b)
{
    store_close(b->store);
    struct store_disk_options options = {
        .folder = b->folder, .wake = wake, .wake_arg = b, .checkpoint_ms = 1};
    char why[STORE_WHY_SIZE];
    struct store_stats stats;

    if (store_disk_open(&options, &b->store, why, sizeof(why)) != 0)
        die("open", why);
    do {
        wait_news(b, now() + 0.01);
        store_submit(b->store);
        store_stats(b->store, &stats);
    } while (stats.checkpoints == 0);
    store_close(b->store);
    open_store(b);
}

static void get_one(struct bench *b, uint64_t number)
{
    struct store_record record;
    uint8_t key[KEY_SIZE];
    uint64_t position;

    key_of(number, key);
    if (store_get(b->store, bytes_of(key, KEY_SIZE), &record, &position) != 0 ||
        record.value.size != BENCH_VALUE_SIZE)
        die("get", "wrong answer");
}

static void run_gets(struct bench *b, const char *name, uint64_t keys, uint64_t count)
{
    double start = worked(), took;

    for (uint64_t i = 0; i < count; i++) {
        get_one(b, next_random(b) % keys);
        if (i % 64 == 63)
            store_submit(b->store);
    }
    took = worked() - start;
    start = worked();
    for (uint64_t i = 0; i < count; i++) {
        uint8_t key[KEY_SIZE];
        static volatile uint8_t sink;

        key_of(next_random(b) % keys, key);
        sink = key[3];
        (void)sink;
    }
    took -= worked() - start; /* making the keys is not part of it */
    printf("%s_ns %.0f\n", name, took * 1e9 / (double)count);
    fflush(stdout);
}

/* The keys below `keys` are written and stay in the memory table. */
static void fill_memory(struct bench *b, uint64_t keys)
{
    struct outstanding *o = calloc(1, sizeof(*o));

    for (uint64_t i = 0; i < keys; i++) {
        if (o->count == OUTSTANDING_MAX)
            drain(b, o);
        if (!put(b, o, i, false))
            die("memory table", "full");
    }
    drain(b, o);
    free(o);
}

/* A process whose checkpoints never end fills its memory tables and is killed. */
static void run_restart(struct bench *b)
{
    struct store_stats stats;
    int ends[2], status;
    double took;
    char byte;
    pid_t pid;

    store_close(b->store);
    if (pipe(ends) != 0 || (pid = fork()) < 0)
        die("restart", "fork");
    if (pid == 0) {
        struct outstanding *o = calloc(1, sizeof(*o));

        b->stuck = true;
        open_store(b);
        while (put(b, o, next_random(b) % b->keys, false)) {
            store_submit(b->store);
            while (o->count == OUTSTANDING_MAX) {
                struct waiting *w = &o->items[o->first];

                w->ready = 0;
                wait_news(b, complete(b, o));
            }
        }
        for (size_t i = 0; i < OUTSTANDING_MAX; i++)
            o->items[i].ready = 0;
        drain(b, o);
        if (write(ends[1], "f", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        die("restart", "the child failed");
    close(ends[0]);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    took = open_store(b);
    store_stats(b->store, &stats);
    printf("restart_s %.3f\nrestart_memory_mib %.1f\n", took, (double)stats.memory_bytes / 1048576);
    fflush(stdout);
}

/* What the files take when every key was written again and again. */
static void run_rewrites(struct bench *b, int rewrites)
{
    struct store_stats stats;
    char name[32];

    for (int i = 0; i < rewrites; i++) {
        snprintf(name, sizeof(name), "rewrite_%d", i);
        run_writes(b, name, 1024, 0, b->keys, false);
    }
    settle(b);
    store_stats(b->store, &stats);
    printf("rewritten_live_mib %.1f\nrewritten_files_mib %.1f\n",
           (double)stats.live_bytes / 1048576,
           (double)(stats.file_bytes + stats.log_bytes) / 1048576);
}

int main(int argc, char **argv)
{
    struct bench b = {.keys = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000,
                      .seconds = argc > 3 ? strtod(argv[3], NULL) : 10,
                      .random = 1};
    int rewrites = argc > 4 ? atoi(argv[4]) : 0;
    double shorter = b.seconds < SHORT_SECONDS ? b.seconds : SHORT_SECONDS;
    struct store_stats stats;

    if (argc < 2 || b.keys < 1000 || b.seconds <= 0) {
        fprintf(stderr, "usage: bench_store FOLDER [KEYS [SECONDS [REWRITES]]]\n");
        return 2;
    }
    b.folder = argv[1];
    log_open("bench_store", NULL, LOG_WARN);
    if (mkdir(b.folder, 0700) != 0 || (b.wake_fd = eventfd(0, EFD_NONBLOCK)) < 0)
        die(b.folder, "cannot be made");
    open_store(&b);
    run_writes(&b, "load", 1024, 0, b.keys, false);
    settle(&b);
    run_gets(&b, "get_tree", b.keys, 2000000);
    run_writes(&b, "put_64", 64, shorter, 0, false);
    b.stats_memory_max = 0;
    run_writes(&b, "put_256", 256, b.seconds, 0, false);
    printf("memory_max_mib %.1f\n", (double)b.stats_memory_max / 1048576);
    store_stats(b.store, &stats);
    printf("memory_bound_mib %.1f\nslowdowns %" PRIu64 "\nfull_refusals %" PRIu64
           "\nlive_mib %.1f\nfile_mib %.1f\nlog_mib %.1f\n",
           (double)stats.memory_max / 1048576, stats.slowdowns, stats.full_refusals,
           (double)stats.live_bytes / 1048576, (double)stats.file_bytes / 1048576,
           (double)stats.log_bytes / 1048576);
    settle(&b);
    fill_memory(&b, b.keys < 50000 ? b.keys : 50000);
    run_gets(&b, "get_memory", b.keys < 50000 ? b.keys : 50000, 2000000);
    run_restart(&b);
    settle(&b);
    run_writes(&b, "delete_64", 64, shorter, 0, true);
    if (rewrites > 0)
        run_rewrites(&b, rewrites);
    store_close(b.store);
    return 0;
}
