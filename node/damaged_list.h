/* Pure: the keys of records found damaged and not yet repaired: a bounded queue without doubles. */
#ifndef RINGKV_NODE_DAMAGED_LIST_H
#define RINGKV_NODE_DAMAGED_LIST_H

#include "node/store.h"

struct damaged_list {
    size_t count;
    struct damaged_key {
        uint16_t size;
        uint8_t bytes[STORE_KEY_SIZE_MAX];
    } keys[STORE_DAMAGED_MAX];
};

/* Takes a key in, unless it is there or the list is full. Keys longer than STORE_KEY_SIZE_MAX,
 * which only a damaged tree can hold, are left out. */
void damaged_list_add(struct damaged_list *l, struct bytes key);

/* Takes the oldest key out. 0 or RK_NOTFOUND. */
int damaged_list_take(struct damaged_list *l, uint8_t key[STORE_KEY_SIZE_MAX], size_t *size);

#endif
