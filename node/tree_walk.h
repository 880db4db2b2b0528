/* Pure: goes through a table of an LMDB file, and checks as a whole each page that it comes to.
 *
 * LMDB believes what its pages say. Before it changes a table, the pages that it will come to are
 * gone through here: those on the way to a key, and, where a key goes, the neighbours with which a
 * page may be joined. So damage is met before it leads LMDB to write where it must not, to give up
 * (it calls abort), or to take pages for free that are not.
 *
 * A page must carry its number and be of the right kind; its nodes must fill it without a gap or an
 * overlap, have no flag but those that are used here, and hold keys that belong below the page that
 * led to it. One wrong word in a page's head or in its nodes' heads is found, and a child that is
 * another page of the same kind. What cannot be found: a key's bytes that changed and are still in
 * order, and a value's, which has its own checksum.
 */
#ifndef RINGKV_NODE_TREE_WALK_H
#define RINGKV_NODE_TREE_WALK_H

#include "node/tree_head.h"
#include "shared/wire.h"
#include <sys/types.h>

enum { TREE_CHECKED_MAX = 64 };

struct tree_level {
    struct tree_page page;
    uint64_t number;
    unsigned at;            /* the child that the way goes through */
    struct bytes low, high; /* its keys are not below low, and below high; no data: no such bound */
};

struct tree_walk {
    const struct tree_file *file;
    struct tree_table table;
    unsigned flags; /* that every node of a leaf must have: TREE_NODE_TABLE, or 0 */
    bool numbers;   /* keys are u64, in their order, as in the list of free pages */
    unsigned depth; /* pages on the way */
    struct tree_level way[TREE_DEPTH_MAX];
    uint64_t checked[TREE_CHECKED_MAX]; /* pages that need no second look, by their last bits */
    uint64_t low, high; /* keys whose first 8 bytes are between these belong to the leaf */
    /* Of the leaf: at least so many bytes will be in use, at most so many are in it at any time;
     * whether it may have given nodes to one before it, so that this does not tell; and whether its
     * neighbours were checked. */
    size_t used, most;
    bool unsure, around;
    struct bytes lent; /* leaves up to the one that begins here may have given nodes */
    /* What is wrong, once something was: */
    uint64_t damaged_page;
    const char *damage;
};

/* Begins anew, in a snapshot that must not change meanwhile. The file outlives the walk. */
void tree_walk_begin(struct tree_walk *w, const struct tree_file *f, struct tree_table table);

int tree_walk_go(struct tree_walk *w, struct bytes key);

/* Goes to the leaf where a key is, or would be; mostly it is the same one as before. 0 or
 * RK_CORRUPT. */
static inline int tree_walk_to(struct tree_walk *w, struct bytes key)
{
    if (key.size >= sizeof(uint64_t)) {
        uint64_t number = wire_get_position(key.data);

        if (number > w->low && number < w->high)
            return 0;
    }
    return tree_walk_go(w, key);
}

/* Goes to the first leaf, or the next one. 0, RK_NOTFOUND at the end (also of an empty table),
 * RK_CORRUPT. */
int tree_walk_first(struct tree_walk *w);
int tree_walk_next(struct tree_walk *w);

static inline const struct tree_page *tree_walk_leaf(const struct tree_walk *w)
{
    return &w->way[w->depth - 1].page;
}

/* The key, to which the walk has gone, is about to be written or removed: the sizes of its value
 * before and after; -1: it is not there. When it goes, the neighbours are checked if the leaf may
 * be joined with them. 0 or RK_CORRUPT. */
int tree_walk_change(struct tree_walk *w, struct bytes key, ssize_t before, ssize_t after);

/* What stands in a leaf under a key; its first page is checked if it has some of its own. 0 or
 * RK_CORRUPT. `exact`: it has no more of them than it needs. */
int tree_walk_value(struct tree_walk *w, const struct tree_node *node, bool exact,
                    struct bytes *out);

/* A large value that lies here in the map, as LMDB has found it. 0 or RK_CORRUPT. */
int tree_walk_large(struct tree_walk *w, struct bytes value, bool exact);

/* Whether bytes lie in the file's map, where a large value begins. */
bool tree_is_large(const struct tree_file *f, const uint8_t *at);

/* Checks a page: NULL, or what is wrong with it. */
const char *tree_page_check(const struct tree_file *f, const uint8_t *at, uint64_t number,
                            enum tree_page_kind kind, unsigned flags);

#endif
