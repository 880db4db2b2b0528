/* Every bound of ringkv that is not configurable, in one place and related to each other.
 *
 * A bound that an operator may change has its default and its range in the configuration tables
 * (node/options.c, proxy/options.c); what stands here is what the formats and tables can hold.
 */
#ifndef RINGKV_SHARED_LIMITS_H
#define RINGKV_SHARED_LIMITS_H

enum {
    /* Keys and values. LMDB's keys end at 511 bytes; a position takes 8, the rest is room. */
    KEY_SIZE_MAX = 496,
    POSITION_SIZE = 8,
    STORE_KEY_SIZE_MAX = POSITION_SIZE + KEY_SIZE_MAX,
    VALUE_SIZE_MAX = 64 << 20,

    /* The ring. */
    PARTITION_BITS_MAX = 16,
    PARTITIONS_MAX = 1 << PARTITION_BITS_MAX,
    PARTITIONS_DEFAULT = 1024,
    MEMBERS_MAX = 1024,
    REPLICAS_MAX = 7,
    REPLICAS_DEFAULT = 3,
    WEIGHT_MAX = 10000,
    NAME_SIZE_MAX = 32,
    HOST_SIZE_MAX = 255,
    IDENTITY_SIZE = 16,
    SHARDS_MAX = 64,

    /* Frames between our own programs. */
    FRAME_HEADER_SIZE = 12,
    FRAME_BODY_MAX = VALUE_SIZE_MAX + (1 << 20),
    MESSAGE_ARGS_MAX = 4096,

    /* RESP from clients. */
    RESP_INLINE_MAX = 64 << 10,
    RESP_ARGS_MAX = 1 << 20,
    RESP_BULK_MAX = 512 << 20,
};

_Static_assert(STORE_KEY_SIZE_MAX <= 511, "LMDB's default key limit");
_Static_assert(FRAME_BODY_MAX > VALUE_SIZE_MAX + STORE_KEY_SIZE_MAX, "a record fits in a frame");

#endif
