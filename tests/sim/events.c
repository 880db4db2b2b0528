#include "tests/sim/events.h"
#include <stdlib.h>

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void events_put(struct events *e, uint64_t at_us, enum event_kind kind, uint32_t a, uint32_t b,
                uint64_t c)
{
    struct event event = {at_us, e->next_order++, kind, a, b, c};

    if (e->count == e->size) {
        e->size = e->size ? e->size * 2 : 256;
        e->heap = realloc(e->heap, e->size * sizeof(*e->heap));
        if (!e->heap)
            abort();
    }

    size_t at = e->count++;

    while (at && before(&event, &e->heap[(at - 1) / 2])) {
        e->heap[at] = e->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    e->heap[at] = event;
}

bool events_take(struct events *e, struct event *out)
{
    if (e->count == 0)
        return false;
    *out = e->heap[0];

    struct event moved = e->heap[--e->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= e->count)
            break;
        if (child + 1 < e->count && before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!before(&e->heap[child], &moved))
            break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = moved;
    return true;
}

void events_free(struct events *e)
{
    free(e->heap);
    *e = (struct events){0};
}
