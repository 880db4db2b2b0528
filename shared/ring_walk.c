#include "shared/ring_walk.h"

/* Puts `value` in front of the list, taking it out of where it was, else dropping the last when
 * there are `limit`. Returns the place from which the entries before it moved up. */
static uint8_t to_front(uint16_t *list, uint8_t *count, uint16_t value, uint8_t limit)
{
    uint8_t hole = 0;

    while (hole < *count && list[hole] != value)
        hole++;
    if (hole == *count) {
        if (*count < limit)
            (*count)++;
        else
            hole--;
    }
    for (uint8_t i = hole; i > 0; i--)
        list[i] = list[i - 1];
    list[0] = value;
    return hole;
}

void ring_walk_back(struct ring_walk *walk, uint16_t member, uint16_t zone, uint8_t replicas)
{
    uint8_t hole;

    to_front(walk->member, &walk->member_count, member, replicas);
    hole = to_front(walk->zone, &walk->zone_count, zone, replicas);
    for (uint8_t i = hole; i > 0; i--)
        walk->zone_member[i] = walk->zone_member[i - 1];
    walk->zone_member[0] = member;
}

void ring_walk_replicas(const struct ring_walk *walk, uint8_t replicas, struct ring_replicas *set)
{
    set->count = 0;
    for (uint8_t i = 0; i < walk->zone_count; i++)
        set->member[set->count++] = walk->zone_member[i];
    for (uint8_t i = 0; i < walk->member_count && set->count < replicas; i++)
        if (!ring_replicas_has(set, walk->member[i]))
            set->member[set->count++] = walk->member[i];
}
