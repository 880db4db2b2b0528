#include "proxy/client_line.h"
#include "proxy/command.h"
#include "proxy/session.h"
#include "proxy/transaction.h"
#include "shared/error.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As Redis shows what a client is doing. */
static void put_flags(const struct client_facts *f, char flags[8])
{
    size_t size = 0;

    if (f->session->any_replica)
        flags[size++] = 'r';
    if (f->session->transaction)
        flags[size++] = 'x';
    if (f->session->no_evict)
        flags[size++] = 'e';
    if (f->session->ending || f->closing)
        flags[size++] = 'c';
    if (size == 0)
        flags[size++] = 'N';
    flags[size] = '\0';
}

int client_line_put(struct buf *out, const struct client_facts *f)
{
    const struct session *s = f->session;
    const struct transaction *t = s->transaction;
    char flags[8];
    char *line;
    int size, error;

    put_flags(f, flags);
    size = asprintf(
        &line,
        "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRIu64 " idle=%" PRIu64
        " flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d qbuf=%" PRIu64 " qbuf-free=0 argv-mem=%zu"
        " multi-mem=%zu rbs=0 rbp=0 obl=%" PRIu64 " oll=%u omem=%" PRIu64 " tot-mem=%" PRIu64
        " events=%s cmd=%s user=%s redir=-1 resp=%u lib-name=%s lib-ver=%s\n",
        s->id, f->address, f->local_address, f->descriptor, session_text(s, SESSION_NAME), f->age_s,
        f->idle_s, flags, t ? (int)t->count : -1, f->query_bytes, s->sent_bytes, t ? t->bytes : 0,
        f->output_bytes, s->pending, (uint64_t)s->kept + f->output_bytes, f->memory_bytes,
        f->output_bytes ? "rw" : "r", s->command ? s->command->name : "NULL", f->user, s->resp,
        session_text(s, SESSION_LIB_NAME), session_text(s, SESSION_LIB_VERSION));
    if (size < 0)
        return RK_NOMEM;
    error = buf_append(out, line, (size_t)size);
    free(line);
    return error;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void client_filter_order(struct client_filter *f)
{
    if (f->ids)
        qsort(f->ids, f->id_count, sizeof(*f->ids), compare_ids);
}

static bool id_listed(const struct client_filter *f, uint64_t id)
{
    return !f->ids || bsearch(&id, f->ids, f->id_count, sizeof(*f->ids), compare_ids);
}

static bool text_fits(const char *wanted, const char *text)
{
    return !wanted || strcmp(wanted, text) == 0;
}

bool client_filter_matches(const struct client_filter *f, const struct client_facts *client,
                           uint64_t self)
{
    return f->type != CLIENT_OTHER && id_listed(f, client->session->id) &&
           text_fits(f->address, client->address) &&
           text_fits(f->local_address, client->local_address) && text_fits(f->user, client->user) &&
           !(f->skip_self && client->session->id == self);
}

void client_filter_free(struct client_filter *f)
{
    free(f->address);
    free(f->local_address);
    free(f->user);
    free(f->ids);
    *f = (struct client_filter){0};
}
