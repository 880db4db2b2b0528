#include "shared/proof.h"
#include "shared/message.h"
#include "shared/wire.h"
#include <string.h>

void proof_put_head(uint8_t head[16], uint64_t view, uint64_t op)
{
    wire_put_u64(head, view);
    wire_put_u64(head + 8, op);
}

void proof_put_version(uint8_t version[16], uint64_t view, uint64_t op)
{
    proof_put_head(version, view, op);
}

bool proof_same_state(struct bytes of_value, struct bytes of_versions)
{
    return of_value.size >= PROOF_HEAD_SIZE && of_value.size == of_versions.size &&
           of_value.size % PROOF_VERSION_SIZE == 0 &&
           wire_get_u64(of_value.data) == wire_get_u64(of_versions.data) &&
           wire_get_u64(of_value.data + 8) >= wire_get_u64(of_versions.data + 8);
}

/* Whether a version is one that a key had at an operation of a view already. */
static bool is_of_old(const uint8_t *version, uint64_t view, uint64_t since)
{
    uint64_t of = wire_get_u64(version);

    return of < view || (of == view && wire_get_u64(version + 8) <= since);
}

bool proof_same_records(struct bytes of_value, struct bytes of_versions)
{
    const uint8_t *a = of_value.data, *b = of_versions.data;
    uint64_t view = wire_get_u64(a), since = wire_get_u64(b + 8);

    for (size_t i = PROOF_HEAD_SIZE; i < of_value.size; i += PROOF_VERSION_SIZE) {
        bool unchanged = wire_get_u64(b + i) == PROOF_UNCHANGED;

        if (unchanged ? !is_of_old(a + i, view, since)
                      : memcmp(a + i, b + i, PROOF_VERSION_SIZE) != 0)
            return false;
    }
    return true;
}

bool proof_is_within(struct bytes of_value, uint64_t view, uint64_t op)
{
    if (of_value.size < PROOF_HEAD_SIZE || of_value.size % PROOF_VERSION_SIZE != 0 ||
        wire_get_u64(of_value.data) != view || wire_get_u64(of_value.data + 8) < op)
        return false;
    for (size_t i = PROOF_HEAD_SIZE; i < of_value.size; i += PROOF_VERSION_SIZE)
        if (!is_of_old(of_value.data + i, view, op))
            return false;
    return true;
}
