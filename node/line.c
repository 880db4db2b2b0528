#include "node/line.h"
#include "shared/error.h"
#include <stdlib.h>
#include <string.h>

static size_t size_of(const struct request *m)
{
    return sizeof(struct line_place) + m->args.size;
}

int line_join(struct line *l, uint64_t client, const struct request *m, uint64_t until_ms)
{
    struct line_place *p;

    if (l->count && l->bytes + size_of(m) > LINE_BYTES_MAX)
        return RK_FULL;
    p = malloc(size_of(m));
    if (!p)
        return RK_NOMEM;
    *p = (struct line_place){.client = client, .until_ms = until_ms, .request = *m};
    memcpy(p->args, m->args.data, m->args.size);
    p->request.args.data = p->args;
    if (l->last)
        l->last->next = p;
    else
        l->first = p;
    l->last = p;
    l->count++;
    l->bytes += size_of(m);
    return 0;
}

void line_leave(struct line *l, struct line_place *before)
{
    struct line_place **at = before ? &before->next : &l->first, *p = *at;

    *at = p->next;
    if (l->last == p)
        l->last = before;
    l->count--;
    l->bytes -= size_of(&p->request);
    free(p);
}

void line_free(struct line *l)
{
    while (l->first)
        line_leave(l, NULL);
}
