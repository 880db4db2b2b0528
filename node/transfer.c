#include "node/transfer.h"
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/shard.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <assert.h>
#include <stdlib.h>

/* --- primary: reading and sending ----------------------------------------------------------- */

struct chunk_writer {
    struct buf *out;
    size_t begun;
    uint16_t count;
    uint32_t records_max;
    int error;
    struct transfer_out *transfer;
};

enum { CHUNK_FULL = 1 };

static int add_record(void *arg, struct bytes key, const struct store_record *record)
{
    struct chunk_writer *w = arg;

    /* A damaged record: nobody can be made equal to a state that cannot be read. */
    if (!record) {
        w->error = RK_CORRUPT;
        return RK_CORRUPT;
    }

    struct store_change change = {STORE_PUT, key, *record};

    w->error = peer_add_change(w->out, w->begun, &change);
    if (w->error)
        return w->error;
    w->count++;
    memcpy(w->transfer->cursor, key.data, key.size);
    w->transfer->cursor_size = (uint16_t)key.size;
    return w->count == w->records_max || buf_len(w->out) - w->begun >= CHUNK_BYTES ? CHUNK_FULL : 0;
}

struct bytes transfer_range_end(const struct ring *ring, uint32_t partition,
                                uint8_t to[STORE_KEY_SIZE_MAX])
{
    memset(to, 0xff, STORE_KEY_SIZE_MAX);
    wire_put_position(to, ring_last_position(ring, partition));
    return bytes_of(to, STORE_KEY_SIZE_MAX);
}

/* The first possible key behind a cursor, or of the partition when there is none. */
struct bytes transfer_range_begin(const struct ring *ring, uint32_t partition, struct bytes cursor,
                                  uint8_t from[STORE_KEY_SIZE_MAX + 1])
{
    if (cursor.size == 0) {
        wire_put_position(from, ring_first_position(ring, partition));
        return bytes_of(from, POSITION_SIZE);
    }
    memcpy(from, cursor.data, cursor.size);
    from[cursor.size] = 0;
    return bytes_of(from, cursor.size + 1);
}

static uint32_t records_max(const struct shard *s)
{
    uint32_t wanted = s->options.chunk_records;

    return wanted && wanted < CHUNK_RECORDS ? wanted : CHUNK_RECORDS;
}

/* Sends one chunk; false when it could not be. */
static bool send_chunk(struct shard *s, struct group *g, struct group_peer *peer)
{
    struct transfer_out *t = peer->transfer;
    struct buf *out = shard_peer_out(s, peer->member, g->partition);
    struct chunk c = {.epoch = s->ring->epoch,
                      .view = g->view,
                      .partition = g->partition,
                      .transfer = t->id,
                      .number = t->sent + 1,
                      .at = g->last};
    uint8_t from[STORE_KEY_SIZE_MAX + 1], to[STORE_KEY_SIZE_MAX];
    struct chunk_writer w = {.out = out, .records_max = records_max(s), .transfer = t};

    if (!out)
        return false;
    w.begun = peer_begin_chunk(out, &c);
    if (w.begun == SIZE_MAX)
        return false;

    int found = store_scan(
        s->store,
        transfer_range_begin(s->ring, g->partition, bytes_of(t->cursor, t->cursor_size), from),
        transfer_range_end(s->ring, g->partition, to), false, add_record, &w);
    uint8_t flags = (t->sent == 0 ? CHUNK_FIRST : 0) | (found == 0 ? CHUNK_LAST : 0);

    if (found != 0 && found != CHUNK_FULL) {
        /* A damaged record stops it in the middle of a frame; a failed append undid it already. */
        buf_truncate(out, w.begun);
        s->counters.damaged += found == RK_CORRUPT;
        return false;
    }
    if (peer_end_chunk(out, w.begun, flags, w.count) != 0)
        return false;
    t->sent++;
    t->complete = found == 0;
    t->at = g->last;
    s->counters.chunks_sent++;
    return true;
}

int transfer_begin(struct shard *s, struct group *g, struct group_peer *peer)
{
    transfer_stop(peer);
    peer->transfer = calloc(1, sizeof(*peer->transfer));
    if (!peer->transfer)
        return RK_NOMEM;
    peer->transfer->id = ++s->next_transfer;
    peer->state = PEER_TRANSFER;
    s->counters.transfers++;
    transfer_continue(s, g, peer);
    return 0;
}

void transfer_continue(struct shard *s, struct group *g, struct group_peer *peer)
{
    struct transfer_out *t = peer->transfer;

    while (!t->complete && t->sent - t->taken < CHUNKS_IN_FLIGHT &&
           s->host.peer_has_room(s->host.arg, peer->member, g->partition)) {
        if (!send_chunk(s, g, peer)) {
            /* Begun anew with the next link or view; until then the peer counts as not there. */
            transfer_stop(peer);
            peer->state = PEER_LAGGING;
            return;
        }
    }
}

void transfer_taken(struct shard *s, struct group *g, struct group_peer *peer,
                    const struct signal *m)
{
    struct transfer_out *t = peer->transfer;

    if (!t || t->id != m->last.view || m->last.op > t->sent || m->last.op <= t->taken)
        return;
    t->taken = m->last.op;
    transfer_continue(s, g, peer);
}

void transfer_stop(struct group_peer *peer)
{
    free(peer->transfer);
    peer->transfer = NULL;
}

/* --- backup: mirroring ---------------------------------------------------------------------- */

/* Walks this replica's own records beside the chunk's, both in key order, and finds what differs.
 */
struct mirror {
    struct bytes rest;        /* of the chunk's changes */
    struct store_change next; /* the chunk's next record */
    bool has_next;
    bool same_as_next; /* this replica has it already, in the same version */
    struct store_change *puts;
    size_t put_count;
    struct buf gone; /* keys to forget, each u16 size and bytes */
    size_t gone_count;
    int error;
};

static void take_next(struct mirror *m)
{
    if (m->has_next && !m->same_as_next)
        m->puts[m->put_count++] = m->next;
    m->has_next = peer_next_change(&m->rest, &m->next);
    m->same_as_next = false;
}

static int compare_record(void *arg, struct bytes key, const struct store_record *record)
{
    struct mirror *m = arg;
    uint8_t size[2];

    while (m->has_next && bytes_compare(m->next.key, key) < 0)
        take_next(m);
    if (m->has_next && bytes_equal(m->next.key, key)) {
        m->same_as_next = record && version_compare(record->version, m->next.record.version) == 0 &&
                          record->deleted == m->next.record.deleted &&
                          record->expire_ms == m->next.record.expire_ms &&
                          bytes_equal(record->value, m->next.record.value);
        return 0;
    }
    wire_put_u16(size, (uint16_t)key.size);
    if (buf_append(&m->gone, size, 2) != 0 || buf_append(&m->gone, key.data, key.size) != 0)
        return RK_NOMEM;
    m->gone_count++;
    return 0;
}

/* Writes what was found, in batches; the group is marked as a mixture with the first of them. */
static int write_mirrored(struct shard *s, struct group *g, struct mirror *m, uint64_t *position)
{
    struct store_change gone[256];
    struct bytes rest = buf_bytes(&m->gone);
    int error = group_apply(s, g, m->puts, m->put_count, position);

    while (!error && rest.size && !MUTANT(s, NO_MIRROR)) {
        size_t count = 0;

        for (; count < 256 && rest.size; count++) {
            uint16_t size = wire_get_u16(rest.data);

            gone[count] =
                (struct store_change){.kind = STORE_FORGET, .key = bytes_of(rest.data + 2, size)};
            rest = bytes_of(rest.data + 2 + size, rest.size - 2 - size);
        }
        error = group_apply(s, g, gone, count, position);
    }
    return error;
}

static int mirror_chunk(struct shard *s, struct group *g, const struct chunk *c, struct bytes upper,
                        uint64_t *position)
{
    struct mirror m = {.rest = c->changes};
    uint8_t from[STORE_KEY_SIZE_MAX + 1];
    struct transfer_in *t = &g->incoming;

    m.puts = malloc((c->change_count + 1u) * sizeof(*m.puts));
    if (!m.puts)
        return RK_NOMEM;
    take_next(&m);

    int error = store_scan(
        s->store,
        transfer_range_begin(s->ring, g->partition, bytes_of(t->cursor, t->cursor_size), from),
        upper, false, compare_record, &m);

    /* A damaged record of our own is one that the primary's replaces. */
    if (error == RK_CORRUPT)
        error = 0;
    while (m.has_next)
        take_next(&m);
    if (!error)
        error = write_mirrored(s, g, &m, position);
    free(m.puts);
    buf_free(&m.gone);
    return error;
}

/* The last key of a chunk; its records must ascend and lie in the partition, behind the cursor. */
static int check_keys(struct shard *s, const struct group *g, const struct chunk *c,
                      struct bytes *last)
{
    struct bytes rest = c->changes, before = bytes_of(g->incoming.cursor, g->incoming.cursor_size);
    struct store_change change;

    while (peer_next_change(&rest, &change)) {
        if (change.kind != STORE_PUT || bytes_compare(before, change.key) >= 0 ||
            ring_partition(s->ring, wire_get_position(change.key.data)) != g->partition)
            return RK_CORRUPT;
        before = change.key;
    }
    *last = before;
    return 0;
}

int transfer_take(struct shard *s, struct group *g, uint16_t from, const struct chunk *c,
                  bool *whole)
{
    struct transfer_in *t = &g->incoming;
    uint8_t end[STORE_KEY_SIZE_MAX];
    struct bytes last;
    uint64_t position = 0;
    bool complete = c->flags & CHUNK_LAST;

    if (c->flags & CHUNK_FIRST) {
        transfer_forget(t);
        t->cursor = malloc(STORE_KEY_SIZE_MAX);
        if (!t->cursor)
            return RK_NOMEM;
        t->id = c->transfer;
        t->view = c->view;
        t->next = 1;
    }
    if (t->id != c->transfer || t->view != c->view || t->next != c->number)
        return 0;
    if (check_keys(s, g, c, &last) != 0) {
        s->counters.bad_messages++;
        transfer_forget(t);
        return 0;
    }

    bool partial = g->partial;

    g->partial = !MUTANT(s, PARTIAL_MARK);

    int error = mirror_chunk(
        s, g, c, complete ? transfer_range_end(s->ring, g->partition, end) : last, &position);

    if (error) {
        /* Nothing, or a part, was written. If a part, the row says so already. */
        if (position == 0)
            g->partial = partial;
        transfer_forget(t);
        return error;
    }
    t->next++;
    memmove(t->cursor, last.data, last.size);
    t->cursor_size = (uint16_t)last.size;
    s->counters.chunks_taken++;
    group_signal_held(s, g, from, SIGNAL_TAKEN, c->view, (struct version){c->transfer, c->number},
                      position);
    if (complete)
        transfer_forget(t);
    *whole = complete;
    return 0;
}

void transfer_forget(struct transfer_in *t)
{
    free(t->cursor);
    *t = (struct transfer_in){0};
}
