#include "node/key_range.h"
#include "shared/wire.h"

void key_bound_set(struct key_bound *b, struct bytes key)
{
    b->size = (uint16_t)key.size;
    if (key.size)
        memcpy(b->key, key.data, key.size);
}

struct bytes key_range_first(const struct ring *ring, uint32_t partition, struct bytes lower,
                             uint8_t room[STORE_KEY_SIZE_MAX + 1])
{
    if (lower.size == 0) {
        wire_put_position(room, ring_first_position(ring, partition));
        return bytes_of(room, POSITION_SIZE);
    }
    memcpy(room, lower.data, lower.size);
    room[lower.size] = 0;
    return bytes_of(room, lower.size + 1);
}

struct bytes key_range_last(const struct ring *ring, uint32_t partition, struct bytes upper,
                            uint8_t room[STORE_KEY_SIZE_MAX])
{
    if (upper.size)
        return upper;
    memset(room, 0xff, STORE_KEY_SIZE_MAX);
    wire_put_position(room, ring_last_position(ring, partition));
    return bytes_of(room, STORE_KEY_SIZE_MAX);
}
