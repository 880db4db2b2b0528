#include "node/history.h"
#include "shared/error.h"
#include <stdlib.h>
#include <string.h>

void history_init(struct history *h, size_t bytes_max, uint32_t line_max)
{
    *h = (struct history){.bytes_max = bytes_max, .line_max = line_max};
}

/* Frees the oldest step of the shard. */
static void drop_oldest(struct history *h)
{
    struct history_entry *e = h->first;

    if (e->line) {
        e->line->first = e->next;
        if (!e->next)
            e->line->last = NULL;
        e->line->count--;
    }
    h->first = e->next_overall;
    if (!h->first)
        h->last = NULL;
    h->bytes -= sizeof(*e) + e->size;
    h->dropped++;
    free(e);
}

void history_free(struct history *h)
{
    while (h->first)
        drop_oldest(h);
}

void history_clear(struct history *h, struct history_line *line)
{
    (void)h;
    for (struct history_entry *e = line->first; e; e = e->next)
        e->line = NULL;
    *line = (struct history_line){0};
}

int history_add(struct history *h, struct history_line *line, struct version from,
                struct version at, struct bytes frame)
{
    struct history_entry *e = malloc(sizeof(*e) + frame.size);

    if (!e || (line->last && version_compare(line->last->at, from) != 0))
        history_clear(h, line);
    if (!e)
        return RK_NOMEM;
    *e = (struct history_entry){NULL, NULL, line, from, at, frame.size};
    memcpy(e->frame, frame.data, frame.size);
    if (line->last)
        line->last->next = e;
    else
        line->first = e;
    line->last = e;
    line->count++;
    if (h->last)
        h->last->next_overall = e;
    else
        h->first = e;
    h->last = e;
    h->bytes += sizeof(*e) + e->size;

    /* A line that is too long gives up its oldest step at once, though its memory only later. */
    if (line->count > h->line_max) {
        line->first->line = NULL;
        line->first = line->first->next;
        line->count--;
    }
    while (h->bytes > h->bytes_max)
        drop_oldest(h);
    return 0;
}

struct history_entry *history_find(const struct history_line *line, struct version from)
{
    for (struct history_entry *e = line->first; e; e = e->next)
        if (version_compare(e->from, from) == 0)
            return e;
    return NULL;
}
