#include "shared/ring.h"
#include "shared/error.h"
#include "shared/ring_check.h"
#include "shared/ring_walk.h"
#include <assert.h>
#include <stdlib.h>

uint64_t ring_first_position(const struct ring *r, uint32_t partition)
{
    return r->bits ? (uint64_t)partition << (64 - r->bits) : 0;
}

uint64_t ring_last_position(const struct ring *r, uint32_t partition)
{
    return ring_first_position(r, partition) + (UINT64_MAX >> r->bits);
}

struct ring *ring_new(uint32_t member_count, uint8_t bits)
{
    struct ring *r;

    assert(member_count <= MEMBERS_MAX && bits <= PARTITION_BITS_MAX);
    r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->bits = bits;
    r->member_count = member_count;
    r->members = calloc(member_count ? member_count : 1, sizeof(*r->members));
    r->owners = calloc(ring_partitions(r), sizeof(*r->owners));
    r->sets = calloc(ring_partitions(r), sizeof(*r->sets));
    if (!r->members || !r->owners || !r->sets) {
        ring_free(r);
        return NULL;
    }
    return r;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    free(r->members);
    free(r->owners);
    free(r->sets);
    free(r);
}

/* Two rounds: the first only fills the walk, so that the last partitions see around the end. */
static void derive_sets(struct ring *r, const uint16_t zones[MEMBERS_MAX])
{
    struct ring_walk walk = {0};
    uint32_t count = ring_partitions(r);

    for (uint32_t p = count; p-- > 0;)
        ring_walk_back(&walk, r->owners[p], zones[r->owners[p]], r->replicas);
    for (uint32_t p = count; p-- > 0;) {
        ring_walk_back(&walk, r->owners[p], zones[r->owners[p]], r->replicas);
        ring_walk_replicas(&walk, r->replicas, &r->sets[p]);
    }
}

int ring_finish(struct ring *r, char *why, size_t why_size)
{
    uint16_t zones[MEMBERS_MAX];
    int error = ring_check(r, why, why_size);

    if (error)
        return error;
    ring_zones(r, zones);
    derive_sets(r, zones);
    return 0;
}

int ring_member_by_identity(const struct ring *r, const uint8_t identity[IDENTITY_SIZE])
{
    for (uint32_t i = 0; i < r->member_count; i++)
        if (memcmp(r->members[i].identity, identity, IDENTITY_SIZE) == 0)
            return (int)i;
    return -1;
}

int ring_member_by_name(const struct ring *r, const char *name)
{
    for (uint32_t i = 0; i < r->member_count; i++)
        if (strcmp(r->members[i].name, name) == 0)
            return (int)i;
    return -1;
}

int ring_member_by_number(const struct ring *r, uint16_t number)
{
    uint32_t low = 0, high = r->member_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (r->members[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->member_count && r->members[low].number == number ? (int)low : -1;
}
