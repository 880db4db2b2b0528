/* ringproxy: speaks RESP to clients and forwards to the nodes of a ring. */
#include "proxy/command.h"
#include "proxy/errands.h"
#include "proxy/hash_password.h"
#include "proxy/link_report.h"
#include "proxy/options.h"
#include "proxy/process.h"
#include "proxy/proxy.h"
#include "proxy/ring_watch.h"
#include "proxy/worker.h"
#include "shared/address.h"
#include "shared/error.h"
#include "shared/listener.h"
#include "shared/log.h"
#include "shared/program.h"
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    OTHER_DESCRIPTORS = 512, /* beside clients: links, loops, listeners, the log */
    SIGNALS = 3,
    THREADS_MAX = 64,
};

struct main {
    struct proxy proxy;
    struct proxy_options options;
    struct event *signals[SIGNALS];
};

static const struct program_description description = {
    .name = "ringproxy",
    .summary = "lets Redis clients talk to the nodes of a ring",
    .details = "  ringproxy --help-commands  print the table of commands as Markdown, and end\n"
               "  ringproxy --hash-password  read a password, print its hash for the settings, and "
               "end\n"
               "\nExample: ringproxy -c /etc/ringkv/ringproxy.conf --set log.level=debug\n",
    .settings = proxy_settings,
};

/* --- signals --------------------------------------------------------------------------------- */

static void drain_workers(struct proxy *p)
{
    for (uint32_t i = 0; i < p->worker_count; i++) {
        struct worker *w = p->workers[i];

        loop_post_note(w->loop, &w->drain_note, worker_drain, w);
    }
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct main *m = arg;

    (void)what;
    if (number == SIGHUP) {
        log_reopen();
        log_info("log: re-opened");
        return;
    }
    log_info("main: stopping signal=%d clients=%llu", (int)number,
             (unsigned long long)atomic_load(&m->proxy.clients));
    drain_workers(&m->proxy);
}

void proxy_worker_ended(void *proxy)
{
    struct proxy *p = proxy;

    if (--p->workers_running == 0)
        loop_stop(p->loop);
}

static void ignore_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* of the log file: lines are lost, and nothing else */
    signal(SIGHUP, SIG_IGN);  /* until the log file can be opened anew */
}

static int catch_signals(struct main *m)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

    for (int i = 0; i < SIGNALS; i++) {
        m->signals[i] =
            event_new(loop_base(m->proxy.loop), numbers[i], EV_SIGNAL | EV_PERSIST, on_signal, m);
        if (!m->signals[i] || event_add(m->signals[i], NULL) != 0)
            return RK_NOMEM;
    }
    return 0;
}

/* --- start ----------------------------------------------------------------------------------- */

/* As many descriptors as may be had: a large ring takes many for links. Clients must leave some for
 * these, or nobody could be served. */
static void raise_descriptors(struct proxy *p)
{
    int64_t clients = p->options->max_clients;
    rlim_t wanted = (rlim_t)clients + OTHER_DESCRIPTORS;
    struct rlimit limit, more;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    more = (struct rlimit){wanted, wanted};
    if (limit.rlim_max < wanted && setrlimit(RLIMIT_NOFILE, &more) == 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return;
    clients = (int64_t)(limit.rlim_cur > 2 * OTHER_DESCRIPTORS ? limit.rlim_cur - OTHER_DESCRIPTORS
                                                               : limit.rlim_cur / 2);
    tunable_write(&p->tunables.max_clients, clients);
    log_warn("main: %llu open files are allowed, so max_clients=%lld instead of %lld: raise the "
             "limit to %llu (ulimit -Hn, LimitNOFILE), or lower max_clients",
             (unsigned long long)limit.rlim_cur, (long long)clients,
             (long long)p->options->max_clients, (unsigned long long)wanted);
}

static uint32_t thread_count(const struct proxy_options *o)
{
    return o->threads ? (uint32_t)o->threads : program_threads(THREADS_MAX);
}

static int make_workers(struct proxy *p, char *why, size_t why_size)
{
    uint32_t count = thread_count(p->options);
    uint16_t port;
    char *host;
    int failed = address_split(p->options->listen, &host, &port);

    if (failed) {
        snprintf(why, why_size, "[proxy] listen: %s", rk_error_text(failed));
        return failed;
    }
    p->workers = calloc(count, sizeof(struct worker *));
    /* Two processes could share a port with SO_REUSEPORT without noticing. */
    p->port = p->workers ? listener_ask(host, port, why, why_size) : 0;
    while (p->port && p->worker_count < count) {
        struct worker *w = worker_new(p, host, p->port, why, why_size);

        if (!w)
            break;
        p->workers[p->worker_count++] = w;
    }
    free(host);
    return p->worker_count == count ? 0 : RK_IO;
}

static int start_workers(struct proxy *p)
{
    sigset_t all, before;
    int failed = 0;

    /* Signals are the main thread's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint32_t i = 0; i < p->worker_count && !failed; i++) {
        failed = worker_start(p->workers[i]);
        p->workers_running += !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static int proxy_prepare(struct main *m, char *why, size_t why_size)
{
    struct proxy *p = &m->proxy;
    int failed;

    snprintf(why, why_size, "%s", rk_error_text(RK_NOMEM));
    p->loop = loop_new();
    p->rates = p->loop ? rates_new(p) : NULL;
    p->watch = p->loop ? ring_watch_new(p) : NULL;
    p->links = p->loop ? link_report_new(p->loop) : NULL;
    p->errands = errands_new(p);
    if (!p->watch || !p->rates || !p->links || !p->errands || process_init(p) != 0)
        return RK_NOMEM;
    failed = make_workers(p, why, why_size);
    /* Not before: a resolver that hangs would keep TERM, which ends the process until then. */
    return failed ? failed : catch_signals(m);
}

static void proxy_end(struct main *m)
{
    struct proxy *p = &m->proxy;

    /* It posts to the workers' loops, and their clients hold on to errands. */
    errands_stop(p->errands);
    for (uint32_t i = 0; i < p->worker_count; i++)
        worker_free(p->workers[i]);
    errands_free(p->errands);
    link_report_free(p->links);
    free(p->stats_base);
    slow_log_reset(&p->records.slow);
    free(p->workers);
    for (int i = 0; i < SIGNALS; i++)
        if (m->signals[i])
            event_free(m->signals[i]);
    ring_watch_free(p->watch);
    rates_free(p->rates);
    if (p->loop)
        loop_free(p->loop);
}

static int proxy_run(struct main *m)
{
    struct proxy *p = &m->proxy;
    char why[CONFIG_WHY_SIZE];
    int failed;

    ignore_signals();
    raise_descriptors(p);
    failed = secret_load(&p->secret, p->options->secret_file, why, sizeof(why));
    if (!failed)
        failed = proxy_prepare(m, why, sizeof(why));
    if (failed) {
        log_error("main: cannot start: %s", why);
        proxy_end(m);
        return PROGRAM_COULD_NOT;
    }
    failed = start_workers(p);
    if (failed) {
        log_error("main: cannot start a thread: %s", strerror(errno));
        drain_workers(p);
    } else {
        log_info("main: serving listen=%s port=%u threads=%u max_clients=%lld", p->options->listen,
                 p->port, p->worker_count, (long long)tunable_read(&p->tunables.max_clients));
    }
    if (p->workers_running)
        loop_serve(p->loop, "main");
    for (uint32_t i = 0; i < p->worker_count; i++)
        if (p->workers[i]->thread)
            pthread_join(p->workers[i]->thread, NULL);
    log_info("main: stopped");
    proxy_end(m);
    return failed ? PROGRAM_COULD_NOT : PROGRAM_DONE;
}

static int print_commands(void)
{
    struct command_index index;
    struct buf text = {0};
    int failed;

    command_index_init(&index);
    failed = command_put_table(&text, &index);
    if (!failed && fwrite(buf_head(&text), 1, buf_len(&text), stdout) != buf_len(&text))
        failed = RK_IO;
    buf_free(&text);
    return failed || fflush(stdout) != 0 ? PROGRAM_COULD_NOT : PROGRAM_DONE;
}

static void tunables_init(struct tunables *t, const struct proxy_options *o)
{
    *t = (struct tunables){
        .max_clients = o->max_clients,
        .idle_timeout_ms = o->client_idle_timeout_ms,
        .query_size = o->query_size,
        .slow_us = o->slowlog_slower_than_ms * 1000,
        .slow_entries = o->slowlog_entries,
        .latency_ms = 0,
    };
}

/* What it can do instead of serving. */
static const struct {
    const char *option;
    int (*run)(void);
    const char *alone;
} something_else[] = {
    {"--help-commands", print_commands, "it prints all commands"},
    {"--hash-password", hash_password, "it reads the password from a terminal or standard input"},
};

static bool does_something_else(int argc, char **argv, int *exit_code)
{
    for (size_t i = 0; i < sizeof(something_else) / sizeof(something_else[0]); i++) {
        if (argc < 2 || strcmp(argv[1], something_else[i].option) != 0)
            continue;
        *exit_code = PROGRAM_USAGE;
        if (argc == 2)
            *exit_code = something_else[i].run();
        else
            fprintf(stderr, "ringproxy: %s takes no argument: %s\n", argv[1],
                    something_else[i].alone);
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct main m = {.proxy = {.options = &m.options,
                               .records_lock = PTHREAD_MUTEX_INITIALIZER,
                               .base_lock = PTHREAD_MUTEX_INITIALIZER}};
    struct program_arguments arguments;
    char why[CONFIG_WHY_SIZE] = "";
    int exit_code, failed;
    bool loaded;

    if (does_something_else(argc, argv, &exit_code))
        return exit_code;
    if (program_parse(argc, argv, &description, &arguments) != 0)
        return arguments.exit_code;
    failed = proxy_options_load(&m.options, arguments.config, arguments.sets, arguments.set_count,
                                why, sizeof(why));
    loaded = !failed;
    /* A check finds what a start would stop at. */
    if (loaded && arguments.check_only)
        failed = secret_load(&m.proxy.secret, m.options.secret_file, why, sizeof(why));
    if (failed || arguments.check_only) {
        exit_code = program_report(&description, failed, why);
    } else if (log_open("ringproxy", m.options.log_file, (enum log_level)m.options.log_level) !=
               0) {
        fprintf(stderr, "ringproxy: log file %s: %s\n", m.options.log_file, strerror(errno));
        exit_code = PROGRAM_COULD_NOT;
    } else {
        tunables_init(&m.proxy.tunables, &m.options);
        m.proxy.config_path = arguments.config ? arguments.config : "";
        exit_code = proxy_run(&m);
        log_close();
    }
    if (loaded)
        proxy_options_free(&m.options);
    program_arguments_free(&arguments);
    return exit_code;
}
