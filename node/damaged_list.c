#include "node/damaged_list.h"
#include "shared/error.h"
#include <string.h>

void damaged_list_add(struct damaged_list *l, struct bytes key)
{
    if (l->count == STORE_DAMAGED_MAX || key.size > STORE_KEY_SIZE_MAX)
        return;
    for (size_t i = 0; i < l->count; i++)
        if (bytes_equal(bytes_of(l->keys[i].bytes, l->keys[i].size), key))
            return;

    struct damaged_key *to = &l->keys[l->count++];

    to->size = (uint16_t)key.size;
    if (key.size)
        memcpy(to->bytes, key.data, key.size);
}

int damaged_list_take(struct damaged_list *l, uint8_t key[STORE_KEY_SIZE_MAX], size_t *size)
{
    if (l->count == 0)
        return RK_NOTFOUND;
    *size = l->keys[0].size;
    memcpy(key, l->keys[0].bytes, l->keys[0].size);
    l->count--;
    memmove(&l->keys[0], &l->keys[1], l->count * sizeof(l->keys[0]));
    return 0;
}
