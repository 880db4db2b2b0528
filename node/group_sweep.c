/* A primary's sweep for tombstones that every replica holds. */
#include "node/group_parts.h"
#include "node/mutant.h"
#include "node/shard.h"
#include <stdlib.h>

struct sweep {
    const struct group *g;
    uint64_t mutants;
    struct store_change forget[STORE_CHANGES_MAX / 8];
    size_t count, seen, keys_size;
    uint8_t *cursor;
    size_t *cursor_size;
    uint8_t keys[STORE_CHANGES_MAX / 8 * 64];
};

/* Whether every replica is known to hold what was written by `version`. */
static bool everywhere(const struct group *g, struct version version)
{
    for (uint8_t i = 0; i < g->peer_count; i++)
        if (!g->peers[i].acked || (version.view == g->view && g->peers[i].acked_op < version.op))
            return false;
    return true;
}

static int look_for_tombstone(void *arg, struct bytes key, const struct store_record *record)
{
    struct sweep *w = arg;

    memcpy(w->cursor, key.data, key.size);
    *w->cursor_size = key.size;
    w->seen++;
    if (record && record->deleted &&
        (everywhere(w->g, record->version) || MUTANT_OF(w->mutants, EARLY_SWEEP)) &&
        w->keys_size + key.size <= sizeof(w->keys)) {
        memcpy(w->keys + w->keys_size, key.data, key.size);
        w->forget[w->count++] = (struct store_change){
            .kind = STORE_FORGET, .key = bytes_of(w->keys + w->keys_size, key.size)};
        w->keys_size += key.size;
    }
    return w->seen == GROUP_SWEEP_RECORDS || w->count == sizeof(w->forget) / sizeof(w->forget[0]);
}

bool group_sweep(struct shard *s, struct group *g, uint8_t cursor[STORE_KEY_SIZE_MAX],
                 size_t *cursor_size)
{
    struct sweep *w;
    struct step step = {.kind = STEP_OPERATION};
    uint8_t from[STORE_KEY_SIZE_MAX + 1], to[STORE_KEY_SIZE_MAX];
    int found;

    if (g->role != GROUP_PRIMARY || !g->started ||
        !(everywhere(g, (struct version){0}) || MUTANT(s, EARLY_SWEEP)))
        return true;
    w = malloc(sizeof(*w));
    if (!w)
        return true;
    w->g = g;
    w->mutants = MUTANTS_OF(s);
    w->count = w->seen = w->keys_size = 0;
    w->cursor = cursor;
    w->cursor_size = cursor_size;
    found = store_scan(
        s->store, key_range_first(s->ring, g->partition, bytes_of(cursor, *cursor_size), from),
        key_range_last(s->ring, g->partition, (struct bytes){0}, to), look_for_tombstone, w);
    if (w->count && group_make_step(s, g, &step, w->forget, w->count) == 0)
        s->counters.tombstones_swept += w->count;
    free(w);
    return found != 1;
}
