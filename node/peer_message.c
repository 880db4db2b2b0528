#include "node/peer_message.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/reader.h"
#include "shared/transaction.h"
#include "shared/wire.h"

enum {
    STEP_EPOCH_AT = 0,
    STEP_VIEW_AT = 8,
    STEP_HEAD = 84,
    CHUNK_HEAD = 80,
    DIFFERENCE_HEAD = 28,
    CHANGE_HEAD = 36,
    CHANGE_DELETED = 2,
};

/* --- signals -------------------------------------------------------------------------------- */

size_t peer_begin_signals(struct buf *out)
{
    return frame_begin(out, MESSAGE_SIGNALS);
}

int peer_add_signal(struct buf *out, const struct signal *s)
{
    uint8_t *at = buf_reserve(out, SIGNAL_SIZE);

    if (!at)
        return RK_NOMEM;
    at[0] = s->kind;
    at[1] = s->flags;
    wire_put_u16(at + 2, 0);
    wire_put_u32(at + 4, s->partition);
    wire_put_u64(at + 8, s->epoch);
    wire_put_u64(at + 16, s->view);
    wire_put_u64(at + 24, s->last.view);
    wire_put_u64(at + 32, s->last.op);
    buf_commit(out, SIGNAL_SIZE);
    return 0;
}

static void read_signal(struct reader *r, struct signal *s)
{
    s->kind = reader_u8(r);
    s->flags = reader_u8(r);
    if (reader_u16(r) != 0)
        r->bad = true;
    s->partition = reader_u32(r);
    s->epoch = reader_u64(r);
    s->view = reader_u64(r);
    s->last.view = reader_u64(r);
    s->last.op = reader_u64(r);
    if (s->kind < SIGNAL_PREPARE || s->kind > SIGNAL_DAMAGED ||
        s->flags > (SIGNAL_PARTIAL | SIGNAL_NO_PAST) || s->partition >= PARTITIONS_MAX)
        r->bad = true;
}

int peer_check_signals(struct bytes body)
{
    struct reader r = reader_of(body);
    struct signal ignored;

    if (r.left == 0 || r.left / SIGNAL_SIZE > SIGNALS_MAX)
        return RK_CORRUPT;
    while (r.left && !r.bad)
        read_signal(&r, &ignored);
    return reader_end(&r);
}

bool peer_next_signal(struct bytes *signals, struct signal *out)
{
    struct reader r = reader_of(*signals);

    if (r.left < SIGNAL_SIZE)
        return false;
    read_signal(&r, out);
    *signals = bytes_of(r.at, r.left);
    return true;
}

/* --- changes -------------------------------------------------------------------------------- */

static int put_change(struct buf *out, const struct store_change *c)
{
    bool put = c->kind == STORE_PUT;
    size_t value_size = put && !c->record.deleted ? c->record.value.size : 0;
    uint8_t *at = buf_reserve(out, CHANGE_HEAD + c->key.size + value_size);

    if (!at)
        return RK_NOMEM;
    memset(at, 0, CHANGE_HEAD);
    at[0] = (uint8_t)c->kind;
    at[1] = put && c->record.deleted ? CHANGE_DELETED : 0;
    wire_put_u16(at + 2, (uint16_t)c->key.size);
    wire_put_u32(at + 4, (uint32_t)value_size);
    if (put) {
        wire_put_u64(at + 8, c->record.version.view);
        wire_put_u64(at + 16, c->record.version.op);
        wire_put_i64(at + 24, c->record.expire_ms);
    }
    memcpy(at + CHANGE_HEAD, c->key.data, c->key.size);
    if (value_size)
        memcpy(at + CHANGE_HEAD + c->key.size, c->record.value.data, value_size);
    buf_commit(out, CHANGE_HEAD + c->key.size + value_size);
    return 0;
}

static void read_change(struct reader *r, struct store_change *c)
{
    uint8_t kind = reader_u8(r), deleted = reader_u8(r);
    uint16_t key_size = reader_u16(r);
    uint32_t value_size = reader_u32(r);

    c->kind = kind;
    c->record.deleted = deleted != 0;
    c->record.version.view = reader_u64(r);
    c->record.version.op = reader_u64(r);
    c->record.expire_ms = reader_i64(r);
    if (reader_u32(r) != 0 || kind > STORE_FORGET || (deleted && deleted != CHANGE_DELETED) ||
        key_size <= POSITION_SIZE || key_size > STORE_KEY_SIZE_MAX || value_size > VALUE_SIZE_MAX ||
        (value_size && (deleted || kind == STORE_FORGET)) || c->record.expire_ms < 0)
        r->bad = true;
    /* One encoding for each change: a key that is forgotten has no record. */
    if (kind == STORE_FORGET &&
        (deleted || c->record.version.view || c->record.version.op || c->record.expire_ms))
        r->bad = true;
    c->key = reader_bytes(r, key_size);
    c->record.value = reader_bytes(r, value_size);
}

static int check_changes(struct bytes changes, uint16_t count)
{
    struct reader r = reader_of(changes);
    struct store_change ignored;

    if (count > STORE_CHANGES_MAX)
        return RK_CORRUPT;
    for (uint16_t i = 0; i < count && !r.bad; i++)
        read_change(&r, &ignored);
    return reader_end(&r);
}

bool peer_next_change(struct bytes *changes, struct store_change *out)
{
    struct reader r = reader_of(*changes);

    if (r.left == 0)
        return false;
    read_change(&r, out);
    *changes = bytes_of(r.at, r.left);
    return true;
}

/* --- steps ---------------------------------------------------------------------------------- */

int peer_put_step(struct buf *out, const struct step *s, const struct store_change *changes,
                  size_t change_count)
{
    size_t begun = frame_begin(out, MESSAGE_STEP);
    uint8_t *at = begun == SIZE_MAX ? NULL : buf_reserve(out, STEP_HEAD);
    int error = at ? 0 : RK_NOMEM;

    if (at) {
        wire_put_u64(at + STEP_EPOCH_AT, s->epoch);
        wire_put_u64(at + STEP_VIEW_AT, s->view);
        wire_put_u32(at + 16, s->partition);
        at[20] = s->kind;
        at[21] = s->result_kind;
        wire_put_u16(at + 22, (uint16_t)change_count);
        wire_put_u64(at + 24, s->from.view);
        wire_put_u64(at + 32, s->from.op);
        wire_put_u64(at + 40, s->at.view);
        wire_put_u64(at + 48, s->at.op);
        wire_put_u64(at + 56, s->session);
        wire_put_u64(at + 64, s->number);
        wire_put_i64(at + 72, s->result_integer);
        wire_put_u32(at + 80, (uint32_t)s->result_data.size);
        buf_commit(out, STEP_HEAD);
        error = buf_append(out, s->result_data.data, s->result_data.size);
    }
    for (size_t i = 0; i < change_count && !error; i++)
        error = put_change(out, &changes[i]);
    if (!error)
        return frame_end(out, begun);
    if (begun != SIZE_MAX)
        buf_truncate(out, begun);
    return error;
}

/* A result with several values has their number in place of the integer. */
static bool step_result_fits(const struct step *s)
{
    bool counted = s->result_kind == REPLY_ARRAY || s->result_kind == REPLY_RESULTS;

    if (!counted)
        return s->result_kind <= REPLY_ERROR;
    if (s->result_integer < 0 || s->result_integer > MESSAGE_ARGS_MAX)
        return false;
    return s->result_kind == REPLY_ARRAY
               ? message_check_values(s->result_data, (uint32_t)s->result_integer) == 0
               : transaction_check_results(s->result_data, (uint32_t)s->result_integer) == 0;
}

int peer_get_step(struct bytes body, struct step *s)
{
    struct reader r = reader_of(body);

    s->epoch = reader_u64(&r);
    s->view = reader_u64(&r);
    s->partition = reader_u32(&r);
    s->kind = reader_u8(&r);

    s->result_kind = reader_u8(&r);
    s->change_count = reader_u16(&r);
    s->from.view = reader_u64(&r);
    s->from.op = reader_u64(&r);
    s->at.view = reader_u64(&r);
    s->at.op = reader_u64(&r);
    s->session = reader_u64(&r);
    s->number = reader_u64(&r);
    s->result_integer = reader_i64(&r);
    s->result_data = reader_sized(&r);
    s->changes = reader_rest(&r);
    if (r.bad || s->partition >= PARTITIONS_MAX || s->view == 0 || s->at.view > s->view ||
        !step_result_fits(s))
        return RK_CORRUPT;
    if (s->kind == STEP_START) {
        if (s->at.op != 0 || s->from.view >= s->at.view || s->change_count != 0)
            return RK_CORRUPT;
    } else if (s->kind != STEP_OPERATION || s->from.view != s->at.view || s->at.op == 0 ||
               s->at.op != s->from.op + 1) {
        return RK_CORRUPT;
    }
    return check_changes(s->changes, s->change_count);
}

void peer_restamp_step(uint8_t *frame, uint64_t epoch, uint64_t view)
{
    frame_restamp(frame, STEP_EPOCH_AT, epoch);
    frame_restamp(frame, STEP_VIEW_AT, view);
}

/* --- chunks --------------------------------------------------------------------------------- */

size_t peer_begin_chunk(struct buf *out, const struct chunk *c)
{
    size_t begun = frame_begin(out, MESSAGE_CHUNK);
    uint8_t *at = begun == SIZE_MAX ? NULL : buf_reserve(out, CHUNK_HEAD + c->lower.size);

    if (!at) {
        if (begun != SIZE_MAX)
            buf_truncate(out, begun);
        return SIZE_MAX;
    }
    memset(at, 0, CHUNK_HEAD);
    wire_put_u64(at, c->epoch);
    wire_put_u64(at + 8, c->view);
    wire_put_u32(at + 16, c->partition);
    wire_put_u64(at + 24, c->transfer);
    wire_put_u64(at + 32, c->number);
    wire_put_u64(at + 40, c->at.view);
    wire_put_u64(at + 48, c->at.op);
    wire_put_u16(at + 76, (uint16_t)c->lower.size);
    if (c->lower.size)
        memcpy(at + CHUNK_HEAD, c->lower.data, c->lower.size);
    buf_commit(out, CHUNK_HEAD + c->lower.size);
    return begun;
}

int peer_add_change(struct buf *out, size_t begun, const struct store_change *change)
{
    int error = put_change(out, change);

    if (error)
        buf_truncate(out, begun);
    return error;
}

int peer_end_chunk(struct buf *out, size_t begun, const struct chunk *c)
{
    uint8_t *at;

    if (buf_append(out, c->upper.data, c->upper.size) != 0) {
        buf_truncate(out, begun);
        return RK_NOMEM;
    }
    at = buf_head(out) + begun + FRAME_HEADER_SIZE;
    at[20] = c->flags;
    wire_put_u16(at + 22, c->change_count);
    wire_put_u64(at + 56, c->rest.lanes[0]);
    wire_put_u64(at + 64, c->rest.lanes[1]);
    wire_put_u32(at + 72, c->rest.count);
    wire_put_u16(at + 78, (uint16_t)c->upper.size);
    return frame_end(out, begun);
}

/* A bound is a store key or none. */
static bool is_bound(struct bytes key)
{
    return key.size == 0 || (key.size > POSITION_SIZE && key.size <= STORE_KEY_SIZE_MAX);
}

/* What a chunk may have depends on what it is. */
static bool chunk_is_coherent(const struct chunk *c)
{
    bool digest = c->flags & CHUNK_DIGEST;

    if (c->flags & CHUNK_LAST)
        return c->flags == CHUNK_LAST && !c->lower.size && !c->upper.size && !c->change_count &&
               !c->rest.count && !c->rest.lanes[0] && !c->rest.lanes[1];
    if (c->flags & CHUNK_COMPARE ? c->flags & CHUNK_FIRST : c->flags & CHUNK_REPAIR)
        return false;
    return is_bound(c->lower) && is_bound(c->upper) &&
           (digest || (!c->rest.count && !c->rest.lanes[0] && !c->rest.lanes[1]));
}

int peer_get_chunk(struct bytes body, struct chunk *c)
{
    struct reader r = reader_of(body);
    uint16_t lower_size, upper_size;
    uint8_t zero;

    c->epoch = reader_u64(&r);
    c->view = reader_u64(&r);
    c->partition = reader_u32(&r);
    c->flags = reader_u8(&r);
    zero = reader_u8(&r);
    c->change_count = reader_u16(&r);
    c->transfer = reader_u64(&r);
    c->number = reader_u64(&r);
    c->at.view = reader_u64(&r);
    c->at.op = reader_u64(&r);
    c->rest.lanes[0] = reader_u64(&r);
    c->rest.lanes[1] = reader_u64(&r);
    c->rest.count = reader_u32(&r);
    lower_size = reader_u16(&r);
    upper_size = reader_u16(&r);
    c->lower = reader_bytes(&r, lower_size);
    if (r.bad || upper_size > r.left)
        return RK_CORRUPT;
    c->changes = reader_bytes(&r, r.left - upper_size);
    c->upper = reader_rest(&r);
    if (zero || c->partition >= PARTITIONS_MAX || c->view == 0 || c->number == 0 ||
        c->flags > (CHUNK_FIRST | CHUNK_LAST | CHUNK_DIGEST | CHUNK_COMPARE | CHUNK_REPAIR) ||
        !chunk_is_coherent(c))
        return RK_CORRUPT;
    return check_changes(c->changes, c->change_count);
}

/* --- differences ---------------------------------------------------------------------------- */

int peer_put_difference(struct buf *out, const struct difference *d)
{
    size_t begun = frame_begin(out, MESSAGE_DIFFERENCE);
    uint8_t *at = begun == SIZE_MAX ? NULL : buf_reserve(out, DIFFERENCE_HEAD + d->keys.size);

    if (!at) {
        if (begun != SIZE_MAX)
            buf_truncate(out, begun);
        return RK_NOMEM;
    }
    wire_put_u64(at, d->epoch);
    wire_put_u64(at + 8, d->view);
    wire_put_u32(at + 16, d->partition);
    wire_put_u32(at + 20, d->repaired);
    wire_put_u32(at + 24, d->count);
    if (d->keys.size)
        memcpy(at + DIFFERENCE_HEAD, d->keys.data, d->keys.size);
    buf_commit(out, DIFFERENCE_HEAD + d->keys.size);
    return frame_end(out, begun);
}

int peer_get_difference(struct bytes body, struct difference *d)
{
    struct reader r = reader_of(body);
    uint32_t repaired, found = 0;
    struct bytes rest, key;

    d->epoch = reader_u64(&r);
    d->view = reader_u64(&r);
    d->partition = reader_u32(&r);
    repaired = reader_u32(&r);
    d->repaired = repaired;
    d->count = reader_u32(&r);
    d->keys = rest = reader_rest(&r);
    if (r.bad || d->partition >= PARTITIONS_MAX || d->view == 0 || repaired > 1 || d->count == 0)
        return RK_CORRUPT;
    while (peer_next_key(&rest, &key)) {
        if (key.size <= POSITION_SIZE || key.size > STORE_KEY_SIZE_MAX)
            return RK_CORRUPT;
        found++;
    }
    return rest.size || found != d->count ? RK_CORRUPT : 0;
}

bool peer_next_key(struct bytes *keys, struct bytes *key)
{
    struct reader r = reader_of(*keys);
    uint16_t size = reader_u16(&r);

    *key = reader_bytes(&r, size);
    if (r.bad)
        return false;
    *keys = bytes_of(r.at, r.left);
    return true;
}
