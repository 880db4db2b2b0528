#include "node/read_fault.h"
#include "shared/limits.h"
#include "shared/log.h"
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic(const struct mapped_file *) files[SHARDS_MAX];

static const struct mapped_file *file_at(const uint8_t *at)
{
    for (int i = 0; i < SHARDS_MAX; i++) {
        const struct mapped_file *file = atomic_load(&files[i]);

        if (file && file->at && at >= file->at && (size_t)(at - file->at) < file->size)
            return file;
    }
    return NULL;
}

/* Comes in the middle of code that reads the map, and nowhere else: no lock that the log needs is
 * held there. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    const uint8_t *at = info->si_addr;
    const struct mapped_file *file = file_at(at);

    (void)context;
    if (!file) {
        signal(number, SIG_DFL); /* and it comes again */
        return;
    }
    log_error(
        "store: the disk cannot give what is read file=%s offset=%zu; the node stops now: look "
        "at the system's log, and replace the disk and this node (ringctl replace) if it "
        "happens again",
        file->path, (size_t)(at - file->at));
    _exit(1);
}

void read_fault_catch(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

void read_fault_add(const struct mapped_file *file)
{
    for (int i = 0; i < SHARDS_MAX; i++) {
        const struct mapped_file *none = NULL;

        if (atomic_compare_exchange_strong(&files[i], &none, file))
            return;
    }
}

void read_fault_remove(const struct mapped_file *file)
{
    for (int i = 0; i < SHARDS_MAX; i++) {
        const struct mapped_file *there = file;

        atomic_compare_exchange_strong(&files[i], &there, NULL);
    }
}
