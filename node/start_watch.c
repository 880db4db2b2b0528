#include "node/start_watch.h"
#include "shared/error.h"
#include "shared/log.h"
#include <unistd.h>

static sigset_t watched(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

static void *watch(void *arg)
{
    sigset_t set = watched();
    int number = 0;

    (void)arg;
    while (sigwait(&set, &number) != 0)
        ;
    /* It was taken: the end of the watch must not come between. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    log_info("stop: signal=%d during the start: nothing is lost, the next start takes it up again",
             number);
    _exit(0);
}

int start_watch_begin(struct start_watch *w)
{
    sigset_t set = watched();

    pthread_sigmask(SIG_BLOCK, &set, &w->before);
    w->runs = pthread_create(&w->thread, NULL, watch, NULL) == 0;
    if (!w->runs)
        pthread_sigmask(SIG_SETMASK, &w->before, NULL);
    return w->runs ? 0 : RK_NOMEM;
}

void start_watch_end(struct start_watch *w)
{
    if (!w->runs)
        return;
    pthread_cancel(w->thread);
    pthread_join(w->thread, NULL);
    w->runs = false;
    pthread_sigmask(SIG_SETMASK, &w->before, NULL);
}
