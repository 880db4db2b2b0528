#include "node/group.h"
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/past.h"
#include "node/shard.h"
#include "shared/error.h"
#include "shared/wire.h"
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

bool group_row_is_partial(struct bytes row)
{
    return row.size == ROW_SIZE && row.data[24];
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
    int error;

    row_encode(g, row);
    error = store_apply(s->store, &batch, position);
    if (!error) {
        g->row_position = *position;
        shard_touch(s, g->partition);
    }
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

/* What a signal tells of this replica besides. */
static uint8_t signal_flags(const struct group *g)
{
    return (uint8_t)((g->partial ? SIGNAL_PARTIAL : 0) | (g->line.first ? 0 : SIGNAL_NO_PAST));
}

void group_signal_now(struct shard *s, const struct group *g, uint16_t to, enum signal_kind kind,
                      uint64_t view, struct version last)
{
    struct signal m = {.kind = (uint8_t)kind,
                       .flags = signal_flags(g),
                       .partition = g->partition,
                       .epoch = g->epoch,
                       .view = view,
                       .last = last};

    shard_signal(s, to, &m);
}

void group_signal_held(struct shard *s, struct group *g, uint16_t to, enum signal_kind kind,
                       uint64_t view, struct version last, uint64_t position)
{
    struct held_item item = {.position = position,
                             .to = to,
                             .view = view,
                             .at = last,
                             .epoch = g->epoch,
                             .partition = g->partition,
                             .kind = HELD_SIGNAL,
                             .signal = (uint8_t)kind,
                             .flags = signal_flags(g)};

    if (position <= s->synced) {
        group_signal_now(s, g, to, kind, view, last);
        return;
    }
    if (held_add(&s->held, item, (struct bytes){0}) != 0)
        s->host.peer_break(s->host.arg, to, g->partition);
}

/* --- messages from other replicas ----------------------------------------------------------- */

/* A message of a primary or candidate: refused when a higher view was promised, else promised
 * (durably; what is answered is held until then). 0, RK_REFUSED, or the store's error. */
static int admit(struct shard *s, struct group *g, uint16_t from, uint64_t view)
{
    uint64_t before = g->promised, position;
    int error;

    if (view_number(view) > g->highest)
        g->highest = view_number(view);
    if ((view < g->promised && !MUTANT(s, LOWER_VIEW)) || view_member(view) != from) {
        group_signal_now(s, g, from, SIGNAL_REFUSED, g->promised, g->last);
        return RK_REFUSED;
    }
    if (view == g->promised)
        return 0;
    g->promised = view;
    error = group_apply(s, g, NULL, 0, &position);
    if (error) {
        g->promised = before;
        return error;
    }
    g->promised_position = position;
    g->leader = 0;
    group_step_down(s, g, view);
    transfer_forget(&g->incoming);
    g->gap_told = g->write_failed = false;
    g->promised_ms = s->now_ms;
    return 0;
}

static void tell_gap(struct shard *s, struct group *g, uint16_t to, uint64_t view)
{
    if (g->gap_told)
        return;
    g->gap_told = true;
    s->counters.gaps++;
    group_signal_held(s, g, to, SIGNAL_GAP, view, g->last, g->row_position);
}

/* The disk is full, say. The primary is told, but not at once, or the two would turn in circles as
 * fast as the network lets them. */
void group_not_written(struct group *g)
{
    transfer_forget(&g->incoming);
    g->gap_told = g->write_failed = true;
}

/* A message of a view tells who leads, unless its primary has said since that the view is over:
 * signals overtake steps and chunks that wait for room. */
static void hear_leader(struct group *g, const struct group_peer *peer, uint64_t view)
{
    if (view >= peer->over)
        g->leader = view;
}

static void on_leading(struct shard *s, struct group *g, uint16_t from, const struct signal *m)
{
    if (admit(s, g, from, m->view) != 0)
        return;
    g->leader = m->view;
    g->gap_told = g->write_failed = false;
    transfer_forget(&g->incoming);
    if (!g->partial && version_compare(g->last, m->last) == 0)
        group_signal_held(s, g, from, SIGNAL_ACK, m->view, g->last, g->row_position);
    else
        tell_gap(s, g, from, m->view);
}

static void on_gap(struct shard *s, struct group *g, struct group_peer *peer,
                   const struct signal *m)
{
    if (view_member(m->view) == s->me && m->view != g->view)
        group_disown(s, g, peer);
    if (g->role != GROUP_PRIMARY || m->view != g->view)
        return;
    peer->located = true;
    /* What it stands at is on its stable storage. The acknowledgement that said so may have come
     * under an earlier epoch, and then it was not heard. */
    if (!(m->flags & SIGNAL_PARTIAL) && m->last.view == g->view)
        group_holds(s, g, peer, m->last);
    if (peer->state == PEER_UNKNOWN || peer->state == PEER_FOLLOWING)
        group_catch_up(s, g, peer, m->last, m->flags);
}

/* The answer to a chunk of a transfer that was given up: for an earlier message of the replica, by
 * which the history was enough. That chunk may have made a mixture of it. In any case it waits for
 * the next one, and would take steps for those beside them: until it is asked where it stands. */
static void on_chunk_answer(struct shard *s, struct group *g, struct group_peer *peer,
                            const struct signal *m)
{
    if (peer->transfer && peer->transfer->id == m->last.view)
        transfer_answered(s, g, peer, m);
    else if (peer->state == PEER_FOLLOWING && m->flags & SIGNAL_PARTIAL)
        group_catch_up(s, g, peer, (struct version){0}, m->flags);
    else if (peer->state == PEER_FOLLOWING)
        group_signal_now(s, g, peer->member, SIGNAL_LEADING, g->view, g->last);
}

/* From a candidate that is less advanced, or from a primary that is not the preferred one. */
static void on_lead(struct shard *s, struct group *g, uint16_t from, const struct signal *m)
{
    if (view_number(m->view) > g->highest)
        g->highest = view_number(m->view);
    /* A late one must not depose whoever has come to lead since. But a primary that asks for ever
     * has not heard of the promise: of a view that came to nothing, because the others could not
     * write, say. */
    if (m->view < g->promised)
        group_signal_now(s, g, from, SIGNAL_REFUSED, g->promised, g->last);
    else if (g->role == GROUP_BACKUP && g->votes && !g->partial)
        group_lead(s, g);
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
        if (!group_abstains(s, g) && admit(s, g, from, m->view) == 0)
            group_signal_held(s, g, from, SIGNAL_PROMISE, m->view, g->last, g->row_position);
        break;
    case SIGNAL_PROMISE:
        group_promise(s, g, peer, m);
        break;
    case SIGNAL_REFUSED:
        group_refused(s, g, peer, m);
        break;
    case SIGNAL_LEADING:
        on_leading(s, g, from, m);
        break;
    case SIGNAL_ACK:
        group_acked(s, g, peer, m);
        break;
    case SIGNAL_GAP:
        on_gap(s, g, peer, m);
        break;
    case SIGNAL_FAILED:
        if (g->role == GROUP_PRIMARY && m->view == g->view && peer->state != PEER_DOWN)
            group_catch_up(s, g, peer, m->last, m->flags);
        break;
    case SIGNAL_TAKEN:
    case SIGNAL_DIFFERS:
    case SIGNAL_LATER:
        if (g->role == GROUP_PRIMARY && m->view == g->view)
            on_chunk_answer(s, g, peer, m);
        break;
    case SIGNAL_DAMAGED:
        if (m->view == g->view)
            transfer_compare(s, g, peer, TRANSFER_REPAIR, false);
        break;
    case SIGNAL_LEAD:
        on_lead(s, g, from, m);
        break;
    case SIGNAL_CONFIRM:
        if (admit(s, g, from, m->view) == 0)
            group_signal_held(s, g, from, SIGNAL_CONFIRMED, m->view, m->last, g->promised_position);
        break;
    case SIGNAL_CONFIRMED:
        group_confirmed(s, g, peer, m);
        break;
    default:
        s->counters.bad_messages++;
    }
}

/* --- steps and chunks ----------------------------------------------------------------------- */

/* Writes the changes of a step, in the state that the group has then. */
static int apply_step(struct shard *s, struct group *g, const struct step *m, uint64_t *position)
{
    enum { FEW = 8 };
    struct store_change few[FEW], *changes = few, change;
    struct bytes rest = m->changes;
    size_t count = 0;
    int error = 0;

    if (m->change_count > FEW)
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

/* What could not be written comes again when the store has no room for a moment; RK_FULL. Any other
 * error may last, and the primary is told. */
static int not_written(struct group *g, int error)
{
    if (error == RK_FULL)
        return error;
    group_not_written(g);
    return 0;
}

/* A step that came while the range is copied: its changes go on top of what was copied, whose end
 * the primary will name. */
static int step_within_transfer(struct shard *s, struct group *g, const struct step *m)
{
    bool partial = g->partial;
    uint64_t position;
    int error;

    g->partial = !MUTANT(s, PARTIAL_MARK);
    error = apply_step(s, g, m, &position);
    if (error) {
        g->partial = partial;
        return not_written(g, error);
    }
    s->counters.steps_applied++;
    return 0;
}

int group_step(struct shard *s, struct group *g, uint16_t from, const struct step *m,
               struct bytes frame)
{
    const struct group_peer *peer = group_peer(g, from);
    struct version before = g->last;
    uint64_t position;
    int error = peer ? admit(s, g, from, m->view) : RK_MEMBER;

    if (error)
        return error == RK_FULL ? error : 0;
    hear_leader(g, peer, m->view);
    if (g->incoming.id && g->incoming.view == m->view && g->incoming.next > 1)
        return step_within_transfer(s, g, m);
    if ((g->partial || version_compare(g->last, m->from) != 0) &&
        !(MUTANT(s, OUT_OF_ORDER) && version_compare(m->at, g->last) > 0)) {
        /* One that it has already needs no gap: the primary went back further than it had to. */
        if (g->partial || version_compare(m->at, g->last) > 0)
            tell_gap(s, g, from, m->view);
        return 0;
    }
    g->last = m->at;
    error = apply_step(s, g, m, &position);
    if (error) {
        g->last = before;
        return not_written(g, error);
    }
    if (m->kind == STEP_START)
        g->view_position = position;
    s->counters.steps_applied++;
    g->gap_told = false;
    history_add(&s->history, &g->line, m->from, m->at, m->session, m->number, frame);
    group_signal_held(s, g, from, SIGNAL_ACK, m->view, g->last, position);
    return 0;
}

void group_past(struct shard *s, struct group *g, uint16_t from, const struct step *m,
                struct bytes frame)
{
    if (group_peer(g, from) && admit(s, g, from, m->view) == 0)
        past_take(s, g, m, frame);
}

/* The transfer's end: the state is whole. */
static int end_transfer(struct shard *s, struct group *g, uint16_t from, const struct chunk *m)
{
    struct version before = g->last;
    bool partial = g->partial;
    uint64_t position;
    int error;

    g->last = m->at;
    g->partial = false;
    error = group_apply(s, g, NULL, 0, &position);
    if (error) {
        g->last = before;
        g->partial = partial;
        return not_written(g, error);
    }
    g->view_position = position;
    /* The primary's newest steps came before, and lead to here. */
    if (g->line.last && version_compare(g->line.last->at, g->last) != 0)
        history_clear(&s->history, &g->line);
    g->gap_told = false;
    group_signal_held(s, g, from, SIGNAL_ACK, m->view, g->last, position);
    return 0;
}

int group_chunk(struct shard *s, struct group *g, uint16_t from, const struct chunk *m)
{
    const struct group_peer *peer = group_peer(g, from);
    struct transfer_in incoming = g->incoming;
    bool whole = false;
    int error = peer ? admit(s, g, from, m->view) : RK_MEMBER;

    if (error)
        return error == RK_FULL ? error : 0;
    hear_leader(g, peer, m->view);
    if (m->flags & CHUNK_COMPARE) {
        transfer_take_compare(s, g, from, m);
        return 0;
    }
    if (transfer_take(s, g, from, m, &whole) != 0)
        group_not_written(g);
    if (!whole)
        return 0;
    error = end_transfer(s, g, from, m);
    /* The last chunk will come again, and has to find the transfer that it ends. */
    if (error == RK_FULL) {
        g->incoming = incoming;
        s->counters.chunks_taken--;
    }
    return error;
}

/* --- links ---------------------------------------------------------------------------------- */

void group_peer_up(struct shard *s, struct group *g, uint16_t member)
{
    struct group_peer *peer = group_peer(g, member);

    if (!peer)
        return;
    transfer_stop(s, peer);
    peer->state = PEER_UNKNOWN;
    if (g->role == GROUP_PRIMARY)
        group_ask_where(s, g, peer);
    else if (g->role == GROUP_CANDIDATE && !peer->promised)
        group_signal_now(s, g, member, SIGNAL_PREPARE, g->view, g->last);
}

void group_peer_down(struct shard *s, struct group *g, uint16_t member)
{
    struct group_peer *peer = group_peer(g, member);

    if (!peer)
        return;
    transfer_stop(s, peer);
    peer->state = PEER_DOWN;
    peer->down_ms = s->ran_ms;
    peer->over = 0;
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
        group_ask_where(s, g, peer);
    else if (peer->transfer)
        transfer_continue(s, g, peer);
}

void group_free(struct shard *s, struct group *g)
{
    group_pend_abandon(s, g);
    for (uint8_t i = 0; i < g->peer_count; i++)
        transfer_stop(s, &g->peers[i]);
    transfer_forget(&g->incoming);
    history_clear(&s->history, &g->line);
}
