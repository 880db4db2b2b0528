#include "proxy/process.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "shared/error.h"
#include "shared/listener.h"
#include "shared/log.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { RATES_MS = 1000 };

struct rates {
    struct proxy *proxy;
    struct loop_timer *timer;
    uint64_t at_ms, commands, bytes_in, bytes_out; /* at the last measurement */
    _Atomic uint64_t commands_per_s, in_bytes_per_s, out_bytes_per_s;
};

static void add_counters(const struct proxy *p, struct facts *out)
{
    for (uint32_t i = 0; i < p->worker_count; i++) {
        const struct counters *c = &p->workers[i]->counters;

#define X(name, text) out->name += counter_read(&c->name);
        PROXY_COUNTERS(X)
#undef X
        for (int code = 0; code < ERROR_CODE_COUNT; code++)
            out->errors[code] += counter_read(&c->errors[code]);
        out->clients += counter_read(&c->clients);
        out->pending += counter_read(&c->pending);
        out->links += counter_read(&c->links);
    }
}

static uint64_t per_second(uint64_t now, uint64_t before, uint64_t took_ms)
{
    return (now - before) * 1000 / took_ms;
}

static void measure(void *arg)
{
    struct rates *r = arg;
    struct facts f = {0};
    uint64_t now_ms = loop_now_ms(r->proxy->loop);
    uint64_t took_ms = now_ms > r->at_ms ? now_ms - r->at_ms : 1;

    add_counters(r->proxy, &f);
    atomic_store(&r->commands_per_s, per_second(f.commands, r->commands, took_ms));
    atomic_store(&r->in_bytes_per_s, per_second(f.bytes_in, r->bytes_in, took_ms));
    atomic_store(&r->out_bytes_per_s, per_second(f.bytes_out, r->bytes_out, took_ms));
    r->at_ms = now_ms;
    r->commands = f.commands;
    r->bytes_in = f.bytes_in;
    r->bytes_out = f.bytes_out;
    loop_timer_set(r->timer, RATES_MS);
}

struct rates *rates_new(struct proxy *p)
{
    struct rates *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->proxy = p;
    r->at_ms = loop_now_ms(p->loop);
    r->timer = loop_timer_new(p->loop, measure, r);
    if (!r->timer) {
        free(r);
        return NULL;
    }
    loop_timer_set(r->timer, RATES_MS);
    return r;
}

void rates_free(struct rates *r)
{
    if (!r)
        return;
    loop_timer_free(r->timer);
    free(r);
}

int process_init(struct proxy *p)
{
    struct utsname u;
    uint8_t id[RUN_ID_SIZE / 2];

    if (uname(&u) != 0 || getrandom(id, sizeof(id), 0) != sizeof(id))
        return RK_IO;
    snprintf(p->system, sizeof(p->system), "%s %s %s", u.sysname, u.release, u.machine);
    for (size_t i = 0; i < sizeof(id); i++)
        snprintf(p->run_id + 2 * i, 3, "%02x", id[i]);
    p->started_ms = loop_now_ms(p->loop);
    p->stats_base = calloc(1, sizeof(*p->stats_base));
    return p->stats_base ? 0 : RK_NOMEM;
}

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static uint64_t resident_bytes(void)
{
    unsigned long long all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &all, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void use_of_resources(struct facts *out)
{
    struct rusage usage = {0};
    struct mallinfo2 heap = mallinfo2();

    getrusage(RUSAGE_SELF, &usage);
    out->cpu_user_us = microseconds(usage.ru_utime);
    out->cpu_system_us = microseconds(usage.ru_stime);
    out->memory_used = heap.uordblks + heap.hblkhd;
    out->memory_heap = heap.arena + heap.hblkhd;
    out->memory_rss = resident_bytes();
    out->memory_peak = (uint64_t)usage.ru_maxrss * 1024;
    out->memory_system = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t process_unix_us(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void name_executable(struct facts *out)
{
    ssize_t size = readlink("/proc/self/exe", out->executable, sizeof(out->executable) - 1);

    out->executable[size < 0 ? 0 : size] = '\0';
}

/* Of HOST:PORT. */
static int host_size(const char *address)
{
    return (int)(strrchr(address, ':') - address);
}

void process_reset(struct proxy *p)
{
    struct facts now = {0};

    add_counters(p, &now);
    pthread_mutex_lock(&p->base_lock);
    p->base = now;
    command_stats_subtract(p->stats_base, p->stats_base);
    for (uint32_t i = 0; i < p->worker_count; i++)
        command_stats_add(p->stats_base, p->workers[i]->stats);
    pthread_mutex_unlock(&p->base_lock);
}

void process_command_stats(struct proxy *p, struct command_stats *sum)
{
    pthread_mutex_lock(&p->base_lock);
    for (uint32_t i = 0; i < p->worker_count; i++)
        command_stats_add(sum, p->workers[i]->stats);
    command_stats_subtract(sum, p->stats_base);
    pthread_mutex_unlock(&p->base_lock);
}

/* A counter belongs to its thread, which alone writes it; so what it was is kept aside. */
static void subtract_base(struct proxy *p, struct facts *out)
{
    pthread_mutex_lock(&p->base_lock);
#define X(name, text) out->name -= p->base.name;
    PROXY_COUNTERS(X)
#undef X
    for (int code = 0; code < ERROR_CODE_COUNT; code++)
        out->errors[code] -= p->base.errors[code];
    pthread_mutex_unlock(&p->base_lock);
}

void process_facts(struct proxy *p, struct facts *out)
{
    *out = (struct facts){
        .version = PACKAGE_VERSION,
        .config_path = p->config_path,
        .process_id = (uint64_t)getpid(),
        .tcp_port = p->port,
        .threads = p->worker_count,
        .backlog = LISTENER_BACKLOG,
        .max_clients = (uint64_t)tunable_read(&p->tunables.max_clients),
        .uptime_s = (loop_now_ms(p->loop) - p->started_ms) / 1000,
        .unix_us = process_unix_us(),
        .log_lines_lost = log_lost(),
        .commands_per_s = atomic_load(&p->rates->commands_per_s),
        .in_bytes_per_s = atomic_load(&p->rates->in_bytes_per_s),
        .out_bytes_per_s = atomic_load(&p->rates->out_bytes_per_s),
    };
    out->keyspace = (struct keyspace){atomic_load(&p->keys), atomic_load(&p->expiring)};
    name_executable(out);
    snprintf(out->bind, sizeof(out->bind), "%.*s", host_size(p->options->listen),
             p->options->listen);
    snprintf(out->output_limits, sizeof(out->output_limits),
             "normal %lld 0 0 slave 0 0 0 pubsub 0 0 0", (long long)p->options->client_output);
    snprintf(out->protected_mode, sizeof(out->protected_mode), "%s",
             p->options->protected_mode ? "yes" : "no");
    memcpy(out->run_id, p->run_id, sizeof(out->run_id));
    memcpy(out->system, p->system, sizeof(out->system));
    use_of_resources(out);
    add_counters(p, out);
    subtract_base(p, out);
}
