/* SLOWLOG and LATENCY: the commands that took long. */
#include "proxy/answer.h"
#include "proxy/command_stats.h"
#include "proxy/commands.h"
#include "proxy/records.h"
#include "proxy/tunables.h"
#include <stdlib.h>

static struct records *take_records(struct execution *x)
{
    return x->router->ports.records(x->router->ports.arg);
}

static void give_records(struct execution *x)
{
    x->router->ports.records_done(x->router->ports.arg);
}

static void check(struct execution *x, int error)
{
    if (error)
        x->session->broken = true;
}

void run_slowlog(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

static void put_slowlog(struct execution *x, uint64_t count)
{
    struct buf *out = execution_out(x);
    const struct slow_log *log;
    bool room;

    if (!out)
        return;
    log = &take_records(x)->slow;
    /* EXEC may ask for them often. */
    room = execution_has_room(x) && slow_log_size(log, count) <= x->router->reply_max;
    if (room)
        check(x, slow_log_put(log, out, count));
    give_records(x);
    if (!room)
        reply_too_large(x);
}

void run_slowlog_get(struct execution *x)
{
    int64_t count = 10;

    if (x->count > 3) {
        reply_wrong_subcommand(x);
        return;
    }
    if (x->count == 3 && (resp_read_integer(x->args[2], &count) != 0 || count < -1)) {
        reply_error(x, "ERR count should be greater than or equal to -1");
        return;
    }
    put_slowlog(x, count < 0 ? UINT64_MAX : (uint64_t)count);
}

void run_slowlog_len(struct execution *x)
{
    reply_integer(x, (int64_t)take_records(x)->slow.count);
    give_records(x);
}

void run_slowlog_reset(struct execution *x)
{
    slow_log_reset(&take_records(x)->slow);
    give_records(x);
    reply_simple(x, "OK");
}

void run_latency(struct execution *x)
{
    /* The arity wants a subcommand, and that one is run. */
    reply_wrong_arity(x);
}

void run_latency_latest(struct execution *x)
{
    struct buf *out = execution_out(x);

    if (!out)
        return;
    check(x, latency_put_latest(&take_records(x)->latency, out));
    give_records(x);
}

void run_latency_history(struct execution *x)
{
    struct buf *out = execution_out(x);

    if (!out)
        return;
    check(x, latency_put_history(&take_records(x)->latency, x->args[2], out));
    give_records(x);
}

/* The histograms of a command and its subcommands, as far as they were called. Counts them, or puts
 * them out. */
struct histograms {
    struct execution *x;
    struct command_stats *sum;
    bool putting;
    bool full;
    size_t count;
};

static void take_histogram(struct histograms *h, const struct command *c)
{
    const struct command_stat *row = command_stats_row(h->sum, c);
    struct buf *out;

    if (!histogram_count(&row->answered))
        return;
    h->count++;
    out = h->putting ? execution_out(h->x) : NULL;
    h->full = out && !execution_has_room(h->x);
    if (!out || h->full)
        return;
    check(h->x, resp_put_bulk(out, bytes_from(c->name)));
    check(h->x, command_stats_put_histogram(row, out, h->x->session->resp));
}

static void take_histograms(struct histograms *h, const struct command *c)
{
    if (!c)
        return;
    take_histogram(h, c);
    for (const struct command *sub = c->subcommands; sub && sub->name; sub++)
        take_histogram(h, sub);
}

static void take_all_histograms(struct histograms *h)
{
    const struct command_index *index = &h->x->router->commands;

    if (h->x->count == 2)
        for (uint32_t i = 0; i < index->count; i++)
            take_histograms(h, index->all[i]);
    for (uint32_t i = 2; i < h->x->count && !h->full; i++)
        take_histograms(h, command_find_full(index, h->x->args[i]));
}

void run_latency_histogram(struct execution *x)
{
    struct histograms h = {.x = x, .sum = calloc(1, sizeof(*h.sum))};

    if (!h.sum) {
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
        return;
    }
    x->router->ports.command_stats(x->router->ports.arg, h.sum);
    take_all_histograms(&h);
    reply_map(x, h.count);
    h.putting = true;
    take_all_histograms(&h);
    if (h.full)
        reply_too_large(x);
    free(h.sum);
}

void run_latency_reset(struct execution *x)
{
    struct records *records = take_records(x);
    uint32_t count = x->count == 2 ? latency_reset(&records->latency, NULL) : 0;

    for (uint32_t i = 2; i < x->count; i++)
        count += latency_reset(&records->latency, &x->args[i]);
    give_records(x);
    reply_integer(x, count);
}

void run_latency_doctor(struct execution *x)
{
    struct buf text = {0};
    int error = latency_put_report(&take_records(x)->latency,
                                   tunable_read(&x->router->tunables->latency_ms), &text);

    give_records(x);
    if (error)
        reply_error(x, failure_text(FAILURE_NO_MEMORY));
    else
        reply_verbatim(x, buf_bytes(&text));
    buf_free(&text);
}
