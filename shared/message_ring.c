#include "shared/message_ring.h"
#include "shared/error.h"
#include "shared/frame.h"
#include "shared/reader.h"
#include "shared/wire.h"

static void put_ballot(uint8_t *at, struct ballot b)
{
    wire_put_u64(at, b.number);
    wire_put_u64(at + 8, b.proposer);
}

static struct ballot get_ballot(struct reader *r)
{
    struct ballot b;

    b.number = reader_u64(r);
    b.proposer = reader_u64(r);
    return b;
}

int message_put_ring_prepare(struct buf *out, const struct ring_prepare *m)
{
    uint8_t head[32];

    wire_put_u64(head, m->tag);
    wire_put_u64(head + 8, m->epoch);
    put_ballot(head + 16, m->ballot);
    return frame_put(out, MESSAGE_RING_PREPARE, bytes_of(head, sizeof(head)), (struct bytes){0});
}

int message_get_ring_prepare(struct bytes body, struct ring_prepare *m)
{
    struct reader r = reader_of(body);

    m->tag = reader_u64(&r);
    m->epoch = reader_u64(&r);
    m->ballot = get_ballot(&r);
    return reader_end(&r);
}

int message_put_ring_promise(struct buf *out, const struct ring_promise *m)
{
    uint8_t head[49];

    wire_put_u64(head, m->tag);
    head[8] = (uint8_t)-m->error;
    wire_put_u64(head + 9, m->epoch);
    put_ballot(head + 17, m->promised);
    put_ballot(head + 33, m->accepted);
    return frame_put(out, MESSAGE_RING_PROMISE, bytes_of(head, sizeof(head)), m->ring);
}

int message_get_ring_promise(struct bytes body, struct ring_promise *m)
{
    struct reader r = reader_of(body);

    m->tag = reader_u64(&r);
    m->error = -(int)reader_u8(&r);
    m->epoch = reader_u64(&r);
    m->promised = get_ballot(&r);
    m->accepted = get_ballot(&r);
    m->ring = reader_rest(&r);
    return reader_end(&r);
}

int message_put_ring_accept(struct buf *out, const struct ring_accept *m)
{
    uint8_t head[24];

    wire_put_u64(head, m->tag);
    put_ballot(head + 8, m->ballot);
    return frame_put(out, MESSAGE_RING_ACCEPT, bytes_of(head, sizeof(head)), m->ring);
}

int message_get_ring_accept(struct bytes body, struct ring_accept *m)
{
    struct reader r = reader_of(body);

    m->tag = reader_u64(&r);
    m->ballot = get_ballot(&r);
    m->ring = reader_rest(&r);
    return reader_end(&r);
}

int message_put_progress_get(struct buf *out, uint64_t tag)
{
    uint8_t head[8];

    wire_put_u64(head, tag);
    return frame_put(out, MESSAGE_PROGRESS_GET, bytes_of(head, sizeof(head)), (struct bytes){0});
}

int message_put_progress(struct buf *out, const struct progress *m)
{
    uint8_t head[36];

    wire_put_u64(head, m->tag);
    wire_put_u64(head + 8, m->epoch);
    wire_put_u64(head + 16, m->records_copied);
    wire_put_u64(head + 24, m->bytes_copied);
    wire_put_u32(head + 32, m->count);
    return frame_put(out, MESSAGE_PROGRESS, bytes_of(head, sizeof(head)), m->entries);
}

int message_get_progress(struct bytes body, struct progress *m)
{
    struct reader r = reader_of(body);

    m->tag = reader_u64(&r);
    m->epoch = reader_u64(&r);
    m->records_copied = reader_u64(&r);
    m->bytes_copied = reader_u64(&r);
    m->count = reader_u32(&r);
    m->entries = reader_rest(&r);
    if (m->entries.size != (size_t)m->count * PROGRESS_ENTRY_SIZE)
        return RK_CORRUPT;
    return reader_end(&r);
}

int message_add_progress(struct buf *entries, const struct progress_entry *e)
{
    uint8_t entry[PROGRESS_ENTRY_SIZE];

    wire_put_u32(entry, e->partition);
    entry[4] = e->flags;
    return buf_append(entries, entry, sizeof(entry));
}

bool message_next_progress(struct bytes *entries, struct progress_entry *e)
{
    if (entries->size < PROGRESS_ENTRY_SIZE)
        return false;
    e->partition = wire_get_u32(entries->data);
    e->flags = entries->data[4];
    *entries = bytes_of(entries->data + PROGRESS_ENTRY_SIZE, entries->size - PROGRESS_ENTRY_SIZE);
    return true;
}
