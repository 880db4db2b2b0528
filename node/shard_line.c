/* Requests wait in line here while the store has no room for them, or syncs so slowly that too much
 * is held back already (held_max).
 *
 * Were they refused, their proxies would ask again, all of them every few milliseconds; what room
 * comes would go to whoever asks at that moment, and some would find none until their time is over.
 * So a write goes behind all that wait, and is carried out in its turn. A read from the primary
 * goes behind what waits for its own partition, because the same client may have written there.
 *
 * Whoever asked has said for how long its request may wait. Nothing was done of what waits, so what
 * is refused in the end, at that time or because the line is too long, is refused exactly.
 *
 * So that the proxy does not take the node for one that hangs, it is told every node_timeout that
 * its request waits (WAITS): here in line, or, carried out, for replicas that have just
 * acknowledged something else. Those are slow, and no other primary would be quicker. Of a request
 * that waits for replicas from which nothing comes it is not told, and may try another one.
 *
 * A request whose turn comes is looked at anew from the beginning: view, epoch and history may have
 * changed. What this node cannot carry out any more need not wait for its turn to hear that.
 */
#include "node/shard_parts.h"
#include "shared/error.h"

bool shard_is_in_line(const struct shard *s, const struct group *g, bool writes)
{
    if (s->serving)
        return false;
    return writes ? s->line.count || s->some_wait : g->in_line > 0;
}

/* What joins was looked for in the history, and not done up to now: this is its base from now on,
 * or the history's floor could pass it while it waits. */
static int join(struct shard *s, const struct group *g, uint64_t client, const struct request *m)
{
    struct request known = *m;

    if (!m->wait_ms)
        return RK_CLOSED;
    known.base_view = g->last.view;
    known.base_op = g->last.op;
    return line_join(&s->line, client, &known, s->now_ms + m->wait_ms);
}

void shard_join_line(struct shard *s, struct group *g, uint64_t client, const struct request *m)
{
    int error = join(s, g, client, m);

    if (error) {
        s->counters.line_full += error == RK_FULL;
        s->counters.refused_busy++;
        shard_refuse(s, client, m->id, REFUSAL_BUSY, 0, 0);
        return;
    }
    g->in_line++;
    s->counters.requests_waited++;
}

static void leave(struct shard *s, struct line_place *before)
{
    const struct line_place *p = before ? before->next : s->line.first;

    shard_group(s, p->request.partition)->in_line--;
    line_leave(&s->line, before);
}

/* 0 or RK_FULL: there is no room yet. */
static int serve(struct shard *s, const struct line_place *p)
{
    int error;

    s->serving = true;
    error = shard_carry_out(s, p->client, &p->request);
    s->serving = false;
    return error;
}

size_t shard_serve_line(struct shard *s, size_t bytes_max)
{
    size_t before = s->line.bytes;

    while (s->line.first && before - s->line.bytes < bytes_max && serve(s, s->line.first) == 0)
        leave(s, NULL);
    return before - s->line.bytes;
}

/* Whether the node may still carry it out. */
static bool may_be_served(const struct shard *s, const struct request *m)
{
    const struct group *g = shard_group(s, m->partition);

    return g->role == GROUP_PRIMARY && g->view == m->view && g->epoch == m->epoch;
}

/* True when the place is to be left. */
static bool ends(struct shard *s, const struct line_place *p)
{
    if (!may_be_served(s, &p->request))
        return serve(s, p) == 0;
    if (s->now_ms < p->until_ms)
        return false;
    s->counters.waited_too_long++;
    s->counters.refused_busy++;
    shard_refuse(s, p->client, p->request.id, REFUSAL_BUSY, 0, 0);
    return true;
}

void shard_look_at_line(struct shard *s)
{
    struct line_place *before = NULL, *p;

    while ((p = before ? before->next : s->line.first) != NULL) {
        if (ends(s, p))
            leave(s, before);
        else
            before = p;
    }
}

void shard_say_waits(struct shard *s, uint64_t client, uint64_t id)
{
    struct buf *out = shard_client_out(s, client);

    /* Without memory for it, it is asked for elsewhere. */
    if (out)
        message_put_waits(out, id);
}

void shard_tell_waiting(struct shard *s)
{
    if (s->now_ms - s->told_ms < s->options.candidate_ms / 2)
        return;
    s->told_ms = s->now_ms;
    for (const struct line_place *p = s->line.first; p; p = p->next)
        shard_say_waits(s, p->client, p->request.id);
    for (uint32_t i = 0; i < s->group_count; i++)
        group_tell_pending(s, &s->groups[i]);
}
