/* What a worker tells about itself: copied under a lock, for threads that are asked for it. */
#include "node/worker_parts.h"
#include "shared/conn.h"
#include "shared/log.h"

enum { REPORT_TICKS = 4 }; /* the ticks from one report to the next */

/* Partitions change hands one by one: told when no more did since the last report. */
static void tell_leads(struct worker *w, const struct shard_summary *groups)
{
    if (groups->primary == w->leads && w->leads != w->leads_told) {
        log_info("group: shard=%u leads=%u before=%u follows=%u behind=%u", w->index, w->leads,
                 w->leads_told, groups->backup, groups->behind + groups->idle + groups->transfer);
        w->leads_told = w->leads;
    }
    w->leads = groups->primary;
}

void worker_make_report(struct worker *w)
{
    struct worker_report r = {.shard = w->shard->counters,
                              .clients = w->client_count,
                              .held_bytes = buf_len(&w->shard->held.queue),
                              .held_items = w->shard->held.count,
                              .line_bytes = w->shard->line.bytes,
                              .line_requests = w->shard->line.count,
                              .history_bytes = w->shard->history.bytes,
                              .history_dropped = w->shard->history.dropped,
                              .output_pauses = conn_throttles(w->loop),
                              .bad_requests = w->bad_requests};

    store_stats(w->store, &r.store);
    shard_summary(w->shard, &r.groups);
    tell_leads(w, &r.groups);
    links_counters(w->links, &r.links);
    pthread_mutex_lock(&w->report_lock);
    w->report = r;
    pthread_mutex_unlock(&w->report_lock);
}

static void make_progress(struct worker *w)
{
    pthread_mutex_lock(&w->report_lock);
    w->progress = (struct progress){.epoch = w->ring ? w->ring->ring->epoch : 0,
                                    .records_copied = w->shard->counters.records_copied,
                                    .bytes_copied = w->shard->counters.bytes_copied};
    buf_truncate(&w->progress_entries, 0);
    if (shard_progress(w->shard, &w->progress.count, &w->progress_entries) != 0)
        w->progress.epoch = 0;
    pthread_mutex_unlock(&w->report_lock);
}

int worker_progress(struct worker *w, struct progress *m, struct buf *entries)
{
    int error = 0;

    pthread_mutex_lock(&w->report_lock);
    m->records_copied += w->progress.records_copied;
    m->bytes_copied += w->progress.bytes_copied;
    if (w->progress.epoch == m->epoch) {
        error = buf_append(entries, buf_head(&w->progress_entries), buf_len(&w->progress_entries));
        m->count += error ? 0 : w->progress.count;
    }
    pthread_mutex_unlock(&w->report_lock);
    return error;
}

/* As long as one runs, and once more when it is over. */
static void make_verify_text(struct worker *w)
{
    const struct verify *v = &w->shard->verify;

    if (!v->runs && w->verify_run == v->run)
        return;
    w->verify_run = v->runs ? 0 : v->run;
    pthread_mutex_lock(&w->report_lock);
    buf_truncate(&w->verify_text, 0);
    if (verify_report(w->shard, &w->verify_text) != 0)
        buf_truncate(&w->verify_text, 0);
    pthread_mutex_unlock(&w->report_lock);
}

void worker_make_reports(struct worker *w)
{
    make_progress(w);
    if (w->ticks++ % REPORT_TICKS == 0)
        worker_make_report(w);
    make_verify_text(w);
}

void worker_report(struct worker *w, struct worker_report *out)
{
    pthread_mutex_lock(&w->report_lock);
    *out = w->report;
    pthread_mutex_unlock(&w->report_lock);
}

int worker_verify_report(struct worker *w, struct buf *out)
{
    int error;

    pthread_mutex_lock(&w->report_lock);
    error = buf_append(out, buf_head(&w->verify_text), buf_len(&w->verify_text));
    pthread_mutex_unlock(&w->report_lock);
    return error;
}
