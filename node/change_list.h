/* The changes of one operation: for each key the last one. */
#ifndef RINGKV_NODE_CHANGE_LIST_H
#define RINGKV_NODE_CHANGE_LIST_H

#include "node/store.h"
#include "shared/bytes.h"
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. */
struct change_list {
    struct store_change *items; /* in the order in which their keys came first */
    size_t count;
    size_t size;      /* allocated */
    uint32_t *places; /* by key: index + 1; used once there are many */
    size_t place_count;
};

/* Takes the place of an earlier change of the same key. 0 or RK_NOMEM, then as it was. */
int change_list_put(struct change_list *l, const struct store_change *change);

/* The change of a key, or NULL; until the next put. */
const struct store_change *change_list_find(const struct change_list *l, struct bytes key);

void change_list_clear(struct change_list *l);
void change_list_free(struct change_list *l);

#endif
