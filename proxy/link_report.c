#include "proxy/link_report.h"
#include "shared/log.h"
#include "shared/loop.h"
#include <pthread.h>
#include <stdlib.h>

struct link_report {
    struct loop *loop;
    struct loop_timer *timer;
    pthread_mutex_t lock; /* of the rest */
    struct link_news news;
    bool posted; /* the main thread will look */
};

static void write_due(struct link_report *r, uint64_t now_ms)
{
    struct link_line line;

    while (link_news_take(&r->news, now_ms, &line))
        if (line.warning)
            log_warn("%s", line.text);
        else
            log_info("%s", line.text);
}

/* On the main thread. */
static void look(void *arg)
{
    struct link_report *r = arg;
    uint64_t now_ms = loop_now_ms(r->loop), due_ms;

    pthread_mutex_lock(&r->lock);
    r->posted = false;
    write_due(r, now_ms);
    due_ms = link_news_due_ms(&r->news);
    pthread_mutex_unlock(&r->lock);
    if (due_ms != UINT64_MAX)
        loop_timer_set(r->timer, due_ms - now_ms);
}

struct link_report *link_report_new(struct loop *l)
{
    struct link_report *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->loop = l;
    r->timer = loop_timer_new(l, look, r);
    if (!r->timer) {
        free(r);
        return NULL;
    }
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void link_report_free(struct link_report *r)
{
    if (!r)
        return;
    loop_timer_free(r->timer);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

struct link_member *link_report_join(struct link_report *r, const struct ring_member *member)
{
    struct link_member *m;

    pthread_mutex_lock(&r->lock);
    m = link_news_join(&r->news, member);
    pthread_mutex_unlock(&r->lock);
    return m;
}

void link_report_leave(struct link_report *r, struct link_member *m, bool was_up)
{
    pthread_mutex_lock(&r->lock);
    /* The last link takes with it what was not told yet. */
    if (m->links == 1)
        write_due(r, UINT64_MAX);
    link_news_leave(&r->news, m, was_up);
    pthread_mutex_unlock(&r->lock);
}

void link_report_note(struct link_report *r, struct link_member *m, enum link_event event,
                      uint16_t shard, const char *why)
{
    pthread_mutex_lock(&r->lock);
    if (!link_news_has_room(m, event, why))
        write_due(r, UINT64_MAX);
    link_news_note(m, event, shard, why, loop_now_ms(r->loop));
    /* Without memory for the message the next event brings it. */
    if (!r->posted)
        r->posted = loop_post(r->loop, look, r) == 0;
    pthread_mutex_unlock(&r->lock);
}
