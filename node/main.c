/* ringnode: stores a share of a ring's partitions and replicates them. */
#include "node/front.h"
#include "node/node.h"
#include "node/options.h"
#include "node/read_fault.h"
#include "node/start_watch.h"
#include "node/worker.h"
#include "shared/error.h"
#include "shared/log.h"
#include "shared/loop.h"
#include "shared/program.h"
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct program_description description = {
    .name = "ringnode",
    .summary = "stores a share of a ring's keys and replicates them to other nodes",
    .details = "A node starts empty and in no ring; ringctl(8) puts it into one:\n"
               "  ringnode -c /etc/ringkv/ringnode.conf\n"
               "  ringctl init n1=10.0.0.1:7400 n2=10.0.0.2:7400 n3=10.0.0.3:7400\n"
               "\n"
               "Signals: TERM, INT  answer what is in flight, write everything down, exit 0;\n"
               "                    during the start: exit 0 at once, nothing is lost\n"
               "         HUP        re-open the log file\n",
    .settings = node_settings,
};

/* The main thread's part of a running node. */
struct daemon {
    struct node node;
    struct front *front;
    struct loop *loop;
    struct event *signals[3];
    uint16_t started;
};

static void on_stop_signal(evutil_socket_t number, short what, void *arg)
{
    struct daemon *d = arg;

    (void)what;
    log_info("stop: signal=%d", (int)number);
    front_stop(d->front);
    loop_stop(d->loop);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    (void)arg;
    log_reopen();
    log_info("log: re-opened");
}

static int watch_signals(struct daemon *d)
{
    struct event_base *base = loop_base(d->loop);

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* then a write beyond the limit of a file's size is an error */
    d->signals[0] = evsignal_new(base, SIGTERM, on_stop_signal, d);
    d->signals[1] = evsignal_new(base, SIGINT, on_stop_signal, d);
    d->signals[2] = evsignal_new(base, SIGHUP, on_hangup, d);
    for (int i = 0; i < 3; i++)
        if (!d->signals[i] || event_add(d->signals[i], NULL) != 0)
            return RK_NOMEM;
    return 0;
}

/* As many descriptors as may be had. Connections get half of them at most: without one for the next
 * segment of its log the node ends, and whoever can connect to it could bring that about. */
static void raise_descriptors(struct node_options *o)
{
    struct rlimit limit;
    int64_t most;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur / 2 >= (rlim_t)o->max_connections)
        return;
    most = (int64_t)(limit.rlim_cur / 2);
    log_warn(
        "main: %llu open files are allowed, so max_connections=%lld instead of %lld: raise the "
        "limit to twice that (ulimit -Hn, LimitNOFILE), or lower max_connections",
        (unsigned long long)limit.rlim_cur, (long long)most, (long long)o->max_connections);
    o->max_connections = most;
}

/* Opens everything and starts the threads. 0, or an error with its text in `why`. */
static int start(struct daemon *d, char *why, size_t why_size)
{
    struct node *n = &d->node;
    int error =
        data_folder_open(&n->folder, n->options.data, (uint16_t)n->options.shards, why, why_size);

    if (!error)
        error = data_folder_check_shards(&n->folder, why, why_size);
    if (error)
        return error;
    n->workers = calloc(n->folder.shards, sizeof(struct worker *));
    d->loop = loop_new();
    snprintf(why, why_size, "out of memory");
    if (!n->workers || !d->loop || watch_signals(d) != 0)
        return RK_NOMEM;
    for (uint16_t i = 0; i < n->folder.shards; i++) {
        n->workers[i] = worker_new(n, i, why, why_size);
        if (!n->workers[i])
            return RK_IO;
    }
    d->front = front_new(n, d->loop, why, why_size);
    if (!d->front)
        return RK_IO;
    n->newer_epoch = front_newer_epoch;
    n->newer_arg = d->front;
    error = front_load_ring(d->front, why, why_size);
    if (error)
        return error;
    for (; d->started < n->folder.shards; d->started++)
        if (worker_start(n->workers[d->started]) != 0) {
            snprintf(why, why_size, "cannot start a thread for shard %u: %s", d->started,
                     strerror(errno));
            return RK_IO;
        }
    return 0;
}

static void stop(struct daemon *d)
{
    struct node *n = &d->node;

    for (uint16_t i = 0; i < d->started; i++)
        worker_stop(n->workers[i], (uint64_t)n->options.request_timeout_ms);
    for (uint16_t i = 0; n->workers && i < n->folder.shards; i++)
        worker_free(n->workers[i]);
    free(n->workers);
    front_free(d->front);
    for (int i = 0; i < 3; i++)
        if (d->signals[i])
            event_free(d->signals[i]);
    loop_free(d->loop);
    data_folder_close(&n->folder);
}

static int run(struct daemon *d)
{
    struct node_options *o = &d->node.options;
    struct start_watch watch;
    char why[CONFIG_WHY_SIZE];
    int failed;

    if (log_open("ringnode", o->log_file, (enum log_level)o->log_level) != 0)
        log_warn("log: cannot open file=%s: %s; writing to standard error", o->log_file,
                 strerror(errno));
    raise_descriptors(o);
    read_fault_catch();
    snprintf(why, sizeof(why), "out of memory");
    failed = start_watch_begin(&watch);
    if (!failed)
        failed = secret_load(&d->node.secret, o->secret_file, why, sizeof(why));
    if (!failed)
        failed = start(d, why, sizeof(why));
    start_watch_end(&watch);
    if (failed) {
        log_error("start: %s", why);
    } else {
        log_info("start: version=%s listen=%s data=%s shards=%u", PACKAGE_VERSION, o->listen,
                 o->data, d->node.folder.shards);
        loop_serve(d->loop, "main");
    }
    stop(d);
    if (!failed)
        log_info("stop: done");
    log_close();
    return failed ? PROGRAM_COULD_NOT : PROGRAM_DONE;
}

int main(int argc, char **argv)
{
    struct program_arguments arguments;
    struct daemon d = {0};
    char why[CONFIG_WHY_SIZE];
    int code, failed;
    bool loaded;

    if (program_parse(argc, argv, &description, &arguments) != 0)
        return arguments.exit_code;
    failed = node_options_load(&d.node.options, arguments.config, arguments.sets,
                               arguments.set_count, why, sizeof(why));
    loaded = !failed;
    /* A check finds what a start would stop at. */
    if (loaded && arguments.check_only)
        failed = secret_load(&d.node.secret, d.node.options.secret_file, why, sizeof(why));
    if (failed || arguments.check_only) {
        code = program_report(&description, failed, why);
    } else {
        code = run(&d);
    }
    if (loaded)
        node_options_free(&d.node.options);
    program_arguments_free(&arguments);
    return code;
}
