#include "node/group.h"
#include "node/shard.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/operation.h"
#include "shared/wire.h"
#include <assert.h>
#include <stdlib.h>

enum { ROW_SIZE = 25 };

/* --- the durable row ------------------------------------------------------------------------ */

static void row_encode(const struct group *g, uint8_t row[ROW_SIZE])
{
    wire_put_u64(row, g->promised);
    wire_put_u64(row + 8, g->last.view);
    wire_put_u64(row + 16, g->last.op);
    row[24] = g->partial;
}

int group_load(struct shard *s, struct group *g)
{
    uint8_t row[STORE_STATE_MAX];
    size_t size = 0;
    int error = store_state(s->store, g->partition, row, &size);

    if (error == RK_NOTFOUND)
        return 0;
    if (error || size != ROW_SIZE || row[24] > 1)
        return error ? error : RK_CORRUPT;
    g->promised = wire_get_u64(row);
    g->last = (struct version){wire_get_u64(row + 8), wire_get_u64(row + 16)};
    g->partial = row[24];
    g->highest = view_number(g->promised);
    return 0;
}

int group_apply(struct shard *s, struct group *g, const struct store_change *changes, size_t count,
                uint64_t *position)
{
    uint8_t row[ROW_SIZE];
    struct store_batch batch = {.partition = g->partition,
                                .state = bytes_of(row, sizeof(row)),
                                .changes = changes,
                                .change_count = count};

    row_encode(g, row);

    int error = store_apply(s->store, &batch, position);

    if (!error)
        g->row_position = *position;
    return error;
}

/* --- small steps ---------------------------------------------------------------------------- */

struct group_peer *group_peer(struct group *g, uint16_t member)
{
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].member == member)
            return &g->peers[i];
    return NULL;
}

static bool is_majority(const struct group *g, uint8_t count)
{
    return 2 * count > g->peer_count + 1;
}

static void signal_now(struct shard *s, const struct group *g, uint16_t to, enum signal_kind kind,
                       uint64_t view, struct version last)
{
    struct signal m = {(uint8_t)kind, g->partial ? SIGNAL_PARTIAL : 0, g->partition, view, last};

    shard_signal(s, to, &m);
}

void group_signal_held(struct shard *s, struct group *g, uint16_t to, enum signal_kind kind,
                       uint64_t view, struct version last, uint64_t position)
{
    struct held_item item = {.position = position,
                             .to = to,
                             .view = view,
                             .at = last,
                             .partition = g->partition,
                             .kind = HELD_SIGNAL,
                             .signal = (uint8_t)kind,
                             .flags = g->partial ? SIGNAL_PARTIAL : 0};

    /* Without memory the signal is lost, as on a network: the other side asks again. */
    held_add(&s->held, item, (struct bytes){0});
}

/* --- replies that wait for their commit ----------------------------------------------------- */

static struct pending *pending_pop(struct group *g)
{
    struct pending *p = g->pending_first;

    g->pending_first = p->next;
    if (!p->next)
        g->pending_last = NULL;
    g->pending_count--;
    return p;
}

static int pending_push(struct group *g, uint64_t op, uint64_t client, uint64_t id, bool writes,
                        struct bytes frame)
{
    struct pending *p = malloc(sizeof(*p) + frame.size);

    if (!p)
        return RK_NOMEM;
    *p = (struct pending){NULL, op, client, id, writes, (uint32_t)frame.size};
    memcpy(p->frame, frame.data, frame.size);
    if (g->pending_last)
        g->pending_last->next = p;
    else
        g->pending_first = p;
    g->pending_last = p;
    g->pending_count++;
    return 0;
}

static void pending_answer(struct shard *s, struct group *g)
{
    while (g->pending_first && g->started && g->pending_first->op <= g->committed) {
        struct pending *p = pending_pop(g);
        struct buf *out = s->host.client_out(s->host.arg, p->client);

        if (out)
            buf_append(out, p->frame, p->size);
        free(p);
    }
}

/* This replica leads no more: what was in flight may or may not survive under the next primary. */
static void pending_abandon(struct shard *s, struct group *g)
{
    while (g->pending_first) {
        struct pending *p = pending_pop(g);

        s->counters.uncertain += p->writes;
        shard_refuse(s, p->client, p->id, p->writes ? REFUSAL_UNCERTAIN : REFUSAL_ELSEWHERE,
                     g->promised);
        free(p);
    }
}

static void step_down(struct shard *s, struct group *g)
{
    if (g->role == GROUP_BACKUP)
        return;
    g->role = GROUP_BACKUP;
    g->view = 0;
    pending_abandon(s, g);
    for (uint8_t i = 0; i < g->peer_count; i++)
        transfer_stop(&g->peers[i]);
}

/* --- primary: commit ------------------------------------------------------------------------ */

/* The highest operation that a majority holds; 0 for the start of the view, -1 when not even that. */
static int64_t majority_op(const struct group *g)
{
    int64_t held[REPLICAS_MAX];
    uint8_t count = 0;

    held[count++] = g->self_acked ? (int64_t)g->self_op : -1;
    for (uint8_t i = 0; i < g->peer_count; i++)
        held[count++] = g->peers[i].acked ? (int64_t)g->peers[i].acked_op : -1;
    /* In descending order; the one in the middle is held by a majority. */
    for (uint8_t i = 1; i < count; i++)
        for (uint8_t j = i; j > 0 && held[j] > held[j - 1]; j--) {
            int64_t swapped = held[j];

            held[j] = held[j - 1];
            held[j - 1] = swapped;
        }
    return held[count / 2];
}

static void commit(struct shard *s, struct group *g)
{
    int64_t op = majority_op(g);

    if (op < 0)
        return;
    g->started = true;
    if ((uint64_t)op > g->committed)
        g->committed = (uint64_t)op;
    pending_answer(s, g);
}

void group_self_synced(struct shard *s, struct group *g, uint64_t view, struct version at)
{
    if (g->role != GROUP_PRIMARY || view != g->view)
        return;
    g->self_acked = true;
    g->self_op = at.op;
    commit(s, g);
}

static int hold_self(struct shard *s, struct group *g, uint64_t position)
{
    struct held_item item = {.position = position,
                             .view = g->view,
                             .at = g->last,
                             .partition = g->partition,
                             .kind = HELD_SELF};

    return held_add(&s->held, item, (struct bytes){0});
}

/* --- primary: bringing replicas up ---------------------------------------------------------- */

/* Sends the steps from `e` to the end of the line. False when the link is gone or full. */
static bool send_steps(struct shard *s, struct group *g, struct group_peer *peer,
                       struct history_entry *e)
{
    for (; e; e = e->next) {
        struct buf *out = s->host.peer_out(s->host.arg, peer->member, g->partition);

        if (!out || !s->host.peer_has_room(s->host.arg, peer->member, g->partition))
            return false;
        peer_restamp_step(e->frame, s->ring->epoch, g->view);
        if (buf_append(out, e->frame, e->size) != 0)
            return false;
        s->counters.steps_sent++;
    }
    return true;
}

/* A replica told where it stands: gets what it misses. */
static void catch_up(struct shard *s, struct group *g, struct group_peer *peer,
                     struct version last, bool partial)
{
    if (!partial && version_compare(last, g->last) == 0) {
        peer->state = PEER_FOLLOWING;
        return;
    }

    struct history_entry *e = partial ? NULL : history_find(&g->line, last);

    if (e) {
        transfer_stop(peer);
        peer->state = send_steps(s, g, peer, e) ? PEER_FOLLOWING : PEER_LAGGING;
    } else if (transfer_begin(s, g, peer) != 0) {
        peer->state = PEER_LAGGING;
    }
}

static void ask_where(struct shard *s, struct group *g, struct group_peer *peer)
{
    transfer_stop(peer);
    peer->state = PEER_UNKNOWN;
    signal_now(s, g, peer->member, SIGNAL_LEADING, g->view, g->last);
}

/* Adds the newest step to the history and sends it to those who follow. `frame` is the encoded step. */
static void spread_step(struct shard *s, struct group *g, struct version from, struct bytes frame)
{
    /* Without memory for it the replicas are brought up by transfer. */
    history_add(&s->history, &g->line, from, g->last, frame);
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        if (peer->state != PEER_FOLLOWING && (peer->state != PEER_TRANSFER ||
                                              peer->transfer->sent == 0))
            continue;

        struct buf *out = s->host.peer_out(s->host.arg, peer->member, g->partition);

        if (!out || !s->host.peer_has_room(s->host.arg, peer->member, g->partition) ||
            buf_append(out, frame.data, frame.size) != 0) {
            transfer_stop(peer);
            peer->state = PEER_LAGGING;
            continue;
        }
        s->counters.steps_sent++;
    }
}

/* --- becoming primary ----------------------------------------------------------------------- */

static void become_primary(struct shard *s, struct group *g)
{
    struct version from = g->last;
    struct step start = {.epoch = s->ring->epoch,
                         .view = g->view,
                         .partition = g->partition,
                         .kind = STEP_START,
                         .from = from,
                         .at = {g->view, 0}};
    uint64_t position;

    g->last = start.at;
    buf_truncate(&s->scratch, 0);
    if (peer_put_step(&s->scratch, &start, NULL, 0) != 0 ||
        group_apply(s, g, NULL, 0, &position) != 0 || hold_self(s, g, position) != 0) {
        g->last = from;
        step_down(s, g);
        return;
    }
    g->role = GROUP_PRIMARY;
    g->leader = g->view;
    g->started = g->self_acked = false;
    g->self_op = g->committed = 0;
    s->counters.view_changes++;
    history_add(&s->history, &g->line, from, g->last, buf_bytes(&s->scratch));
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        peer->acked = false;
        peer->acked_op = 0;
        if (peer->promised)
            catch_up(s, g, peer, peer->last, peer->partial);
        else if (peer->state != PEER_DOWN)
            ask_where(s, g, peer);
    }
}

/* Looks whether the promises suffice, and who should lead: the replica that is most advanced, because its state is
 * there already. Promises carry the position a replica had before a transfer that was cut short; such a replica
 * counts as a promise but not as a source. */
static void consider_promises(struct shard *s, struct group *g, bool self)
{
    uint8_t count = self;
    struct version newest = g->last;
    struct group_peer *best = NULL;

    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        if (!peer->promised)
            continue;
        count++;
        if (version_compare(peer->last, newest) > 0 ||
            (version_compare(peer->last, newest) == 0 && g->partial && !peer->partial)) {
            newest = peer->last;
            best = peer;
        }
    }
    if (!self || !is_majority(g, count))
        return;
    if (!best && !g->partial) {
        become_primary(s, g);
    } else if (best && !best->partial) {
        uint16_t to = best->member;
        uint64_t view = g->view;

        step_down(s, g);
        signal_now(s, g, to, SIGNAL_LEAD, view, newest);
    }
    /* Else the newest state is a mixture's: wait for a promise with a source. */
}

void group_lead(struct shard *s, struct group *g)
{
    uint64_t position, promised = g->promised;
    uint64_t number = g->highest > view_number(promised) ? g->highest : view_number(promised);
    struct held_item item = {.partition = g->partition, .kind = HELD_PROMISE};

    step_down(s, g);
    g->promised = g->view = view_of(number + 1, s->me);
    if (group_apply(s, g, NULL, 0, &position) != 0) {
        g->promised = promised;
        return;
    }
    item.position = position;
    item.view = g->view;
    if (held_add(&s->held, item, (struct bytes){0}) != 0)
        return;
    g->highest = number + 1;
    g->role = GROUP_CANDIDATE;
    g->leader = 0;
    for (uint8_t i = 0; i < g->peer_count; i++) {
        struct group_peer *peer = &g->peers[i];

        peer->promised = false;
        if (peer->state != PEER_DOWN)
            signal_now(s, g, peer->member, SIGNAL_PREPARE, g->view, g->last);
    }
}

void group_self_promised(struct shard *s, struct group *g, uint64_t view)
{
    if (g->role == GROUP_CANDIDATE && view == g->view) {
        g->self_acked = true;
        consider_promises(s, g, true);
    }
}

/* --- requests ------------------------------------------------------------------------------- */

static bool majority_follows(const struct group *g)
{
    uint8_t count = 1;

    for (uint8_t i = 0; i < g->peer_count; i++)
        count += g->peers[i].state == PEER_FOLLOWING;
    return is_majority(g, count);
}

static enum refusal refusal_of(struct shard *s, int error)
{
    switch (error) {
    case RK_NOSPACE:
        s->counters.refused_nospace++;
        return REFUSAL_NOSPACE;
    case RK_CORRUPT:
        s->counters.damaged++;
        return REFUSAL_DAMAGED;
    case RK_TOOBIG:
    case RK_INVALID:
        s->counters.refused_malformed++;
        return REFUSAL_MALFORMED;
    default:
        s->counters.refused_busy++;
        return REFUSAL_BUSY;
    }
}

/* The operation of this view that must be committed before a reply that tells of `version` may leave. */
static bool must_wait(const struct group *g, struct version version, uint64_t *op)
{
    *op = version.view == g->view ? version.op : 0;
    return !g->started || *op > g->committed;
}

/* Sends a reply that tells of records: at once, or when they are durable, or committed. The reply's frame lies at the end of `out`
 * behind `before` bytes. */
static void let_go(struct shard *s, struct group *g, uint64_t client, uint64_t id, struct buf *out,
                   size_t before, const struct execute_seen *seen)
{
    struct bytes frame = bytes_of(buf_head(out) + before, buf_len(out) - before);
    struct held_item item = {.position = seen->position, .to = client, .kind = HELD_REPLY};
    uint64_t op;
    int error = 0;

    if (g->role == GROUP_PRIMARY && g->peer_count && must_wait(g, seen->newest, &op))
        error = pending_push(g, op > g->committed || !g->started ? op : g->committed, client, id,
                             false, frame);
    else if (seen->position > s->synced)
        error = held_add(&s->held, item, frame);
    else
        return;
    buf_truncate(out, before);
    if (error)
        shard_refuse(s, client, id, REFUSAL_BUSY, 0);
}

static void request_read(struct shard *s, struct group *g, uint64_t client,
                         const struct request *m)
{
    struct buf *out = s->host.client_out(s->host.arg, client);
    struct execute_view view = {s->store, s->wall_ms, s->options.value_max, g->peer_count > 0};
    struct execute_seen seen;

    if (!out)
        return;

    size_t before = buf_len(out);
    int error = execute_read(&view, m, out, &seen);

    s->counters.reads++;
    if (error)
        shard_refuse(s, client, m->id, refusal_of(s, error), 0);
    else
        let_go(s, g, client, m->id, out, before, &seen);
}

/* A write that changes nothing (SETNX of a key that is there) is a read of what it saw. */
static void answer_unchanged(struct shard *s, struct group *g, uint64_t client,
                             const struct request *m)
{
    struct buf *out = s->host.client_out(s->host.arg, client);
    struct execute_seen seen = {s->effect.position, s->effect.newest};

    if (!out)
        return;

    size_t before = buf_len(out);

    if (message_put_reply(out, &s->effect.reply) == 0)
        let_go(s, g, client, m->id, out, before, &seen);
}

/* Writes the operation and sends it on; the reply waits in the group (or, alone, for stable storage). */
static int write_through(struct shard *s, struct group *g, uint64_t client,
                         const struct request *m)
{
    struct version from = g->last;
    struct step step = {.epoch = s->ring->epoch,
                        .view = g->view,
                        .partition = g->partition,
                        .kind = STEP_OPERATION,
                        .from = from,
                        .at = {g->view, from.op + 1},
                        .session = m->session,
                        .number = m->number};
    struct effect *e = &s->effect;
    uint64_t position;
    size_t step_size = 0;
    int error = 0;

    /* All that can fail for want of memory comes before the write. */
    buf_truncate(&s->scratch, 0);
    if (g->peer_count) {
        error = peer_put_step(&s->scratch, &step, e->changes, e->change_count);
        step_size = buf_len(&s->scratch);
    }
    if (!error)
        error = message_put_reply(&s->scratch, &e->reply);
    if (error)
        return error;

    struct bytes frame = bytes_of(buf_head(&s->scratch) + step_size,
                                  buf_len(&s->scratch) - step_size);

    g->last = step.at;
    error = group_apply(s, g, e->changes, e->change_count, &position);
    if (error) {
        g->last = from;
        return error;
    }
    if (g->peer_count == 0) {
        struct held_item item = {.position = position, .to = client, .kind = HELD_REPLY};

        return held_add(&s->held, item, frame) ? RK_CLOSED : 0;
    }
    spread_step(s, g, from, bytes_of(buf_head(&s->scratch), step_size));
    if (hold_self(s, g, position) != 0 ||
        pending_push(g, step.at.op, client, m->id, true, frame) != 0)
        return RK_CLOSED;
    return 0;
}

static void request_write(struct shard *s, struct group *g, uint64_t client,
                          const struct request *m)
{
    struct execute_view view = {s->store, s->wall_ms, s->options.value_max, g->peer_count > 0};
    int error;

    if (!majority_follows(g)) {
        s->counters.refused_noquorum++;
        shard_refuse(s, client, m->id, REFUSAL_NOQUORUM, g->view);
        return;
    }
    if (g->pending_count >= GROUP_PENDING_MAX) {
        s->counters.refused_busy++;
        shard_refuse(s, client, m->id, REFUSAL_BUSY, g->view);
        return;
    }
    s->counters.writes++;
    error = execute_write(&view, m, (struct version){g->view, g->last.op + 1}, &s->effect);
    if (!error && s->effect.change_count == 0) {
        answer_unchanged(s, g, client, m);
        return;
    }
    if (!error)
        error = write_through(s, g, client, m);
    if (error == RK_CLOSED) {
        /* Written, but there was no memory to remember whom to answer. */
        s->counters.uncertain++;
        shard_refuse(s, client, m->id, REFUSAL_UNCERTAIN, 0);
    } else if (error) {
        shard_refuse(s, client, m->id, refusal_of(s, error), 0);
    }
}

void group_request(struct shard *s, struct group *g, uint64_t client, const struct request *m)
{
    if (m->level == LEVEL_ANY && !operation_info(m->op)->writes && !g->partial) {
        request_read(s, g, client, m);
        return;
    }
    if (g->role != GROUP_PRIMARY || (m->view && m->view != g->view)) {
        s->counters.refused_elsewhere++;
        shard_refuse(s, client, m->id, REFUSAL_ELSEWHERE, g->leader);
        return;
    }
    if (operation_info(m->op)->writes)
        request_write(s, g, client, m);
    else if (g->started || majority_follows(g))
        request_read(s, g, client, m);
    else {
        s->counters.refused_noquorum++;
        shard_refuse(s, client, m->id, REFUSAL_NOQUORUM, g->view);
    }
}

/* --- messages from other replicas ----------------------------------------------------------- */

/* A message of a primary or candidate: refused when a higher view was promised, else promised (durably; what is
 * answered is held until then). */
static bool admit(struct shard *s, struct group *g, uint16_t from, uint64_t view)
{
    if (view_number(view) > g->highest)
        g->highest = view_number(view);
    if (view < g->promised || view_member(view) != from) {
        signal_now(s, g, from, SIGNAL_REFUSED, g->promised, g->last);
        return false;
    }
    if (view == g->promised)
        return true;

    uint64_t before = g->promised, position;

    g->promised = view;
    if (group_apply(s, g, NULL, 0, &position) != 0) {
        g->promised = before;
        return false;
    }
    step_down(s, g);
    transfer_forget(&g->incoming);
    g->gap_told = false;
    return true;
}

static void tell_gap(struct shard *s, struct group *g, uint16_t to, uint64_t view)
{
    if (g->gap_told)
        return;
    g->gap_told = true;
    s->counters.gaps++;
    group_signal_held(s, g, to, SIGNAL_GAP, view, g->last, g->row_position);
}

static void on_leading(struct shard *s, struct group *g, uint16_t from, const struct signal *m)
{
    if (!admit(s, g, from, m->view))
        return;
    g->leader = m->view;
    g->gap_told = false;
    transfer_forget(&g->incoming);
    if (!g->partial && version_compare(g->last, m->last) == 0)
        group_signal_held(s, g, from, SIGNAL_ACK, m->view, g->last, g->row_position);
    else
        tell_gap(s, g, from, m->view);
}

static void on_promise(struct shard *s, struct group *g, struct group_peer *peer,
                       const struct signal *m)
{
    if (m->view != g->view || g->role == GROUP_BACKUP)
        return;
    peer->promised = true;
    peer->partial = m->flags & SIGNAL_PARTIAL;
    peer->last = m->last;
    if (g->role == GROUP_CANDIDATE)
        consider_promises(s, g, g->self_acked);
    else if (peer->state == PEER_UNKNOWN)
        catch_up(s, g, peer, m->last, peer->partial);
}

static void on_ack(struct shard *s, struct group *g, struct group_peer *peer,
                   const struct signal *m)
{
    if (g->role != GROUP_PRIMARY || m->view != g->view)
        return;
    if (peer->state == PEER_UNKNOWN)
        catch_up(s, g, peer, m->last, false);
    if (m->last.view != g->view || m->last.op > g->last.op)
        return;
    if (!peer->acked || m->last.op > peer->acked_op) {
        peer->acked = true;
        peer->acked_op = m->last.op;
        commit(s, g);
    }
    if (peer->state == PEER_TRANSFER && peer->transfer->complete) {
        transfer_stop(peer);
        peer->state = PEER_FOLLOWING;
    }
}

static void on_refused(struct shard *s, struct group *g, const struct signal *m)
{
    if (view_number(m->view) > g->highest)
        g->highest = view_number(m->view);
    if (g->role != GROUP_BACKUP && m->view > g->view)
        step_down(s, g);
}

void group_signal(struct shard *s, struct group *g, uint16_t from, const struct signal *m)
{
    struct group_peer *peer = group_peer(g, from);

    if (!peer) {
        s->counters.bad_messages++;
        return;
    }
    switch (m->kind) {
    case SIGNAL_PREPARE:
        if (admit(s, g, from, m->view))
            group_signal_held(s, g, from, SIGNAL_PROMISE, m->view, g->last, g->row_position);
        break;
    case SIGNAL_PROMISE:
        on_promise(s, g, peer, m);
        break;
    case SIGNAL_REFUSED:
        on_refused(s, g, m);
        break;
    case SIGNAL_LEADING:
        on_leading(s, g, from, m);
        break;
    case SIGNAL_ACK:
        on_ack(s, g, peer, m);
        break;
    case SIGNAL_GAP:
        if (g->role == GROUP_PRIMARY && m->view == g->view &&
            (peer->state == PEER_UNKNOWN || peer->state == PEER_FOLLOWING))
            catch_up(s, g, peer, m->last, m->flags & SIGNAL_PARTIAL);
        break;
    case SIGNAL_TAKEN:
        if (g->role == GROUP_PRIMARY && m->view == g->view && peer->state == PEER_TRANSFER)
            transfer_taken(s, g, peer, m);
        break;
    case SIGNAL_LEAD:
        if (g->role == GROUP_BACKUP || (g->role == GROUP_CANDIDATE && m->view > g->view))
            group_lead(s, g);
        break;
    default:
        s->counters.bad_messages++;
    }
}

/* Writes the changes of a step, in the state that the group has then. */
static int apply_step(struct shard *s, struct group *g, const struct step *m, uint64_t *position)
{
    struct store_change few[8], *changes = few, change;
    struct bytes rest = m->changes;
    size_t count = 0;
    int error = 0;

    if (m->change_count > 8)
        changes = malloc(m->change_count * sizeof(*changes));
    if (!changes)
        return RK_NOMEM;
    while (peer_next_change(&rest, &change)) {
        if (ring_partition(s->ring, wire_get_position(change.key.data)) != g->partition)
            error = RK_CORRUPT;
        changes[count++] = change;
    }
    if (!error)
        error = group_apply(s, g, changes, count, position);
    if (changes != few)
        free(changes);
    return error;
}

void group_step(struct shard *s, struct group *g, uint16_t from, const struct step *m)
{
    struct version before = g->last;
    bool within_transfer = g->incoming.id && g->incoming.view == m->view && g->incoming.next > 1;
    uint64_t position;

    if (!group_peer(g, from) || !admit(s, g, from, m->view))
        return;
    g->leader = m->view;
    if (!within_transfer && (g->partial || version_compare(g->last, m->from) != 0)) {
        /* One that it has already needs no gap: the primary went back further than it had to. */
        if (g->partial || version_compare(m->at, g->last) > 0)
            tell_gap(s, g, from, m->view);
        return;
    }
    if (!within_transfer)
        g->last = m->at;
    if (apply_step(s, g, m, &position) != 0) {
        g->last = before;
        if (within_transfer)
            transfer_forget(&g->incoming);
        g->gap_told = false;
        tell_gap(s, g, from, m->view);
        return;
    }
    s->counters.steps_applied++;
    if (within_transfer)
        return;
    buf_truncate(&s->scratch, 0);
    g->gap_told = false;
    group_signal_held(s, g, from, SIGNAL_ACK, m->view, g->last, position);
}

void group_chunk(struct shard *s, struct group *g, uint16_t from, const struct chunk *m)
{
    struct version before = g->last;
    uint64_t position;

    if (!group_peer(g, from) || !admit(s, g, from, m->view))
        return;
    g->leader = m->view;
    if (!transfer_take(s, g, from, m))
        return;
    g->last = m->at;
    g->partial = false;
    if (group_apply(s, g, NULL, 0, &position) != 0) {
        g->last = before;
        g->partial = true;
        return;
    }
    history_clear(&s->history, &g->line);
    g->gap_told = false;
    group_signal_held(s, g, from, SIGNAL_ACK, m->view, g->last, position);
}

/* --- links and time ------------------------------------------------------------------------- */

void group_peer_up(struct shard *s, struct group *g, uint16_t member)
{
    struct group_peer *peer = group_peer(g, member);

    if (!peer)
        return;
    transfer_stop(peer);
    peer->state = PEER_UNKNOWN;
    if (g->role == GROUP_PRIMARY)
        ask_where(s, g, peer);
    else if (g->role == GROUP_CANDIDATE && !peer->promised)
        signal_now(s, g, member, SIGNAL_PREPARE, g->view, g->last);
}

void group_peer_down(struct shard *s, struct group *g, uint16_t member)
{
    struct group_peer *peer = group_peer(g, member);

    (void)s;
    if (!peer)
        return;
    transfer_stop(peer);
    peer->state = PEER_DOWN;
    if (view_member(g->leader) == member) {
        g->leader = 0;
        g->gap_told = false;
        transfer_forget(&g->incoming);
    }
}

void group_peer_room(struct shard *s, struct group *g, uint16_t member)
{
    struct group_peer *peer = group_peer(g, member);

    if (!peer || g->role != GROUP_PRIMARY)
        return;
    if (peer->state == PEER_LAGGING)
        ask_where(s, g, peer);
    else if (peer->state == PEER_TRANSFER)
        transfer_continue(s, g, peer);
}

static bool majority_up(const struct group *g)
{
    uint8_t count = 1;

    for (uint8_t i = 0; i < g->peer_count; i++)
        count += g->peers[i].state != PEER_DOWN;
    return is_majority(g, count);
}

void group_tick(struct shard *s, struct group *g)
{
    if (!g->mine || g->leader || g->role == GROUP_PRIMARY)
        return;
    if (s->ring->members[ring_replicas(s->ring, g->partition)->member[0]].number != s->me)
        return;
    if (g->role == GROUP_BACKUP && majority_up(g))
        group_lead(s, g);
}

void group_free(struct shard *s, struct group *g)
{
    while (g->pending_first)
        free(pending_pop(g));
    for (uint8_t i = 0; i < g->peer_count; i++)
        transfer_stop(&g->peers[i]);
    transfer_forget(&g->incoming);
    history_clear(&s->history, &g->line);
}
