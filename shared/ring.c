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
    r->changed = calloc(ring_partitions(r), sizeof(*r->changed));
    r->log = calloc(RING_LOG_MAX, sizeof(*r->log));
    if (!r->members || !r->owners || !r->sets || !r->changed || !r->log) {
        ring_free(r);
        return NULL;
    }
    return r;
}

static void change_free(struct ring_change *c)
{
    if (!c)
        return;
    free(c->owners);
    free(c->sets);
    free(c->phases);
    free(c);
}

int ring_add_change(struct ring *r)
{
    struct ring_change *c = calloc(1, sizeof(*c));

    assert(!r->change);
    if (!c)
        return RK_NOMEM;
    c->owners = calloc(ring_partitions(r), sizeof(*c->owners));
    c->sets = calloc(ring_partitions(r), sizeof(*c->sets));
    c->phases = calloc(ring_partitions(r), sizeof(*c->phases));
    if (!c->owners || !c->sets || !c->phases) {
        change_free(c);
        return RK_NOMEM;
    }
    r->change = c;
    return 0;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    free(r->members);
    free(r->owners);
    free(r->sets);
    free(r->changed);
    free(r->log);
    change_free(r->change);
    free(r);
}

/* Two rounds: the first only fills the walk, so that the last partitions see around the end. */
static void derive_sets(uint32_t count, const uint16_t *owners, uint8_t replicas,
                        const uint16_t zones[MEMBERS_MAX], struct ring_replicas *sets)
{
    struct ring_walk walk = {0};

    for (uint32_t p = count; p-- > 0;)
        ring_walk_back(&walk, owners[p], zones[owners[p]], replicas);
    for (uint32_t p = count; p-- > 0;) {
        ring_walk_back(&walk, owners[p], zones[owners[p]], replicas);
        ring_walk_replicas(&walk, replicas, &sets[p]);
    }
}

void ring_fill_in(struct ring *r)
{
    for (uint32_t i = 0; i < r->member_count && !r->change; i++) {
        struct ring_member *m = &r->members[i];

        m->flags = RING_MEMBER_CURRENT | RING_MEMBER_TARGET;
        m->next_weight = m->weight;
        memcpy(m->next_zone, m->zone, sizeof(m->zone));
    }
    for (uint32_t p = 0; p < ring_partitions(r); p++)
        if (r->changed[p] == 0)
            r->changed[p] = 1;
}

int ring_finish(struct ring *r, char *why, size_t why_size)
{
    uint16_t zones[MEMBERS_MAX];
    int error;

    ring_fill_in(r);
    error = ring_check(r, why, why_size);
    if (error)
        return error;
    ring_zones(r, false, zones);
    derive_sets(ring_partitions(r), r->owners, r->replicas, zones, r->sets);
    if (r->change) {
        ring_zones(r, true, zones);
        derive_sets(ring_partitions(r), r->change->owners, r->change->replicas, zones,
                    r->change->sets);
    }
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
