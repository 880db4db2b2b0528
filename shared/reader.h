/* Checked reading of a body of bytes: past the end, everything reads as zero and `bad` is set, so
 * that a decoder reads all its fields and looks once. */
#ifndef RINGKV_SHARED_READER_H
#define RINGKV_SHARED_READER_H

#include "shared/bytes.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <stdbool.h>

struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static inline struct reader reader_of(struct bytes in)
{
    return (struct reader){in.data, in.size, false};
}

static inline struct bytes reader_bytes(struct reader *r, size_t size)
{
    struct bytes found = {r->at, size};

    if (size > r->left) {
        r->bad = true;
        return (struct bytes){0};
    }
    if (size)
        r->at += size; /* NULL + 0 is undefined in C */
    r->left -= size;
    return found;
}

#define READER_NUMBER(name, type)                            \
    static inline type reader_##name(struct reader *r)       \
    {                                                        \
        struct bytes found = reader_bytes(r, sizeof(type));  \
                                                             \
        return found.data ? wire_get_##name(found.data) : 0; \
    }

READER_NUMBER(u16, uint16_t)
READER_NUMBER(u32, uint32_t)
READER_NUMBER(u64, uint64_t)
READER_NUMBER(i64, int64_t)
#undef READER_NUMBER

static inline uint8_t reader_u8(struct reader *r)
{
    struct bytes found = reader_bytes(r, 1);

    return found.data ? found.data[0] : 0;
}

static inline void reader_copy(struct reader *r, void *to, size_t size)
{
    struct bytes found = reader_bytes(r, size);

    if (found.data)
        memcpy(to, found.data, size);
    else
        memset(to, 0, size);
}

/* u32 size, then so many bytes. */
static inline struct bytes reader_sized(struct reader *r)
{
    return reader_bytes(r, reader_u32(r));
}

static inline struct bytes reader_rest(struct reader *r)
{
    return reader_bytes(r, r->left);
}

/* Everything was there and nothing is left over: 0, else RK_CORRUPT. */
static inline int reader_end(const struct reader *r)
{
    return r->bad || r->left ? RK_CORRUPT : 0;
}

#endif
