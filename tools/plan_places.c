#include "tools/plan_places.h"
#include "shared/error.h"
#include <stdlib.h>

int plan_places_init(struct plan_places *places, const struct plan_state *s)
{
    places->count = 0;
    places->partitions = malloc(s->partitions * sizeof(*places->partitions));
    return places->partitions ? 0 : RK_NOMEM;
}

void plan_places_free(struct plan_places *places)
{
    free(places->partitions);
}

static bool in_range(const struct plan_range *range, uint32_t count)
{
    return count >= range->low && count <= range->high;
}

static bool member_fits(const struct plan_state *s, uint16_t member)
{
    return in_range(&s->shares->primaries[member], s->owned[member]) &&
           in_range(&s->shares->replica_range[member], s->held[member]);
}

bool plan_all_fit(const struct plan_state *s)
{
    for (uint32_t i = 0; i < s->shares->member_count; i++)
        if (!member_fits(s, (uint16_t)i))
            return false;
    return true;
}

static bool is_place(const struct plan_state *s, uint32_t partition, bool moves)
{
    const struct ring_replicas *set = &s->sets[partition];

    for (uint16_t i = 0; i < set->count; i++) {
        if (!member_fits(s, set->member[i]))
            return true;
        if (moves && !ring_replicas_has(&s->origin->sets[partition], set->member[i]))
            return true;
    }
    return false;
}

void plan_places_list(struct plan_places *places, struct plan_state *s, bool moves)
{
    places->count = 0;
    for (uint32_t p = 0; p < s->partitions; p++)
        if (is_place(s, p, moves))
            places->partitions[places->count++] = p;
    s->work += s->partitions / 8;
}

uint32_t plan_places_near(const struct plan_places *places, const struct plan_state *s,
                          uint64_t random)
{
    uint32_t place = places->partitions[(random >> 8) % places->count];

    return (place + (uint32_t)(random & 0xff) % s->replicas) & (s->partitions - 1);
}
