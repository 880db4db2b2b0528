/* The ring's format. Numbers are little-endian; spare fields are zero until a later version of the
 * format gives them a meaning, and a reader that finds another value in one refuses the ring.
 *
 *   offset size  header
 *        0    4  magic "RKrg"
 *        4    2  format version
 *        6    2  flags: 1: a change is under way
 *        8   16  cluster
 *       24    8  epoch
 *       32    1  hash
 *       33    1  bits
 *       34    1  replicas
 *       35    1  spare
 *       36    2  next number
 *       38    2  member count
 *       40    4  extension size: bytes between the owners and the checksum
 *       44   20  spare
 *
 *                each member, in ascending number
 *        0   16  identity
 *       16    2  number
 *       18    2  port
 *       20    2  shards
 *       22    2  spare
 *       24    4  weight
 *       28    1  name size
 *       29    1  zone size
 *       30    1  host size
 *       31    1  spare
 *       32       name, zone, host: not terminated
 *
 *                owners: 2 bytes a partition, index into the members
 *                extension (ring_format_more.c)
 *                CRC-32C, 4 bytes, of everything before it
 *
 * The magic and the version stay where they are in every version, so that an unknown version is
 * told from damage.
 */
#include "shared/ring_format.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/ring.h"
#include "shared/wire.h"
#include <stdio.h>

enum {
    AT_VERSION = 4,
    AT_FLAGS = 6,
    AT_CLUSTER = 8,
    AT_EPOCH = 24,
    AT_HASH = 32,
    AT_BITS = 33,
    AT_REPLICAS = 34,
    AT_SPARE_BYTE = 35,
    AT_NEXT_NUMBER = 36,
    AT_MEMBER_COUNT = 38,
    AT_EXTENSION = 40,
    AT_SPARE = 44,

    MEMBER_NUMBER = 16,
    MEMBER_PORT = 18,
    MEMBER_SHARDS = 20,
    MEMBER_SPARE = 22,
    MEMBER_WEIGHT = 24,
    MEMBER_SIZES = 28, /* name, zone, host, spare */
    MEMBER_HEADER_SIZE = 32,

    CHECKSUM_SIZE = 4,
};

_Static_assert(RING_MEMBER_SIZE_MAX == MEMBER_HEADER_SIZE + 2 * NAME_SIZE_MAX + HOST_SIZE_MAX,
               "the header's idea of a member's size");
_Static_assert(HOST_SIZE_MAX <= UINT8_MAX && NAME_SIZE_MAX <= UINT8_MAX, "sizes take one byte");
_Static_assert(MEMBERS_MAX <= UINT16_MAX, "the member count takes two bytes");

enum { FLAG_CHANGE = 1 };

static const uint8_t magic[AT_VERSION] = {'R', 'K', 'r', 'g'};

static size_t encoded_size(const struct ring *r)
{
    size_t size =
        RING_HEADER_SIZE + 2 * (size_t)ring_partitions(r) + ring_extension_size(r) + CHECKSUM_SIZE;

    for (uint32_t i = 0; i < r->member_count; i++) {
        const struct ring_member *m = &r->members[i];

        size += MEMBER_HEADER_SIZE + strlen(m->name) + strlen(m->zone) + strlen(m->host);
    }
    return size;
}

static uint8_t *put_string(uint8_t *at, uint8_t *size, const char *text)
{
    *size = (uint8_t)strlen(text);
    memcpy(at, text, *size);
    return at + *size;
}

static uint8_t *put_member(uint8_t *at, const struct ring_member *m)
{
    uint8_t *sizes = at + MEMBER_SIZES;
    uint8_t *text = at + MEMBER_HEADER_SIZE;

    memset(at, 0, MEMBER_HEADER_SIZE);
    memcpy(at, m->identity, IDENTITY_SIZE);
    wire_put_u16(at + MEMBER_NUMBER, m->number);
    wire_put_u16(at + MEMBER_PORT, m->port);
    wire_put_u16(at + MEMBER_SHARDS, m->shards);
    wire_put_u32(at + MEMBER_WEIGHT, m->weight);
    text = put_string(text, &sizes[0], m->name);
    text = put_string(text, &sizes[1], m->zone);
    return put_string(text, &sizes[2], m->host);
}

static uint8_t *put_header(uint8_t *at, const struct ring *r)
{
    memset(at, 0, RING_HEADER_SIZE);
    memcpy(at, magic, sizeof(magic));
    wire_put_u16(at + AT_VERSION, RING_FORMAT_VERSION);
    wire_put_u16(at + AT_FLAGS, r->change ? FLAG_CHANGE : 0);
    memcpy(at + AT_CLUSTER, r->cluster, IDENTITY_SIZE);
    wire_put_u64(at + AT_EPOCH, r->epoch);
    at[AT_HASH] = (uint8_t)r->hash;
    at[AT_BITS] = r->bits;
    at[AT_REPLICAS] = r->replicas;
    wire_put_u16(at + AT_NEXT_NUMBER, r->next_number);
    wire_put_u16(at + AT_MEMBER_COUNT, (uint16_t)r->member_count);
    wire_put_u32(at + AT_EXTENSION, (uint32_t)ring_extension_size(r));
    return at + RING_HEADER_SIZE;
}

int ring_encode(const struct ring *r, struct buf *out)
{
    size_t size = encoded_size(r);
    uint8_t *begin = buf_reserve(out, size);
    uint8_t *at = begin;

    if (!begin)
        return RK_NOMEM;
    at = put_header(at, r);
    for (uint32_t i = 0; i < r->member_count; i++)
        at = put_member(at, &r->members[i]);
    for (uint32_t p = 0; p < ring_partitions(r); p++, at += 2)
        wire_put_u16(at, r->owners[p]);
    at = ring_extension_put(at, r);
    wire_put_u32(at, crc32c(0, begin, (size_t)(at - begin)));
    buf_commit(out, size);
    return 0;
}

static int refuse(int error, const char *text, char *why, size_t why_size)
{
    if (why && why_size)
        snprintf(why, why_size, "%s", text);
    return error;
}

static bool all_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

/* What can be told before any count is believed. */
static int check_envelope(struct bytes in, char *why, size_t why_size)
{
    size_t body;

    if (in.size < sizeof(magic) + 2 || memcmp(in.data, magic, sizeof(magic)) != 0)
        return refuse(RK_CORRUPT, "this is not a ring", why, why_size);
    if (wire_get_u16(in.data + AT_VERSION) != RING_FORMAT_VERSION)
        return refuse(RK_VERSION, "the ring's format is of another version", why, why_size);
    if (in.size < RING_HEADER_SIZE + CHECKSUM_SIZE)
        return refuse(RK_CORRUPT, "the ring is cut short", why, why_size);
    if (in.size > RING_ENCODED_MAX)
        return refuse(RK_CORRUPT, "the ring is larger than any ring can be", why, why_size);
    body = in.size - CHECKSUM_SIZE;
    if (wire_get_u32(in.data + body) != crc32c(0, in.data, body))
        return refuse(RK_CORRUPT, "the ring's checksum is wrong", why, why_size);
    if ((wire_get_u16(in.data + AT_FLAGS) & ~FLAG_CHANGE) || in.data[AT_SPARE_BYTE] ||
        !all_zero(in.data + AT_SPARE, RING_HEADER_SIZE - AT_SPARE))
        return refuse(RK_VERSION, "the ring uses what this version does not know", why, why_size);
    return 0;
}

/* Takes one string of `size` bytes off the front of `in`; false when it does not fit in `limit`, is
 * not all there, or holds a NUL, which would hide what follows from every later check. */
static bool get_string(struct bytes *in, uint8_t size, char *to, size_t limit)
{
    if (size > limit || size > in->size || memchr(in->data, 0, size))
        return false;
    memcpy(to, in->data, size);
    to[size] = '\0';
    in->data += size;
    in->size -= size;
    return true;
}

static int get_member(struct bytes *in, struct ring_member *m, char *why, size_t why_size)
{
    const uint8_t *at = in->data;
    const uint8_t *sizes = at + MEMBER_SIZES;

    if (in->size < MEMBER_HEADER_SIZE)
        return refuse(RK_CORRUPT, "the ring's members are cut short", why, why_size);
    if (wire_get_u16(at + MEMBER_SPARE) || sizes[3])
        return refuse(RK_VERSION, "a member uses what this version does not know", why, why_size);
    memcpy(m->identity, at, IDENTITY_SIZE);
    m->number = wire_get_u16(at + MEMBER_NUMBER);
    m->port = wire_get_u16(at + MEMBER_PORT);
    m->shards = wire_get_u16(at + MEMBER_SHARDS);
    m->weight = wire_get_u32(at + MEMBER_WEIGHT);
    in->data += MEMBER_HEADER_SIZE;
    in->size -= MEMBER_HEADER_SIZE;
    if (!get_string(in, sizes[0], m->name, NAME_SIZE_MAX) ||
        !get_string(in, sizes[1], m->zone, NAME_SIZE_MAX) ||
        !get_string(in, sizes[2], m->host, HOST_SIZE_MAX))
        return refuse(RK_CORRUPT, "a member's name, zone or host is not as long as it says", why,
                      why_size);
    return 0;
}

/* `in` begins at the members and ends before the checksum. */
static int get_lists(struct bytes in, struct ring *r, size_t extension, char *why, size_t why_size)
{
    size_t owners = 2 * (size_t)ring_partitions(r);

    for (uint32_t i = 0; i < r->member_count; i++) {
        int error = get_member(&in, &r->members[i], why, why_size);

        if (error)
            return error;
    }
    if (in.size < owners || in.size - owners != extension)
        return refuse(RK_CORRUPT, "the ring's owners do not end where the ring ends", why,
                      why_size);
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        r->owners[p] = wire_get_u16(in.data + 2 * (size_t)p);
    return ring_extension_get(bytes_of(in.data + owners, extension), r)
               ? refuse(RK_CORRUPT, "what the ring tells of its changes is not whole", why,
                        why_size)
               : 0;
}

static void get_header(const uint8_t *at, struct ring *r)
{
    memcpy(r->cluster, at + AT_CLUSTER, IDENTITY_SIZE);
    r->epoch = wire_get_u64(at + AT_EPOCH);
    r->hash = (enum position_hash)at[AT_HASH];
    r->replicas = at[AT_REPLICAS];
    r->next_number = wire_get_u16(at + AT_NEXT_NUMBER);
}

int ring_decode(struct bytes in, struct ring **out, char *why, size_t why_size)
{
    int error = check_envelope(in, why, why_size);
    size_t least;
    struct ring *r;

    *out = NULL;
    if (error)
        return error;
    if (in.data[AT_BITS] > PARTITION_BITS_MAX)
        return refuse(RK_INVALID, "the ring has too many partitions", why, why_size);
    if (wire_get_u16(in.data + AT_MEMBER_COUNT) > MEMBERS_MAX)
        return refuse(RK_INVALID, "the ring has too many members", why, why_size);
    /* Not before the bytes are there that the counts announce: memory follows what arrived. */
    least = RING_HEADER_SIZE + CHECKSUM_SIZE + ((size_t)2 << in.data[AT_BITS]) +
            ((size_t)8 << in.data[AT_BITS]) +
            (size_t)wire_get_u16(in.data + AT_MEMBER_COUNT) * MEMBER_HEADER_SIZE;
    if (in.size < least)
        return refuse(RK_CORRUPT, "the ring is cut short", why, why_size);
    r = ring_new(wire_get_u16(in.data + AT_MEMBER_COUNT), in.data[AT_BITS]);
    if (!r)
        return refuse(RK_NOMEM, rk_error_text(RK_NOMEM), why, why_size);
    get_header(in.data, r);
    if ((wire_get_u16(in.data + AT_FLAGS) & FLAG_CHANGE) && ring_add_change(r) != 0)
        error = refuse(RK_NOMEM, rk_error_text(RK_NOMEM), why, why_size);
    if (!error)
        error = get_lists(
            bytes_of(in.data + RING_HEADER_SIZE, in.size - RING_HEADER_SIZE - CHECKSUM_SIZE), r,
            wire_get_u32(in.data + AT_EXTENSION), why, why_size);
    if (!error)
        error = ring_finish(r, why, why_size);
    if (error) {
        ring_free(r);
        return error;
    }
    *out = r;
    return 0;
}
