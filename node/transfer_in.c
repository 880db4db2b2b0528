/* The backup's side of a transfer: comparing and mirroring. */
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/range_digest.h"
#include "node/shard.h"
#include "node/transfer.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <stdlib.h>

/* Walks this replica's own records beside the chunk's, both in key order, and finds what differs.
 */
struct mirror {
    struct bytes rest;        /* of the chunk's changes */
    struct store_change next; /* the chunk's next record */
    bool has_next;
    bool same_as_next; /* this replica has it already, in the same version */
    struct store_change *puts;
    size_t put_count;
    /* What this replica has and the chunk has not: with a digest it goes in there, without it is to
     * be forgotten. */
    bool by_digest;
    struct range_digest digest;
    bool damaged;    /* one of those cannot be read */
    struct buf gone; /* keys, each u16 size and bytes */
};

static void take_next(struct mirror *m)
{
    if (m->has_next && !m->same_as_next)
        m->puts[m->put_count++] = m->next;
    m->has_next = peer_next_change(&m->rest, &m->next);
    m->same_as_next = false;
}

static bool same_record(const struct store_record *a, const struct store_record *b)
{
    return version_compare(a->version, b->version) == 0 && a->deleted == b->deleted &&
           a->expire_ms == b->expire_ms && bytes_equal(a->value, b->value);
}

static int compare_record(void *arg, struct bytes key, const struct store_record *record)
{
    struct mirror *m = arg;
    uint8_t size[2];

    while (m->has_next && bytes_compare(m->next.key, key) < 0)
        take_next(m);
    if (m->has_next && bytes_equal(m->next.key, key)) {
        /* A damaged record of our own is one that the primary's replaces. */
        m->same_as_next = record && same_record(record, &m->next.record);
        return 0;
    }
    if (m->by_digest) {
        if (record)
            range_digest_add(&m->digest, key, record);
        else
            m->damaged = true;
        return 0;
    }
    wire_put_u16(size, (uint16_t)key.size);
    if (buf_append(&m->gone, size, 2) != 0 || buf_append(&m->gone, key.data, key.size) != 0)
        return RK_NOMEM;
    return 0;
}

/* Finds what differs in the chunk's range. 0, RK_NOMEM or RK_IO. */
static int compare(struct shard *s, const struct group *g, const struct chunk *c, struct mirror *m)
{
    uint8_t from[STORE_KEY_SIZE_MAX + 1], to[STORE_KEY_SIZE_MAX];
    int error;

    *m = (struct mirror){.rest = c->changes, .by_digest = c->flags & CHUNK_DIGEST};
    m->puts = malloc((c->change_count + 1u) * sizeof(*m->puts));
    if (!m->puts)
        return RK_NOMEM;
    take_next(m);
    error = store_scan(s->store, key_range_first(s->ring, g->partition, c->lower, from),
                       key_range_last(s->ring, g->partition, c->upper, to), compare_record, m);
    while (m->has_next)
        take_next(m);
    return error == RK_CORRUPT ? 0 : error;
}

static void mirror_free(struct mirror *m)
{
    free(m->puts);
    buf_free(&m->gone);
}

/* Of a batch: for more, what the memory table has to reserve, the worst case, is several times what
 * they take, and more than its usual piece of memory. */
enum { WRITE_RECORDS = 128 };

static int forget_gone(struct shard *s, struct group *g, struct bytes keys, uint64_t *position)
{
    struct store_change gone[WRITE_RECORDS];
    int error = 0;

    while (!error && keys.size) {
        size_t count = 0;

        for (; count < WRITE_RECORDS && keys.size; count++) {
            uint16_t size = wire_get_u16(keys.data);

            gone[count] =
                (struct store_change){.kind = STORE_FORGET, .key = bytes_of(keys.data + 2, size)};
            keys = bytes_of(keys.data + 2 + size, keys.size - 2 - size);
        }
        error = group_apply(s, g, gone, count, position);
    }
    return error;
}

static int write_puts(struct shard *s, struct group *g, const struct mirror *m, uint64_t *position)
{
    int error = 0;

    for (size_t at = 0; at < m->put_count && !error; at += WRITE_RECORDS) {
        size_t left = m->put_count - at;

        error =
            group_apply(s, g, m->puts + at, left < WRITE_RECORDS ? left : WRITE_RECORDS, position);
    }
    return error;
}

/* Writes what was found. A group that is brought up is marked as a mixture with the first batch. */
static int write_found(struct shard *s, struct group *g, struct mirror *m, bool mark,
                       uint64_t *position)
{
    bool partial = g->partial;
    int error;

    if (!m->put_count && !buf_len(&m->gone))
        return 0;
    if (mark)
        g->partial = !MUTANT(s, PARTIAL_MARK);
    error = write_puts(s, g, m, position);
    if (!error && !MUTANT(s, NO_MIRROR))
        error = forget_gone(s, g, buf_bytes(&m->gone), position);
    /* Nothing, or a part, was written. If a part, the row says so already. */
    if (error && *position == 0)
        g->partial = partial;
    return error;
}

/* The records must ascend, and lie in the range, and that in the partition. */
static bool keys_belong(const struct shard *s, const struct group *g, const struct chunk *c)
{
    struct bytes rest = c->changes, before = c->lower;
    uint8_t from[STORE_KEY_SIZE_MAX + 1], to[STORE_KEY_SIZE_MAX];
    struct bytes first = key_range_first(s->ring, g->partition, (struct bytes){0}, from);
    struct bytes last = key_range_last(s->ring, g->partition, (struct bytes){0}, to);
    struct bytes upper = c->upper.size ? c->upper : last;
    struct store_change change;

    if (bytes_compare(upper, last) > 0 || (c->lower.size && (bytes_compare(c->lower, first) < 0 ||
                                                             bytes_compare(c->lower, upper) > 0)))
        return false;
    while (peer_next_change(&rest, &change)) {
        if (change.kind != STORE_PUT || bytes_compare(before, change.key) >= 0 ||
            bytes_compare(change.key, first) < 0 || bytes_compare(change.key, upper) > 0)
            return false;
        before = change.key;
    }
    return true;
}

/* --- answers -------------------------------------------------------------------------------- */

/* An answer that waits until the store is not slowed down any more, with its log position. */
struct answer {
    struct signal signal;
    uint16_t to;
    uint64_t position;
};

static void answer(struct shard *s, struct group *g, const struct answer *a)
{
    group_signal_held(s, g, a->to, a->signal.kind, a->signal.view, a->signal.last, a->position);
}

/* Whether the primary has to wait for its answer: what is in flight then has to find room before
 * writers do, so it is held as soon as these are slowed down. */
static bool is_late(const struct shard *s, enum signal_kind kind)
{
    return kind == SIGNAL_LATER || (kind == SIGNAL_TAKEN && store_delay_us(s->store) > 0);
}

static void answer_in_time(struct shard *s, struct group *g, const struct answer *a)
{
    /* Without memory it goes at once. */
    if (!is_late(s, a->signal.kind) || buf_append(&s->transfer_answers, a, sizeof(*a)) != 0)
        answer(s, g, a);
}

void transfer_answer(struct shard *s)
{
    while (buf_len(&s->transfer_answers)) {
        struct answer a;
        struct group *g;

        memcpy(&a, buf_head(&s->transfer_answers), sizeof(a));
        buf_consume(&s->transfer_answers, sizeof(a));
        g = shard_group(s, a.signal.partition);
        if (g && group_peer(g, a.to))
            answer(s, g, &a);
        /* One a tick in any case: a store that is kept busy for ever must not stop a transfer. */
        if (store_delay_us(s->store) > 0)
            return;
    }
}

/* --- a chunk -------------------------------------------------------------------------------- */

static int mirror_chunk(struct shard *s, struct group *g, uint16_t from, const struct chunk *c)
{
    struct answer a = {.signal = {.kind = SIGNAL_TAKEN,
                                  .partition = g->partition,
                                  .view = c->view,
                                  .last = {c->transfer, c->number}},
                       .to = from};
    struct mirror m;
    int error = compare(s, g, c, &m);

    if (!error && m.by_digest && (m.damaged || !range_digest_equal(&m.digest, &c->rest)))
        a.signal.kind = SIGNAL_DIFFERS;
    else if (!error)
        error = write_found(s, g, &m, true, &a.position);
    mirror_free(&m);
    if (error == RK_FULL) {
        a.signal.kind = SIGNAL_LATER;
        error = 0;
    }
    if (!error)
        answer_in_time(s, g, &a);
    return error;
}

/* --- comparing a replica that follows ------------------------------------------------------- */

/* Tells the primary the keys that differ. Without memory it is not told, and repaired all the same.
 */
static void tell_difference(struct shard *s, const struct group *g, uint16_t to,
                            const struct chunk *c, const struct mirror *m)
{
    struct buf keys = {0}, *out = shard_peer_out(s, to, g->partition);
    struct difference d = {.epoch = g->epoch,
                           .view = c->view,
                           .partition = g->partition,
                           .repaired = c->flags & CHUNK_REPAIR};
    struct bytes gone = buf_bytes(&m->gone), key;
    uint8_t size[2];
    int error = 0;

    for (size_t i = 0; i < m->put_count && !error; i++) {
        wire_put_u16(size, (uint16_t)m->puts[i].key.size);
        error = buf_append(&keys, size, 2) ||
                buf_append(&keys, m->puts[i].key.data, m->puts[i].key.size);
        d.count++;
    }
    if (!error)
        error = buf_append(&keys, gone.data, gone.size);
    while (peer_next_key(&gone, &key))
        d.count++;
    d.keys = buf_bytes(&keys);
    if (out && d.count && !error)
        peer_put_difference(out, &d);
    buf_free(&keys);
}

void transfer_take_compare(struct shard *s, struct group *g, uint16_t from, const struct chunk *c)
{
    struct answer a = {.signal = {.kind = SIGNAL_TAKEN,
                                  .partition = g->partition,
                                  .view = c->view,
                                  .last = {c->transfer, c->number}},
                       .to = from};
    struct mirror m;
    int error;

    /* It came in order, behind the steps up to `at`; a replica that could not write one of these
     * does not follow any more, and has said so. */
    if (g->partial || g->incoming.id || version_compare(g->last, c->at) != 0 ||
        !keys_belong(s, g, c))
        return;
    error = compare(s, g, c, &m);
    if (!error && m.by_digest && (m.damaged || !range_digest_equal(&m.digest, &c->rest))) {
        a.signal.kind = SIGNAL_DIFFERS;
    } else if (!error && !m.by_digest) {
        /* In its place, to what every replica has at this version: it becomes no mixture. */
        if (c->flags & CHUNK_REPAIR)
            error = write_found(s, g, &m, false, &a.position);
        if (!error)
            tell_difference(s, g, from, c, &m);
        if (!error && (c->flags & CHUNK_REPAIR) && (m.put_count || buf_len(&m.gone)))
            g->damaged_tells = 0;
    }
    mirror_free(&m);
    a.signal.kind = error ? SIGNAL_LATER : a.signal.kind;
    answer_in_time(s, g, &a);
}

/* --- a transfer's chunk --------------------------------------------------------------------- */

int transfer_take(struct shard *s, struct group *g, uint16_t from, const struct chunk *c,
                  bool *whole)
{
    struct transfer_in *t = &g->incoming;
    int error = 0;

    if (c->flags & CHUNK_FIRST)
        *t = (struct transfer_in){c->transfer, c->view, 1};
    if (t->id != c->transfer || t->view != c->view || t->next != c->number)
        return 0;
    if (!keys_belong(s, g, c)) {
        s->counters.bad_messages++;
        transfer_forget(t);
        return 0;
    }
    *whole = c->flags & CHUNK_LAST;
    if (!*whole)
        error = mirror_chunk(s, g, from, c);
    t->next++;
    s->counters.chunks_taken += !error;
    if (error || *whole)
        transfer_forget(t);
    return error;
}

void transfer_forget(struct transfer_in *t)
{
    *t = (struct transfer_in){0};
}
