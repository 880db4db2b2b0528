/* The file: magic "RKsl", u16 version, u16 zero, u64 epoch, the ballot promised and the one
 * accepted (u64 number, u64 proposer each), u32 size and the ring accepted, CRC-32C of all before.
 */
#include "node/ring_slot.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/reader.h"
#include "shared/wire.h"

enum { FORMAT_VERSION = 1, HEAD_SIZE = 52, CHECKSUM_SIZE = 4 };

static const uint8_t magic[4] = {'R', 'K', 's', 'l'};

struct ring_slot ring_slot_of(uint64_t epoch)
{
    return (struct ring_slot){.epoch = epoch};
}

void ring_slot_free(struct ring_slot *s)
{
    buf_free(&s->ring);
}

/* Whether a message about this epoch and ballot may be followed. */
static int check(const struct ring_slot *s, uint64_t epoch, struct ballot b)
{
    if (s->epoch == 0 || epoch != s->epoch)
        return RK_EPOCH;
    return ballot_compare(b, s->promised) < 0 ? RK_REFUSED : 0;
}

int ring_slot_prepare(const struct ring_slot *s, const struct ring_prepare *m,
                      struct ring_slot *next)
{
    int error = check(s, m->epoch, m->ballot);

    if (error)
        return error;
    *next = (struct ring_slot){.epoch = s->epoch, .promised = m->ballot, .accepted = s->accepted};
    return buf_append(&next->ring, buf_head(&s->ring), buf_len(&s->ring));
}

int ring_slot_accept(const struct ring_slot *s, const struct ring_accept *m, uint64_t epoch,
                     struct ring_slot *next)
{
    int error = check(s, epoch, m->ballot);

    if (error)
        return error;
    *next = (struct ring_slot){.epoch = s->epoch, .promised = m->ballot, .accepted = m->ballot};
    return buf_append(&next->ring, m->ring.data, m->ring.size);
}

static void put_ballot(uint8_t *at, struct ballot b)
{
    wire_put_u64(at, b.number);
    wire_put_u64(at + 8, b.proposer);
}

int ring_slot_encode(const struct ring_slot *s, struct buf *out)
{
    size_t before = buf_len(out);
    uint8_t head[HEAD_SIZE] = {0}, sum[CHECKSUM_SIZE];

    memcpy(head, magic, sizeof(magic));
    wire_put_u16(head + 4, FORMAT_VERSION);
    wire_put_u64(head + 8, s->epoch);
    put_ballot(head + 16, s->promised);
    put_ballot(head + 32, s->accepted);
    wire_put_u32(head + 48, (uint32_t)buf_len(&s->ring));
    if (buf_append(out, head, sizeof(head)) != 0 ||
        buf_append(out, buf_head(&s->ring), buf_len(&s->ring)) != 0)
        goto no_memory;
    wire_put_u32(sum, crc32c(0, buf_head(out) + before, buf_len(out) - before));
    if (buf_append(out, sum, sizeof(sum)) == 0)
        return 0;
no_memory:
    buf_truncate(out, before);
    return RK_NOMEM;
}

static struct ballot get_ballot(struct reader *r)
{
    struct ballot b;

    b.number = reader_u64(r);
    b.proposer = reader_u64(r);
    return b;
}

int ring_slot_decode(struct bytes in, struct ring_slot *out)
{
    struct reader r;
    struct bytes ring;

    *out = (struct ring_slot){0};
    if (in.size < HEAD_SIZE + CHECKSUM_SIZE || memcmp(in.data, magic, sizeof(magic)) != 0)
        return RK_CORRUPT;
    if (wire_get_u16(in.data + 4) != FORMAT_VERSION || wire_get_u16(in.data + 6) != 0)
        return RK_VERSION;
    in.size -= CHECKSUM_SIZE;
    if (wire_get_u32(in.data + in.size) != crc32c(0, in.data, in.size))
        return RK_CORRUPT;
    r = reader_of(bytes_of(in.data + 8, in.size - 8));
    out->epoch = reader_u64(&r);
    out->promised = get_ballot(&r);
    out->accepted = get_ballot(&r);
    ring = reader_sized(&r);
    if (reader_end(&r) != 0 || ballot_compare(out->accepted, out->promised) > 0)
        return RK_CORRUPT;
    return buf_append(&out->ring, ring.data, ring.size);
}
