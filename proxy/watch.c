#include "proxy/watch.h"
#include "shared/error.h"
#include "shared/wire.h"
#include <stdlib.h>

bool watch_has(const struct watch *w, uint64_t position, struct bytes key)
{
    for (const struct watched *at = w->first; at; at = at->next)
        if (wire_get_position(at->key) == position &&
            bytes_equal(bytes_of(at->key + POSITION_SIZE, at->size - POSITION_SIZE), key))
            return true;
    return false;
}

static int add(struct watch *w, struct bytes key, struct bytes token)
{
    struct watched *new;

    if (token.size != WATCH_TOKEN_SIZE)
        return RK_CORRUPT;
    new = malloc(sizeof(*new) + key.size);
    if (!new)
        return RK_NOMEM;
    new->next = w->first;
    memcpy(new->token, token.data, sizeof(new->token));
    new->size = (uint16_t)key.size;
    memcpy(new->key, key.data, key.size);
    w->first = new;
    w->count++;
    return 0;
}

static void drop_first(struct watch *w)
{
    struct watched *first = w->first;

    w->first = first->next;
    w->count--;
    free(first);
}

int watch_add(struct watch *w, uint32_t partition, uint16_t count, struct bytes keys,
              struct bytes tokens)
{
    uint32_t before = w->count;
    int error = 0;

    for (uint16_t i = 0; i < count && !error; i++) {
        struct bytes key = message_next_arg(&keys, NULL);

        error = add(w, key, message_next_arg(&tokens, NULL));
    }
    while (error && w->count > before)
        drop_first(w);
    if (!error)
        w->partition = partition;
    return error;
}

void watch_clear(struct watch *w)
{
    while (w->first)
        drop_first(w);
    *w = (struct watch){0};
}
