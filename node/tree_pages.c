#include "node/tree_pages.h"
#include "shared/error.h"
#include "shared/wire.h"

enum {
    LINE_SIZE = 64,
    NODES_AHEAD = 2,     /* on either side of a guess: it is rarely further off */
    RECORD_LINES = 4,    /* of a leaf's node, when it is looked for: a small record's */
    LEAF_NODE_LINES = 3, /* of each leaf's node that it may be */
};

/* What is looked for, its first 8 bytes as a number, and between which such numbers it lies. */
struct wanted {
    struct bytes key;
    uint64_t position, low, high;
    bool loose; /* a bound is further off than the neighbour is, whose key has less than 8 bytes */
};

bool tree_pages_known(void)
{
    const uint16_t one = 1;

    return sizeof(size_t) == sizeof(uint64_t) && *(const uint8_t *)&one == 1;
}

int tree_pages_locate(struct tree_pages *p, struct bytes row)
{
    struct tree_table table;

    if (tree_table_read(&p->file, row, &table) != 0)
        return RK_CORRUPT;
    p->root = table.root;
    p->depth = table.depth;
    return 0;
}

/* The number is not checked yet, so that it may lead anywhere. */
static void prefetch_child(const struct tree_page *page, const struct tree_node *node)
{
    uintptr_t map = (uintptr_t)page->file->map;

    __builtin_prefetch((const void *)(map + tree_node_child(node) * page->file->page_size));
}

/* Where the key would stand among nodes first..end-1 if their positions were spread evenly. */
static unsigned guess(const struct wanted *w, unsigned first, unsigned end)
{
    unsigned count = end - first;
    uint64_t width = w->high - w->low, way = w->position - w->low;

    if (way >= width || count == 1)
        return end - 1;
    return first + (unsigned)(way / (width / count + 1));
}

/* Asks for the nodes around a guess, all at once: so many lines of each. */
static void prefetch_around(const struct tree_page *page, unsigned at, unsigned lines)
{
    unsigned first = at > NODES_AHEAD ? at - NODES_AHEAD : 0;

    for (unsigned i = first; i <= at + NODES_AHEAD && i < page->nodes; i++)
        for (unsigned line = 0; line < lines; line++)
            __builtin_prefetch(page->at + tree_node_offset(page, i) + line * LINE_SIZE);
}

static int compare(const struct wanted *w, struct bytes key)
{
    if (key.size >= sizeof(uint64_t) && w->key.size >= sizeof(uint64_t)) {
        uint64_t position = wire_get_position(key.data);

        if (w->position != position)
            return w->position < position ? -1 : 1;
    }
    return bytes_compare(w->key, key);
}

/* Where to look next between nodes low..high-1: near the end that was found last, with steps that
 * double, until the key is known to lie between two nodes; then in the middle. */
static unsigned next_probe(unsigned low, unsigned high, bool below, bool above, unsigned step)
{
    unsigned left = high - low;

    if (below && above)
        return low + left / 2;
    if (step > left)
        step = left;
    return below ? low + step - 1 : high - step;
}

/* The last of nodes first..count-1 that is not above the key, or `first` - 1 (which wraps for 0);
 * *equal: it has that key. False: a node is not as expected. */
static bool page_search(const struct tree_page *page, unsigned first, const struct wanted *w,
                        unsigned *at, bool *equal)
{
    unsigned low = first, high = page->nodes, probe, step = 1;
    bool below = false, above = false; /* such a node was seen */

    *equal = false;
    if (low < high) {
        probe = guess(w, low, high);
        prefetch_around(page, probe, page->kind == TREE_LEAF ? LEAF_NODE_LINES : 1);
    }
    for (; low < high; step *= 2) {
        struct tree_node node;
        int order;

        if (!tree_node_open(page, probe, &node))
            return false;
        /* Most nodes that are looked at are the one that is looked for or next to it: the wait for
         * its page, the longest of all, begins here. */
        if (page->kind == TREE_BRANCH)
            prefetch_child(page, &node);
        order = compare(w, node.key);
        *equal = order == 0;
        if (order < 0) {
            high = probe;
            above = true;
        } else {
            low = probe + 1;
            below = true;
        }
        if (*equal)
            break;
        probe = next_probe(low, high, below, above, step);
    }
    *at = low - 1;
    return true;
}

/* Whether a key that a leaf does not have would be in it: its neighbours there, which were just
 * looked at, lie between the positions that led to the leaf. One of another place has no say. */
static bool is_its_leaf(const struct tree_page *page, const struct wanted *w, unsigned at)
{
    struct tree_node node;

    if (at + 1 > 0 && tree_node_open(page, at, &node) && node.key.size >= sizeof(uint64_t) &&
        wire_get_position(node.key.data) < w->low)
        return false;
    return at + 1 >= page->nodes || !tree_node_open(page, at + 1, &node) ||
           node.key.size < sizeof(uint64_t) || wire_get_position(node.key.data) <= w->high;
}

static int find_in_leaf(const struct tree_page *page, const struct wanted *w, struct bytes *value)
{
    struct tree_node node;
    unsigned at;
    bool equal;

    if (!page_search(page, 0, w, &at, &equal))
        return RK_CORRUPT;
    if (!equal)
        return is_its_leaf(page, w, at) ? RK_NOTFOUND : RK_CORRUPT;
    return tree_node_open(page, at, &node) && tree_node_value(page, &node, value) ? 0 : RK_CORRUPT;
}

static void set_bound(struct wanted *w, uint64_t *bound, const struct tree_node *neighbour)
{
    if (neighbour->key.size >= sizeof(uint64_t))
        *bound = wire_get_position(neighbour->key.data);
    else
        w->loose = true;
}

/* The child in which the key would be. */
static bool find_child(const struct tree_page *page, struct wanted *w, uint64_t *child)
{
    struct tree_node node, behind;
    unsigned at;
    bool equal;

    if (!page_search(page, 1, w, &at, &equal) || !tree_node_open(page, at, &node))
        return false;
    if (at > 0)
        set_bound(w, &w->low, &node);
    if (at + 1 < page->nodes) {
        if (!tree_node_open(page, at + 1, &behind))
            return false;
        set_bound(w, &w->high, &behind);
    }
    *child = tree_node_child(&node);
    return true;
}

static bool hint_holds(const struct tree_pages *p, const struct tree_hint *hint,
                       const struct wanted *w)
{
    return hint->snapshot == p->snapshot && w->position > hint->low && w->position < hint->high;
}

/* Where the page above a position's leaf is remembered. */
static struct tree_hint *branch_hint(const struct tree_pages *p, const struct wanted *w)
{
    return &p->hints->branches[w->position >> (64 - TREE_BRANCH_BITS)];
}

/* Where the leaf is: one of two, as a bound of leaves often lies between such positions. */
static struct tree_hint *leaf_hints(const struct tree_pages *p, const struct wanted *w)
{
    return p->hints->leaves[w->position >> (64 - TREE_LEAF_BITS)];
}

/* The lowest page that is remembered of a position, or NULL; *up: how many pages its kind stands
 * above the end of the way. */
static const struct tree_hint *find_hint(const struct tree_pages *p, const struct wanted *w,
                                         unsigned *up)
{
    const struct tree_hint *hint = leaf_hints(p, w);

    *up = 1;
    for (int i = 0; i < TREE_LEAF_WAYS; i++)
        if (hint_holds(p, &hint[i], w))
            return &hint[i];
    *up = 2;
    hint = branch_hint(p, w);
    return hint_holds(p, hint, w) ? hint : NULL;
}

/* The page to begin with: one that is remembered, else the root. Returns how far down it is. */
static unsigned begin(const struct tree_pages *p, struct wanted *w, uint64_t *number)
{
    unsigned up;
    const struct tree_hint *hint = p->hints ? find_hint(p, w, &up) : NULL;

    if (!hint) {
        *number = p->root;
        return 0;
    }
    *number = hint->number;
    w->low = hint->low;
    w->high = hint->high;
    return p->depth - up;
}

/* Remembers a page so far down, if it is a leaf or above one; the root need not be. */
static void remember(const struct tree_pages *p, const struct wanted *w, unsigned depth,
                     uint64_t number)
{
    struct tree_hint hint = {w->low, w->high, number, p->snapshot}, *leaves;

    if (!p->hints || w->loose || depth == 0)
        return;
    if (depth + 2 == p->depth)
        *branch_hint(p, w) = hint;
    if (depth + 1 != p->depth)
        return;
    leaves = leaf_hints(p, w);
    memmove(leaves + 1, leaves, (TREE_LEAF_WAYS - 1) * sizeof(*leaves));
    leaves[0] = hint;
}

static struct wanted wanted_of(struct bytes key)
{
    struct wanted w = {.key = key, .high = UINT64_MAX};

    if (key.size >= sizeof(uint64_t))
        w.position = wire_get_position(key.data);
    return w;
}

/* The leaf in which the key would be. False: a page above it is not as expected. */
static bool find_leaf(const struct tree_pages *p, struct wanted *w, uint64_t *number)
{
    unsigned depth = begin(p, w, number);

    for (; depth + 1 < p->depth && depth < TREE_DEPTH_MAX; depth++) {
        struct tree_page page;

        if (!tree_page_open(&p->file, *number, &page) || page.kind != TREE_BRANCH ||
            !find_child(&page, w, number))
            return false;
        remember(p, w, depth + 1, *number);
    }
    return true;
}

static bool leaf_open(const struct tree_pages *p, uint64_t number, struct tree_page *out)
{
    return tree_page_open(&p->file, number, out) && out->kind == TREE_LEAF;
}

int tree_pages_find(const struct tree_pages *p, struct bytes key, struct bytes *value)
{
    struct wanted w = wanted_of(key);
    struct tree_page page;
    uint64_t number;

    if (p->root == TREE_EMPTY)
        return RK_NOTFOUND;
    return find_leaf(p, &w, &number) && leaf_open(p, number, &page) ? find_in_leaf(&page, &w, value)
                                                                    : RK_CORRUPT;
}

/* --- ahead of gets -------------------------------------------------------------------------- */

/* A key whose leaf is known. */
struct way {
    struct wanted w;
    struct tree_page leaf;
    uint64_t number;
};

/* The ways begin at what is remembered of each key. */
static size_t set_out(const struct tree_pages *p, const struct bytes *keys, size_t count,
                      struct way *ways)
{
    size_t known = 0;

    for (size_t i = 0; i < count; i++) {
        ways[i].w = wanted_of(keys[i]);
        if (p->hints)
            __builtin_prefetch(leaf_hints(p, &ways[i].w));
    }
    for (size_t i = 0; i < count; i++) {
        struct way *way = &ways[known];

        way->w = ways[i].w;
        if (!find_leaf(p, &way->w, &way->number) || way->number >= p->file.count)
            continue;
        __builtin_prefetch(p->file.map + way->number * p->file.page_size);
        known++;
    }
    return known;
}

/* Asks for the nodes among which each key is. Returns how many leaves were as expected. */
static size_t open_leaves(const struct tree_pages *p, struct way *ways, size_t count)
{
    size_t opened = 0;

    for (size_t i = 0; i < count; i++) {
        struct way *way = &ways[opened];

        *way = ways[i];
        if (!leaf_open(p, way->number, &way->leaf))
            continue;
        prefetch_around(&way->leaf, guess(&way->w, 0, way->leaf.nodes), 1);
        opened++;
    }
    return opened;
}

/* Asks for the rest of a record. */
static void prefetch_record(const struct way *way)
{
    struct tree_node node;
    unsigned at;
    bool equal;

    if (!page_search(&way->leaf, 0, &way->w, &at, &equal) || !equal ||
        !tree_node_open(&way->leaf, at, &node))
        return;
    for (unsigned i = 1; i < RECORD_LINES; i++)
        __builtin_prefetch(node.at + i * LINE_SIZE);
}

void tree_pages_go_ahead(const struct tree_pages *p, const struct bytes *keys, size_t count)
{
    struct way ways[TREE_AHEAD_MAX];

    if (p->root == TREE_EMPTY)
        return;
    count = set_out(p, keys, count, ways);
    count = open_leaves(p, ways, count);
    for (size_t i = 0; i < count; i++)
        prefetch_record(&ways[i]);
}
