#include "node/skip_list.h"
#include <assert.h>
#include <stdlib.h>

void skip_list_init(struct skip_list *l, uint64_t seed)
{
    *l = (struct skip_list){.random = seed * 2 + 1};
}

void skip_list_free(struct skip_list *l)
{
    struct skip_entry *entry = l->first[0];

    while (entry) {
        struct skip_entry *next = entry->next[0];

        free(entry);
        entry = next;
    }
    skip_list_init(l, 0);
}

/* Fills `before` with the links that lead past the last entry below `key`, a link a level. */
static struct skip_entry *skip_list_path(struct skip_list *l, struct bytes key,
                                         struct skip_entry **before[SKIP_HEIGHT_MAX])
{
    struct skip_entry **links = l->first;

    for (unsigned level = SKIP_HEIGHT_MAX; level-- > 0;) {
        while (links[level] && bytes_compare(links[level]->key, key) < 0)
            links = links[level]->next;
        before[level] = &links[level];
    }
    return *before[0];
}

struct skip_entry *skip_list_seek(const struct skip_list *l, struct bytes key)
{
    struct skip_entry *const *links = l->first;

    for (unsigned level = SKIP_HEIGHT_MAX; level-- > 0;)
        while (links[level] && bytes_compare(links[level]->key, key) < 0)
            links = links[level]->next;
    return links[0];
}

struct skip_entry *skip_list_find(const struct skip_list *l, struct bytes key)
{
    struct skip_entry *entry = skip_list_seek(l, key);

    return entry && bytes_equal(entry->key, key) ? entry : NULL;
}

/* One more level with a chance of one in four. */
static unsigned skip_list_height(struct skip_list *l)
{
    unsigned height = 1;

    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    for (uint64_t bits = l->random >> 16; height < SKIP_HEIGHT_MAX && (bits & 3) == 0; bits >>= 2)
        height++;
    return height;
}

struct skip_entry *skip_list_insert(struct skip_list *l, struct bytes key)
{
    struct skip_entry **before[SKIP_HEIGHT_MAX];
    struct skip_entry *entry = skip_list_path(l, key, before);

    if (entry && bytes_equal(entry->key, key))
        return entry;

    unsigned height = skip_list_height(l);
    size_t links_size = height * sizeof(entry->next[0]);

    entry = malloc(sizeof(*entry) + links_size + key.size);
    if (!entry)
        return NULL;

    uint8_t *copy = (uint8_t *)entry + sizeof(*entry) + links_size;

    if (key.size)
        memcpy(copy, key.data, key.size);
    *entry = (struct skip_entry){.key = bytes_of(copy, key.size), .height = height};
    for (unsigned level = 0; level < height; level++) {
        entry->next[level] = *before[level];
        *before[level] = entry;
    }
    l->count++;
    return entry;
}

void skip_list_remove(struct skip_list *l, struct skip_entry *entry)
{
    struct skip_entry **before[SKIP_HEIGHT_MAX];
    struct skip_entry *found = skip_list_path(l, entry->key, before);

    assert(found == entry);
    for (unsigned level = 0; level < found->height; level++)
        *before[level] = found->next[level];
    free(found);
    l->count--;
}
