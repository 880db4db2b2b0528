#include "proxy/slow_log.h"
#include "shared/resp.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct slow_entry {
    struct slow_entry *newer, *older;
    struct buf text; /* the entry as RESP; the same in both versions */
};

static void drop_oldest(struct slow_log *l)
{
    struct slow_entry *e = l->oldest;

    l->oldest = e->newer;
    if (l->oldest)
        l->oldest->older = NULL;
    else
        l->newest = NULL;
    l->count--;
    buf_free(&e->text);
    free(e);
}

/* One argument as Redis shows it. */
static int put_arg(struct buf *out, struct bytes arg)
{
    char text[SLOW_ARG_SIZE_MAX + 64];
    int size;

    if (arg.size <= SLOW_ARG_SIZE_MAX)
        return resp_put_bulk(out, arg);
    memcpy(text, arg.data, SLOW_ARG_SIZE_MAX);
    size = sprintf(text + SLOW_ARG_SIZE_MAX, "... (%zu more bytes)", arg.size - SLOW_ARG_SIZE_MAX);
    return resp_put_bulk(out, bytes_of(text, SLOW_ARG_SIZE_MAX + (size_t)size));
}

static int put_args(struct buf *out, const struct slow_command *c)
{
    bool cut = c->args_all > SLOW_ARGS_MAX || c->args_all > c->arg_count;
    uint32_t most = cut ? SLOW_ARGS_MAX - 1 : SLOW_ARGS_MAX;
    uint32_t shown = c->arg_count < most ? c->arg_count : most;
    int error = resp_put_array(out, shown + cut);
    char more[64];

    for (uint32_t i = 0; i < shown && !error; i++)
        error = put_arg(out, c->args[i]);
    if (!cut || error)
        return error;
    return resp_put_bulk(out,
                         bytes_of(more, (size_t)sprintf(more, "... (%" PRIu64 " more arguments)",
                                                        c->args_all - shown)));
}

static int put_entry(struct buf *out, const struct slow_command *c, uint64_t id)
{
    int error = resp_put_array(out, 6);

    error = error ? error : resp_put_integer(out, (int64_t)id);
    error = error ? error : resp_put_integer(out, (int64_t)c->unix_s);
    error = error ? error : resp_put_integer(out, (int64_t)c->took_us);
    error = error ? error : put_args(out, c);
    error = error ? error : resp_put_bulk(out, bytes_from(c->address));
    return error ? error : resp_put_bulk(out, bytes_from(c->name));
}

void slow_log_add(struct slow_log *l, const struct slow_command *c, uint64_t entries_max)
{
    struct slow_entry *e = calloc(1, sizeof(*e));
    uint64_t id = l->last_id++;

    if (!e || put_entry(&e->text, c, id) != 0) {
        if (e)
            buf_free(&e->text);
        free(e);
        return;
    }
    e->older = l->newest;
    if (e->older)
        e->older->newer = e;
    else
        l->oldest = e;
    l->newest = e;
    l->count++;
    while (l->count > entries_max || l->count > SLOW_ENTRIES_MAX)
        drop_oldest(l);
}

int slow_log_put(const struct slow_log *l, struct buf *out, uint64_t count)
{
    const struct slow_entry *e = l->newest;
    int error;

    count = count < l->count ? count : l->count;
    error = resp_put_array(out, count);
    for (; count && !error; count--, e = e->older)
        error = buf_append(out, buf_head(&e->text), buf_len(&e->text));
    return error;
}

size_t slow_log_size(const struct slow_log *l, uint64_t count)
{
    size_t size = 0;

    for (const struct slow_entry *e = l->newest; e && count; count--, e = e->older)
        size += buf_len(&e->text);
    return size;
}

void slow_log_reset(struct slow_log *l)
{
    while (l->oldest)
        drop_oldest(l);
}
