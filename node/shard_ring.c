/* A shard takes a ring, its first or the next one. */
#include "node/shard_parts.h"
#include "shared/error.h"
#include "shared/message_ring.h"
#include <assert.h>
#include <stdlib.h>

/* One box for each shard of each member. */
struct outboxes {
    struct outbox *all;
    uint32_t *base; /* per member index: its first */
    size_t count;
};

static int make_outboxes(struct outboxes *o, const struct ring *ring)
{
    *o = (struct outboxes){.base = calloc(ring->member_count, sizeof(*o->base))};
    if (!o->base)
        return RK_NOMEM;
    for (uint32_t i = 0; i < ring->member_count; i++) {
        o->base[i] = (uint32_t)o->count;
        o->count += ring->members[i].shards;
    }
    o->all = calloc(o->count, sizeof(*o->all));
    if (o->all)
        return 0;
    free(o->base);
    return RK_NOMEM;
}

/* The links of members that stay go on. */
static void move_boxes(struct shard *s, struct outboxes *to, const struct ring *ring)
{
    for (uint32_t i = 0; s->ring && i < s->ring->member_count; i++) {
        const struct ring_member *m = &s->ring->members[i];
        int index = ring_member_by_number(ring, m->number);

        for (uint16_t shard = 0; index >= 0 && shard < m->shards; shard++) {
            struct outbox *from = &s->outboxes[s->outbox_base[i] + shard];

            to->all[to->base[index] + shard] = *from;
            from->frame = from->waiting = (struct buf){0};
        }
    }
}

static void free_boxes(struct shard *s)
{
    for (size_t i = 0; i < s->outbox_count; i++) {
        buf_free(&s->outboxes[i].frame);
        buf_free(&s->outboxes[i].waiting);
    }
    free(s->outboxes);
    free(s->outbox_base);
    s->outboxes = s->outboxes_open = NULL;
    s->outbox_base = NULL;
    s->outbox_count = 0;
}

void shard_drop_ring(struct shard *s)
{
    for (uint32_t i = 0; i < s->group_count; i++)
        group_free(s, &s->groups[i]);
    free(s->groups);
    s->groups = NULL;
    s->group_count = 0;
    free_boxes(s);
    s->ring = NULL;
}

static struct group *make_groups(const struct shard *s, const struct ring *ring, uint32_t *count)
{
    uint32_t partitions = ring_partitions(ring), shards = s->options.count;
    struct group *groups;

    *count = (partitions + shards - 1 - s->options.index) / shards;
    groups = calloc(*count ? *count : 1, sizeof(*groups));
    for (uint32_t i = 0; groups && i < *count; i++)
        groups[i].partition = i * shards + s->options.index;
    return groups;
}

static int load_groups(struct shard *s)
{
    int error = 0;

    for (uint32_t i = 0; i < s->group_count && !error; i++)
        error = group_load(s, &s->groups[i]);
    return error;
}

/* The bounds are a node's; each of its shards has its share. */
static void set_bounds(struct shard *s)
{
    uint64_t own = s->options.transfer_rate, change = s->ring->change ? s->ring->change->rate : 0;
    uint64_t shards = s->options.count;

    if (own && (!change || own < change))
        change = own;
    s->pace.bound[COPY_REPAIR] = own ? own / shards + 1 : 0;
    s->pace.bound[COPY_CHANGE] = change ? change / shards + 1 : 0;
}

int shard_set_ring(struct shard *s, const struct ring *ring, uint16_t me)
{
    struct outboxes boxes;
    bool first = !s->groups;
    int error = make_outboxes(&boxes, ring);

    assert(first || (ring->bits == s->ring->bits && ring->epoch >= s->ring->epoch));
    if (error)
        return error;
    if (first && !(s->groups = make_groups(s, ring, &s->group_count))) {
        free(boxes.all);
        free(boxes.base);
        return RK_NOMEM;
    }
    /* What was said by the old ring goes out before anything that is said by the new one. */
    shard_close_outboxes(s);
    move_boxes(s, &boxes, ring);
    free_boxes(s);
    s->outboxes = boxes.all;
    s->outbox_base = boxes.base;
    s->outbox_count = boxes.count;
    s->ring = ring;
    s->me = me;
    s->drop_group = 0;
    set_bounds(s);
    shard_touch_all(s);
    error = first ? load_groups(s) : 0;
    for (uint32_t i = 0; i < s->group_count && !error; i++)
        group_set_ring(s, &s->groups[i]);
    return error;
}

int shard_progress(const struct shard *s, uint32_t *count, struct buf *entries)
{
    int error = 0;

    *count = 0;
    for (uint32_t i = 0; i < s->group_count && s->ring->change && !error; i++) {
        const struct group *g = &s->groups[i];
        enum ring_phase phase = ring_phase(s->ring, g->partition);
        struct progress_entry e = {.partition = g->partition};

        if (g->role != GROUP_PRIMARY || (phase != RING_LEARNING && phase != RING_JOINT))
            continue;
        if (phase == RING_LEARNING ? group_has_taught(s, g) : group_is_ready(s, g))
            e.flags = phase == RING_LEARNING ? PROGRESS_LEARNED : PROGRESS_READY;
        error = message_add_progress(entries, &e);
        *count += !error;
    }
    return error;
}
