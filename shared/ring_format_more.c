/* The extension of the ring's format. Numbers are little-endian.
 *
 *   8 bytes a partition: the epoch in which its voters changed last
 *   1 byte: changes that have ended, then each, the oldest first:
 *        8 first epoch, 8 last epoch, 8 Unix ms of the begin, 8 of the end,
 *        1 flags (1: cancelled), texts
 *   if a change is under way (the header's flag tells):
 *        1 replicas, 1 flags (1: paused, 2: cancelled), 8 rate, 8 first epoch, 8 Unix ms, texts
 *        each member: 1 flags, 4 weight, 1 size of the zone's name, the name
 *        owners: 2 bytes a partition; phases: 1 byte a partition
 *
 * texts: 2 size of what was asked, 1 size of who asked, both not terminated.
 */
#include "shared/reader.h"
#include "shared/ring_format.h"

enum {
    FLAG_PAUSED = 1,
    FLAG_CANCELLED = 2,
    EVENT_CANCELLED = 1,
    EVENT_HEAD = 33,
    CHANGE_HEAD = 26,
    MEMBER_HEAD = 6,
    TEXTS_HEAD = 3,
};

_Static_assert(RING_LOG_SIZE_MAX == 1 + RING_LOG_MAX * (EVENT_HEAD + RING_TEXTS_MAX),
               "the header's idea of the log's size");
_Static_assert(RING_LOG_MAX <= UINT8_MAX && RING_WHO_MAX <= UINT8_MAX, "they take one byte");

static size_t texts_size(const char *what, const char *who)
{
    return TEXTS_HEAD + strlen(what) + strlen(who);
}

static size_t change_size(const struct ring *r)
{
    size_t size =
        CHANGE_HEAD + texts_size(r->change->what, r->change->who) + 3 * (size_t)ring_partitions(r);

    for (uint32_t i = 0; i < r->member_count; i++)
        size += MEMBER_HEAD + strlen(r->members[i].next_zone);
    return size;
}

size_t ring_extension_size(const struct ring *r)
{
    size_t size = 8 * (size_t)ring_partitions(r) + 1;

    for (uint8_t i = 0; i < r->log_count; i++)
        size += EVENT_HEAD + texts_size(r->log[i].what, r->log[i].who);
    return size + (r->change ? change_size(r) : 0);
}

static uint8_t *put_texts(uint8_t *at, const char *what, const char *who)
{
    size_t what_size = strlen(what), who_size = strlen(who);

    wire_put_u16(at, (uint16_t)what_size);
    at[2] = (uint8_t)who_size;
    memcpy(at + TEXTS_HEAD, what, what_size);
    memcpy(at + TEXTS_HEAD + what_size, who, who_size);
    return at + TEXTS_HEAD + what_size + who_size;
}

static uint8_t *put_event(uint8_t *at, const struct ring_event *e)
{
    wire_put_u64(at, e->begun_epoch);
    wire_put_u64(at + 8, e->ended_epoch);
    wire_put_i64(at + 16, e->begun_ms);
    wire_put_i64(at + 24, e->ended_ms);
    at[32] = e->cancelled ? EVENT_CANCELLED : 0;
    return put_texts(at + EVENT_HEAD, e->what, e->who);
}

static uint8_t *put_place(uint8_t *at, const struct ring_member *m)
{
    size_t size = strlen(m->next_zone);

    at[0] = m->flags;
    wire_put_u32(at + 1, m->next_weight);
    at[5] = (uint8_t)size;
    memcpy(at + MEMBER_HEAD, m->next_zone, size);
    return at + MEMBER_HEAD + size;
}

static uint8_t *put_change(uint8_t *at, const struct ring *r)
{
    const struct ring_change *c = r->change;

    at[0] = c->replicas;
    at[1] = (uint8_t)((c->paused ? FLAG_PAUSED : 0) | (c->cancelled ? FLAG_CANCELLED : 0));
    wire_put_u64(at + 2, c->rate);
    wire_put_u64(at + 10, c->begun_epoch);
    wire_put_i64(at + 18, c->begun_ms);
    at = put_texts(at + CHANGE_HEAD, c->what, c->who);
    for (uint32_t i = 0; i < r->member_count; i++)
        at = put_place(at, &r->members[i]);
    for (uint32_t p = 0; p < ring_partitions(r); p++, at += 2)
        wire_put_u16(at, c->owners[p]);
    memcpy(at, c->phases, ring_partitions(r));
    return at + ring_partitions(r);
}

uint8_t *ring_extension_put(uint8_t *at, const struct ring *r)
{
    for (uint32_t p = 0; p < ring_partitions(r); p++, at += 8)
        wire_put_u64(at, r->changed[p]);
    *at++ = r->log_count;
    for (uint8_t i = 0; i < r->log_count; i++)
        at = put_event(at, &r->log[i]);
    return r->change ? put_change(at, r) : at;
}

/* A text that holds a NUL would hide what follows it from every later check. */
static void get_text(struct reader *in, size_t size, char *to, size_t max)
{
    struct bytes found = reader_bytes(in, size);

    if (size > max || (found.size && memchr(found.data, 0, found.size)))
        in->bad = true;
    if (in->bad)
        return;
    if (size)
        memcpy(to, found.data, size);
    to[size] = '\0';
}

static void get_texts(struct reader *in, char what[RING_WHAT_MAX + 1], char who[RING_WHO_MAX + 1])
{
    size_t what_size = reader_u16(in), who_size = reader_u8(in);

    get_text(in, what_size, what, RING_WHAT_MAX);
    get_text(in, who_size, who, RING_WHO_MAX);
}

/* Bits that mean nothing yet are refused, or a ring would not be encoded as it came. */
static uint8_t get_flags(struct reader *in, uint8_t known)
{
    uint8_t flags = reader_u8(in);

    if (flags & ~known)
        in->bad = true;
    return flags;
}

static void get_event(struct reader *in, struct ring_event *e)
{
    e->begun_epoch = reader_u64(in);
    e->ended_epoch = reader_u64(in);
    e->begun_ms = reader_i64(in);
    e->ended_ms = reader_i64(in);
    e->cancelled = get_flags(in, EVENT_CANCELLED) != 0;
    get_texts(in, e->what, e->who);
}

static void get_change(struct reader *in, struct ring *r)
{
    struct ring_change *c = r->change;
    uint8_t flags;

    c->replicas = reader_u8(in);
    flags = get_flags(in, FLAG_PAUSED | FLAG_CANCELLED);
    c->paused = flags & FLAG_PAUSED;
    c->cancelled = flags & FLAG_CANCELLED;
    c->rate = reader_u64(in);
    c->begun_epoch = reader_u64(in);
    c->begun_ms = reader_i64(in);
    get_texts(in, c->what, c->who);
    for (uint32_t i = 0; i < r->member_count; i++) {
        struct ring_member *m = &r->members[i];

        m->flags = reader_u8(in);
        m->next_weight = reader_u32(in);
        get_text(in, reader_u8(in), m->next_zone, NAME_SIZE_MAX);
    }
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        c->owners[p] = reader_u16(in);
    reader_copy(in, c->phases, ring_partitions(r));
}

int ring_extension_get(struct bytes in, struct ring *r)
{
    struct reader reader = reader_of(in);

    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        r->changed[p] = reader_u64(&reader);
        /* 0 stands for 1 in rings that are being made, not in the format. */
        reader.bad |= r->changed[p] == 0;
    }
    r->log_count = reader_u8(&reader);
    if (r->log_count > RING_LOG_MAX)
        return RK_CORRUPT;
    for (uint8_t i = 0; i < r->log_count; i++)
        get_event(&reader, &r->log[i]);
    if (r->change)
        get_change(&reader, r);
    return reader_end(&reader);
}
