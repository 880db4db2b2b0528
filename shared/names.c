#include "shared/names.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/log.h"
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUCKETS = 256 };

struct name {
    struct name *next;        /* in its bucket */
    struct name *next_wanted; /* in the queue */
    bool busy;                /* in the queue, or a thread asks for it: it must stay */
    bool found;               /* it has been, at least once */
    bool slow_told;           /* that it takes long */
    int error;                /* of getaddrinfo, the last time; 0: none */
    uint64_t used_ms;         /* when it was last asked for, */
    uint64_t wanted_ms;       /* when its look-up was, */
    uint64_t known_ms;        /* and when one ended last; 0: none has */
    struct name_addresses addresses;
    char host[];
};

static struct {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wanted;
    struct name *buckets[BUCKETS];
    size_t count;
    struct name *first, **last; /* the queue */
    size_t queued;
    unsigned threads, idle;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 0 or an error of getaddrinfo. */
static int look_up(const char *host, int flags, struct name_addresses *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found;
    int error = getaddrinfo(host, NULL, &hints, &found);

    if (error)
        return error;
    out->count = 0;
    for (const struct addrinfo *a = found; a && out->count < NAMES_ADDRESSES_MAX; a = a->ai_next) {
        struct name_address *to = &out->all[out->count];

        if (a->ai_addrlen > sizeof(to->at))
            continue;
        to->size = a->ai_addrlen;
        memcpy(&to->at, a->ai_addr, a->ai_addrlen);
        out->count++;
    }
    freeaddrinfo(found);
    return out->count ? 0 : EAI_NONAME;
}

static void set_port(struct name_addresses *addresses, uint16_t port)
{
    for (size_t i = 0; i < addresses->count; i++) {
        struct name_address *a = &addresses->all[i];

        if (a->at.any.sa_family == AF_INET6)
            a->at.v6.sin6_port = htons(port);
        else
            a->at.v4.sin_port = htons(port);
    }
}

/* --- the threads ---------------------------------------------------------------------------- */

static void tell(const struct name *n, int before, const char *why)
{
    if (n->error == before)
        return;
    if (!n->error)
        log_info("names: can be looked up again host=%s", n->host);
    else if (n->found)
        log_warn("names: cannot be looked up any more host=%s: %s; the address that it had is used "
                 "from now on",
                 n->host, why);
    else
        log_warn("names: cannot be looked up host=%s: %s", n->host, why);
}

static struct name *take_wanted(void)
{
    struct name *n;

    table.idle++;
    while (!table.first)
        pthread_cond_wait(&table.wanted, &table.lock);
    table.idle--;
    n = table.first;
    table.first = n->next_wanted;
    table.queued--;
    return n;
}

static void keep(struct name *n, int error, const struct name_addresses *found)
{
    n->error = error;
    n->known_ms = now_ms();
    if (error)
        return;
    n->addresses = *found;
    n->found = true;
    n->slow_told = false;
}

static void *serve(void *arg)
{
    struct name_addresses found;

    (void)arg;
    pthread_mutex_lock(&table.lock);
    for (;;) {
        struct name *n = take_wanted();
        int before = n->error, error;
        char why[200];

        pthread_mutex_unlock(&table.lock);
        error = look_up(n->host, 0, &found);
        snprintf(why, sizeof(why), "%s",
                 error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
        pthread_mutex_lock(&table.lock);
        keep(n, error, &found);
        /* It stays as long as it is busy; and only its thread writes what is told. */
        pthread_mutex_unlock(&table.lock);
        tell(n, before, why);
        pthread_mutex_lock(&table.lock);
        n->busy = false;
    }
    return NULL;
}

/* Sees to it that the queue is served. Without memory for a thread the next question tries again.
 */
static void wake(void)
{
    sigset_t all, before;
    pthread_t thread;

    pthread_cond_signal(&table.wanted);
    if (table.queued <= table.idle || table.threads == NAMES_THREADS_MAX)
        return;
    /* Signals are the main thread's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, serve, NULL) == 0) {
        pthread_setname_np(thread, "names");
        /* It may hang when the process ends: nobody waits for it. */
        pthread_detach(thread);
        table.threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void want(struct name *n, uint64_t now)
{
    n->busy = true;
    n->wanted_ms = now;
    n->next_wanted = NULL;
    if (table.first)
        *table.last = n;
    else
        table.first = n;
    table.last = &n->next_wanted;
    table.queued++;
}

/* --- the table ------------------------------------------------------------------------------ */

static struct name **bucket_of(const char *host)
{
    return &table.buckets[crc32c(0, host, strlen(host)) % BUCKETS];
}

/* Makes room for one more name. False: all are being looked up. */
static bool drop_oldest(void)
{
    struct name **oldest = NULL, *n;

    for (size_t i = 0; i < BUCKETS; i++)
        for (struct name **at = &table.buckets[i]; *at; at = &(*at)->next)
            if (!(*at)->busy && (!oldest || (*at)->used_ms < (*oldest)->used_ms))
                oldest = at;
    if (!oldest)
        return false;
    n = *oldest;
    *oldest = n->next;
    free(n);
    table.count--;
    return true;
}

static struct name *find(const char *host)
{
    struct name *n = *bucket_of(host);

    while (n && strcmp(n->host, host) != 0)
        n = n->next;
    return n;
}

/* 0; RK_MORE: there is no room just now; RK_NOMEM. */
static int add(const char *host, struct name **out)
{
    size_t size = strlen(host) + 1;
    struct name **bucket = bucket_of(host), *n;

    if (table.count == NAMES_MAX && !drop_oldest())
        return RK_MORE;
    n = calloc(1, sizeof(*n) + size);
    if (!n)
        return RK_NOMEM;
    memcpy(n->host, host, size);
    n->next = *bucket;
    *bucket = n;
    table.count++;
    *out = n;
    return 0;
}

/* What is known of a name now, after a look-up was asked for if it is due. */
static int answer(struct name *n, uint64_t now, bool *slow, struct name_addresses *out)
{
    n->used_ms = now;
    if (!n->busy && (!n->known_ms || now - n->known_ms >= NAMES_AGE_MS))
        want(n, now);
    if (table.queued)
        wake();
    *slow = n->busy && !n->slow_told && now - n->wanted_ms > NAMES_SLOW_MS;
    n->slow_told |= *slow;
    if (n->found)
        *out = n->addresses;
    else
        return n->busy ? RK_MORE : RK_NOTFOUND;
    return 0;
}

static int find_name(const char *host, struct name_addresses *out)
{
    uint64_t now = now_ms();
    struct name *n;
    bool slow = false;
    int error = 0;

    pthread_mutex_lock(&table.lock);
    n = find(host);
    if (!n)
        error = add(host, &n);
    if (!error)
        error = answer(n, now, &slow, out);
    pthread_mutex_unlock(&table.lock);
    if (slow)
        log_warn("names: the resolver does not answer host=%s after_ms=%d; %s", host, NAMES_SLOW_MS,
                 error ? "no connection to it can be made until it does"
                       : "the address that it had is used until it does");
    return error;
}

int names_find(const char *host, uint16_t port, struct name_addresses *out)
{
    int error = look_up(host, AI_NUMERICHOST, out);

    if (error == EAI_MEMORY)
        return RK_NOMEM;
    if (error)
        error = find_name(host, out);
    if (!error)
        set_port(out, port);
    return error;
}
