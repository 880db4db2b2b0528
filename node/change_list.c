#include "node/change_list.h"
#include "shared/crc32c.h"
#include "shared/error.h"
#include <stdlib.h>

/* So many are looked through faster than an index is kept. */
enum { FEW = 16 };

static size_t first_place(const struct change_list *l, struct bytes key)
{
    return crc32c(0, key.data, key.size) & (l->place_count - 1);
}

static void note_place(struct change_list *l, size_t index)
{
    size_t at = first_place(l, l->items[index].key);

    while (l->places[at])
        at = (at + 1) & (l->place_count - 1);
    l->places[at] = (uint32_t)index + 1;
}

/* Places for twice as many changes as there can be before the next time. */
static int make_places(struct change_list *l)
{
    size_t count = l->place_count ? l->place_count * 2 : (size_t)FEW * 4;
    uint32_t *places = calloc(count, sizeof(*places));

    if (!places)
        return RK_NOMEM;
    free(l->places);
    l->places = places;
    l->place_count = count;
    for (size_t i = 0; i < l->count; i++)
        note_place(l, i);
    return 0;
}

static struct store_change *find(const struct change_list *l, struct bytes key)
{
    if (l->count <= FEW) {
        for (size_t i = 0; i < l->count; i++)
            if (bytes_equal(l->items[i].key, key))
                return &l->items[i];
        return NULL;
    }
    for (size_t at = first_place(l, key); l->places[at]; at = (at + 1) & (l->place_count - 1))
        if (bytes_equal(l->items[l->places[at] - 1].key, key))
            return &l->items[l->places[at] - 1];
    return NULL;
}

const struct store_change *change_list_find(const struct change_list *l, struct bytes key)
{
    return find(l, key);
}

static int grow(struct change_list *l)
{
    size_t size = l->size ? l->size * 2 : 8;
    struct store_change *items;

    if (l->count < l->size)
        return 0;
    items = realloc(l->items, size * sizeof(*items));
    if (!items)
        return RK_NOMEM;
    l->items = items;
    l->size = size;
    return 0;
}

int change_list_put(struct change_list *l, const struct store_change *change)
{
    struct store_change *same = find(l, change->key);

    if (same) {
        *same = *change;
        return 0;
    }
    if (grow(l) != 0 ||
        (l->count >= FEW && (l->count == FEW || l->count * 2 >= l->place_count) && make_places(l)))
        return RK_NOMEM;
    l->items[l->count] = *change;
    l->count++;
    if (l->count > FEW)
        note_place(l, l->count - 1);
    return 0;
}

void change_list_clear(struct change_list *l)
{
    l->count = 0;
    free(l->places);
    l->places = NULL;
    l->place_count = 0;
}

void change_list_free(struct change_list *l)
{
    change_list_clear(l);
    free(l->items);
    *l = (struct change_list){0};
}
