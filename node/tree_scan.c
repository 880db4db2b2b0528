#include "node/tree_scan.h"
#include "shared/error.h"
#include "shared/wire.h"

void tree_scan_begin(struct tree_scan *s, const struct tree_file *f, struct tree_table table,
                     size_t key_size_max)
{
    s->file = f;
    s->table = table;
    s->key_size_max = key_size_max;
    s->depth = 0;
    s->last = bytes_of(NULL, 0);
    s->damaged_page = 0;
    s->damage = NULL;
}

static int damaged(struct tree_scan *s, uint64_t number, const char *what)
{
    s->damaged_page = number;
    s->damage = what;
    return RK_CORRUPT;
}

static int compare(struct bytes a, struct bytes b)
{
    if (a.size >= sizeof(uint64_t) && b.size >= sizeof(uint64_t)) {
        uint64_t left = wire_get_position(a.data), right = wire_get_position(b.data);

        if (left != right)
            return left < right ? -1 : 1;
    }
    return bytes_compare(a, b);
}

static struct tree_scan_level *end_of(struct tree_scan *s)
{
    return &s->way[s->depth - 1];
}

/* Adds a page to the way. */
static int enter(struct tree_scan *s, uint64_t number)
{
    struct tree_scan_level *level = &s->way[s->depth];
    unsigned kind = s->depth + 1 < s->table.depth ? TREE_BRANCH : TREE_LEAF;

    *level = (struct tree_scan_level){.number = number};
    if (!tree_page_open(s->file, number, &level->page) || level->page.kind != kind)
        return damaged(s, number, "it is not the page that another says it is");
    s->depth++;
    return 0;
}

static int node_of(struct tree_scan *s, struct tree_scan_level *level, unsigned i,
                   struct tree_node *out)
{
    return tree_node_open(&level->page, i, out)
               ? 0
               : damaged(s, level->number, "an entry lies outside of it");
}

/* The first node at or behind `first` whose key is not below this one; with `above`: is above it.
 */
static int search(struct tree_scan *s, unsigned first, struct bytes key, bool above, unsigned *at)
{
    struct tree_scan_level *level = end_of(s);
    unsigned low = first, high = level->page.nodes;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        struct tree_node node;
        int order;

        if (node_of(s, level, middle, &node) != 0)
            return RK_CORRUPT;
        order = compare(node.key, key);
        if (above ? order > 0 : order >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    *at = low;
    return 0;
}

static int enter_child(struct tree_scan *s, unsigned i)
{
    struct tree_scan_level *level = end_of(s);
    struct tree_node node;

    level->at = i;
    return node_of(s, level, i, &node) ? RK_CORRUPT : enter(s, tree_node_child(&node));
}

static int seek(struct tree_scan *s, struct bytes from)
{
    unsigned at;
    int error;

    s->depth = 0;
    s->last = bytes_of(NULL, 0);
    if (s->table.root == TREE_EMPTY)
        return RK_NOTFOUND;
    error = enter(s, s->table.root);
    while (!error && s->depth < s->table.depth) {
        at = 1;
        if (from.size)
            error = search(s, 1, from, true, &at);
        if (!error)
            error = enter_child(s, at - 1);
    }
    return error || !from.size ? error : search(s, 0, from, false, &end_of(s)->at);
}

/* Goes to the beginning of the leaf behind this one. */
static int next_leaf(struct tree_scan *s)
{
    int error = 0;

    do {
        if (s->depth <= 1)
            return RK_NOTFOUND;
        s->depth--;
    } while (end_of(s)->at + 1 >= end_of(s)->page.nodes);
    error = enter_child(s, end_of(s)->at + 1);
    while (!error && s->depth < s->table.depth)
        error = enter_child(s, 0);
    return error;
}

/* The entry at the end of the way. */
static int give(struct tree_scan *s, struct bytes *key, struct bytes *value)
{
    struct tree_scan_level *level = end_of(s);
    struct tree_node node;

    if (node_of(s, level, level->at, &node) != 0)
        return RK_CORRUPT;
    if (node.key.size == 0 || node.key.size > s->key_size_max)
        return damaged(s, level->number, "a key has a size that none has");
    /* A page of another place would make the scan leave out what should be here. */
    if (s->last.data && compare(node.key, s->last) <= 0)
        return damaged(s, level->number, "its keys do not follow those before it");
    s->last = *key = node.key;
    if (!tree_node_value(&level->page, &node, value))
        *value = bytes_of(NULL, 0);
    return 0;
}

int tree_scan_move(struct tree_scan *s, const struct bytes *from, struct bytes *key,
                   struct bytes *value)
{
    int error = 0;

    if (from)
        error = seek(s, *from);
    else
        end_of(s)->at++;
    while (!error && end_of(s)->at >= end_of(s)->page.nodes)
        error = next_leaf(s);
    if (!error)
        error = give(s, key, value);
    if (!error && from && compare(*key, *from) < 0)
        error = damaged(s, end_of(s)->number, "its keys do not follow those before it");
    return error;
}
