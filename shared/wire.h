/* Numbers in our own formats: little-endian, unaligned. Positions are big-endian, so that LMDB's
 * byte order is the ring's order. */
#ifndef RINGKV_SHARED_WIRE_H
#define RINGKV_SHARED_WIRE_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ringkv's formats are little-endian; this machine needs byte swaps in shared/wire.h"
#endif

#define WIRE_NUMBER(name, type)                                 \
    static inline void wire_put_##name(uint8_t *at, type value) \
    {                                                           \
        memcpy(at, &value, sizeof(value));                      \
    }                                                           \
    static inline type wire_get_##name(const uint8_t *at)       \
    {                                                           \
        type value;                                             \
        memcpy(&value, at, sizeof(value));                      \
        return value;                                           \
    }

WIRE_NUMBER(u16, uint16_t)
WIRE_NUMBER(u32, uint32_t)
WIRE_NUMBER(u64, uint64_t)
WIRE_NUMBER(i64, int64_t)
#undef WIRE_NUMBER

static inline void wire_put_position(uint8_t *at, uint64_t position)
{
    position = __builtin_bswap64(position);
    memcpy(at, &position, sizeof(position));
}

static inline uint64_t wire_get_position(const uint8_t *at)
{
    uint64_t position;

    memcpy(&position, at, sizeof(position));
    return __builtin_bswap64(position);
}

#endif
