/* The primary's side of a transfer: reading, comparing ever more closely, sending. */
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/past.h"
#include "node/shard.h"
#include "node/transfer.h"
#include "node/verify.h"
#include "shared/error.h"
#include <stdlib.h>

/* What one chunk covers at most. */
static const struct level {
    uint32_t records, bytes; /* looked at */
    uint32_t share;          /* of a smaller chunk_records: so many times it */
} levels[TRANSFER_LEVELS] = {
    [TRANSFER_COARSE] = {4096, 4 << 20, 4},
    [TRANSFER_FINE] = {128, 256 << 10, 1},
    [TRANSFER_WHOLE] = {CHUNK_RECORDS, CHUNK_BYTES, 1},
};

/* --- one chunk ------------------------------------------------------------------------------ */

struct chunk_writer {
    struct buf *out;
    size_t begun;
    struct version since; /* records of newer versions are sent, the others are in the digest */
    uint32_t put_max, record_max, byte_max, frame_max;
    uint32_t records;
    size_t bytes;
    struct chunk *chunk;
    struct key_bound *last;
    int error;
};

enum { CHUNK_FULL = 1 };

static int add_record(void *arg, struct bytes key, const struct store_record *record)
{
    struct chunk_writer *w = arg;

    /* A damaged record: nobody can be made equal to a state that cannot be read. */
    if (!record)
        return w->error = RK_CORRUPT;
    if (version_compare(record->version, w->since) > 0) {
        struct store_change change = {STORE_PUT, key, *record};

        w->error = peer_add_change(w->out, w->begun, &change);
        if (w->error)
            return w->error;
        w->chunk->change_count++;
    } else {
        range_digest_add(&w->chunk->rest, key, record);
    }
    w->records++;
    w->bytes += key.size + record->value.size;
    key_bound_set(w->last, key);
    return w->chunk->change_count == w->put_max || w->records == w->record_max ||
                   w->bytes >= w->byte_max || buf_len(w->out) - w->begun >= w->frame_max
               ? CHUNK_FULL
               : 0;
}

static uint32_t at_most(uint32_t bound, uint32_t wanted)
{
    return wanted && wanted < bound ? wanted : bound;
}

/* Writes the chunk that begins where the range does; *upper: where it ends. CHUNK_FULL, 0 (it
 * reaches the range's end), or an error, and then nothing was written. */
static int write_chunk(struct shard *s, struct chunk *c, const struct key_range *range,
                       enum transfer_level level, struct version since, struct buf *out,
                       struct key_bound *upper)
{
    const struct level *bounds = &levels[level];
    uint32_t wanted = s->options.chunk_records;
    uint8_t from[STORE_KEY_SIZE_MAX + 1], to[STORE_KEY_SIZE_MAX];
    struct chunk_writer w = {
        .out = out,
        .since = since,
        .put_max = at_most(CHUNK_RECORDS, wanted),
        .record_max = at_most(copy_pace_part(&s->pace, bounds->records), wanted * bounds->share),
        .byte_max = copy_pace_part(&s->pace, bounds->bytes),
        .frame_max = copy_pace_part(&s->pace, CHUNK_BYTES),
        .chunk = c,
        .last = upper};

    c->lower = key_bound_bytes(&range->lower);
    w.begun = peer_begin_chunk(out, c);
    if (w.begun == SIZE_MAX)
        return RK_NOMEM;

    int found = store_scan(
        s->store, key_range_first(s->ring, c->partition, c->lower, from),
        key_range_last(s->ring, c->partition, key_bound_bytes(&range->upper), to), add_record, &w);

    if (found != 0 && found != CHUNK_FULL) {
        /* A damaged record stops it in the middle of a frame; a failed append undid it already. */
        buf_truncate(out, w.begun);
        s->counters.damaged += found == RK_CORRUPT;
        return found;
    }
    if (found == 0)
        *upper = range->upper;
    c->upper = key_bound_bytes(upper);

    int error = peer_end_chunk(out, w.begun, c);

    return error ? error : found;
}

static struct chunk chunk_of(const struct group *g, struct transfer_out *t)
{
    static const uint8_t flags[] = {
        [TRANSFER_COMPARE] = CHUNK_COMPARE, [TRANSFER_REPAIR] = CHUNK_COMPARE | CHUNK_REPAIR};
    bool first = t->sent == 0 && t->kind == TRANSFER_BRING_UP;

    return (struct chunk){.epoch = g->epoch,
                          .view = g->view,
                          .partition = g->partition,
                          .flags = first ? CHUNK_FIRST : flags[t->kind],
                          .transfer = t->id,
                          .number = t->sent + 1,
                          .at = g->last};
}

static void sent_chunk(struct shard *s, struct group *g, struct transfer_out *t)
{
    t->sent++;
    t->at = g->last;
    s->counters.chunks_sent++;
}

/* --- the stretches -------------------------------------------------------------------------- */

static struct transfer_stretch *finest(struct transfer_out *t)
{
    struct transfer_stretch *found = NULL;

    for (size_t i = 0; i < sizeof(t->stretches) / sizeof(t->stretches[0]); i++)
        if (t->stretches[i].used && (!found || t->stretches[i].level > found->level))
            found = &t->stretches[i];
    return found;
}

static struct transfer_stretch *free_stretch(struct transfer_out *t)
{
    for (size_t i = 0; i < sizeof(t->stretches) / sizeof(t->stretches[0]); i++)
        if (!t->stretches[i].used)
            return &t->stretches[i];
    return NULL;
}

static struct transfer_flight *flight(struct transfer_out *t, uint64_t number)
{
    for (size_t i = 0; i < CHUNKS_IN_FLIGHT; i++)
        if (t->flights[i].number == number)
            return &t->flights[i];
    return NULL;
}

static bool all_answered(const struct transfer_out *t)
{
    for (size_t i = 0; i < CHUNKS_IN_FLIGHT; i++)
        if (t->flights[i].number)
            return false;
    return true;
}

static enum copy_kind copy_kind(const struct group_peer *peer)
{
    return peer->votes ? COPY_REPAIR : COPY_CHANGE;
}

bool transfer_may_send(const struct shard *s, const struct group_peer *peer)
{
    return copy_pace_may_send(&s->pace, copy_kind(peer));
}

void transfer_count(struct shard *s, const struct group_peer *peer, uint32_t records,
                    uint64_t bytes)
{
    copy_pace_sent(&s->pace, copy_kind(peer), bytes);
    if (peer->votes)
        return;
    s->counters.records_copied += records;
    s->counters.bytes_copied += bytes;
}

/* Sends the next chunk of a stretch; false when it could not be. */
static bool send_chunk(struct shard *s, struct group *g, struct group_peer *peer,
                       struct transfer_stretch *stretch, struct transfer_flight *f)
{
    struct transfer_out *t = peer->transfer;
    struct buf *out = shard_peer_out(s, peer->member, g->partition);
    struct chunk c = chunk_of(g, t);
    struct version since = stretch->level == TRANSFER_WHOLE ? (struct version){0} : t->since;
    size_t before;
    int found;

    if (!out)
        return false;
    c.flags |= stretch->level == TRANSFER_WHOLE ? 0 : CHUNK_DIGEST;
    before = buf_len(out);
    found = write_chunk(s, &c, &stretch->range, stretch->level, since, out, &f->range.upper);
    if (found < 0)
        return false;
    transfer_count(s, peer, c.change_count, buf_len(out) - before);
    f->number = c.number;
    f->level = stretch->level;
    f->range.lower = stretch->range.lower;
    stretch->range.lower = f->range.upper;
    stretch->used = found == CHUNK_FULL;
    sent_chunk(s, g, t);
    return true;
}

static bool send_last(struct shard *s, struct group *g, struct group_peer *peer)
{
    struct transfer_out *t = peer->transfer;
    struct buf *out = shard_peer_out(s, peer->member, g->partition);
    struct chunk c = chunk_of(g, t);
    size_t begun = out && past_send(s, g, out, NULL) ? peer_begin_chunk(out, &c) : SIZE_MAX;

    c.flags = CHUNK_LAST;
    if (begun == SIZE_MAX || peer_end_chunk(out, begun, &c) != 0)
        return false;
    t->complete = true;
    sent_chunk(s, g, t);
    return true;
}

/* --- its life ------------------------------------------------------------------------------- */

/* The peer is asked where it stands, and the transfer begins anew; a comparison does not. */
static void give_up(struct shard *s, struct group_peer *peer)
{
    bool follows = peer->transfer->kind != TRANSFER_BRING_UP;

    transfer_stop(s, peer);
    if (!follows)
        peer->state = PEER_LAGGING;
}

/* A replica that has nothing gets a copy. One that was half-way to its first copy has a part of it,
 * which only digests find: all that it has is newer than where it stood. */
static void choose_comparison(struct transfer_out *t, struct version since, bool partial)
{
    bool nothing = since.view == 0;

    t->since = nothing && partial ? (struct version){UINT64_MAX, UINT64_MAX} : since;
    t->stretches[0].level = nothing && !partial ? TRANSFER_WHOLE : TRANSFER_COARSE;
    t->stretches[0].used = true;
}

static uint32_t running_to(const struct shard *s, uint16_t member)
{
    uint32_t count = 0;

    for (const struct transfer_out *t = s->transfers; t; t = t->next)
        count += t->member == member;
    return count;
}

/* A new transfer, among those that run; NULL when there are enough, or no memory. */
static struct transfer_out *transfer_new(struct shard *s, struct group_peer *peer,
                                         enum transfer_kind kind)
{
    struct transfer_out *t =
        running_to(s, peer->member) < TRANSFERS_MAX ? calloc(1, sizeof(*t)) : NULL;

    if (!t)
        return NULL;
    t->member = peer->member;
    t->kind = (uint8_t)kind;
    t->id = ++s->next_transfer;
    t->next = s->transfers;
    t->before = &s->transfers;
    if (t->next)
        t->next->before = &t->next;
    s->transfers = t;
    peer->transfer = t;
    return t;
}

/* Whether this node, holding the operations of its view up to `own_op` on stable storage (-1:
 * none), has there all that the peer may have: the view's start is above anything of earlier views.
 * The first chunk makes a mixture of the peer. If this node could then come back standing behind
 * it, neither would be a source of what the peer had, and nobody might lead again though no disk
 * was lost. */
static bool is_source(const struct group_peer *peer, int64_t own_op)
{
    return own_op >= (int64_t)peer->source_op;
}

void transfer_source_synced(struct shard *s, const struct group *g, int64_t before, int64_t op)
{
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (g->peers[i].state == PEER_WAITING && !is_source(&g->peers[i], before) &&
            is_source(&g->peers[i], op))
            s->transfer_may_begin = true;
}

void transfer_begin(struct shard *s, struct group *g, struct group_peer *peer)
{
    struct transfer_out *t;

    transfer_stop(s, peer);
    if (peer->state != PEER_WAITING)
        peer->source_op = g->last.op;
    t = is_source(peer, group_own_op(g)) || MUTANT(s, SOURCE_UNSYNCED)
            ? transfer_new(s, peer, TRANSFER_BRING_UP)
            : NULL;
    peer->state = t ? PEER_TRANSFER : PEER_WAITING;
    if (!t)
        return;
    choose_comparison(t, peer->last, peer->partial);
    s->counters.transfers++;
    transfer_continue(s, g, peer);
}

bool transfer_compare(struct shard *s, struct group *g, struct group_peer *peer,
                      enum transfer_kind kind, bool verifying)
{
    struct transfer_out *t;

    if (g->role != GROUP_PRIMARY || peer->state != PEER_FOLLOWING || peer->transfer)
        return false;
    t = transfer_new(s, peer, kind);
    if (!t)
        return false;
    t->verifying = verifying;
    choose_comparison(t, (struct version){UINT64_MAX, UINT64_MAX}, false);
    transfer_continue(s, g, peer);
    return true;
}

void transfer_begin_waiting(struct shard *s)
{
    if (!s->transfer_may_begin)
        return;
    s->transfer_may_begin = false;
    for (uint32_t i = 0; i < s->group_count; i++) {
        struct group *g = &s->groups[i];

        for (uint8_t j = 0; j < g->peer_count && g->role == GROUP_PRIMARY; j++)
            if (g->peers[j].state == PEER_WAITING)
                transfer_begin(s, g, &g->peers[j]);
    }
}

void transfer_continue(struct shard *s, struct group *g, struct group_peer *peer)
{
    struct transfer_out *t = peer->transfer;

    while (!t->complete && s->host.peer_has_room(s->host.arg, peer->member, g->partition)) {
        struct transfer_stretch *stretch = finest(t);
        struct transfer_flight *f = flight(t, 0);

        /* What is under way may be found to differ yet. */
        if (stretch ? !f : !all_answered(t))
            return;
        if (!stretch && t->kind != TRANSFER_BRING_UP) {
            t->complete = true;
            transfer_stop(s, peer);
            return;
        }
        /* The next tick goes on. */
        if (stretch && !transfer_may_send(s, peer))
            return;
        if (stretch ? !send_chunk(s, g, peer, stretch, f) : !send_last(s, g, peer)) {
            give_up(s, peer);
            return;
        }
    }
}

/* What a chunk covered has to be done once more, at this level. False: there are too many such
 * stretches. */
static bool again(struct transfer_out *t, const struct transfer_flight *f, uint8_t level)
{
    struct transfer_stretch *stretch = free_stretch(t);

    if (!stretch)
        return false;
    stretch->used = true;
    stretch->level = level;
    stretch->range = f->range;
    return true;
}

void transfer_answered(struct shard *s, struct group *g, struct group_peer *peer,
                       const struct signal *m)
{
    struct transfer_out *t = peer->transfer;
    struct transfer_flight *f = t->id == m->last.view && m->last.op ? flight(t, m->last.op) : NULL;
    bool kept = true;

    if (!f || (m->kind == SIGNAL_DIFFERS && f->level == TRANSFER_WHOLE))
        return;
    if (m->kind == SIGNAL_DIFFERS) {
        s->counters.ranges_differ++;
        kept = again(t, f, f->level + 1);
    } else if (m->kind == SIGNAL_LATER) {
        s->counters.chunks_again++;
        kept = again(t, f, f->level);
    }
    f->number = 0;
    if (kept)
        transfer_continue(s, g, peer);
    else
        give_up(s, peer);
}

void transfer_stop(struct shard *s, struct group_peer *peer)
{
    struct transfer_out *t = peer->transfer;

    if (!t)
        return;
    if (t->verifying)
        verify_ended(s, t->complete);
    *t->before = t->next;
    if (t->next)
        t->next->before = t->before;
    free(t);
    peer->transfer = NULL;
    s->transfer_may_begin = true;
}
