/* Any bytes as a ring: what is accepted is a ring that encodes to the same bytes.
 *
 * The last four bytes are replaced with the right checksum unless the input's first byte is odd,
 * else nothing beyond the checksum would ever be reached. */
#include "shared/crc32c.h"
#include "shared/error.h"
#include "shared/ring.h"
#include "shared/wire.h"
#include "tests/fuzz/check.h"

static void check_configuration(const struct ring *r, const uint16_t *owners, uint8_t replicas,
                                const struct ring_replicas *sets)
{
    for (uint32_t p = 0; p < ring_partitions(r); p++) {
        CHECK(sets[p].count >= 1 && sets[p].count <= replicas && sets[p].count <= r->member_count);
        CHECK(sets[p].member[0] == owners[p]);
        for (uint16_t i = 0; i < sets[p].count; i++)
            CHECK(sets[p].member[i] < r->member_count);
    }
}

static void check_sets(const struct ring *r)
{
    check_configuration(r, r->owners, r->replicas, r->sets);
    if (r->change)
        check_configuration(r, r->change->owners, r->change->replicas, r->change->sets);
}

static void check_round_trip(const struct ring *r, struct bytes in)
{
    struct buf out = {0};

    CHECK(ring_encode(r, &out) == 0);
    CHECK(bytes_equal(buf_bytes(&out), in));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[64] = "";
    struct ring *r;
    uint8_t *copy;
    struct bytes in;
    int error;

    if (size < 1)
        return 0;
    in = bytes_of(data + 1, size - 1);
    copy = malloc(in.size ? in.size : 1);
    CHECK(copy);
    memcpy(copy, in.data, in.size);
    in.data = copy;
    if (!(data[0] & 1) && in.size >= 4)
        wire_put_u32(copy + in.size - 4, crc32c(0, copy, in.size - 4));
    error = ring_decode(in, &r, why, sizeof(why));
    if (error == 0) {
        check_sets(r);
        check_round_trip(r, in);
    } else {
        CHECK(error == RK_CORRUPT || error == RK_VERSION || error == RK_INVALID);
        CHECK(!r && why[0]);
    }
    ring_free(r);
    free(copy);
    return 0;
}
