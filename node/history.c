#include "node/history.h"
#include "shared/error.h"
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 1024 };

void history_init(struct history *h, size_t bytes_max, uint32_t line_max)
{
    *h = (struct history){.bytes_max = bytes_max, .line_max = line_max};
}

/* --- by request ----------------------------------------------------------------------------- */

static struct history_entry **bucket_of(const struct history *h, uint64_t session, uint64_t number)
{
    /* Numbers of a session follow each other, so they spread by themselves, and what is found,
     * added and dropped in turn stands side by side; the multiplier (2^64 divided by the golden
     * ratio) keeps sessions apart. */
    uint64_t begin = session * UINT64_C(0x9e3779b97f4a7c15) >> 20;

    return &h->buckets[(begin + number) & (h->bucket_count - 1)];
}

static void index_entry(struct history *h, struct history_entry *e)
{
    struct history_entry **at = bucket_of(h, e->session, e->number);

    e->next_in_bucket = *at;
    *at = e;
}

/* Doubles the table when it is full. Without memory for it, chains grow longer. */
static void grow_index(struct history *h)
{
    size_t count = h->bucket_count ? h->bucket_count * 2 : BUCKETS_MIN;
    struct history_entry **old = h->buckets, **more;
    size_t old_count = h->bucket_count;

    more = calloc(count, sizeof(*more));
    if (!more)
        return;
    h->buckets = more;
    h->bucket_count = count;
    for (size_t i = 0; i < old_count; i++)
        for (struct history_entry *e = old[i], *next; e; e = next) {
            next = e->next_in_bucket;
            index_entry(h, e);
        }
    free(old);
}

static void unindex_entry(struct history *h, struct history_entry *e)
{
    struct history_entry **at;

    if (!e->session || !h->bucket_count)
        return;
    for (at = bucket_of(h, e->session, e->number); *at; at = &(*at)->next_in_bucket)
        if (*at == e) {
            *at = e->next_in_bucket;
            return;
        }
}

struct history_entry *history_find_request(const struct history *h, const struct history_line *line,
                                           uint64_t session, uint64_t number)
{
    if (!h->bucket_count)
        return NULL;
    for (struct history_entry *e = *bucket_of(h, session, number); e; e = e->next_in_bucket)
        if (e->session == session && e->number == number && e->line == line)
            return e;
    return NULL;
}

/* --- by age --------------------------------------------------------------------------------- */

/* Takes the oldest step out of its line. */
static void leave_line(struct history *h, struct history_entry *e)
{
    struct history_line *line = e->line;

    line->first = e->next;
    line->from = e->at;
    if (!e->next)
        line->last = NULL;
    line->count--;
    unindex_entry(h, e);
    e->line = NULL;
}

/* Frees the oldest step of the shard. */
static void drop_oldest(struct history *h)
{
    struct history_entry *e = h->first;

    if (e->line)
        leave_line(h, e);
    h->first = e->next_overall;
    if (!h->first)
        h->last = NULL;
    h->bytes -= sizeof(*e) + e->size;
    h->entry_count--;
    h->dropped++;
    fifo_memory_drop(&h->memory);
}

void history_free(struct history *h)
{
    while (h->first)
        drop_oldest(h);
    fifo_memory_free(&h->memory);
    free(h->buckets);
    h->buckets = NULL;
    h->bucket_count = 0;
}

void history_clear(struct history *h, struct history_line *line)
{
    while (line->first)
        leave_line(h, line->first);
}

static void append(struct history *h, struct history_line *line, struct history_entry *e)
{
    if (line->last)
        line->last->next = e;
    else
        line->first = e;
    if (!line->last)
        line->from = e->from;
    line->last = e;
    line->count++;
    if (h->last)
        h->last->next_overall = e;
    else
        h->first = e;
    h->last = e;
    h->bytes += sizeof(*e) + e->size;
    h->entry_count++;
    if (!e->session)
        return;
    if (h->entry_count > h->bucket_count)
        grow_index(h);
    if (h->bucket_count)
        index_entry(h, e);
}

int history_add(struct history *h, struct history_line *line, struct version from,
                struct version at, uint64_t session, uint64_t number, struct bytes frame)
{
    struct history_entry *e = fifo_memory_take(&h->memory, sizeof(*e) + frame.size);

    if (!e || (line->last && version_compare(line->last->at, from) != 0))
        history_clear(h, line);
    if (!e)
        return RK_NOMEM;
    *e = (struct history_entry){NULL, NULL, NULL, line, from, at, session, number, frame.size};
    memcpy(e->frame, frame.data, frame.size);
    append(h, line, e);
    if (session && !h->bucket_count) {
        /* A request that cannot be found again must not look as if it had never been. */
        history_clear(h, line);
        return RK_NOMEM;
    }

    /* A line that is too long gives up its oldest step at once, though its memory only later. */
    if (line->count > h->line_max)
        leave_line(h, line->first);
    while (h->bytes > h->bytes_max)
        drop_oldest(h);
    return 0;
}

struct history_entry *history_find(const struct history_line *line, struct version from)
{
    /* Versions ascend along the line; whoever has nothing need not be looked for step by step. */
    if (!line->first || version_compare(from, line->first->from) < 0 ||
        version_compare(from, line->last->from) > 0)
        return NULL;
    for (struct history_entry *e = line->first; e; e = e->next)
        if (version_compare(e->from, from) == 0)
            return e;
    return NULL;
}
