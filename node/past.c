#include "node/past.h"
#include "node/shard.h"
#include "shared/frame.h"

/* What is under way at a fail-over is among the newest; all that is kept would be more than what
 * changed while a replica was away. */
static struct history_entry *newest_before(const struct history_line *line,
                                           const struct history_entry *end)
{
    struct history_entry *from = line->first;
    uint32_t count = 0;
    size_t bytes = 0;

    for (const struct history_entry *e = line->first; e != end; e = e->next) {
        count++;
        bytes += e->size;
    }
    for (; from != end && (count > PAST_STEPS_MAX || bytes > PAST_BYTES_MAX); from = from->next) {
        count--;
        bytes -= from->size;
    }
    return from;
}

bool past_send(struct shard *s, struct group *g, struct buf *out, const struct history_entry *end)
{
    for (struct history_entry *e = newest_before(&g->line, end); e != end; e = e->next) {
        size_t begun = frame_begin(out, MESSAGE_PAST);

        if (begun == SIZE_MAX)
            return false;
        peer_restamp_step(e->frame, g->epoch, g->view);
        if (buf_append(out, e->frame + FRAME_HEADER_SIZE, e->size - FRAME_HEADER_SIZE) != 0) {
            buf_truncate(out, begun);
            return false;
        }
        if (frame_end(out, begun) != 0)
            return false;
        s->counters.steps_sent++;
    }
    return true;
}

/* Whether a step belongs in front of where the replica stands, behind what it keeps. */
static bool leads_here(const struct group *g, const struct step *m)
{
    if (g->partial || version_compare(m->at, g->last) > 0)
        return false;
    return !g->line.last || version_compare(g->line.last->at, m->from) == 0;
}

void past_take(struct shard *s, struct group *g, const struct step *m, struct bytes frame)
{
    const struct transfer_in *t = &g->incoming;
    bool copied = t->id && t->view == m->view && t->next >= 2;
    struct buf step = {0};
    size_t begun;

    /* Within a transfer they lead to where it ends. */
    if (!copied && (t->id || !leads_here(g, m)))
        return;
    /* Kept as the STEP that it was. Without memory the line is cut, and holds less. */
    begun = frame_begin(&step, MESSAGE_STEP);
    if (begun != SIZE_MAX &&
        buf_append(&step, frame.data + FRAME_HEADER_SIZE, frame.size - FRAME_HEADER_SIZE) == 0 &&
        frame_end(&step, begun) == 0)
        history_add(&s->history, &g->line, m->from, m->at, m->session, m->number, buf_bytes(&step));
    buf_free(&step);
}
