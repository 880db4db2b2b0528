#include "node/expiry_sweep.h"
#include "node/group_parts.h"
#include "node/shard.h"
#include "shared/error.h"
#include <stdlib.h>

/* Results of `look` besides an error: none of the list. */
enum { PASS_ENDS = 1, TICK_ENDS = 2 };

static uint32_t partition_of(const struct shard *s, struct bytes key)
{
    return ring_partition(s->ring, wire_get_position(key.data));
}

/* Whether this replica may take records of the group now. One operation at a time: what waits for a
 * majority is not piled up. */
static bool may_take(const struct group *g)
{
    return g->role == GROUP_PRIMARY && g->started && !g->handing_ms &&
           g->expiry_op <= g->committed && group_majority_follows(g);
}

static int look(void *arg, struct bytes key, const struct store_record *record)
{
    struct shard *s = arg;
    struct expiry_sweep *w = &s->expiry;
    struct group *g;
    void *kept;

    if (!record)
        return 0;
    if (record->expire_ms > s->wall_ms - EXPIRY_MARGIN_MS)
        return PASS_ENDS;
    g = shard_group(s, partition_of(s, key));
    if (!g || !may_take(g))
        return 0;
    kept = arena_copy(&w->arena, key.data, key.size);
    if (!kept)
        return RK_NOMEM;
    w->changes[w->count++] =
        (struct store_change){.kind = STORE_FORGET, .key = bytes_of(kept, key.size)};
    return w->count == EXPIRY_DELETES ? TICK_ENDS : 0;
}

static int compare_keys(const void *a, const void *b)
{
    return bytes_compare(((const struct store_change *)a)->key,
                         ((const struct store_change *)b)->key);
}

/* One operation for each partition: in the order of keys, those of a partition stand together. */
static void take_all(struct shard *s)
{
    struct expiry_sweep *w = &s->expiry;
    size_t end;

    qsort(w->changes, w->count, sizeof(*w->changes), compare_keys);
    for (size_t at = 0; at < w->count; at = end) {
        uint32_t partition = partition_of(s, w->changes[at].key);
        struct group *g = shard_group(s, partition);
        struct step step = {.kind = STEP_OPERATION};

        for (end = at + 1; end < w->count; end++)
            if (partition_of(s, w->changes[end].key) != partition)
                break;
        if (group_make_step(s, g, &step, w->changes + at, end - at) != 0)
            continue;
        g->expiry_op = g->last.op;
        s->counters.expired += end - at;
    }
}

/* Others come first while there is little room. */
static bool must_wait(struct shard *s)
{
    struct expiry_sweep *w = &s->expiry;

    if (w->resting && s->now_ms - w->pass_ms < EXPIRY_PASS_MS)
        return true;
    return store_delay_us(s->store) > 0 || buf_len(&s->held.queue) > s->options.held_max / 2;
}

void expiry_sweep_tick(struct shard *s)
{
    struct expiry_sweep *w = &s->expiry;
    int result;

    if (!s->ring || must_wait(s))
        return;
    if (w->resting) {
        w->place.size = 0;
        w->pass_ms = s->now_ms;
    }
    w->count = 0;
    result = store_expiring(s->store, &w->place, EXPIRY_LOOKS, look, s);
    w->resting = result != RK_MORE && result != TICK_ENDS;
    take_all(s);
    arena_reset(&w->arena);
}

void expiry_sweep_free(struct expiry_sweep *w)
{
    arena_free(&w->arena);
}
