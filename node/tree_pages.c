#include "node/tree_pages.h"
#include "shared/error.h"
#include "shared/wire.h"

/* A page: its number u64, unused u16, kind u16, lower u16 (where its list of offsets ends), upper
 * u16, then the offsets of its nodes, u16 each, in the order of their keys.
 *
 * A node: two words u16 and flags u16, which hold the size of a value (words) or the number of a
 * child (all three), key size u16, the key, then the value or, if it is large, the number of the
 * page that it begins on. The key of a branch's first node stands for whatever is below the second.
 */
enum {
    PAGE_HEAD_SIZE = 16,
    KIND_AT = 10,
    LOWER_AT = 12,
    KIND_BRANCH = 1,
    KIND_LEAF = 2,
    KIND_LARGE = 4,
    KINDS = 7,
    NODE_HEAD_SIZE = 8,
    NODE_LARGE = 1, /* flag: the value has pages of its own */
    DEPTH_MAX = 32, /* as LMDB's */
    LINE_SIZE = 64,
    NODES_AHEAD = 2,     /* on either side of a guess: it is rarely further off */
    RECORD_LINES = 4,    /* of a leaf's node, when it is looked for: a small record's */
    LEAF_NODE_LINES = 3, /* of each leaf's node that it may be */
    /* The row of a table: six bytes of other things, its depth u16, more, then the root's number.
     */
    ROW_SIZE = 48,
    DEPTH_AT = 6,
    ROOT_AT = 40,
};

struct page {
    const struct tree_pages *all;
    const uint8_t *at;
    unsigned kind, nodes;
};

struct node {
    const uint8_t *at;
    struct bytes key;
};

/* What is looked for, its first 8 bytes as a number, and between which such numbers it lies. */
struct wanted {
    struct bytes key;
    uint64_t position, low, high;
    bool loose; /* a bound is further off than the neighbour is, whose key has less than 8 bytes */
};

static uint16_t get_u16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

bool tree_pages_known(void)
{
    const uint16_t one = 1;

    return sizeof(size_t) == sizeof(uint64_t) && *(const uint8_t *)&one == 1;
}

int tree_pages_locate(struct tree_pages *p, struct bytes row, uint64_t last)
{
    const uint8_t *page = row.data - (uintptr_t)row.data % p->page_size;
    uint64_t number = get_u64(page);

    if (row.size != ROW_SIZE || get_u16(page + KIND_AT) != KIND_LEAF || number > last)
        return RK_CORRUPT;
    p->map = page - number * p->page_size;
    p->count = last + 1;
    p->root = get_u64(row.data + ROOT_AT);
    p->depth = get_u16(row.data + DEPTH_AT);
    return p->root == TREE_PAGES_EMPTY || p->root < p->count ? 0 : RK_CORRUPT;
}

static bool page_open(const struct tree_pages *p, uint64_t number, struct page *out)
{
    const uint8_t *at;
    unsigned lower;

    if (number >= p->count)
        return false;
    at = p->map + number * p->page_size;
    lower = get_u16(at + LOWER_AT);
    *out = (struct page){.all = p,
                         .at = at,
                         .kind = get_u16(at + KIND_AT) & KINDS,
                         .nodes = lower > PAGE_HEAD_SIZE ? (lower - PAGE_HEAD_SIZE) / 2 : 0};
    return get_u64(at) == number && out->nodes > 0 && lower <= p->page_size;
}

static unsigned node_offset(const struct page *page, unsigned i)
{
    return get_u16(page->at + PAGE_HEAD_SIZE + 2 * i);
}

static bool node_open(const struct page *page, unsigned i, struct node *out)
{
    size_t offset = node_offset(page, i), key_size;

    if (offset + NODE_HEAD_SIZE > page->all->page_size)
        return false;
    out->at = page->at + offset;
    key_size = get_u16(out->at + 6);
    out->key = bytes_of(out->at + NODE_HEAD_SIZE, key_size);
    return offset + NODE_HEAD_SIZE + key_size <= page->all->page_size;
}

static uint64_t node_child(const struct node *node)
{
    return get_u16(node->at) | (uint64_t)get_u16(node->at + 2) << 16 |
           (uint64_t)get_u16(node->at + 4) << 32;
}

/* The number is not checked yet, so that it may lead anywhere. */
static void prefetch_child(const struct page *page, const struct node *node)
{
    uintptr_t map = (uintptr_t)page->all->map;

    __builtin_prefetch((const void *)(map + node_child(node) * page->all->page_size));
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
static void prefetch_around(const struct page *page, unsigned at, unsigned lines)
{
    unsigned first = at > NODES_AHEAD ? at - NODES_AHEAD : 0;

    for (unsigned i = first; i <= at + NODES_AHEAD && i < page->nodes; i++)
        for (unsigned line = 0; line < lines; line++)
            __builtin_prefetch(page->at + node_offset(page, i) + line * LINE_SIZE);
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
static bool page_search(const struct page *page, unsigned first, const struct wanted *w,
                        unsigned *at, bool *equal)
{
    unsigned low = first, high = page->nodes, probe, step = 1;
    bool below = false, above = false; /* such a node was seen */

    *equal = false;
    if (low < high) {
        probe = guess(w, low, high);
        prefetch_around(page, probe, page->kind == KIND_LEAF ? LEAF_NODE_LINES : 1);
    }
    for (; low < high; step *= 2) {
        struct node node;
        int order;

        if (!node_open(page, probe, &node))
            return false;
        /* Most nodes that are looked at are the one that is looked for or next to it: the wait for
         * its page, the longest of all, begins here. */
        if (page->kind == KIND_BRANCH)
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

/* A value that has pages of its own. */
static int large_value(const struct tree_pages *p, uint64_t number, size_t size, struct bytes *out)
{
    uint64_t pages = (PAGE_HEAD_SIZE + size + p->page_size - 1) / p->page_size;
    const uint8_t *at;

    if (number >= p->count || pages > p->count - number)
        return RK_CORRUPT;
    at = p->map + number * p->page_size;
    if (get_u64(at) != number || (get_u16(at + KIND_AT) & KINDS) != KIND_LARGE)
        return RK_CORRUPT;
    *out = bytes_of(at + PAGE_HEAD_SIZE, size);
    return 0;
}

static int node_value(const struct page *page, const struct node *node, struct bytes *out)
{
    const uint8_t *value = node->key.data + node->key.size;
    size_t size = get_u16(node->at) | (size_t)get_u16(node->at + 2) << 16;
    size_t room = page->all->page_size - (size_t)(value - page->at);
    unsigned flags = get_u16(node->at + 4);

    if (flags == NODE_LARGE && room >= sizeof(uint64_t))
        return large_value(page->all, get_u64(value), size, out);
    if (flags || size > room)
        return RK_CORRUPT;
    *out = bytes_of(value, size);
    return 0;
}

static int find_in_leaf(const struct page *page, const struct wanted *w, struct bytes *value)
{
    struct node node;
    unsigned at;
    bool equal;

    if (!page_search(page, 0, w, &at, &equal))
        return RK_CORRUPT;
    if (!equal)
        return RK_NOTFOUND;
    if (!node_open(page, at, &node))
        return RK_CORRUPT;
    return node_value(page, &node, value);
}

static void set_bound(struct wanted *w, uint64_t *bound, const struct node *neighbour)
{
    if (neighbour->key.size >= sizeof(uint64_t))
        *bound = wire_get_position(neighbour->key.data);
    else
        w->loose = true;
}

/* The child in which the key would be. */
static bool find_child(const struct page *page, struct wanted *w, uint64_t *child)
{
    struct node node, behind;
    unsigned at;
    bool equal;

    if (!page_search(page, 1, w, &at, &equal) || !node_open(page, at, &node))
        return false;
    if (at > 0)
        set_bound(w, &w->low, &node);
    if (at + 1 < page->nodes) {
        if (!node_open(page, at + 1, &behind))
            return false;
        set_bound(w, &w->high, &behind);
    }
    *child = node_child(&node);
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

    for (; depth + 1 < p->depth && depth < DEPTH_MAX; depth++) {
        struct page page;

        if (!page_open(p, *number, &page) || page.kind != KIND_BRANCH ||
            !find_child(&page, w, number))
            return false;
        remember(p, w, depth + 1, *number);
    }
    return true;
}

static bool leaf_open(const struct tree_pages *p, uint64_t number, struct page *out)
{
    return page_open(p, number, out) && out->kind == KIND_LEAF;
}

int tree_pages_find(const struct tree_pages *p, struct bytes key, struct bytes *value)
{
    struct wanted w = wanted_of(key);
    struct page page;
    uint64_t number;

    if (p->root == TREE_PAGES_EMPTY)
        return RK_NOTFOUND;
    return find_leaf(p, &w, &number) && leaf_open(p, number, &page) ? find_in_leaf(&page, &w, value)
                                                                    : RK_CORRUPT;
}

/* --- ahead of gets -------------------------------------------------------------------------- */

/* A key whose leaf is known. */
struct way {
    struct wanted w;
    struct page leaf;
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
        if (!find_leaf(p, &way->w, &way->number) || way->number >= p->count)
            continue;
        __builtin_prefetch(p->map + way->number * p->page_size);
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
    struct node node;
    unsigned at;
    bool equal;

    if (!page_search(&way->leaf, 0, &way->w, &at, &equal) || !equal ||
        !node_open(&way->leaf, at, &node))
        return;
    for (unsigned i = 1; i < RECORD_LINES; i++)
        __builtin_prefetch(node.at + i * LINE_SIZE);
}

void tree_pages_go_ahead(const struct tree_pages *p, const struct bytes *keys, size_t count)
{
    struct way ways[TREE_AHEAD_MAX];

    if (p->root == TREE_PAGES_EMPTY)
        return;
    count = set_out(p, keys, count, ways);
    count = open_leaves(p, ways, count);
    for (size_t i = 0; i < count; i++)
        prefetch_record(&ways[i]);
}
