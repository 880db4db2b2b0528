#include "node/tree_guard.h"
#include "shared/error.h"

enum { FIRST_PAGE = 2 };

static const struct {
    enum tree_walk_name walk;
    const char *name;
} tables[] = {{TREE_RECORDS, TREE_RECORDS_NAME},
              {TREE_EXPIRY, TREE_EXPIRY_NAME},
              {TREE_STATES, TREE_STATES_NAME},
              {TREE_META, TREE_META_NAME}};

static int damaged(struct tree_guard *g, uint64_t page, const char *what)
{
    g->damaged_page = page;
    g->damage = what;
    return RK_CORRUPT;
}

int tree_guard_damaged(struct tree_guard *g, enum tree_walk_name which)
{
    return damaged(g, g->walks[which].damaged_page, g->walks[which].damage);
}

/* ---- the table of tables ---- */

/* Every leaf of it; there is one. */
static int check_tables(struct tree_guard *g)
{
    struct tree_walk *w = &g->walks[TREE_TABLES];
    int error = tree_walk_first(w);

    while (!error)
        error = tree_walk_next(w);
    return error == RK_CORRUPT ? tree_guard_damaged(g, TREE_TABLES) : 0;
}

/* Finds a table by its name; one that is not there is empty. */
static int find_table(struct tree_guard *g, struct bytes name, struct tree_table *out)
{
    struct tree_walk *w = &g->walks[TREE_TABLES];
    const struct tree_page *page;
    struct tree_node node;
    struct bytes row;

    *out = (struct tree_table){.root = TREE_EMPTY};
    if (tree_walk_to(w, name) != 0)
        return tree_guard_damaged(g, TREE_TABLES);
    if (!w->depth)
        return 0;
    page = tree_walk_leaf(w);
    for (unsigned i = 0; i < page->nodes; i++)
        if (tree_node_open(page, i, &node) && bytes_equal(node.key, name)) {
            row = bytes_of(node.key.data + node.key.size, tree_u32(node.at));
            if (tree_table_read(&g->file, row, out) != 0)
                return damaged(g, w->way[w->depth - 1].number, "a table's row cannot be true");
        }
    return 0;
}

int tree_guard_begin(struct tree_guard *g, const struct tree_file *file, uint64_t snapshot)
{
    uint64_t head = snapshot % 2;
    int error;

    g->file = *file;
    g->damage = NULL;
    if (tree_head_read(file->map + head * file->page_size, &g->head) != 0 ||
        g->head.snapshot != snapshot)
        return damaged(g, head, "it is not the head of the newest snapshot");
    if (g->head.count < g->file.count)
        g->file.count = g->head.count;
    for (int i = 0; i < TREE_WALKS; i++)
        g->walks[i].flags = i == TREE_TABLES ? TREE_NODE_TABLE : 0;
    g->walks[TREE_FREE].numbers = true;
    tree_walk_begin(&g->walks[TREE_TABLES], &g->file, g->head.tables);
    tree_walk_begin(&g->walks[TREE_FREE], &g->file, g->head.free);
    error = check_tables(g);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && !error; i++) {
        struct tree_table table;

        error = find_table(g, bytes_from(tables[i].name), &table);
        tree_walk_begin(&g->walks[tables[i].walk], &g->file, table);
    }
    return error;
}

/* ---- the list of free pages ---- */

/* Page numbers u64: how many, then each, descending. */
static bool list_holds(const struct tree_guard *g, struct bytes list, uint64_t *count)
{
    uint64_t last = g->head.count;
    bool good = true;

    if (list.size < sizeof(uint64_t))
        return false;
    *count = tree_u64(list.data);
    if (*count > list.size / sizeof(uint64_t) - 1)
        return false;
    for (uint64_t i = 1; i <= *count; i++) {
        uint64_t number = tree_u64(list.data + i * sizeof(uint64_t));

        good &= number < last;
        last = number;
    }
    return good && last >= FIRST_PAGE;
}

/* Its keys are the numbers of the snapshots that freed the pages, ascending. */
static int check_entry(struct tree_guard *g, const struct tree_node *node, uint64_t *freed_by,
                       uint64_t *pages)
{
    struct tree_walk *w = &g->walks[TREE_FREE];
    uint64_t page = w->way[w->depth - 1].number, count, by;
    struct bytes list;

    by = node->key.size == sizeof(by) ? tree_u64(node->key.data) : 0;
    if (by <= *freed_by || by > g->head.snapshot)
        return damaged(g, page, "a list of free pages is of no snapshot that was");
    if (tree_walk_value(w, node, false, &list) != 0)
        return tree_guard_damaged(g, TREE_FREE);
    if (!list_holds(g, list, &count))
        return damaged(g, page, "a list of free pages names one that cannot be");
    *freed_by = by;
    *pages += count;
    return 0;
}

int tree_guard_free(struct tree_guard *g, uint64_t pages)
{
    struct tree_walk *w = &g->walks[TREE_FREE];
    uint64_t freed_by = 0, found = 0;
    int error = tree_walk_first(w);

    for (; !error; error = tree_walk_next(w)) {
        const struct tree_page *page = tree_walk_leaf(w);

        for (unsigned i = 0; i < page->nodes && found <= pages; i++) {
            struct tree_node node;

            (void)tree_node_open(page, i, &node);
            error = check_entry(g, &node, &freed_by, &found);
            if (error)
                return error;
        }
    }
    return error == RK_CORRUPT ? tree_guard_damaged(g, TREE_FREE) : 0;
}
