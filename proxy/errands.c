#include "proxy/errands.h"
#include "proxy/client.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "shared/error.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* One errand on its way. Only one thread at a time has to do with it: the client's, then that of a
 * worker or of the passwords, then the client's again. `client` alone belongs to the client's
 * thread throughout: it becomes NULL when the client goes meanwhile. */
struct job {
    struct errand errand; /* first, so that an errand is its job */
    struct errands *errands;
    struct client *client;
    struct worker *home;
    struct loop_note note; /* it is always on its way to one thread at most */
    uint32_t visited;      /* workers */
    bool back;
    struct job *previous, *next; /* all of them; under the lock */
    struct job *next_check;      /* passwords, in their turn; under the lock */
    uint8_t password[PASSWORD_SIZE_MAX];
};

struct errands {
    struct proxy *proxy;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *jobs;
    struct job *checks, **checks_end;
    uint32_t check_count;
    bool stopping;
};

static void job_free(struct job *j)
{
    struct errands *e = j->errands;

    pthread_mutex_lock(&e->lock);
    if (j->previous)
        j->previous->next = j->next;
    else
        e->jobs = j->next;
    if (j->next)
        j->next->previous = j->previous;
    pthread_mutex_unlock(&e->lock);
    password_forget(j->password, sizeof(j->password));
    client_filter_free(&j->errand.filter);
    buf_free(&j->errand.lines);
    free(j);
}

/* On the client's thread. */
static void come_back(void *job)
{
    struct job *j = job;

    j->back = true;
    if (j->client)
        client_errand_done(j->client, &j->errand);
    else
        job_free(j);
}

/* --- visiting all workers -------------------------------------------------------------------- */

static void list(struct errand *d, const struct client_facts *facts)
{
    d->too_many |= buf_len(&d->lines) > d->lines_max;
    if (!d->too_many)
        d->failed |= client_line_put(&d->lines, facts) != 0;
}

static void meet(struct job *j, struct worker *w, struct client *c)
{
    struct errand *d = &j->errand;
    struct client_facts facts;

    client_facts(c, &facts);
    if (!client_filter_matches(&d->filter, &facts, d->self))
        return;
    if (d->kind == ERRAND_LIST) {
        list(d, &facts);
        return;
    }
    d->killed++;
    if (facts.session->id == d->self) {
        d->killed_self = true;
        return;
    }
    counter_add(&w->counters.killed, 1);
    client_close(c);
}

/* On each worker's thread in turn. */
static void visit(void *job)
{
    struct job *j = job;
    struct proxy *p = j->errands->proxy;
    struct worker *w = p->workers[j->visited];

    for (struct client *c = w->clients, *next; c; c = next) {
        next = c->next;
        meet(j, w, c);
    }
    if (++j->visited < p->worker_count)
        loop_post_note(p->workers[j->visited]->loop, &j->note, visit, j);
    else
        loop_post_note(j->home->loop, &j->note, come_back, j);
}

/* --- passwords ------------------------------------------------------------------------------- */

static struct job *next_check(struct errands *e)
{
    struct job *j;

    pthread_mutex_lock(&e->lock);
    while (!e->checks && !e->stopping)
        pthread_cond_wait(&e->wake, &e->lock);
    j = e->stopping ? NULL : e->checks;
    if (j) {
        e->checks = j->next_check;
        if (!e->checks)
            e->checks_end = &e->checks;
        e->check_count--;
    }
    pthread_mutex_unlock(&e->lock);
    return j;
}

static void *check_passwords(void *arg)
{
    struct errands *e = arg;
    struct job *j;

    while ((j = next_check(e)) != NULL) {
        j->errand.matches = password_matches(j->errand.hash, j->errand.password);
        loop_post_note(j->home->loop, &j->note, come_back, j);
    }
    return NULL;
}

static int queue_check(struct errands *e, struct job *j)
{
    int failed = 0;

    pthread_mutex_lock(&e->lock);
    if (e->check_count == PASSWORD_CHECKS_MAX) {
        failed = RK_FULL;
    } else {
        *e->checks_end = j;
        e->checks_end = &j->next_check;
        e->check_count++;
        pthread_cond_signal(&e->wake);
    }
    pthread_mutex_unlock(&e->lock);
    return failed;
}

/* --- life ------------------------------------------------------------------------------------ */

int errands_begin(struct errands *e, struct client *c, const struct errand *errand)
{
    struct job *j = calloc(1, sizeof(*j));

    if (!j)
        return RK_NOMEM;
    assert(!c->errand);
    j->errand = *errand;
    j->errands = e;
    j->client = c;
    j->home = c->worker;
    pthread_mutex_lock(&e->lock);
    j->next = e->jobs;
    if (j->next)
        j->next->previous = j;
    e->jobs = j;
    pthread_mutex_unlock(&e->lock);
    if (errand->kind != ERRAND_PASSWORD) {
        loop_post_note(e->proxy->workers[0]->loop, &j->note, visit, j);
    } else {
        assert(errand->password.size <= sizeof(j->password));
        if (errand->password.size)
            memcpy(j->password, errand->password.data, errand->password.size);
        j->errand.password.data = j->password;
        if (queue_check(e, j) != 0) {
            job_free(j);
            return RK_FULL;
        }
    }
    c->errand = &j->errand;
    return 0;
}

void errands_end(struct client *c)
{
    struct job *j = (struct job *)c->errand;

    c->errand = NULL;
    if (!j)
        return;
    j->client = NULL;
    if (j->back)
        job_free(j);
}

static int start_thread(struct errands *e)
{
    sigset_t all, before;
    int failed;

    /* Signals are the main thread's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&e->thread, NULL, check_passwords, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    e->has_thread = !failed;
    return failed ? RK_NOMEM : 0;
}

struct errands *errands_new(struct proxy *p)
{
    struct errands *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    e->proxy = p;
    e->checks_end = &e->checks;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->wake, NULL);
    if (!users_open(&p->options->users) && start_thread(e) != 0) {
        errands_free(e);
        return NULL;
    }
    return e;
}

void errands_stop(struct errands *e)
{
    if (!e || !e->has_thread)
        return;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    e->has_thread = false;
}

void errands_free(struct errands *e)
{
    if (!e)
        return;
    errands_stop(e);
    while (e->jobs)
        job_free(e->jobs);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e);
}
