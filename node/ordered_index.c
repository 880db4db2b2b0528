#include "node/ordered_index.h"
#include "node/memory_table.h"
#include "shared/wire.h"
#include <assert.h>
#include <string.h>

enum { NODE_ENTRIES = 32 };

/* In a leaf, `to` is the record itself. Above, `records[i]` is the first record below child i; that
 * of child 0 is never looked at. */
struct index_node {
    unsigned count;
    bool leaf;
    uint64_t numbers[NODE_ENTRIES];
    struct memory_record *records[NODE_ENTRIES];
    struct index_node *next;       /* of a leaf */
    struct index_node *children[]; /* NODE_ENTRIES of them, above the leaves */
};

enum {
    LEAF_SIZE = sizeof(struct index_node),
    INNER_SIZE = sizeof(struct index_node) + NODE_ENTRIES * sizeof(struct index_node *),
};

uint64_t index_number_of_key(struct bytes key)
{
    uint8_t first[8] = {0};

    if (key.size >= 8)
        return wire_get_position(key.data);
    if (key.size)
        memcpy(first, key.data, key.size);
    return wire_get_position(first);
}

static int entry_compare(const struct index_node *node, unsigned i, uint64_t number,
                         struct bytes key)
{
    if (node->numbers[i] != number)
        return node->numbers[i] < number ? -1 : 1;
    return bytes_compare(memory_record_key(node->records[i]), key);
}

/* The first of entries first..count-1 that is not below (number, key). */
static unsigned node_lower(const struct index_node *node, unsigned first, uint64_t number,
                           struct bytes key)
{
    unsigned end = node->count;

    while (first < end) {
        unsigned middle = (first + end) / 2;

        if (entry_compare(node, middle, number, key) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* The child in which (number, key) belongs. */
static unsigned node_child(const struct index_node *node, uint64_t number, struct bytes key)
{
    unsigned at = node_lower(node, 1, number, key);

    return at < node->count && entry_compare(node, at, number, key) == 0 ? at : at - 1;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t ordered_index_reserve(const struct ordered_index *x, size_t count)
{
    /* An insertion splits at most one node a level. Many of them split every node that is there
     * once, and what came of it again only after half a node of insertions (twice as often at the
     * far end). */
    size_t leaves = smaller(count, x->leaves + count / (NODE_ENTRIES / 4)) + 1;
    size_t inner =
        smaller(count * (x->depth + 1), x->inner + count / (NODE_ENTRIES / 4) + x->depth);

    return leaves * memory_rounded(LEAF_SIZE) + (inner + 1) * memory_rounded(INNER_SIZE);
}

static struct index_node *node_new(struct ordered_index *x, struct memory_arena *arena, bool leaf)
{
    struct index_node *node = memory_arena_take(arena, leaf ? LEAF_SIZE : INNER_SIZE);

    if (leaf)
        x->leaves++;
    else
        x->inner++;
    node->count = 0;
    node->leaf = leaf;
    node->next = NULL;
    return node;
}

static void node_put(struct index_node *node, unsigned at, uint64_t number,
                     struct memory_record *record, struct index_node *child)
{
    unsigned behind = node->count - at;

    memmove(&node->numbers[at + 1], &node->numbers[at], behind * sizeof(node->numbers[0]));
    memmove(&node->records[at + 1], &node->records[at], behind * sizeof(node->records[0]));
    if (!node->leaf) {
        memmove(&node->children[at + 1], &node->children[at], behind * sizeof(node->children[0]));
        node->children[at] = child;
    }
    node->numbers[at] = number;
    node->records[at] = record;
    node->count++;
}

/* Moves the entries from `at` on into a new node behind this one. */
static struct index_node *node_split(struct ordered_index *x, struct index_node *node, unsigned at,
                                     struct memory_arena *arena)
{
    struct index_node *right = node_new(x, arena, node->leaf);

    right->count = node->count - at;
    memcpy(right->numbers, &node->numbers[at], right->count * sizeof(right->numbers[0]));
    memcpy(right->records, &node->records[at], right->count * sizeof(right->records[0]));
    if (!node->leaf)
        memcpy(right->children, &node->children[at], right->count * sizeof(right->children[0]));
    right->next = node->next;
    if (node->leaf)
        node->next = right;
    node->count = at;
    return right;
}

/* Puts an entry into a node, splitting it if it is full. Returns the node that came behind it, or
 * NULL. */
static struct index_node *node_insert(struct ordered_index *x, struct index_node *node, unsigned at,
                                      uint64_t number, struct memory_record *record,
                                      struct index_node *child, struct memory_arena *arena)
{
    /* Expiries come in ascending order more often than not: then a leaf stays full. */
    bool ascending = node->leaf && !node->next && at == node->count;
    struct index_node *right;

    if (node->count < NODE_ENTRIES) {
        node_put(node, at, number, record, child);
        return NULL;
    }
    right = node_split(x, node, ascending ? NODE_ENTRIES - 1 : NODE_ENTRIES / 2, arena);
    if (at > node->count)
        node_put(right, at - node->count, number, record, child);
    else
        node_put(node, at, number, record, child);
    return right;
}

static void root_grow(struct ordered_index *x, struct index_node *right, struct memory_arena *arena)
{
    struct index_node *root = node_new(x, arena, false);

    node_put(root, 0, x->root->numbers[0], x->root->records[0], x->root);
    node_put(root, 1, right->numbers[0], right->records[0], right);
    x->root = root;
    x->depth++;
    assert(x->depth < INDEX_DEPTH_MAX);
}

void ordered_index_insert(struct ordered_index *x, struct memory_arena *arena, uint64_t number,
                          struct memory_record *record)
{
    struct bytes key = memory_record_key(record);
    struct index_node *path[INDEX_DEPTH_MAX], *node, *right;
    unsigned child[INDEX_DEPTH_MAX], level, at;

    if (!x->root)
        x->root = node_new(x, arena, true);
    node = x->root;
    for (level = 0; level < x->depth; level++) {
        path[level] = node;
        child[level] = node_child(node, number, key);
        node = node->children[child[level]];
    }
    at = node_lower(node, 0, number, key);
    if (at < node->count && entry_compare(node, at, number, key) == 0) {
        node->records[at] = record;
        return;
    }
    right = node_insert(x, node, at, number, record, NULL, arena);
    while (right && level-- > 0)
        right = node_insert(x, path[level], child[level] + 1, right->numbers[0], right->records[0],
                            right, arena);
    if (right)
        root_grow(x, right, arena);
}

struct index_place ordered_index_seek(const struct ordered_index *x, uint64_t number,
                                      struct bytes key)
{
    const struct index_node *node = x->root;
    struct index_place place;

    if (!node)
        return (struct index_place){NULL, 0};
    while (!node->leaf)
        node = node->children[node_child(node, number, key)];
    place = (struct index_place){node, node_lower(node, 0, number, key)};
    if (place.slot == node->count)
        place = (struct index_place){node->next, 0};
    return place;
}

struct memory_record *ordered_index_at(struct index_place place, uint64_t *number)
{
    if (!place.leaf)
        return NULL;
    *number = place.leaf->numbers[place.slot];
    return place.leaf->records[place.slot];
}

struct index_place ordered_index_next(struct index_place place)
{
    if (place.slot + 1 < place.leaf->count)
        return (struct index_place){place.leaf, place.slot + 1};
    return (struct index_place){place.leaf->next, 0};
}
