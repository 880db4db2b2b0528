#include "node/tree_walk.h"
#include "shared/error.h"

enum {
    KEY_SIZE_MAX = 511, /* LMDB's */
    LARGE_COUNT_AT = 12,
    FIRST_PAGE = 2, /* behind the two heads */
    /* LMDB joins a leaf with a neighbour when it is less than a quarter full. */
    FULL_ENOUGH_PART = 3,
    ENTRY_MORE = 3, /* its offset, and what makes its size even */
    NEAR_MAX = 8,   /* children that are tried one after the other */
};

/* ---- one page ---- */

static const char *const outside = "an entry lies outside of it";
static const char *const unheard_of = "an entry has a flag or a key's size that none has";

/* Nodes fill a page from `upper` to its end. When the sum of their sizes and that of the squares of
 * their ends less those of their beginnings are what they must be, no single offset and no single
 * size is wrong: each would change one of the two. */
struct nodes_sum {
    uint64_t sizes, squares;
};

static inline void sum_add(struct nodes_sum *sum, size_t offset, size_t size)
{
    size = (size + 1) & ~(size_t)1;
    sum->sizes += size;
    sum->squares += size * (2 * offset + size);
}

static const char *leaf_check(const struct tree_page *page, size_t upper, unsigned flags,
                              struct nodes_sum *out)
{
    size_t room = page->file->page_size - TREE_NODE_HEAD_SIZE - upper;
    struct nodes_sum sum = {0, 0};

    for (unsigned i = 0; i < page->nodes; i++) {
        size_t offset = tree_node_offset(page, i), value_size;
        uint64_t head;

        if (offset - upper > room)
            return outside;
        head = tree_u64(page->at + offset);
        value_size = (uint32_t)head;
        if ((head >> 32 & 0xffff) != flags) {
            if ((head >> 32 & 0xffff) != TREE_NODE_LARGE || flags)
                return unheard_of;
            value_size = sizeof(uint64_t);
        }
        if ((head >> 48) - 1 >= KEY_SIZE_MAX)
            return unheard_of;
        sum_add(&sum, offset, TREE_NODE_HEAD_SIZE + (head >> 48) + value_size);
    }
    *out = sum;
    return NULL;
}

/* The first node's key may be of any size: it is never looked at. */
static const char *branch_check(const struct tree_page *page, size_t upper, struct nodes_sum *out)
{
    size_t room = page->file->page_size - TREE_NODE_HEAD_SIZE - upper;
    struct nodes_sum sum = {0, 0};

    for (unsigned i = 0; i < page->nodes; i++) {
        size_t offset = tree_node_offset(page, i), key_size;

        if (offset - upper > room)
            return outside;
        key_size = tree_u16(page->at + offset + 6);
        if (key_size > KEY_SIZE_MAX || (!key_size && i))
            return unheard_of;
        sum_add(&sum, offset, TREE_NODE_HEAD_SIZE + key_size);
    }
    *out = sum;
    return NULL;
}

const char *tree_page_check(const struct tree_file *f, const uint8_t *at, uint64_t number,
                            enum tree_page_kind kind, unsigned flags)
{
    size_t lower = tree_u16(at + TREE_LOWER_AT), upper = tree_u16(at + TREE_UPPER_AT);
    size_t end = f->page_size, least = kind == TREE_BRANCH ? 2 : 1;
    struct tree_page page = {.file = f, .at = at};
    struct nodes_sum sum;
    const char *what;

    if (tree_u64(at) != number)
        return "it carries another page's number";
    if (tree_u16(at + TREE_KIND_AT) != kind)
        return "it is of another kind than where it stands";
    if (lower < TREE_PAGE_HEAD_SIZE + 2 * least || lower % 2 || lower > upper ||
        upper > end - TREE_NODE_HEAD_SIZE)
        return "its list of entries ends where it cannot";
    page.nodes = (unsigned)((lower - TREE_PAGE_HEAD_SIZE) / 2);
    what = kind == TREE_BRANCH ? branch_check(&page, upper, &sum)
                               : leaf_check(&page, upper, flags, &sum);
    if (!what && (sum.sizes != end - upper || sum.squares != (uint64_t)end * end - upper * upper))
        what = "its entries overlap, or leave a gap";
    return what;
}

/* ---- the way ---- */

void tree_walk_begin(struct tree_walk *w, const struct tree_file *f, struct tree_table table)
{
    w->file = f;
    w->table = table;
    w->depth = 0;
    w->low = UINT64_MAX;
    w->high = 0;
    w->used = w->most = 0;
    w->unsure = w->around = false;
    w->lent = bytes_of(NULL, 0);
    memset(w->checked, 0, sizeof(w->checked));
    w->damaged_page = 0;
    w->damage = NULL;
}

static int damaged(struct tree_walk *w, uint64_t number, const char *what)
{
    w->damaged_page = number;
    w->damage = what;
    return RK_CORRUPT;
}

static inline int compare(const struct tree_walk *w, struct bytes a, struct bytes b)
{
    if (a.size >= sizeof(uint64_t) && b.size >= sizeof(uint64_t)) {
        uint64_t left = w->numbers ? tree_u64(a.data) : wire_get_position(a.data);
        uint64_t right = w->numbers ? tree_u64(b.data) : wire_get_position(b.data);

        if (left != right)
            return left < right ? -1 : 1;
    }
    return bytes_compare(a, b);
}

/* Of a page that was checked. */
static inline struct tree_node node_at(const struct tree_page *page, unsigned i)
{
    const uint8_t *at = page->at + tree_node_offset(page, i);

    return (struct tree_node){at, bytes_of(at + TREE_NODE_HEAD_SIZE, tree_u16(at + 6))};
}

static inline bool holds(const struct tree_walk *w, const struct tree_level *level,
                         struct bytes key)
{
    return (!level->high.data || compare(w, key, level->high) < 0) &&
           (!level->low.data || compare(w, key, level->low) >= 0);
}

/* A page's keys must lie between the keys beside the number that led to it. */
static bool belongs(const struct tree_walk *w, const struct tree_level *level)
{
    unsigned first = level->page.kind == TREE_BRANCH ? 1 : 0;

    return holds(w, level, node_at(&level->page, first).key) &&
           holds(w, level, node_at(&level->page, level->page.nodes - 1).key);
}

/* Adds a page to the end of the way. `from`: the page that led to it. */
static int enter(struct tree_walk *w, uint64_t from, uint64_t number, struct bytes low,
                 struct bytes high)
{
    struct tree_level *level = &w->way[w->depth];
    enum tree_page_kind kind = w->depth + 1 < w->table.depth ? TREE_BRANCH : TREE_LEAF;
    uint64_t *checked = &w->checked[number % TREE_CHECKED_MAX];
    const char *what = NULL;
    const uint8_t *at;

    if (number < FIRST_PAGE || number >= w->file->count)
        return damaged(w, from, "it leads to a page that the file does not have");
    at = w->file->map + number * w->file->page_size;
    if (*checked != number)
        what = tree_page_check(w->file, at, number, kind, w->flags);
    else if (tree_u16(at + TREE_KIND_AT) != kind)
        what = "it is of another kind than where it stands";
    if (what)
        return damaged(w, number, what);
    *checked = number;
    *level = (struct tree_level){
        .page = {w->file, at, kind,
                 (unsigned)(tree_u16(at + TREE_LOWER_AT) - TREE_PAGE_HEAD_SIZE) / 2},
        .number = number,
        .low = low,
        .high = high};
    if (!belongs(w, level))
        return damaged(w, number, "it holds keys that belong elsewhere");
    w->depth++;
    return 0;
}

static int enter_root(struct tree_walk *w)
{
    w->depth = 0;
    return enter(w, 0, w->table.root, bytes_of(NULL, 0), bytes_of(NULL, 0));
}

static int enter_child(struct tree_walk *w, unsigned i)
{
    struct tree_level *level = &w->way[w->depth - 1];
    struct bytes low = level->low, high = level->high;
    struct tree_node node = node_at(&level->page, i);

    if (i > 0)
        low = node.key;
    if (i + 1 < level->page.nodes)
        high = node_at(&level->page, i + 1).key;
    level->at = i;
    return enter(w, level->number, tree_node_child(&node), low, high);
}

/* The last child whose key is not above this one. Keys come in order: it is mostly one of those
 * behind the child that the way went through. */
static unsigned child_of(const struct tree_walk *w, struct bytes key, unsigned near)
{
    const struct tree_page *page = &w->way[w->depth - 1].page;
    unsigned low = 1, high = page->nodes;

    for (unsigned i = near + 1; i < page->nodes && i <= near + NEAR_MAX; i++) {
        if (compare(w, key, node_at(page, i).key) < 0) {
            high = i;
            break;
        }
        low = i + 1;
    }
    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (compare(w, key, node_at(page, middle).key) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low - 1;
}

static size_t page_room(const struct tree_walk *w)
{
    return w->file->page_size - TREE_PAGE_HEAD_SIZE;
}

/* A bound as a number; with one that is none, no key is quickly known to be in the leaf. */
static uint64_t quick_bound(const struct tree_walk *w, struct bytes bound, uint64_t none)
{
    if (w->numbers || (bound.data && bound.size < sizeof(uint64_t)))
        return UINT64_MAX - none;
    return bound.data ? wire_get_position(bound.data) : none;
}

/* What the leaf has in use, when it is come to. */
static void look_at_leaf(struct tree_walk *w)
{
    const struct tree_level *level = &w->way[w->depth - 1];
    const uint8_t *at = level->page.at;

    w->used = w->most =
        page_room(w) - (size_t)(tree_u16(at + TREE_UPPER_AT) - tree_u16(at + TREE_LOWER_AT));
    w->unsure = w->lent.data && level->low.data && compare(w, level->low, w->lent) <= 0;
    w->around = false;
    w->low = quick_bound(w, level->low, 0);
    w->high = quick_bound(w, level->high, UINT64_MAX);
}

int tree_walk_go(struct tree_walk *w, struct bytes key)
{
    int error = 0;

    if (w->table.root == TREE_EMPTY)
        return 0;
    if (w->depth == w->table.depth && holds(w, &w->way[w->depth - 1], key))
        return 0;
    w->low = UINT64_MAX;
    /* It is not in this leaf; the root holds every key. */
    w->depth -= w->depth > 1;
    while (w->depth > 1 && !holds(w, &w->way[w->depth - 1], key))
        w->depth--;
    if (!w->depth)
        error = enter_root(w);
    while (!error && w->depth < w->table.depth)
        error = enter_child(w, child_of(w, key, w->way[w->depth - 1].at));
    if (!error)
        look_at_leaf(w);
    return error;
}

/* Goes down to the first leaf below the end of the way, or to the last one. */
static int down(struct tree_walk *w, bool first)
{
    int error = 0;

    while (!error && w->depth < w->table.depth)
        error = enter_child(w, first ? 0 : w->way[w->depth - 1].page.nodes - 1);
    return error;
}

/* Goes to the leaf behind this one, or before it. */
static int step(struct tree_walk *w, bool forward)
{
    const struct tree_level *level;
    int error;

    w->low = UINT64_MAX;
    do {
        if (w->depth <= 1)
            return RK_NOTFOUND;
        level = &w->way[--w->depth - 1];
    } while (forward ? level->at + 1 == level->page.nodes : level->at == 0);
    error = enter_child(w, forward ? level->at + 1 : level->at - 1);
    return error ? error : down(w, forward);
}

int tree_walk_first(struct tree_walk *w)
{
    int error;

    if (w->table.root == TREE_EMPTY)
        return RK_NOTFOUND;
    w->low = UINT64_MAX;
    error = enter_root(w);
    return error ? error : down(w, true);
}

int tree_walk_next(struct tree_walk *w)
{
    return step(w, true);
}

/* ---- what goes ---- */

/* The leaf's neighbours, on either side up to one that is full enough not to be joined with more.
 */
static int check_around(struct tree_walk *w, struct bytes key)
{
    size_t used = w->used, most = w->most;

    for (int forward = 0; forward < 2; forward++) {
        int error = tree_walk_to(w, key);

        while (!error) {
            error = step(w, forward);
            if (error)
                break;
            look_at_leaf(w);
            if (w->used >= page_room(w) / 2)
                break;
        }
        if (error && error != RK_NOTFOUND)
            return error;
        if (forward && !error)
            w->lent = w->way[w->depth - 1].low;
    }
    if (tree_walk_to(w, key) != 0)
        return RK_CORRUPT;
    w->used = used;
    w->most = most;
    w->around = true;
    return 0;
}

int tree_walk_change(struct tree_walk *w, struct bytes key, ssize_t before, ssize_t after)
{
    size_t entry = TREE_NODE_HEAD_SIZE + key.size + ENTRY_MORE;
    size_t had = before < 0 ? 0 : entry + (size_t)before,
           has = after < 0 ? 0 : entry + (size_t)after;

    if (has >= had)
        w->most += has - had;
    else
        w->used -= had - has < w->used ? had - has : w->used;
    if (has || w->around || w->table.root == TREE_EMPTY)
        return 0;
    /* One that is cut in two, or has given nodes away, is less full than it seems. */
    if (!w->unsure && w->most <= page_room(w) && w->used >= page_room(w) / FULL_ENOUGH_PART)
        return 0;
    return check_around(w, key);
}

/* ---- values ---- */

bool tree_is_large(const struct tree_file *f, const uint8_t *at)
{
    size_t offset = (size_t)((uintptr_t)at - (uintptr_t)f->map);

    return (uintptr_t)at >= (uintptr_t)f->map && offset / f->page_size < f->count &&
           offset % f->page_size == TREE_PAGE_HEAD_SIZE;
}

static int large_check(struct tree_walk *w, uint64_t number, size_t size, bool exact)
{
    uint64_t wanted = tree_large_pages(w->file, size), pages;
    const uint8_t *at = w->file->map + number * w->file->page_size;

    if (tree_u64(at) != number || tree_u16(at + TREE_KIND_AT) != TREE_LARGE)
        return damaged(w, number, "it is not the large value that an entry says");
    pages = tree_u32(at + LARGE_COUNT_AT);
    if (exact ? pages != wanted : pages < wanted)
        return damaged(w, number, "it is not as many pages as its value needs");
    if (pages > w->file->count - number)
        return damaged(w, number, "its value ends outside of the file");
    return 0;
}

int tree_walk_large(struct tree_walk *w, struct bytes value, bool exact)
{
    size_t offset = (size_t)(value.data - w->file->map);

    return large_check(w, offset / w->file->page_size, value.size, exact);
}

int tree_walk_value(struct tree_walk *w, const struct tree_node *node, bool exact,
                    struct bytes *out)
{
    const uint8_t *value = node->key.data + node->key.size;
    size_t size = tree_u32(node->at);
    uint64_t number;
    int error;

    *out = bytes_of(value, size);
    if (tree_u16(node->at + 4) != TREE_NODE_LARGE)
        return 0;
    number = tree_u64(value);
    if (number < FIRST_PAGE || number >= w->file->count)
        return damaged(w, w->way[w->depth - 1].number,
                       "it leads to a page that the file does not have");
    error = large_check(w, number, size, exact);
    *out = bytes_of(w->file->map + number * w->file->page_size + TREE_PAGE_HEAD_SIZE, size);
    return error;
}
