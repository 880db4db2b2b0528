#include "node/range_digest.h"
#include "shared/wire.h"

/* Odd numbers without a pattern: the fractional parts of the square roots of 2, 3, 5 and 7. */
static const uint64_t factors[2] = {UINT64_C(0x6a09e667f3bcc909), UINT64_C(0xbb67ae8584caa73b)};
static const uint64_t seeds[2] = {UINT64_C(0x3c6ef372fe94f82b), UINT64_C(0xa54ff53a5f1d36f1)};

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ const unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static void add_word(struct range_digest *d, uint64_t word)
{
    /* The seed keeps a lane that has come to zero from staying there. */
    d->lanes[0] = fold(d->lanes[0] ^ word, factors[0]) + seeds[0];
    d->lanes[1] = fold(d->lanes[1] ^ word, factors[1]) + seeds[1];
}

static void add_bytes(struct range_digest *d, struct bytes in)
{
    for (; in.size >= 8; in.data += 8, in.size -= 8)
        add_word(d, wire_get_u64(in.data));
    if (in.size) {
        uint8_t last[8] = {0};

        memcpy(last, in.data, in.size);
        add_word(d, wire_get_u64(last));
    }
}

void range_digest_add(struct range_digest *d, struct bytes key, const struct store_record *record)
{
    /* The sizes come first: so no bytes can pass for those of another field. */
    add_word(d, (uint64_t)record->value.size << 32 | (uint64_t)key.size << 1 | record->deleted);
    add_word(d, record->version.view);
    add_word(d, record->version.op);
    add_word(d, (uint64_t)record->expire_ms);
    add_bytes(d, key);
    add_bytes(d, record->value);
    d->count++;
}

bool range_digest_equal(const struct range_digest *a, const struct range_digest *b)
{
    return a->count == b->count && a->lanes[0] == b->lanes[0] && a->lanes[1] == b->lanes[1];
}
